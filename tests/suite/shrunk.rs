//! An object that becomes shorter while it is downloaded, on a server that looks at no `If-Match`: the
//! range that is no longer there tells.

use crate::cases;
use crate::fault::{FaultServer, Reply, always, cut_then};
use crate::object::{CHUNK, SIZE, object};
use crate::run::{Outcome, S3fcp, URI};

fn gone() -> Reply {
    Reply::status(416).code("InvalidRange").content_range("bytes */100")
}

fn download(server: &FaultServer) -> Outcome {
    S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI)
}

#[test]
fn a_later_range_that_is_gone_is_exit_6_at_once() {
    let table = [
        ("the second", (1, gone())),
        ("a middle one", (3, gone())),
        ("the last", (5, gone())),
        ("without a document", (3, Reply::status(416))),
    ];
    cases::each(&table, |(chunk, reply)| {
        let server = FaultServer::start(object(SIZE), always(*chunk, reply.clone()));
        let outcome = download(&server);
        outcome.assert_failed(6, &object(SIZE));
        assert_eq!(outcome.stdout.len() as u64, chunk * CHUNK);
        assert!(outcome.stderr.contains("changed"), "{}", outcome.stderr);
        let tried = server.gets().iter().filter(|get| get.chunk(CHUNK) == Some(*chunk)).count();
        assert_eq!(tried, 1);
    });
}

#[test]
fn the_rest_of_a_range_that_is_gone_is_exit_6_behind_what_came() {
    let table = [("the first", 0), ("a middle one", 3), ("the last", 5)];
    cases::each(&table, |&chunk| {
        let server = FaultServer::start(object(SIZE), cut_then(chunk, 1000, gone()));
        let outcome = download(&server);
        outcome.assert_failed(6, &object(SIZE));
        assert_eq!(outcome.stdout.len() as u64, chunk * CHUNK + 1000);
        let tried = server.gets().iter().filter(|get| get.chunk(CHUNK) == Some(chunk)).count();
        assert_eq!(tried, 2);
    });
}
