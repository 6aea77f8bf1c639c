//! A reader that closes the pipe once it has all it wants: if it got every byte, the download succeeded.

use std::io::{self, Read as _};

use crate::support::fault_server::{FaultServer, Reply, Request};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

type Script = fn(&Request) -> Reply;

/// The end of the pipe is seen a moment before or after the last write returns: neither is a failure.
const TIMES: usize = 12;

#[test]
fn exactly_the_bytes_of_the_object_are_enough() {
    let whole = |_: &Request| Reply::whole_with_200();
    let table: [(&str, (u64, Script)); 4] = [
        ("one byte", (1, |_| Reply::ok())),
        ("a chunk", (CHUNK, |_| Reply::ok())),
        ("several", (SIZE, |_| Reply::ok())),
        ("a server without ranges", (SIZE, whole)),
    ];
    table::each(&table, |&(size, reply)| {
        let bytes = object(size);
        let server = FaultServer::start(bytes.clone(), reply);
        for _ in 0..TIMES {
            let (running, stdout) = S3fcp::at(&server.endpoint()).window(4, CHUNK).args([URI]).start_unread();
            let mut received = vec![0; bytes.len()];
            // Read and closed in one: no end of file is waited for.
            stdout.expect("a pipe").read_exact(&mut received).expect("the object");
            let mut outcome = running.wait();
            outcome.stdout = received;
            outcome.assert_object(&bytes);
            assert_eq!(outcome.stderr, "");
        }
    });
}

#[test]
fn nothing_can_be_delivered_to_nobody() {
    let table: [(&str, Script); 2] =
        [("ranges", |_| Reply::ok()), ("no ranges", |_| Reply::whole_with_200())];
    table::each(&table, |reply| {
        let server = FaultServer::start(object(0), *reply);
        for _ in 0..TIMES {
            let (reader, writer) = io::pipe().expect("a pipe");
            drop(reader);
            let outcome = S3fcp::at(&server.endpoint()).window(4, CHUNK).stdout(writer).download(URI);
            outcome.assert_object(&[]);
            assert_eq!(outcome.stderr, "");
        }
    });
}

/// One byte less is no object: the counterpart, so that an exit 0 above means something.
#[test]
fn one_byte_for_nobody_is_a_closed_pipe() {
    let server = FaultServer::start(object(1), |_| Reply::ok());
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let outcome = S3fcp::at(&server.endpoint()).stdout(writer).download(URI);
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (None, ""));
}
