//! A server without range support, and a window smaller than its response: the object arrives as one stream, however
//! little memory there is.

use std::io::Read as _;

use crate::support::fault_server::{FaultServer, Gate, Reply, Request};
use crate::support::object::object;
use crate::support::run::{S3fcp, URI};
use crate::support::table;

/// Concurrent requests, and the sizes of a chunk and of the object in bytes.
const WINDOWS: [(&str, (u64, u64, u64)); 5] = [
    ("one read buffer is the window", (1, 64 << 10, 1 << 20)),
    ("smaller than any frame", (4, 1 << 10, 100_000)),
    ("one byte", (1, 1, 10_000)),
    ("one chunk of many", (2, 4096, 1 << 20)),
    ("larger than the object", (4, 1 << 20, 100_000)),
];

fn whole(reply: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static, size: u64) -> FaultServer {
    FaultServer::start(object(size), move |request| {
        let right = Reply::whole_with_200().without("accept-ranges");
        if request.is_get() { reply(request, right) } else { right }
    })
}

#[test]
fn a_window_of_any_size_lets_the_whole_object_through() {
    table::each(&WINDOWS, |&(concurrency, chunk, size)| {
        let server = whole(|_, right| right, size);
        S3fcp::at(&server.endpoint()).window(concurrency, chunk).download(URI).assert_object(&object(size));
        assert_eq!((server.gets().len(), server.object_bytes()), (1, size));
    });
}

/// What was delivered is skipped, in frames that are larger than the window too.
#[test]
fn a_window_of_any_size_lets_the_rest_through_after_a_cut() {
    table::each(&WINDOWS, |&(concurrency, chunk, size)| {
        let cut = move |request: &Request, right: Reply| {
            if request.serial == 0 { right.cut_after(size / 2 + 7) } else { right }
        };
        let server = whole(cut, size);
        S3fcp::at(&server.endpoint()).window(concurrency, chunk).download(URI).assert_object(&object(size));
        assert_eq!(server.gets().len(), 2);
    });
}

/// All bytes that came are delivered while more are to come, although they do not fill a frame.
#[test]
fn a_body_that_pauses_is_delivered_in_a_small_window() {
    let (size, begun) = (100_000, 50_000);
    let more = Gate::closed();
    let first = more.clone();
    let server = whole(move |_, right| right.pause_after(begun, &first), size);
    let (running, stdout) = S3fcp::at(&server.endpoint()).window(4, 1 << 10).args([URI]).start_unread();
    let mut stdout = stdout.expect("a pipe");
    let mut received = vec![0; usize::try_from(begun).expect("a small number")];
    stdout.read_exact(&mut received).expect("all that was sent");
    more.open();
    stdout.read_to_end(&mut received).expect("the rest");
    let mut outcome = running.wait();
    outcome.stdout = received;
    outcome.assert_object(&object(size));
}
