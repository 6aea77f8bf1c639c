//! Memory in addition to the bytes of the window: the buffers they arrive in, and the explicit limit of
//! `--max-memory`.

use std::io::Read as _;
use std::thread;
use std::time::Duration;

use crate::support::certificate::self_signed;
use crate::support::fault_server::{FaultServer, Gate, Options, Reply, Request};
use crate::support::files::file;
use crate::support::object::object;
use crate::support::run::{Running, S3fcp, URI};
use crate::support::table;

const MIB: u64 = 1 << 20;

/// A frame of one byte must not cost what a frame costs: that would be many times the window.
#[test]
fn bytes_that_come_one_by_one_wait_as_bytes() {
    let (concurrency, chunk) = (4, MIB / 4);
    let window = concurrency * chunk;
    let bytes = object(2 * window);
    let release = Gate::closed();
    let held = release.clone();
    let server = FaultServer::start(bytes.clone(), move |request| match request.chunk(chunk) {
        Some(0) => Reply::ok().pause_after(1, &held),
        // What is sent once the gate is open need not take its time.
        Some(number) if number < concurrency => Reply::ok().chunked_by(1),
        _ => Reply::ok(),
    });
    let running = S3fcp::at(&server.endpoint()).window(concurrency, chunk).args([URI]).start();
    server.settled();
    idle(&running);
    let peak = running.peak_memory();
    release.open();
    running.wait().assert_object(&bytes);
    let limit = window + window / 4 + 24 * MIB;
    assert!(peak <= limit, "{peak} bytes of memory for a window of {window}");
}

/// All through the download: while its head is slow, and then while its reader is.
#[test]
fn an_explicit_limit_is_kept() {
    let limit = 34 * MIB;
    let table: [(&str, (bool, &[&str])); 8] = [
        ("chunks by default", (false, &["-c", "16"])),
        ("small chunks", (false, &["-c", "16", "--chunk-size", "512KiB"])),
        ("small chunks over TLS", (true, &["-c", "16", "--chunk-size", "512KiB"])),
        ("chunks larger than the limit", (false, &["-c", "16", "--chunk-size", "64MiB"])),
        ("nothing else said", (false, &[])),
        ("chunks by default over TLS", (true, &["-c", "16"])),
        ("many connections over TLS", (true, &["-c", "64", "--chunk-size", "64KiB"])),
        ("nothing else said over TLS", (true, &[])),
    ];
    table::each(&table, |&(is_tls, args)| {
        let bytes = object(48 * MIB);
        let (config, certificate) = self_signed("127.0.0.1");
        let trusted = file(&certificate);
        let release = Gate::closed();
        let held = release.clone();
        let options = if is_tls { Options::default().tls(config) } else { Options::default() };
        let server = options.start(bytes.clone(), move |request: &Request| {
            let is_first = request.range.as_ref().is_some_and(|range| range.start == 0);
            if is_first && request.is_get() { Reply::ok().pause_after(1, &held) } else { Reply::ok() }
        });
        let run = S3fcp::at(&server.endpoint()).env("AWS_CA_BUNDLE", trusted.path());
        let run = run.args(["--max-memory", "34MiB"]).args(args);
        let (running, stdout) = run.args([URI]).start_unread();
        server.settled();
        let mut highest = running.peak_memory();
        release.open();
        let mut stdout = stdout.expect("a pipe");
        let mut piece = vec![0; 1 << 20];
        for expected in bytes.chunks(piece.len()) {
            stdout.read_exact(&mut piece).expect("the next bytes");
            assert!(piece == expected);
            highest = highest.max(running.peak_memory());
        }
        assert_eq!(running.wait().code(), Some(0));
        assert!(highest <= limit, "{highest} bytes of memory");
    });
}

/// Returns once the process has used no processor for a while: what reached its sockets is in its memory
/// then. Only Linux shows it; too early, on a machine that is busy, sees less than there is to see.
fn idle(running: &Running) {
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", running.id())).unwrap_or_default();
        // User and system time: proc(5), fields 14 and 15; the second one ends with a parenthesis.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).to_owned();
        fields.split_whitespace().skip(11).take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut before = None;
    while before != Some(ticks()) {
        before = Some(ticks());
        thread::sleep(Duration::from_millis(400));
    }
}
