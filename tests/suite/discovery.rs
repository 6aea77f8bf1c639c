//! The start: HEAD and the first GET leave together, and the download needs the GET alone.

use crate::fault::{FaultServer, Gate, Reply};
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
