//! Stdout: nothing but the bytes of the object, nothing on stderr when all is well, and an end like that of `cat` when
//! the reader goes away.

use std::fs::File;
use std::io::Read as _;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::fault_server::{FaultServer, Reply, once};
use crate::support::files::folder;
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, URI};

#[test]
fn quiet_or_not_a_good_download_says_nothing() {
    let server = FaultServer::healthy();
    for quiet in [&["-q"][..], &["--quiet"], &[]] {
        let outcome = S3fcp::at(&server.endpoint()).window(4, CHUNK).args(quiet).download(URI);
        outcome.assert_object(&object(SIZE));
        assert_eq!(outcome.stderr, "");
    }
}

#[test]
fn a_failure_is_reported_also_when_quiet() {
    let server = FaultServer::start(object(SIZE), |_| Reply::status(404).code("NoSuchKey"));
    let outcome = S3fcp::at(&server.endpoint()).args(["-q"]).download(URI);
    outcome.assert_failed(3, &[]);
    assert!(outcome.stderr.contains("NoSuchKey"), "{}", outcome.stderr);
}

#[test]
fn a_closed_pipe_ends_it_silently_by_the_signal() {
    let bytes = object(16 << 20);
    let server = FaultServer::start(bytes.clone(), |_| Reply::ok());
    let (running, stdout) = S3fcp::at(&server.endpoint()).window(4, 1 << 20).args([URI]).start_unread();
    let mut start = [0; 1000];
    stdout.expect("a pipe").read_exact(&mut start).expect("the first bytes");
    assert_eq!(start, bytes[..1000]);
    // The pipe's reading end is closed by now.
    let outcome = running.wait();
    assert_eq!((outcome.signal(), outcome.code()), (Some(Signal::PIPE.as_raw()), None));
    assert_eq!(outcome.stderr, "");
}

#[test]
fn a_closed_pipe_is_noticed_while_the_server_is_silent() {
    let script = once(0, Reply::ok().stall_after(1000));
    let server = FaultServer::start(object(SIZE), script);
    let (running, stdout) = S3fcp::at(&server.endpoint()).window(1, CHUNK).args([URI]).start_unread();
    let mut stdout = stdout.expect("a pipe");
    stdout.read_exact(&mut [0; 1000]).expect("what the server sent");
    drop(stdout);
    let outcome = running.wait();
    assert_eq!(outcome.signal(), Some(Signal::PIPE.as_raw()), "{}", outcome.stderr);
    assert_eq!(outcome.stderr, "");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_exit_8() {
    let server = FaultServer::healthy();
    let full = File::options().write(true).open("/dev/full").expect("a device of every Linux");
    let outcome = S3fcp::at(&server.endpoint()).window(4, CHUNK).stdout(full).download(URI);
    outcome.assert_failed(8, &[]);
}

/// As after an interrupt, the file has the bytes that were written, and the command appends the rest.
#[test]
fn a_full_disk_below_a_file_is_exit_8_with_the_command_that_continues() {
    for before in ["", "old"] {
        let folder = folder();
        let out = folder.path().join("an object");
        std::fs::write(&out, before).expect("a file");
        let server = FaultServer::healthy();
        // A limit of the process stands for the disk's; in blocks of 512 bytes.
        let limited = format!(
            "trap '' XFSZ; ulimit -f 300; exec s3fcp --endpoint {} -c 4 --chunk-size {CHUNK} --hedge off {URI} >> '{}'",
            server.endpoint(),
            out.display()
        );
        let outcome = S3fcp::shell(&limited).start().wait();
        assert_eq!(outcome.code(), Some(8), "{}", outcome.stderr);
        let reached = 300 * 512 - before.len();
        assert!(
            outcome.stderr.contains(&format!("stopped at byte {reached} of {SIZE}")),
            "{}",
            outcome.stderr
        );
        let rest = S3fcp::shell(&outcome.command().expect("a command")).start().wait();
        assert_eq!((rest.code(), rest.stderr.as_str()), (Some(0), ""));
        assert!(std::fs::read(&out).expect("the file") == [before.as_bytes(), &object(SIZE)].concat());
    }
}

#[test]
fn a_file_takes_the_object_as_well() {
    let server = FaultServer::healthy();
    let path = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a file").into_temp_path();
    let file = File::create(&path).expect("the same file");
    let outcome = S3fcp::at(&server.endpoint()).window(4, CHUNK).stdout(file).download(URI);
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
    assert!(std::fs::read(&path).expect("the file") == object(SIZE));
}

/// Longer than a server may be silent: only what is being read can stall.
#[test]
fn a_reader_that_sleeps_is_no_silent_server() {
    let (chunk, size) = (1 << 20, 16 << 20);
    let bytes = object(size);
    let server = FaultServer::start(bytes.clone(), |_| Reply::ok());
    let (running, stdout) = S3fcp::at(&server.endpoint()).window(4, chunk).args([URI]).start_unread();
    thread::sleep(Duration::from_secs(12));
    let mut received = Vec::new();
    stdout.expect("a pipe").read_to_end(&mut received).expect("the object");
    let mut outcome = running.wait();
    outcome.stdout = received;
    outcome.assert_object(&bytes);
    assert_eq!((server.gets().len() as u64, server.object_bytes()), (size / chunk, size));
}
