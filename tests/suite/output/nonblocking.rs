//! A stdout in nonblocking mode, as another process that shares it may have set it: when it is full, the program
//! waits.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use crate::support::fault_server::{FaultServer, Reply};
use crate::support::object::object;
use crate::support::run::{S3fcp, URI};
use crate::support::table;

/// In bytes; with the pipe it holds much less than the object.
const CHUNK: u64 = 256 << 10;
const SIZE: u64 = 8 << 20;

/// Two ends, of which the second does not block.
type Ends = fn() -> (Box<dyn Read>, OwnedFd);

fn pipe() -> (Box<dyn Read>, OwnedFd) {
    let (reader, writer) = io::pipe().expect("a pipe");
    (Box::new(reader), unblocked(writer.into()))
}

fn socket() -> (Box<dyn Read>, OwnedFd) {
    let (reader, writer) = UnixStream::pair().expect("a pair of sockets");
    (Box::new(reader), unblocked(writer.into()))
}

fn unblocked(end: OwnedFd) -> OwnedFd {
    rustix::io::ioctl_fionbio(end.as_fd(), true).expect("O_NONBLOCK");
    end
}

#[test]
fn a_slow_reader_gets_every_byte() {
    let table: [(&str, Ends); 2] = [("pipe", pipe), ("socket", socket)];
    table::each(&table, |ends| {
        let bytes = object(SIZE);
        let server = FaultServer::start(bytes.clone(), |_| Reply::ok());
        let (mut reader, writer) = ends();
        let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).stdout(writer);
        let (running, _) = run.args([URI]).start_unread();
        // Until nothing more is taken, and so nothing more can be written.
        assert!(server.settled() < SIZE);
        let mut received = Vec::new();
        let mut piece = vec![0; 64 << 10];
        loop {
            let count = reader.read(&mut piece).expect("the next bytes");
            received.extend_from_slice(&piece[..count]);
            if count == 0 {
                break;
            }
            thread::sleep(Duration::from_micros(500));
        }
        let mut outcome = running.wait();
        outcome.stdout = received;
        outcome.assert_object(&bytes);
        assert_eq!((outcome.stderr.as_str(), server.object_bytes()), ("", SIZE));
    });
}

#[test]
fn a_reader_that_goes_away_is_noticed() {
    // More than the pipe holds.
    let server = FaultServer::start(object(SIZE), |_| Reply::ok());
    let (reader, writer) = pipe();
    let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).stdout(writer);
    let (running, _) = run.args([URI]).start_unread();
    server.settled();
    drop(reader);
    let outcome = running.wait();
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (None, ""), "{:?}", outcome.status);
}
