//! A server that keeps asking to slow down: requests are repeated on connections that exist already, because new ones
//! would add to its load.

use crate::support::fault_server::{FaultServer, Gate, Reply, Request};
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

const CONCURRENCY: u64 = 4;
/// How often each chunk is refused.
const REFUSALS: usize = 3;

#[test]
fn refusals_do_not_cost_a_connection_each() {
    let table = [
        ("in XML", Reply::status(503).code("SlowDown")),
        ("in a word", Reply::status(503).body("busy")),
        ("without a body", Reply::status(503)),
        ("with another status", Reply::status(400).code("RequestThrottled")),
        ("in pieces", Reply::status(503).code("SlowDown").chunked()),
    ];
    table::each(&table, |reply| {
        let reply = reply.clone();
        let server = FaultServer::start(object(SIZE), move |request: &Request| {
            if request.is_get() && request.attempt < REFUSALS { reply.clone() } else { Reply::ok() }
        });
        let outcome = S3fcp::at(&server.endpoint()).window(CONCURRENCY, CHUNK).download(URI);
        outcome.assert_object(&object(SIZE));
        assert_eq!(server.gets().len(), CHUNKS * (REFUSALS + 1));
        assert_eq!(server.object_bytes(), SIZE);
        // One for the HEAD, and as many again: a connection ends when it is idle for long, as it is in a pause.
        let connections = server.connections() as u64;
        assert!(connections <= 2 * CONCURRENCY + 2, "{connections} connections");
    });
}

/// It has given up its permit and not its memory; the range after it has a permit and waits for memory.
#[test]
fn a_range_that_waited_is_not_held_up_by_those_that_wait_for_it() {
    let (chunk, chunks) = (2048, 8);
    let (size, refused) = (chunks * chunk, Gate::closed());
    let server = FaultServer::start(object(size), move |request: &Request| {
        match (request.chunk(chunk), request.attempt) {
            (Some(3), 0) => Reply::ok().cut_after(300),
            (Some(3), 1) => Reply::status(503).then_open(&refused),
            (Some(4), 0) => Reply::ok().delay_until(&refused),
            _ => Reply::ok(),
        }
    });
    let run = S3fcp::at(&server.endpoint()).window(2, chunk).args(["--hedge", "off"]);
    run.download(URI).assert_object(&object(size));
    assert_eq!((server.gets().len() as u64, server.object_bytes()), (chunks + 2, size));
}
