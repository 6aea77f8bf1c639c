//! The start: HEAD and the first GET leave together, and the download needs the GET alone.

use crate::cases;
use crate::fault::{FaultServer, Gate, Reply, Request};
use crate::object::{CHUNK, CHUNKS, SIZE, object};
use crate::run::{S3fcp, URI};

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

#[test]
fn a_head_that_fails_does_no_harm() {
    let table = [
        ("refused", Reply::status(403)),
        ("not found", Reply::status(404)),
        ("not known", Reply::status(405)),
        ("busy", Reply::status(503)),
        ("broken", Reply::raw("")),
        ("reset", Reply::raw("").reset_after(0)),
        ("garbage", Reply::raw("garbage\r\n\r\n")),
        ("silent", Reply::raw("").stall_after(0)),
        ("another version", Reply::ok().etag("\"other\"")),
        ("another size", Reply::ok().header("content-length", "7")),
    ];
    cases::each(&table, |reply| {
        let reply = reply.clone();
        let server =
            FaultServer::start(
                object(SIZE),
                move |request: &Request| {
                    if request.is_get() { Reply::ok() } else { reply.clone() }
                },
            );
        let outcome = S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI);
        outcome.assert_object(&object(SIZE));
        assert_eq!(outcome.stderr, "");
        assert_eq!(server.gets().len(), CHUNKS);
        assert_eq!(server.object_bytes(), SIZE);
    });
}
