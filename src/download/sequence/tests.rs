//! Several objects in order, the next ones requested ahead.

use std::iter::repeat_n;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::time::{sleep, timeout};

use super::*;
use crate::download::in_process::config;
use crate::download::options::ChecksumMode;
use crate::transport::in_memory::{
    BodyFate, InMemoryServer, LATENCY, RecordedRequest, ScriptedReply, object,
};

const MIB: usize = 1 << 20;
const KEYS: [&str; 4] = ["a", "b", "c", "d"];

fn options() -> Options {
    Options { checksum: ChecksumMode::Off, ..Options::default() }
}

#[expect(clippy::unnecessary_wraps, reason = "as a stream of requests has it")]
fn request(key: &'static str) -> Result<ObjectRequest<&'static str>> {
    let source = format!("s3://bucket/{key}").parse().unwrap();
    Ok(ObjectRequest { source, options: None, already_written: 0, note: key })
}

fn sequence(
    server: &InMemoryServer,
    options: &Options,
    requests: impl Stream<Item = Result<ObjectRequest<&'static str>>> + Send + 'static,
) -> ObjectSequence<&'static str> {
    ObjectSequence::new(&Client::new(config(server)), options, Box::pin(requests))
}

/// The bytes of each object are those of another place, so that objects that are mixed up show.
fn bytes_of(key: &str, len: usize) -> Bytes {
    let place = KEYS.iter().position(|other| *other == key).unwrap() + 1;
    object(place * len).slice((place - 1) * len..)
}

/// A server of an object of `len` bytes for each key, whose GETs get what `script` says, if anything.
fn server(
    len: usize,
    script: impl Fn(&RecordedRequest) -> Option<ScriptedReply> + Send + Sync + 'static,
) -> InMemoryServer {
    server_of([len; KEYS.len()], script)
}

/// A server of objects of these lengths in the order of the keys.
fn server_of(
    lens: [usize; KEYS.len()],
    script: impl Fn(&RecordedRequest) -> Option<ScriptedReply> + Send + Sync + 'static,
) -> InMemoryServer {
    let server = InMemoryServer::start(object(0), move |request| {
        Some(request).filter(|request| request.is_get()).and_then(&script).unwrap_or_default()
    });
    KEYS.iter().zip(lens).fold(server, |server, (key, len)| server.with_object(key, bytes_of(key, len)))
}

/// What came of each object, in order: its note and its bytes.
type Delivered = Vec<(&'static str, Bytes)>;

/// Reads to the end of all objects, or to the first error.
async fn read(sequence: &mut ObjectSequence<&'static str>) -> (Delivered, Option<Error>) {
    let mut all = Vec::new();
    while let Some(next) = sequence.next_object().await {
        if let Err(error) = next {
            return (all, Some(error));
        }
        let note = sequence.request().unwrap().note;
        let mut bytes = Vec::new();
        while let Some(frame) = sequence.next_frame().await {
            match frame {
                Ok(frame) => bytes.extend_from_slice(&frame),
                Err(error) => {
                    all.push((note, bytes.into()));
                    return (all, Some(error));
                }
            }
        }
        all.push((note, bytes.into()));
    }
    (all, None)
}

fn whole(keys: &[&'static str], len: usize) -> Delivered {
    keys.iter().map(|key| (*key, bytes_of(key, len))).collect()
}

fn keys_of(gets: &[RecordedRequest]) -> String {
    gets.iter().map(RecordedRequest::key).collect()
}

#[tokio::test(start_paused = true)]
async fn objects_come_in_order_over_few_connections_and_are_counted() {
    for len in [0, 1, 1000, MIB] {
        let server = server(len, |_| None);
        let mut sequence = sequence(&server, &options(), stream::iter(KEYS.map(request)));
        assert_eq!((sequence.objects(), sequence.is_last()), (Some(4), false), "{len}");
        assert_eq!(read(&mut sequence).await.0, whole(&KEYS, len), "{len}");
        assert_eq!((sequence.objects(), sequence.is_last()), (Some(4), true), "{len}");
        assert_eq!((sequence.complete_bytes(), sequence.bytes()), (3 * len as u64, 4 * len as u64));
        assert_eq!(sequence.traffic().fetched, 4 * len as u64);
        assert!(sequence.verdict().is_some() && sequence.unverified().is_none(), "{len}");
        if len > 0 {
            assert_eq!(keys_of(&server.gets()), "abcd", "{len}: one GET each");
        }
        assert!(server.dialled() <= 5, "{len}: {} connections", server.dialled());
    }
}

/// Names come from another thread: one that came between two looks at the list was lost, with exit code 0.
#[tokio::test(start_paused = true)]
async fn no_object_is_lost_whenever_its_name_comes() {
    for late in 0..8_usize {
        let (mut keys, mut polls) = (KEYS.into_iter(), 0);
        let names = stream::poll_fn(move |cx| {
            polls += 1;
            if polls % (late + 1) == 0 {
                return Poll::Ready(keys.next().map(request));
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        let server = server(1000, |_| None);
        let (delivered, error) = read(&mut sequence(&server, &options(), names)).await;
        assert_eq!(delivered, whole(&KEYS, 1000), "{late}");
        assert!(error.is_none(), "{late}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_object_is_requested_before_the_end_of_the_one_before_it() {
    let rate = 4 << 20;
    let server = server(MIB, move |_| Some(ScriptedReply::at_rate(rate)));
    let mut sequence = sequence(&server, &options(), stream::iter(KEYS.map(request)));
    assert_eq!(read(&mut sequence).await.0, whole(&KEYS, MIB));
    // 250 ms for each; to connect, and the response to the first one alone.
    let due = 2 * LATENCY + Duration::from_secs(1);
    assert!(server.elapsed() <= due + LATENCY, "{:?}", server.elapsed());
}

/// Each connection brings 8 MiB/s: more of them pay.
#[tokio::test(start_paused = true)]
async fn ranges_of_objects_ahead_are_requested_by_several_connections_in_the_order_of_the_output() {
    let server = server(4 * MIB, |_| Some(ScriptedReply::at_rate(8 << 20)));
    let options = Options { chunk_size: NonZeroU64::new(MIB as u64), ..options() };
    let mut sequence = sequence(&server, &options, stream::iter(KEYS.map(request)));
    sequence.next_object().await.unwrap().unwrap();
    let mut first = Vec::new();
    while first.len() < 2 * MIB {
        first.extend_from_slice(&sequence.next_frame().await.unwrap().unwrap());
    }
    let ahead = |key: &str| server.gets().iter().filter(|get| get.key() == key).count();
    assert!(ahead("b") > 1, "while the first one is delivered: {}", keys_of(&server.gets()));
    while let Some(frame) = sequence.next_frame().await {
        first.extend_from_slice(&frame.unwrap());
    }
    let (rest, error) = read(&mut sequence).await;
    assert!(error.is_none() && first == bytes_of("a", 4 * MIB) && rest == whole(&KEYS[1..], 4 * MIB));
    // But for the first range of an object, which shows how many there are: those after it may have to wait for it.
    let gets = server.gets();
    let rest: Vec<_> =
        gets.iter().filter(|get| get.range.start > 0).map(|get| (get.key(), get.range.start)).collect();
    assert!(rest.is_sorted(), "{rest:?}");
    assert_eq!(gets.len(), 16, "none is requested twice");
    // One controller for all: the number that the first object showed is that of the others.
    assert!(sequence.traffic().concurrency > 4 && server.elapsed() < Duration::from_secs(1));
}

/// A link of 8 MiB/s, which one connection fills: what others bring, they take from the bytes that are next.
#[tokio::test(start_paused = true)]
async fn a_trial_that_fails_cancels_the_objects_ahead_and_requests_them_in_their_turn() {
    let server = server(2 * MIB, |_| None).over_link(8 << 20);
    let mut sequence = sequence(&server, &options(), stream::iter(KEYS.map(request)));
    assert_eq!(read(&mut sequence).await.0, whole(&KEYS, 2 * MIB));
    let due = Duration::from_secs(1);
    assert!(server.elapsed() < due + due / 5, "{:?}", server.elapsed());
    assert!(server.gets().len() > 4, "{}: some were cancelled", keys_of(&server.gets()));
    assert!(sequence.traffic().fetched < 12 * MIB as u64, "{:?}", sequence.traffic());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_fails_ends_the_run_exactly_there() {
    type Script = fn(&RecordedRequest) -> Option<ScriptedReply>;
    let missing: Script = |get| (get.key() == "c").then(|| ScriptedReply::error(404, "NoSuchKey"));
    let cut: Script = |get| {
        (get.key() == "c").then(|| match get.range.start {
            0 => ScriptedReply::ending(BodyFate::CutAt(300)),
            _ => ScriptedReply::error(400, "InvalidRequest"),
        })
    };
    for (case, script, of_third, failed, kind) in [
        ("missing", missing, None, Some("c"), ErrorKind::NotFound),
        ("broken in the middle", cut, Some(300), None, ErrorKind::Server),
    ] {
        for connections in [None, Some(1), Some(3)] {
            let options = Options { concurrency: connections.and_then(NonZeroUsize::new), ..options() };
            let server = server(1000, script);
            let mut sequence = sequence(&server, &options, stream::iter(KEYS.map(request)));
            let (delivered, error) = read(&mut sequence).await;
            let mut want = whole(&["a", "b"], 1000);
            want.extend(of_third.map(|bytes| ("c", bytes_of("c", 1000).slice(..bytes))));
            assert_eq!(delivered, want, "{case} {connections:?}");
            let error = error.unwrap();
            assert_eq!(error.kind(), kind, "{case} {connections:?}: {error}");
            assert!(error.to_string().contains("s3://bucket/c"), "{case}: {error}");
            assert_eq!(sequence.failed().map(|request| request.note), failed, "{case}");
            assert!(sequence.verdict().is_none() || failed.is_some(), "{case}");
            assert_eq!(sequence.complete_bytes(), if failed.is_some() { 1000 } else { 2000 }, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_named_number_of_connections_is_kept_by_all_objects_together() {
    for connections in [1, 2, 3] {
        let options = Options {
            concurrency: NonZeroUsize::new(connections),
            chunk_size: NonZeroU64::new(MIB as u64 / 4),
            ..options()
        };
        let server = server(MIB, |_| Some(ScriptedReply::at_rate(8 << 20)));
        let mut sequence = sequence(&server, &options, stream::iter(KEYS.map(request)));
        assert_eq!(read(&mut sequence).await.0, whole(&KEYS, MIB), "{connections}");
        assert_eq!(server.gets().len(), 16, "{connections}");
        // Each of those that are requested has a HEAD beside its GETs.
        assert!(server.open().1 <= 2 * connections, "{connections}: {:?}", server.open());
    }
}

#[tokio::test(start_paused = true)]
async fn names_that_come_late_hold_up_no_byte_of_the_object_before_them() {
    let pause = Duration::from_secs(20);
    let server = server(MIB, |_| None);
    let names = stream::unfold(0, move |number| async move {
        let key = KEYS.get(number)?;
        if number > 0 {
            sleep(pause).await;
        }
        Some((request(key), number + 1))
    });
    let mut sequence = sequence(&server, &options(), names);
    sequence.next_object().await.unwrap().unwrap();
    assert_eq!(sequence.objects(), None, "it is not known how many come");
    let mut bytes = 0;
    while let Some(frame) = sequence.next_frame().await {
        bytes += frame.unwrap().len();
    }
    assert_eq!(bytes, MIB);
    assert!(server.elapsed() < Duration::from_secs(1), "{:?}", server.elapsed());
    assert!(!sequence.is_last() && sequence.next_object().now_or_never().is_none());
    assert_eq!(read(&mut sequence).await.0, whole(&KEYS[1..], MIB));
    assert!(server.elapsed() < 3 * pause + Duration::from_secs(1), "{:?}", server.elapsed());
    assert_eq!((sequence.is_last(), sequence.objects()), (true, Some(4)));
}

/// A response that is larger than the window gives no permit back, which would wake the run.
#[tokio::test(start_paused = true)]
async fn a_next_object_that_is_requested_while_it_is_waited_for_wakes_the_run() {
    let pause = Duration::from_secs(20);
    for (tag, connections) in [("", 1), ("W/\"weak\"", 1), ("", 2), ("\"strong\"", 1)] {
        let script = move |_: &RecordedRequest| Some(ScriptedReply::default().with_header("etag", tag));
        let server = server(MIB, script);
        let options = Options {
            concurrency: NonZeroUsize::new(connections),
            chunk_size: NonZeroU64::new(10_360),
            ..options()
        };
        let names = stream::iter(KEYS).then(move |key| async move {
            sleep(pause).await;
            request(key)
        });
        let mut sequence = sequence(&server, &options, names);
        let delivered = timeout(10 * pause, read(&mut sequence)).await;
        let (delivered, error) = delivered.unwrap_or_else(|_| panic!("a hang: {tag} {connections}"));
        assert!(error.is_none() && delivered == whole(&KEYS, MIB), "{tag} {connections}: {error:?}");
    }
}

/// The response of the object after it is larger than the window, so that it keeps the only permit that a busy server
/// leaves.
#[tokio::test(start_paused = true)]
async fn an_object_whose_first_request_is_throttled_does_not_wait_for_those_after_it() {
    for (tag, throttled, connections) in
        [("W/\"weak\"", "b", 2), ("W/\"weak\"", "bd", 3), ("", "b", 3), ("", "d", 4), ("\"strong\"", "b", 2)]
    {
        let case = format!("{tag} {throttled} {connections}");
        let left = AtomicU32::new(2);
        let is_busy = move || {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        };
        let lens = [1000, 1000, MIB, 1000];
        let server = server_of(lens, move |request| {
            if throttled.contains(request.key()) && is_busy() {
                return Some(ScriptedReply::error(503, "SlowDown"));
            }
            Some(ScriptedReply::default().with_header("etag", tag))
        });
        let options = Options {
            concurrency: NonZeroUsize::new(connections),
            chunk_size: NonZeroU64::new(10_360),
            ..options()
        };
        let mut sequence = sequence(&server, &options, stream::iter(KEYS.map(request)));
        let delivered = timeout(Duration::from_mins(5), read(&mut sequence)).await;
        let (delivered, error) = delivered.unwrap_or_else(|_| panic!("a hang: {case}"));
        let expected: Delivered =
            KEYS.into_iter().zip(lens).map(|(key, len)| (key, bytes_of(key, len))).collect();
        assert!(error.is_none() && delivered == expected, "{case}: {error:?}");
    }
}

/// Each takes memory beside its bytes, which the window does not count.
#[tokio::test(start_paused = true)]
async fn small_objects_after_one_that_is_late_are_requested_ahead_up_to_a_number() {
    const LATE: Duration = Duration::from_millis(900);
    // Those before it that are received meanwhile make room for 32 more.
    for (max_memory, most) in [(None, 448 + 32), (NonZeroU64::new(34 << 20), 200 + 32)] {
        let server = server(100, |request| {
            let latency = if request.key() == "c" { LATE } else { LATENCY };
            Some(ScriptedReply { latency, ..ScriptedReply::default() })
        });
        let keys = repeat_n("b", 100).chain(["c"]).chain(repeat_n("b", 3000));
        let options = Options { max_memory, ..options() };
        let (delivered, error) =
            read(&mut sequence(&server, &options, stream::iter(keys.map(request)))).await;
        assert_eq!((delivered.len(), error.is_none()), (3101, true));
        let gets = server.gets();
        assert_eq!(gets.len(), 3101);
        let late = gets.iter().find(|get| get.key() == "c").unwrap().at;
        let meanwhile = gets.iter().filter(|get| get.at > late && get.at < late + LATE).count();
        assert!((64..=most).contains(&meanwhile), "{max_memory:?}: {meanwhile}");
    }
}

#[tokio::test(start_paused = true)]
async fn names_that_fail_end_the_run_after_the_objects_before_them() {
    for good in 0..3 {
        let server = server(1000, |_| None);
        let names = KEYS[..good].iter().map(|key| request(key));
        let names: Vec<_> = names.chain([Err(Error::usage("a name that cannot be read"))]).collect();
        let mut sequence = sequence(&server, &options(), stream::iter(names));
        let (delivered, error) = read(&mut sequence).await;
        assert_eq!(
            (delivered, error.unwrap().kind()),
            (whole(&KEYS[..good], 1000), ErrorKind::Usage),
            "{good}"
        );
        assert!(!sequence.is_last(), "{good}: more may have followed");
        assert_eq!(keys_of(&server.gets()), KEYS[..good].concat());
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_objects_are_requested_than_there_are_connections_while_the_consumer_rests() {
    let server = server(MIB, |_| None);
    let options =
        Options { concurrency: NonZeroUsize::new(2), chunk_size: NonZeroU64::new(MIB as u64), ..options() };
    let mut sequence = sequence(&server, &options, stream::iter(KEYS.map(request)));
    sequence.next_object().await.unwrap().unwrap();
    let first = sequence.next_frame().await.unwrap().unwrap();
    sleep(Duration::from_mins(1)).await;
    // No more than memory was promised for, though the connection of the first one is free again.
    assert_eq!(keys_of(&server.gets()), "ab");
    drop(first);
    while sequence.next_frame().await.is_some() {}
    assert_eq!(read(&mut sequence).await.0, whole(&KEYS[1..], MIB));
    assert_eq!(server.gets().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_has_no_object() {
    let server = server(1000, |_| None);
    let mut sequence = sequence(&server, &options(), stream::empty());
    assert!(sequence.next_object().await.is_none());
    assert_eq!((sequence.objects(), sequence.bytes(), server.requests().len()), (Some(0), 0, 0));
    assert!(sequence.verdict().is_none() && sequence.failed().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_went_well_until_a_later_object_outlives_a_longer_outage_than_its_start() {
    for (failing, refusals, brings) in [("c", 8, 4), ("c", 12, 2), ("a", 3, 4), ("a", 5, 0)] {
        let left = AtomicU32::new(refusals);
        let is_refused = move || {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        };
        let server = server(1000, move |request| {
            (request.key() == failing && is_refused()).then(|| ScriptedReply::error(500, "InternalError"))
        });
        let mut sequence = sequence(&server, &options(), stream::iter(KEYS.map(request)));
        let (delivered, error) = read(&mut sequence).await;
        assert_eq!(delivered, whole(&KEYS[..brings], 1000), "{failing} {refusals}");
        assert_eq!(error.is_none(), brings == 4, "{failing} {refusals}");
    }
}
