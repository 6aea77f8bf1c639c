//! Responses that look like success and are not what was asked for. The ones here depend on the object's size or on
//! timing, so they are not in the table of faults.

use crate::support::fault_server::{FaultServer, Reply, Request, always};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{Outcome, S3fcp, URI};
use crate::support::table;

fn download(server: &FaultServer) -> Outcome {
    S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--max-attempts", "2"]).download(URI)
}

#[test]
fn a_server_without_ranges_is_one_stream() {
    let table = [("nothing", 0), ("a byte", 1), ("a chunk", CHUNK), ("several", SIZE)];
    table::each(&table, |&size| {
        let server = FaultServer::start(object(size), |_| Reply::whole_with_200().without("accept-ranges"));
        download(&server).assert_object(&object(size));
        assert_eq!(server.gets().len(), 1);
        assert_eq!(server.object_bytes(), size);
    });
}

/// What it sends first is a chunk, and that alone must not be taken for the object.
#[test]
fn a_server_that_calls_its_parts_200_is_read_in_parts() {
    let table = [("a byte", 1), ("a chunk", CHUNK), ("a chunk and a byte", CHUNK + 1), ("several", SIZE)];
    table::each(&table, |&size| {
        let server = FaultServer::start(object(size), |_| Reply::ok().called_200());
        download(&server).assert_object(&object(size));
        assert_eq!(server.gets().len() as u64, size.div_ceil(CHUNK));
        assert_eq!(server.object_bytes(), size);
    });
}

/// What calls a part 200 and does not say which part is taken for nothing at all.
#[test]
fn a_part_called_200_that_does_not_fit_is_refused() {
    let table = [("no size", "bytes 0-65535/*"), ("another range", "bytes 1-65536/328914")];
    table::each(&table, |range| {
        let reply = Reply::ok().called_200().content_range(*range);
        let server = FaultServer::start(object(SIZE), always(2, reply));
        let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--max-attempts", "1"]);
        run.download(URI).assert_failed(5, &object(SIZE));
    });
}

/// Such a server can only begin again, and then it may have another object.
#[test]
fn a_server_without_ranges_that_breaks_and_has_another_object_is_exit_6() {
    let server = FaultServer::start(object(SIZE), |request: &Request| {
        let begun = request.is_get() && request.serial == 0;
        let reply = Reply::whole_with_200().etag(if begun { "\"same\"" } else { "\"other\"" });
        if begun { reply.cut_after(100_000) } else { reply }
    });
    let outcome = download(&server);
    outcome.assert_failed(6, &object(SIZE));
    assert_eq!((outcome.stdout.len(), server.gets().len()), (100_000, 2));
}
