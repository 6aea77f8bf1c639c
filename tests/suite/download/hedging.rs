//! Stragglers: when a range is much later than the others, what is left of it is requested a second time, and the
//! download does not wait for the first response.

use serde_json::Value;

use crate::support::fault_server::{FaultServer, Gate, Reply, Request};
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{Outcome, S3fcp, URI};
use crate::support::table;

/// Longer than a test may take: nothing but a hedge brings the rest of a body that has stopped.
const PATIENCE: [&str; 4] = ["--stall-timeout", "300", "--first-byte-timeout", "300"];

fn download(server: &FaultServer, args: &[&str]) -> Outcome {
    let run =
        S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--hedge", "auto", "--stats=json"]).args(args);
    run.download(URI)
}

fn figure(outcome: &Outcome, key: &str) -> u64 {
    let stats: Value = serde_json::from_str(&outcome.stderr).expect("one line of JSON");
    stats[key].as_u64().unwrap_or_else(|| panic!("{key} in {stats}"))
}

/// A server whose first answer for chunk `slow` is `reply`.
fn straggling(slow: u64, reply: Reply) -> FaultServer {
    FaultServer::start(object(SIZE), move |request: &Request| {
        if request.is_get() && request.chunk(CHUNK) == Some(slow) && request.attempt == 0 {
            reply.clone()
        } else {
            Reply::ok()
        }
    })
}

#[test]
fn a_range_that_stops_is_brought_by_a_second_request() {
    let never = Gate::closed();
    let last = CHUNKS as u64 - 1;
    let table = [
        ("before the first byte", (3, Reply::ok().delay_until(&never))),
        ("after the first byte", (3, Reply::ok().pause_after(1, &never))),
        ("in the middle", (4, Reply::ok().pause_after(CHUNK / 2, &never))),
        ("before the last byte", (3, Reply::ok().pause_after(CHUNK - 1, &never))),
        ("the last range", (last, Reply::ok().pause_after(100, &never))),
        ("the first range", (0, Reply::ok().pause_after(100, &never))),
    ];
    table::each(&table, |(slow, reply)| {
        let server = straggling(*slow, reply.clone());
        let outcome = download(&server, &PATIENCE);
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert!(outcome.stdout == *object(SIZE), "wrong bytes");
        assert!((1..=4).contains(&figure(&outcome, "hedges")), "{}", outcome.stderr);
        assert!(figure(&outcome, "hedges_won") >= 1, "{}", outcome.stderr);
        assert_eq!(figure(&outcome, "retries"), 0, "it was no failure");
        // The second request is for what the first has not brought.
        let again = server.gets().into_iter().find(|r| r.chunk(CHUNK).is_none() || r.attempt > 0);
        let range = again.and_then(|r| r.range).expect("a second request");
        assert!(range.end == ((slow + 1) * CHUNK).min(SIZE), "{range:?}");
    });
}

#[test]
fn a_second_answer_that_fails_costs_nothing() {
    let hold = Gate::closed();
    let release = hold.clone();
    let server = FaultServer::start(object(SIZE), move |request: &Request| {
        match (request.chunk(CHUNK), request.attempt) {
            (Some(3), 0) if request.is_get() => Reply::ok().pause_after(0, &hold),
            // The first response continues once the second has failed.
            (Some(3), _) if request.is_get() => Reply::status(500).code("InternalError").then_open(&release),
            _ => Reply::ok(),
        }
    });
    let outcome = download(&server, &PATIENCE);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout == *object(SIZE), "wrong bytes");
    assert!(figure(&outcome, "hedges") >= 1, "{}", outcome.stderr);
    assert_eq!(server.object_bytes(), SIZE);
}

#[test]
fn a_second_answer_of_another_version_is_not_taken() {
    let hold = Gate::closed();
    let release = hold.clone();
    let server = FaultServer::start(object(SIZE), move |request: &Request| {
        match (request.chunk(CHUNK), request.attempt) {
            (Some(3), 0) if request.is_get() => Reply::ok().pause_after(0, &hold),
            (Some(3), _) if request.is_get() => Reply::ok().etag("\"another\"").then_open(&release),
            _ => Reply::ok(),
        }
    });
    let outcome = download(&server, &PATIENCE);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout == *object(SIZE), "wrong bytes");
    assert_eq!(figure(&outcome, "hedges_won"), 0, "{}", outcome.stderr);
}

#[test]
fn without_hedges_a_straggler_is_left_to_the_stall_timeout() {
    let never = Gate::closed();
    let server = straggling(3, Reply::ok().pause_after(100, &never));
    let outcome = download(&server, &["--hedge", "off", "--stall-timeout", "1"]);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout == *object(SIZE), "wrong bytes");
    assert_eq!(figure(&outcome, "hedges"), 0);
    assert!(figure(&outcome, "retries") >= 1);
}

#[test]
fn a_server_that_is_evenly_late_is_not_asked_twice() {
    // All wait for all: nobody gets on, so nobody is late.
    let start = Gate::closed();
    let release = start.clone();
    let server = FaultServer::start(object(SIZE), move |request: &Request| match request.chunk(CHUNK) {
        Some(1..) if request.is_get() => Reply::ok().delay_until(&start),
        _ => Reply::ok(),
    });
    let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).args(PATIENCE);
    let running = run.args(["--hedge", "auto", "--stats=json", URI]).start();
    server.settled();
    release.open();
    let outcome = running.wait();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert_eq!(figure(&outcome, "hedges"), 0, "{}", outcome.stderr);
    assert_eq!(server.gets().len(), CHUNKS);
}
