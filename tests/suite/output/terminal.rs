//! Stdout as a terminal: text may go there, other bytes only on request.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::thread;

use bytes::Bytes;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::fault_server::{FaultServer, Reply};
use crate::support::object::object;
use crate::support::run::{Outcome, S3fcp, URI};

/// Runs on a terminal, and says what it showed.
fn shown(bytes: Bytes, args: &[&str]) -> (Outcome, Vec<u8>) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("a terminal of ours");
    let name = ptsname(&terminal, Vec::new()).expect("its name").into_string().expect("UTF-8");
    let inside: OwnedFd = File::options().read(true).write(true).open(name).expect("its other end").into();
    let server = FaultServer::start(bytes, |_| Reply::ok());
    let running = S3fcp::at(&server.endpoint()).args(args).args([URI]).stdout(inside).start();
    let reader = thread::spawn(move || {
        let (mut terminal, mut shown) = (File::from(terminal), Vec::new());
        // Linux ends it by an error, once nobody has the other end any more.
        let _ = terminal.read_to_end(&mut shown);
        shown
    });
    let outcome = running.wait();
    (outcome, reader.join().expect("a reader"))
}

#[test]
fn binary_bytes_are_refused_with_a_hint() {
    let (outcome, shown) = shown(object(100_000), &[]);
    assert_eq!((outcome.code(), shown.len()), (Some(8), 0), "{}", outcome.stderr);
    for part in ["binary", "terminal", "-o FILE", "-o -"] {
        assert!(outcome.stderr.contains(part), "no {part}: {}", outcome.stderr);
    }
    assert_eq!(outcome.command(), None);
}

#[test]
fn text_is_shown() {
    let text = Bytes::from_static("é, and a line\n".as_bytes());
    let (outcome, shown) = shown(text, &[]);
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
    // A terminal adds a carriage return.
    assert_eq!(shown, "é, and a line\r\n".as_bytes());
}

#[test]
fn what_is_asked_for_is_shown() {
    let (outcome, shown) = shown(Bytes::from_static(b"a\0b"), &["-o", "-"]);
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(shown, b"a\0b");
}
