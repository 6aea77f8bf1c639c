//! Connections that break: what was delivered by then, when it was delivered, and how long the download keeps trying.
//! The table of faults has all the places where they can break.

use std::io::Read as _;
use std::ops::Range;

use crate::support::fault_server::{FaultServer, Gate, Reply, Request, once};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

/// The requests for one chunk, in order.
fn attempts(server: &FaultServer, chunk: u64) -> Vec<Request> {
    server.gets().into_iter().filter(|get| get.chunk(CHUNK) == Some(chunk)).collect()
}

/// The bytes of a chunk, from `reached` bytes into it.
fn rest(chunk: u64, reached: u64) -> Range<u64> {
    chunk * CHUNK + reached..SIZE.min((chunk + 1) * CHUNK)
}

/// The reset comes when its reader has seen every byte before it: then not one may be fetched again.
#[test]
fn bytes_reach_stdout_immediately_and_a_reset_after_them_repeats_none() {
    let delivered = Gate::closed();
    let reply = Reply::ok().pause_after(10_000, &delivered).reset_after(10_000);
    let server = FaultServer::start(object(SIZE), once(0, reply));
    let (running, stdout) = S3fcp::at(&server.endpoint()).window(4, CHUNK).args([URI]).start_unread();
    let mut stdout = stdout.expect("a pipe");
    let mut bytes = vec![0; 10_000];
    stdout.read_exact(&mut bytes).expect("the head of the line, while its range is not complete");
    delivered.open();
    stdout.read_to_end(&mut bytes).expect("the rest");
    let mut outcome = running.wait();
    outcome.stdout = bytes;
    outcome.assert_object(&object(SIZE));
    let ranges: Vec<_> = attempts(&server, 0).into_iter().map(|get| get.range).collect();
    assert_eq!(ranges, [Some(rest(0, 0)), Some(rest(0, 10_000))]);
    assert_eq!(server.object_bytes(), SIZE);
}

/// Attempts count tries in a row without a new byte: each try brings some here.
#[test]
fn a_download_that_makes_progress_outlives_any_number_of_cuts() {
    let (chunk, step) = (1 << 20, 128 << 10);
    let server = FaultServer::start(object(2 * chunk), move |request| {
        if request.is_get() { Reply::ok().cut_after(step) } else { Reply::ok() }
    });
    let run = S3fcp::at(&server.endpoint()).window(2, chunk).args(["--max-attempts", "2"]);
    run.download(URI).assert_object(&object(2 * chunk));
    assert_eq!(server.gets().len(), 16);
    assert_eq!(server.object_bytes(), 2 * chunk);
}

#[test]
fn a_host_without_an_address_is_exit_5_within_few_attempts() {
    // A label of more than 63 letters has none, and nobody is asked for it.
    let outcome = S3fcp::at(&format!("http://{}.invalid", "x".repeat(64))).download(URI);
    outcome.assert_failed(5, &[]);
    assert!(outcome.stderr.contains("4 attempts"), "{}", outcome.stderr);
}

#[test]
fn cuts_without_end_are_exit_5_with_a_prefix() {
    let table = [("first", 0), ("middle", 2), ("last", 5)];
    table::each(&table, |&chunk| {
        let script = move |request: &Request| match request.chunk(CHUNK) {
            Some(number) if number == chunk && request.attempt == 0 => Reply::ok().cut_after(500),
            Some(number) if number == chunk => Reply::ok().cut_after(0),
            _ => Reply::ok(),
        };
        let server = FaultServer::start(object(SIZE), script);
        let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--max-attempts", "3"]);
        let outcome = run.download(URI);
        outcome.assert_failed(5, &object(SIZE));
        // What came before the failure was right, and so it was delivered.
        assert_eq!(outcome.stdout.len() as u64, chunk * CHUNK + 500);
    });
}
