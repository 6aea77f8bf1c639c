//! Ranges may complete in any order; the output is always in the order of the object.

use crate::support::fault_server::{FaultServer, Gate, Reply, Request};
use crate::support::object::{CHUNK, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

/// Concurrent requests, and so the length of a permutation.
const WINDOW: u64 = 4;

#[test]
fn output_is_in_order_however_ranges_complete() {
    let table = [
        ("in order", [0, 1, 2, 3]),
        ("backwards", [3, 2, 1, 0]),
        ("by twos", [1, 0, 3, 2]),
        ("odd ones first", [1, 3, 0, 2]),
        ("the first one last", [1, 2, 3, 0]),
        ("the last one first", [3, 0, 1, 2]),
        ("crosswise", [2, 0, 3, 1]),
    ];
    table::each(&table, |permutation| {
        let size = 16 * CHUNK;
        let server = FaultServer::start(object(size), completing(*permutation, size / CHUNK));
        S3fcp::at(&server.endpoint()).window(WINDOW, CHUNK).download(URI).assert_object(&object(size));
        assert_eq!(server.gets().len() as u64, size / CHUNK);
        assert_eq!(server.object_bytes(), size);
    });
}

/// Answers the chunks of each window in the order of `permutation`: each when the one before it has
/// been sent.
fn completing(permutation: [u64; 4], chunks: u64) -> impl Fn(&Request) -> Reply + Send + Sync {
    let gates: Vec<Gate> = (0..chunks).map(|_| Gate::closed()).collect();
    move |request| {
        let Some(chunk) = request.chunk(CHUNK) else { return Reply::ok() };
        let gate = |chunk: u64| usize::try_from(chunk).ok().and_then(|i| gates.get(i));
        let window = chunk - chunk % WINDOW;
        let place = permutation.iter().position(|p| window + p == chunk);
        let before = place.and_then(|p| p.checked_sub(1)).map(|p| window + permutation[p]);
        let mut reply = Reply::ok();
        if let Some(own) = gate(chunk) {
            reply = reply.then_open(own);
        }
        match before.and_then(gate) {
            // Until the first head is seen nothing else is asked for: only its body is held.
            Some(before) if chunk == 0 => reply.pause_after(0, before),
            Some(before) => reply.delay_until(before),
            None => reply,
        }
    }
}
