//! `--max-time`: its message says what the run was waiting for, and no list from a pipe holds up its end, nor that of a
//! signal.

use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::fault_server::{FaultServer, Gate, Reply, Request};
use crate::support::files::{file, folder};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{Running, S3fcp, URI};
use crate::support::table;

/// Long enough for first bytes on a loaded machine, because some cases wait for what comes after them.
const LIMIT: &str = "5";
const OTHER: &str = "s3://bucket/other";

/// A host that accepts connections and never says a word.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    let host = listener.local_addr().expect("an address").to_string();
    (listener, host)
}

fn pipe(folder: &Path) -> (std::path::PathBuf, String) {
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let name = pipe.display().to_string();
    (pipe, name)
}

fn healthy() -> FaultServer {
    FaultServer::start(object(SIZE), |_| Reply::ok())
}

/// Answers for URI, and never for the other object.
fn without_other(request: &Request) -> Reply {
    if request.target.contains("other") { Reply::ok().delay_until(&Gate::closed()) } else { Reply::ok() }
}

/// Waits until the time is over, and asserts what was awaited then.
#[track_caller]
fn ends(running: Running, awaited: &str) {
    let outcome = running.wait();
    assert_eq!(outcome.code(), Some(5), "{}", outcome.stderr);
    let message = format!("did not finish within --max-time: it was waiting for {awaited}");
    assert!(outcome.stderr.lines().any(|line| line.ends_with(&message)), "{awaited}: {}", outcome.stderr);
}

type Case = fn(S3fcp, &Path);

const CASES: &[(&str, Case)] = &[
    ("TLS", |run, _| {
        let (_listener, host) = silent();
        ends(
            run.args(["--endpoint", &format!("https://{host}"), URI]).start(),
            &format!("a connection to {host}"),
        );
    }),
    ("a proxy", |run, _| {
        let (_listener, host) = silent();
        let run = run.env("https_proxy", format!("http://{host}"));
        let run = run.args(["--endpoint", "https://store.invalid", URI]);
        ends(run.start(), &format!("a connection to store.invalid through the proxy http://{host}"));
    }),
    ("the first response", |run, _| {
        let (_listener, host) = silent();
        ends(
            run.args(["--endpoint", &format!("http://{host}"), URI]).start(),
            &format!("a response from {host}"),
        );
    }),
    ("a description", |run, _| {
        let (_listener, host) = silent();
        let run = run.args(["--info", "--endpoint", &format!("http://{host}"), URI]);
        ends(run.start(), &format!("a response from {host}"));
    }),
    ("a file's first response", |run, folder| {
        let (_listener, host) = silent();
        let file = folder.join("f").display().to_string();
        let run = run.args(["--endpoint", &format!("http://{host}"), "-o", &file, URI]);
        ends(run.start(), &format!("a response from {host}"));
    }),
    ("a pause", |run, _| {
        let server = FaultServer::start(object(SIZE), |_| Reply::status(503).retry_after(30));
        ends(run.args(["--endpoint", &server.endpoint(), URI]).start(), "the next attempt");
    }),
    ("bytes", |run, _| {
        let server = FaultServer::start(object(SIZE), |request| match request.chunk(CHUNK) {
            Some(0) | None => Reply::ok(),
            _ => Reply::ok().stall_after(0),
        });
        let run = run.window(1, CHUNK).args(["--endpoint", &server.endpoint(), URI]);
        ends(run.start(), &format!("bytes of {URI}"));
    }),
    ("the next object", |run, _| {
        let server = FaultServer::start(object(SIZE), without_other);
        let run = run.args(["--endpoint", &server.endpoint(), URI, OTHER]);
        ends(run.start(), &format!("a response from {}", server.address()));
    }),
    ("the next file", |run, folder| {
        let server = FaultServer::start(object(SIZE), without_other);
        let into = format!("{}/", folder.display());
        let run = run.args(["-o", &into, "--endpoint", &server.endpoint(), URI, OTHER]);
        ends(run.start(), &format!("a response from {}", server.address()));
    }),
    ("the reader of stdout", |run, _| {
        let server = FaultServer::start(object(16 << 20), |_| Reply::ok());
        let (running, _unread) = run.args(["--endpoint", &server.endpoint(), URI]).start_unread();
        ends(running, "stdout to accept bytes");
    }),
    ("a reader of a pipe", |run, folder| {
        let (server, (_, name)) = (healthy(), pipe(folder));
        let run = run.args(["--endpoint", &server.endpoint(), "-o", &name, URI]);
        ends(run.start(), &format!("a reader of {name}"));
    }),
    ("a reader that stops reading a pipe", |run, folder| {
        let server = FaultServer::start(object(16 << 20), |_| Reply::ok());
        let (pipe, name) = pipe(folder);
        let running = run.args(["--endpoint", &server.endpoint(), "-o", &name, URI]).start();
        let _unread = File::open(pipe).expect("a pipe");
        ends(running, &format!("{name} to accept bytes"));
    }),
    ("a list", |run, folder| {
        let (server, (_, name)) = (healthy(), pipe(folder));
        let run = run.args(["--endpoint", &server.endpoint(), "--from", &name]);
        ends(run.start(), &format!("the first line of {name}"));
        assert_eq!(server.requests().len(), 0);
    }),
    ("the next line of a list", |run, folder| {
        let (server, (pipe, name)) = (healthy(), pipe(folder));
        let run = run.args(["--endpoint", &server.endpoint(), "--from", &name]);
        let running = run.start();
        let mut list = File::create(pipe).expect("a pipe");
        writeln!(list, "{URI}").expect("a reader");
        ends(running, &format!("the next line of {name}"));
    }),
    ("a credential process", |run, _| {
        let config = file("[default]\ncredential_process = /bin/sleep 20\n");
        let run = run.without_env("AWS_ACCESS_KEY_ID").without_env("AWS_SECRET_ACCESS_KEY");
        let run = run.env("AWS_CONFIG_FILE", config.path()).args(["--endpoint", "http://127.0.0.1:9", URI]);
        ends(run.start(), "settings or credentials");
    }),
    ("a CA bundle", |run, folder| {
        let (_, name) = pipe(folder);
        ends(run.args(["--ca-bundle", &name, URI]).start(), "settings or credentials");
    }),
];

#[test]
fn the_message_says_what_the_run_was_waiting_for() {
    table::each(CASES, |case| {
        let folder = folder();
        case(S3fcp::new().args(["--hedge", "off", "--max-time", LIMIT]), folder.path());
    });
}

/// What a run does with the list does not matter.
#[test]
fn a_signal_ends_a_run_that_waits_for_a_list() {
    let folder = folder();
    let (_, name) = pipe(folder.path());
    let (server, into) = (healthy(), format!("{}/", folder.path().display()));
    let uses: [&[&str]; 5] =
        [&[], &["-o", &into], &["-o", &into, "--continue"], &["--info"], &["--stats=json"]];
    let runs = uses.map(|args| {
        let run = S3fcp::at(&server.endpoint()).args(["--from", &name]).args(args);
        (args, run.start())
    });
    thread::sleep(Duration::from_millis(500));
    for (args, run) in runs {
        assert!(!run.has_ended(), "{args:?}");
        run.signal(Signal::TERM);
        assert_eq!(run.wait().signal(), Some(Signal::TERM.as_raw()), "{args:?}");
    }
    assert_eq!(server.requests().len(), 0);
}
