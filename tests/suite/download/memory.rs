//! Memory: a download never holds more than its window (concurrency times chunk size), whatever delays it.

use std::io::Read as _;
use std::process::ChildStdout;
use std::thread;
use std::time::Duration;

use crate::support::fault_server::{FaultServer, Gate, Reply};
use crate::support::object::object;
use crate::support::run::{Running, S3fcp, URI};

const CONCURRENCY: u64 = 4;
/// In bytes.
const CHUNK: u64 = 2 << 20;
const WINDOW: u64 = CONCURRENCY * CHUNK;
/// Eight windows: a program that buffers what comes shows it clearly.
const SIZE: u64 = 8 * WINDOW;
/// The memory of the process at most.
const LIMIT: u64 = WINDOW + WINDOW / 4 + (24 << 20);
/// The capacity of the pipe to the reader, in bytes.
const PIPE: u64 = 1 << 20;
/// Ranges whose last frames are on their way to the reader have made place for others. Where the window has no room
/// for those, they wait with the kernel.
const AHEAD: u64 = WINDOW;

#[test]
fn a_first_range_held_back_stops_the_others_at_the_window() {
    let table = [
        ("plain", Reply::ok()),
        // Small frames must not keep the large buffers that they were read into.
        ("in small pieces", Reply::ok().chunked()),
    ];
    for (name, reply) in table {
        let release = Gate::closed();
        let held = release.clone();
        let bytes = object(SIZE);
        let server = FaultServer::start(bytes.clone(), move |request| match request.chunk(CHUNK) {
            Some(0) => Reply::ok().pause_after(1, &held),
            _ => reply.clone(),
        });
        let running = S3fcp::at(&server.endpoint()).window(CONCURRENCY, CHUNK).args([URI]).start();
        let sent = server.settled();
        // A part in a thousand is the framing of the pieces.
        assert!(sent <= WINDOW + WINDOW / 1000, "{name}: {sent} bytes sent for a window of {WINDOW}");
        assert!(server.gets().len() as u64 <= CONCURRENCY);
        let peak = running.peak_memory();
        release.open();
        running.wait().assert_object(&bytes);
        assert!(peak <= LIMIT, "{name}: {peak} bytes of memory");
    }
}

#[test]
fn a_reader_that_stops_stops_the_download_at_the_window() {
    let bytes = object(SIZE);
    let server = FaultServer::start(bytes.clone(), |_| Reply::ok());
    let (running, mut stdout, mut received) = started(&server);
    let sent = server.settled();
    let most = WINDOW + PIPE + AHEAD;
    assert!(sent <= most, "{sent} bytes sent where {most} can be held");
    let peak = running.peak_memory();
    stdout.read_to_end(&mut received).expect("the rest");
    let mut outcome = running.wait();
    outcome.stdout = received;
    outcome.assert_object(&bytes);
    assert_eq!(server.object_bytes(), SIZE);
    assert!(peak <= LIMIT, "{peak} bytes of memory");
}

/// One stream has no ranges to hold back: only its reader can stop it.
#[test]
fn a_reader_that_stops_stops_a_server_without_ranges() {
    let bytes = object(SIZE);
    let server = FaultServer::start(bytes.clone(), |_| Reply::whole_with_200());
    let (running, mut stdout, mut received) = started(&server);
    let sent = server.settled();
    assert!(sent < SIZE, "all was taken in");
    let peak = running.peak_memory();
    stdout.read_to_end(&mut received).expect("the rest");
    let mut outcome = running.wait();
    outcome.stdout = received;
    outcome.assert_object(&bytes);
    assert!(peak <= LIMIT, "{peak} bytes of memory");
}

#[test]
fn a_slow_reader_costs_no_more_memory() {
    a_slow_reader(1);
}

/// Memory that one thread frees serves all of them.
#[test]
fn more_threads_cost_no_more_memory() {
    a_slow_reader(4);
}

fn a_slow_reader(threads: usize) {
    let bytes = object(SIZE);
    let server = FaultServer::start(bytes.clone(), |_| Reply::ok());
    let (running, mut stdout, first) = started_on(threads, &server);
    assert_eq!(first, bytes[..1]);
    let mut piece = vec![0; 1 << 20];
    let (mut read, mut highest) = (1, 0);
    for expected in bytes[1..].chunks(piece.len()) {
        let piece = &mut piece[..expected.len()];
        stdout.read_exact(piece).expect("the next bytes");
        assert!(piece == expected, "wrong bytes after byte {read}");
        read += piece.len() as u64;
        let held = server.object_bytes() - read;
        assert!(held <= WINDOW + PIPE + AHEAD, "{held} bytes are on their way");
        highest = highest.max(running.peak_memory());
        thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(stdout.read(&mut piece).expect("an end"), 0);
    assert_eq!(running.wait().code(), Some(0));
    assert!(highest <= LIMIT, "{highest} bytes of memory");
}

/// Starts a download and reads its first byte.
fn started(server: &FaultServer) -> (Running, ChildStdout, Vec<u8>) {
    started_on(1, server)
}

fn started_on(threads: usize, server: &FaultServer) -> (Running, ChildStdout, Vec<u8>) {
    let run = S3fcp::at(&server.endpoint()).window(CONCURRENCY, CHUNK);
    let run = run.args(["--threads", &threads.to_string()]);
    let (running, stdout) = run.args([URI]).start_unread();
    let mut stdout = stdout.expect("a pipe");
    let mut first = vec![0];
    stdout.read_exact(&mut first).expect("the first byte");
    (running, stdout, first)
}
