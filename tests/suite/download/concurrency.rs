//! `-c N` means N requests at the same time, from the first chunk on and for any chunk size.

use crate::support::fault_server::{FaultServer, Gate, Reply};
use crate::support::object::object;
use crate::support::run::{S3fcp, URI};
use crate::support::table;

#[test]
fn all_bodies_may_wait_until_the_last_request_is_there() {
    // Concurrent requests, the size of a chunk, and how much of it comes before the wait.
    let table = [
        ("one", (1, 1 << 20, 0)),
        ("two", (2, 512 << 10, 0)),
        ("four", (4, 64 << 10, 0)),
        ("sixteen", (16, 256 << 10, 0)),
        ("two of a MiB", (2, 1 << 20, 0)),
        ("four of a MiB", (4, 1 << 20, 0)),
        ("four large", (4, 2 << 20, 0)),
        ("four large, begun", (4, 2 << 20, 3 << 19)),
    ];
    table::each(&table, |&(concurrency, chunk, begun)| {
        let chunks = 2 * concurrency;
        let all = Gate::closed();
        let bytes = object(chunks * chunk);
        let server = FaultServer::start(bytes.clone(), move |request| {
            if request.is_get() && request.serial as u64 + 1 == concurrency {
                all.open();
            }
            if request.is_get() { Reply::ok().pause_after(begun, &all) } else { Reply::ok() }
        });
        S3fcp::at(&server.endpoint()).window(concurrency, chunk).download(URI).assert_object(&bytes);
        // A body that waits too long is asked for again: then the gate was opened by nothing else.
        assert_eq!(server.gets().len() as u64, chunks);
        assert_eq!(server.object_bytes(), chunks * chunk);
    });
}
