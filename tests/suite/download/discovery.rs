//! How a download starts: HEAD and the first GET are sent together, and only the GET is needed.

use crate::support::fault_server::{FaultServer, Gate, Reply, Request};
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

#[test]
fn neither_waits_for_the_other() {
    // Whichever comes first is answered only when the other has come, too.
    let (head, get) = (Gate::closed(), Gate::closed());
    let server = FaultServer::start(object(SIZE), move |request| {
        let (mine, other) = if request.is_get() { (&get, &head) } else { (&head, &get) };
        mine.open();
        Reply::ok().delay_until(other)
    });
    S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI).assert_object(&object(SIZE));
    assert_eq!((server.heads(), server.gets().len()), (1, CHUNKS));
    let first = server.requests();
    assert_ne!(first[0].connection, first[1].connection);
}

/// An empty object has no first byte to ask for. Whatever is wrong with the answer that confirms it, another
/// may be right.
#[test]
fn an_empty_object_is_confirmed_by_another_try() {
    let table = [
        ("busy", Reply::status(503)),
        ("closed", Reply::raw("")),
        ("no range", Reply::status(206)),
        ("an error as the object", Reply::status(200).code("InternalError")),
    ];
    table::each(&table, |wrong| {
        let wrong = wrong.clone();
        let server = FaultServer::start(object(0), move |request: &Request| {
            match (request.is_get(), &request.range, request.attempt) {
                (false, ..) => Reply::status(403),
                (true, None, 0) => wrong.clone(),
                _ => Reply::ok(),
            }
        });
        let outcome = S3fcp::at(&server.endpoint()).download(URI);
        outcome.assert_object(&[]);
        assert_eq!((outcome.stderr.as_str(), server.gets().len()), ("", 3));
    });
}
