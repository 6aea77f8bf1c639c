//! Servers that send fewer bytes than requested: those are taken, and the rest is requested immediately.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Mutex;

use crate::support::fault_server::{ETAG, FaultServer, Reply, Request};
use crate::support::files::folder;
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

/// The requested range, to the reply.
type Respond = fn(Range<u64>) -> Reply;

/// No attempt may fail.
fn run(server: &FaultServer) -> S3fcp {
    S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--max-attempts", "1"])
}

fn requested(request: &Request) -> Option<Range<u64>> {
    let range = request.range.clone().filter(|_| request.is_get())?;
    Some(range.start..range.end.min(SIZE))
}

/// A server that answers ranges with `respond`, where `is_due`.
fn serve(respond: Respond, is_due: impl Fn(&Range<u64>) -> bool + Send + Sync + 'static) -> FaultServer {
    FaultServer::start(object(SIZE), move |request| match requested(request) {
        Some(range) if is_due(&range) => respond(range),
        _ => Reply::ok(),
    })
}

fn capped(range: Range<u64>, most: u64) -> Reply {
    Reply::part(range.start..range.end.min(range.start + most))
}

/// Each way in which a server sends less.
fn kinds() -> Vec<(&'static str, Respond)> {
    vec![
        ("a sixth", |range| capped(range, CHUNK / 6)),
        ("a byte less", |range| capped(range, CHUNK - 1)),
        ("up to a block's end", |range| capped(range.clone(), 10_000 - range.start % 10_000)),
        ("in chunks", |range| capped(range, 10_007).chunked()),
        ("called 200", |range| capped(range, 10_007).called_200()),
        ("without a size", |range| {
            let (start, end) = (range.start, range.end.min(range.start + 10_007));
            let reply = Reply::part(start..end);
            if start == 0 { reply } else { reply.content_range(format!("bytes {start}-{}/*", end - 1)) }
        }),
    ]
}

#[test]
fn all_bytes_are_delivered_in_one_attempt_a_range() {
    table::each(&kinds(), |respond| {
        let due: [fn(&Range<u64>) -> bool; 3] =
            [|_| true, |range| range.start > 0, |range| (2 * CHUNK..3 * CHUNK).contains(&range.start)];
        for is_due in due {
            let server = serve(*respond, is_due);
            run(&server).download(URI).assert_object(&object(SIZE));
            // No byte was requested twice.
            let starts: HashSet<_> =
                server.gets().iter().filter_map(|get| Some(get.range.as_ref()?.start)).collect();
            assert_eq!(starts.len(), server.gets().len());
        }
    });
}

#[test]
fn ranges_shards_and_files_are_complete() {
    let dir = folder();
    let place = |at: u64| usize::try_from(at).expect("a place in memory");
    table::each(&kinds(), |respond| {
        let server = serve(*respond, |_| true);
        for (range, start, end) in
            [("100-", 100, SIZE), ("70000-170000", 70_000, 170_001), ("-90000", SIZE - 90_000, SIZE)]
        {
            let outcome = run(&server).args(["--range", range]).download(URI);
            assert_eq!(outcome.code(), Some(0), "{range}: {}", outcome.stderr);
            assert!(outcome.stdout == object(SIZE)[place(start)..place(end)], "{range}");
        }
        let shard = |index: u64| {
            let outcome =
                run(&server).args([format!("--shard={index}/3"), format!("--if-match={ETAG}")]).download(URI);
            assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
            outcome.stdout
        };
        assert!([shard(0), shard(1), shard(2)].concat() == object(SIZE));
        let file = dir.path().join(format!("{}", server.address().port()));
        let outcome = run(&server).args(["-o"]).args([&file]).download(URI);
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert!(std::fs::read(&file).expect("the file") == object(SIZE));
    });
}

/// The rest of a range comes on the connection that the beginning has come on.
#[test]
fn the_rest_is_requested_on_the_same_connection() {
    let server = serve(|range| capped(range, CHUNK / 2), |range| range.start > 0);
    run(&server).window(1, CHUNK).download(URI).assert_object(&object(SIZE));
    assert!(server.connections() <= 2, "{}", server.connections());
    assert_eq!(server.gets().len(), 2 * CHUNKS - 2);
}

/// What the rest turns out to be is judged as any response is.
#[test]
fn a_rest_that_is_wrong_is_not_taken() {
    let table: [(&str, (i32, Respond)); 5] = [
        ("begins later", (5, |range| Reply::part(range.start + 1..range.end))),
        ("begins elsewhere", (5, |_| Reply::part(7..70))),
        ("of another version", (6, |range| capped(range, 1000).etag("\"other\""))),
        (
            "of another size",
            (6, |range| {
                capped(range.clone(), 1000).content_range(format!(
                    "bytes {}-{}/{}",
                    range.start,
                    range.start + 999,
                    SIZE + 1
                ))
            }),
        ),
        (
            "more in chunks than declared",
            (5, |range| {
                Reply::part(range.clone())
                    .content_range(format!("bytes {}-{}/{SIZE}", range.start, range.start + 99))
                    .chunked_by(50)
            }),
        ),
    ];
    table::each(&table, |&(exit, rest)| {
        let server = FaultServer::start(object(SIZE), move |request| match requested(request) {
            // The second response of each chunk.
            Some(range) if range.start % CHUNK == 1000 => rest(range),
            Some(range) => capped(range, 1000),
            None => Reply::ok(),
        });
        run(&server).download(URI).assert_failed(exit, &object(SIZE));
    });
}

/// A failure of a later response is one of its attempt, and only what is missing is requested again.
#[test]
fn after_a_failure_the_rest_of_the_rest_is_requested() {
    let seen = Mutex::new(HashMap::new());
    let server = FaultServer::start(object(SIZE), move |request| {
        let Some(range) = requested(request) else { return Reply::ok() };
        let mut seen = seen.lock().expect("no panic");
        let count = seen.entry(range.start).or_insert(0);
        *count += 1;
        if range.start % CHUNK == 20_000 && *count == 1 { Reply::status(503) } else { capped(range, 20_000) }
    });
    S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI).assert_object(&object(SIZE));
    assert_eq!(server.object_bytes(), SIZE);
}

/// A byte at a time: an attempt ends after so many responses, and fails if they have brought next to nothing.
#[test]
fn a_server_that_sends_next_to_nothing_is_exit_5() {
    let server = serve(|range| capped(range, 1), |range| range.start > 0);
    let outcome = run(&server).window(1, CHUNK).download(URI);
    outcome.assert_failed(5, &object(SIZE));
    assert!(outcome.stderr.contains("1000 responses were shorter than requested"), "{}", outcome.stderr);
}

/// Nothing would show that several responses are of one version: the object comes by one plain GET, or not at all.
#[test]
fn without_a_strong_tag_one_response_brings_all() {
    for (is_whole, exit) in [(true, 0), (false, 5)] {
        let server = FaultServer::start(object(SIZE), move |request| {
            let reply = match requested(request) {
                Some(range) => capped(range, 1000),
                None if request.is_get() && !is_whole => capped(0..SIZE, 1000),
                None => Reply::ok(),
            };
            reply.etag("W/\"same\"")
        });
        let outcome = run(&server).download(URI);
        if exit == 0 {
            outcome.assert_object(&object(SIZE));
        } else {
            outcome.assert_failed(exit, &object(SIZE));
        }
        assert!(server.gets().len() <= 4, "{}", server.gets().len());
    }
}
