//! One range: attempts, their remainders and their retries.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::download::in_process::{fetch, read, start};
use crate::download::options::{ChecksumMode, Hedge, Options};
use crate::error::ErrorKind;
use crate::transport::in_memory::{
    BodyFate, InMemoryServer, LATENCY, RecordedRequest, ScriptedReply, object,
};

const MIB: usize = 1 << 20;
/// When the first body begins: a connection, and a response.
const BEGIN: Duration = Duration::from_millis(50);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn options(connections: usize, chunk: usize) -> Options {
    Options {
        concurrency: NonZeroUsize::new(connections),
        chunk_size: NonZeroU64::new(chunk as u64),
        checksum: ChecksumMode::Off,
        ..Options::default()
    }
}

/// A server that replies to GET number `n`, from 0, as `script` says where it says anything.
fn server(
    len: usize,
    script: impl Fn(&RecordedRequest) -> Option<ScriptedReply> + Send + Sync + 'static,
) -> InMemoryServer {
    InMemoryServer::start(object(len), move |request| {
        Some(request).filter(|request| request.is_get()).and_then(&script).unwrap_or_default()
    })
}

fn on_first(request: &RecordedRequest, reply: ScriptedReply) -> Option<ScriptedReply> {
    (request.number == 0).then_some(reply)
}

#[tokio::test(start_paused = true)]
async fn a_cut_body_is_continued_after_its_last_byte_on_another_connection() {
    for cut in [1, 1000, 300_000, MIB - 1] {
        let server = server(MIB, move |r| on_first(r, ScriptedReply::ending(BodyFate::CutAt(cut))));
        let (bytes, download) = fetch(&server, &options(1, MIB)).await.unwrap();
        assert_eq!(bytes, object(MIB), "{cut}");
        let gets = server.gets();
        assert_eq!(gets.len(), 2, "{cut}");
        assert_eq!(gets[1].range, cut as u64..MIB as u64, "no byte is requested twice");
        assert_ne!(gets[1].connection, gets[0].connection);
        assert_eq!(gets[1].header("if-match"), Some("\"in-memory\""));
        // A pause of at most 100 ms, and a connection.
        let pause = gets[1].at.saturating_sub(BEGIN);
        assert!((LATENCY..LATENCY + ms(102)).contains(&pause), "{cut}: {pause:?}");
        let traffic = download.traffic();
        assert_eq!((traffic.fetched, traffic.retries), (MIB as u64, 1), "{cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up_after_the_stall_timeout() {
    for (stall_timeout, seconds) in [(None, 10), (Some(Duration::from_secs(3)), 3)] {
        let server = server(MIB, |r| on_first(r, ScriptedReply::ending(BodyFate::SilentAt(100_000))));
        let options = Options { stall_timeout, hedge: Hedge::Off, ..options(1, MIB) };
        let (bytes, _) = fetch(&server, &options).await.unwrap();
        assert_eq!(bytes, object(MIB));
        let gets = server.gets();
        assert_eq!((gets.len(), gets[1].range.start), (2, 100_000));
        let late = gets[1].at.saturating_sub(BEGIN + Duration::from_secs(seconds));
        assert!((LATENCY..LATENCY + ms(105)).contains(&late), "{late:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_shorter_than_the_stall_timeout_costs_no_request() {
    let pause = BodyFate::PauseAt(100_000, Duration::from_secs(9));
    let server = server(MIB, move |r| on_first(r, ScriptedReply::ending(pause)));
    let options = Options { hedge: Hedge::Off, ..options(1, MIB) };
    assert_eq!(fetch(&server, &options).await.unwrap().0, object(MIB));
    assert_eq!(server.gets().len(), 1);
    assert_eq!(server.elapsed(), BEGIN + Duration::from_secs(9));
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_rests_is_no_stall() {
    let len = 4 * MIB;
    let server = server(len, |_| None);
    let mut download = start(&server, &options(2, MIB)).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(frame) = download.next_frame().await {
        bytes.extend_from_slice(&frame.unwrap());
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    assert_eq!(Bytes::from(bytes), object(len));
    assert_eq!((server.gets().len(), download.traffic().retries), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn attempts_without_progress_end_the_download_after_the_bytes_before_them() {
    for (attempts, max_attempts) in [(10, None), (3, Some(3))] {
        let server = server(2 * MIB, |r| {
            (r.range.start >= MIB as u64).then(|| ScriptedReply::ending(BodyFate::CutAt(0)))
        });
        let max_attempts = max_attempts.and_then(std::num::NonZeroU32::new);
        let options = Options { max_attempts, hedge: Hedge::Off, ..options(1, MIB) };
        let mut download = start(&server, &options).await.unwrap();
        let (bytes, error) = read(&mut download).await;
        assert_eq!(bytes, object(2 * MIB).slice(..MIB), "what came before is delivered");
        assert_eq!(error.unwrap().kind(), ErrorKind::Network);
        assert_eq!(server.gets().len(), 1 + attempts);
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_that_bring_something_do_not_count() {
    let server = server(2 * MIB, |_| Some(ScriptedReply::ending(BodyFate::CutAt(100_000))));
    let (bytes, download) = fetch(&server, &options(1, 2 * MIB)).await.unwrap();
    assert_eq!(bytes, object(2 * MIB));
    assert_eq!(server.gets().len(), (2 * MIB).div_ceil(100_000));
    assert_eq!(download.traffic().fetched, 2 * MIB as u64);
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_gets_the_pause_that_it_asked_for_and_fewer_requests() {
    let busy = |r: &RecordedRequest| {
        let reply = ScriptedReply::error(503, "SlowDown").with_header("retry-after", "7");
        (r.number == 2).then_some(reply)
    };
    let server = server(8 * MIB, busy);
    let (bytes, download) = fetch(&server, &options(2, MIB)).await.unwrap();
    assert_eq!(bytes, object(8 * MIB));
    let gets = server.gets();
    assert_eq!(gets.len(), 9);
    let refused = gets[2].at + LATENCY;
    let in_pause = gets.iter().filter(|get| get.at > refused && get.at < refused + Duration::from_secs(7));
    assert_eq!(in_pause.count(), 0, "{gets:?}");
    assert_eq!((download.traffic().throttled, download.traffic().retries), (1, 1));
    assert!(gets.iter().filter(|get| get.range == gets[2].range).count() == 2, "it is requested again");
}

#[tokio::test(start_paused = true)]
async fn responses_that_are_not_what_was_requested_are_never_delivered() {
    type Wrong = fn() -> ScriptedReply;
    let wrong: [(&str, Wrong, Option<ErrorKind>); 8] = [
        ("another ETag", || reply_with("etag", "\"other\""), Some(ErrorKind::Changed)),
        ("no ETag", || reply_with("etag", ""), None),
        (
            "another size",
            || reply_with("content-range", "bytes 1048576-2097151/9999999"),
            Some(ErrorKind::Changed),
        ),
        ("another range", || reply_with("content-range", "bytes 0-1048575/4194304"), None),
        ("no range", || reply_with("content-range", ""), None),
        ("200 with all of it", || ScriptedReply { status: Some(200), ..ScriptedReply::default() }, None),
        ("412", || ScriptedReply::error(412, "PreconditionFailed"), None),
        ("an error of the server", || ScriptedReply::error(500, "InternalError"), None),
    ];
    for (case, reply, kind) in wrong {
        let len = 4 * MIB;
        let is_second = std::sync::atomic::AtomicBool::new(true);
        let server = server(len, move |request| {
            let is_hit = request.range.start == MIB as u64 && is_second.swap(false, Relaxed);
            is_hit.then(reply)
        });
        let mut download = start(&server, &options(1, MIB)).await.unwrap();
        let (bytes, error) = read(&mut download).await;
        assert_eq!(bytes, object(len).slice(..bytes.len()), "{case}: a prefix");
        match &error {
            Some(error) => assert_eq!(Some(error.kind()), kind, "{case}: {error}"),
            None => assert_eq!((bytes.len(), kind), (len, None), "{case}"),
        }
    }
}

fn reply_with(name: &'static str, value: &str) -> ScriptedReply {
    ScriptedReply::default().with_header(name, value)
}

#[tokio::test(start_paused = true)]
async fn ranges_that_are_cut_and_late_arrive_in_order_each_byte_once() {
    let len = 8 * MIB;
    let server = server(len, |request| {
        let n = request.number * 7919;
        let fate = if n.is_multiple_of(3) { BodyFate::CutAt(n % 200_000 + 1) } else { BodyFate::Complete };
        Some(ScriptedReply { latency: ms(n as u64 % 97), fate, ..ScriptedReply::at_rate(20 << 20) })
    });
    let options = Options { hedge: Hedge::Off, ..options(8, MIB / 4) };
    let (bytes, download) = fetch(&server, &options).await.unwrap();
    assert_eq!(bytes, object(len));
    let traffic = download.traffic();
    assert_eq!(traffic.fetched, len as u64);
    assert_eq!(server.gets().len() as u64, 32 + traffic.retries);
}

/// Servers that accept any number of connections, and respond on some of them alone. How many of those are used follows from
/// the sizes of ranges where they are given.
#[tokio::test(start_paused = true)]
async fn connections_that_never_respond_cost_three_seconds_at_most() {
    type Responds = fn(usize) -> bool;
    let servers: [(&str, usize, Responds); 5] = [
        ("the first alone", 1, |number| number == 1),
        ("the second alone", 1, |number| number == 2),
        ("the first two", 2, |number| number <= 2),
        ("the first four", 4, |number| number <= 4),
        // How many of them are found to pay is not this test's subject.
        ("every second one", 1, |number| number.is_multiple_of(2)),
    ];
    let limits = [
        (None, None, 64, 32),
        (Some(8), None, 2, 8),
        (Some(8), Some(MIB), 16, 8),
        (Some(64), Some(MIB / 4), 64, 64),
    ];
    for (case, live, responds) in servers {
        for (connections, chunk, ranges, begun) in limits {
            for rate in [MIB, 5 * MIB, 50 * MIB] {
                let server = InMemoryServer::start(object(16 * MIB), move |request| {
                    let reply = ScriptedReply::at_rate(rate as u64);
                    if responds(request.connection) { reply } else { ScriptedReply::never() }
                });
                let options = Options {
                    concurrency: connections.and_then(NonZeroUsize::new),
                    chunk_size: chunk.and_then(|bytes| NonZeroU64::new(bytes as u64)),
                    checksum: ChecksumMode::Off,
                    ..Options::default()
                };
                let case =
                    format!("{case}, {} MiB/s, {connections:?} connections, {chunk:?} bytes", rate / MIB);
                let fetched = timeout(Duration::from_mins(1), fetch(&server, &options)).await;
                let (bytes, _) = fetched.unwrap_or_else(|_| panic!("{case}: it never ends")).unwrap();
                assert_eq!(bytes, object(16 * MIB), "{case}");
                let used = u32::try_from(live.min(ranges)).unwrap();
                let requests = LATENCY * u32::try_from(ranges).unwrap() / used;
                let bodies = Duration::from_secs((16 * MIB / rate) as u64 + 1) / used;
                let due = BEGIN + requests + bodies + Duration::from_secs(3);
                assert!(server.elapsed() <= due, "{case}: {:?}, due {due:?}", server.elapsed());
                // Those that were begun together, hedges, more where some respond, and then one now and then.
                assert!(server.dialled() <= 2 * begun + 40, "{case}: {} connections", server.dialled());
            }
        }
    }
}
