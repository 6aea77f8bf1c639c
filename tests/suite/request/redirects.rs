//! A `Location` of S3 is never followed, whatever comes with it: credentials go to the host that the user named, and
//! to no other.

use crate::support::fault_server::{FaultServer, Reply, always};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

#[test]
fn no_location_is_followed_from_any_range() {
    let table = [("301", 301), ("302", 302), ("303", 303), ("307", 307), ("308", 308)];
    table::each(&table, |&status| {
        let elsewhere = FaultServer::healthy();
        let location = format!("{}/bucket/key", elsewhere.endpoint());
        let plain = Reply::status(status).header("location", location);
        let named = plain.clone().header("x-amz-bucket-region", "eu-west-1").code("TemporaryRedirect");
        for reply in [plain, named] {
            for chunk in [0, 3] {
                let server = FaultServer::start(object(SIZE), always(chunk, reply.clone()));
                let outcome = S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI);
                assert!(matches!(outcome.code(), Some(2 | 5)), "{:?}: {}", outcome.status, outcome.stderr);
                outcome.assert_contract(&object(SIZE));
                assert_eq!(outcome.stdout.len() as u64, chunk * CHUNK);
                let tried = server.gets().iter().filter(|get| get.chunk(CHUNK) == Some(chunk)).count();
                assert!(tried <= 2, "{tried}");
            }
        }
        assert_eq!((elsewhere.connections(), elsewhere.requests().len()), (0, 0));
    });
}

/// HEAD is answered so alone: the download does not need it.
#[test]
fn nor_from_head() {
    let elsewhere = FaultServer::healthy();
    let location = format!("{}/bucket/key", elsewhere.endpoint());
    let server = FaultServer::start(object(SIZE), move |request| {
        if request.is_get() { Reply::ok() } else { Reply::status(307).header("location", location.clone()) }
    });
    S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI).assert_object(&object(SIZE));
    S3fcp::at(&server.endpoint()).args(["--info"]).download(URI);
    assert_eq!(elsewhere.connections(), 0);
}
