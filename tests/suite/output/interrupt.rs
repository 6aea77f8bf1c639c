//! SIGINT and SIGTERM: they end the process, as a signal, and the message says how to continue if there is something
//! to continue from.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::fault_server::{FaultServer, Gate, Reply, once};
use crate::support::files::{folder, wait_for};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, URI};

/// All three, except those that are ignored here.
fn signals() -> impl Iterator<Item = Signal> {
    [Signal::INT, Signal::TERM, Signal::HUP].into_iter().filter(|signal| !is_ignored(*signal))
}

#[test]
fn a_file_that_was_interrupted_is_continued_by_the_command_in_the_message() {
    for signal in signals() {
        let folder = folder();
        let out = folder.path().join("an $object's \"name\"");
        let server = FaultServer::start(object(SIZE), once(2, Reply::ok().stall_after(10)));
        let run = S3fcp::at(&server.endpoint()).window(1, CHUNK).stdout(File::create(&out).expect("a file"));
        let running = run.args([URI]).start();
        let reached = 2 * CHUNK + 10;
        wait_for(&out, reached);
        running.signal(signal);
        let outcome = running.wait();
        assert_eq!(outcome.signal(), Some(signal.as_raw()), "{}", outcome.stderr);
        assert!(outcome.stderr.starts_with("s3fcp: interrupted\n"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(&format!("byte {reached} of {SIZE}")), "{}", outcome.stderr);
        assert_eq!(fs::metadata(&out).expect("the file").len(), reached);

        let rest = S3fcp::shell(&outcome.command().expect("a command")).start().wait();
        assert_eq!((rest.code(), rest.stderr.as_str()), (Some(0), ""));
        assert!(fs::read(&out).expect("the file") == object(SIZE));
        assert_eq!(server.object_bytes(), SIZE, "no byte twice");
    }
}

/// Sends `signal` to a run as soon as `server` has a GET of it, and asserts that the run ends by it without a word.
#[track_caller]
fn assert_ends_silently(server: &FaultServer, run: S3fcp, signal: Signal) {
    let running = run.args([URI]).start();
    while server.gets().is_empty() {
        thread::sleep(Duration::from_millis(2));
    }
    running.signal(signal);
    let outcome = running.wait();
    assert_eq!((outcome.signal(), outcome.stderr.as_str()), (Some(signal.as_raw()), ""));
}

#[test]
fn before_the_first_byte_it_ends_silently() {
    for signal in signals() {
        let asked = Gate::closed();
        let opened = asked.clone();
        let script = move |request: &crate::support::fault_server::Request| {
            if request.is_get() {
                opened.open();
            }
            Reply::raw("").stall_after(0)
        };
        let server = FaultServer::start(object(SIZE), script);
        assert_ends_silently(&server, S3fcp::at(&server.endpoint()), signal);
    }
}

#[test]
fn with_a_head_and_no_byte_it_ends_silently_too() {
    for signal in signals() {
        let server = FaultServer::start(object(SIZE), once(0, Reply::ok().stall_after(0)));
        assert_ends_silently(&server, S3fcp::at(&server.endpoint()).window(1, CHUNK), signal);
    }
}

/// The program cannot know how much a reader has taken out of a pipe: it says so.
#[test]
fn a_pipe_is_continued_where_the_reader_took_all() {
    for signal in signals() {
        let server = FaultServer::start(object(SIZE), once(1, Reply::ok().stall_after(10)));
        let (running, stdout) = S3fcp::at(&server.endpoint()).window(2, CHUNK).args([URI]).start_unread();
        let mut stdout = stdout.expect("a pipe");
        stdout.read_exact(&mut vec![0; 65_546]).expect("what the server sent");
        running.signal(signal);
        let outcome = running.wait();
        assert_eq!(outcome.signal(), Some(signal.as_raw()), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("if the reader has taken all"), "{}", outcome.stderr);
        let command = outcome.command().expect("a command");
        assert!(command.contains(" --range 65546- ") && command.ends_with(" >> out"), "{command}");
    }
}

#[test]
fn a_write_that_is_stuck_leaves_nothing_to_tell() {
    for signal in signals() {
        let server = FaultServer::start(object(16 << 20), |_| Reply::ok());
        let (running, stdout) = S3fcp::at(&server.endpoint()).window(2, 1 << 20).args([URI]).start_unread();
        // The window is full, and so is the pipe.
        server.settled();
        running.signal(signal);
        let outcome = running.wait();
        assert_eq!((outcome.signal(), outcome.stderr.as_str()), (Some(signal.as_raw()), ""));
        drop(stdout);
    }
}

/// The message cannot be written, and yet the process ends.
#[test]
#[cfg(target_os = "linux")]
fn a_second_one_ends_it_immediately() {
    let folder = folder();
    let out = folder.path().join("out");
    let (_reader, mut full) = io::pipe().expect("a pipe");
    let size = rustix::pipe::fcntl_setpipe_size(&full, 4096).expect("a small pipe");
    full.write_all(&vec![b'x'; size]).expect("room");
    let server = FaultServer::start(object(SIZE), once(0, Reply::ok().stall_after(10)));
    let run = S3fcp::at(&server.endpoint()).stdout(File::create(&out).expect("a file")).stderr(full);
    let running = run.window(1, CHUNK).args([URI]).start();
    wait_for(&out, 10);
    while !running.has_ended() {
        running.signal(Signal::TERM);
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(running.wait().signal(), Some(Signal::TERM.as_raw()));
}

/// A shell's background jobs do not end by Ctrl-C: a process that is started with SIGINT ignored keeps ignoring it.
#[test]
fn one_that_is_ignored_stays_so() {
    let folder = folder();
    let out = folder.path().join("out");
    let more = Gate::closed();
    let server = FaultServer::start(object(SIZE), once(0, Reply::ok().pause_after(10, &more)));
    let command =
        format!("trap '' INT; exec s3fcp --endpoint {} -c 1 --chunk-size 65536 {URI}", server.endpoint());
    let running = S3fcp::shell(&command).stdout(File::create(&out).expect("a file")).start();
    wait_for(&out, 10);
    running.signal(Signal::INT);
    more.open();
    let outcome = running.wait();
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
    assert!(fs::read(&out).expect("the file") == object(SIZE));
}

/// Returns whether the process that started the tests has them ignore the signal, as a shell does for its background:
/// the program is to ignore it then, too. Only Linux shows it.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal.as_raw() - 1) & 1 == 1
}
