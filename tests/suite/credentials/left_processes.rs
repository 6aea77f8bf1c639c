//! A `credential_process` that hangs, and what it has started: nothing of it outlasts the run.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;

use crate::support::fault_server::{FaultServer, Reply, Request};
use crate::support::files::folder;
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{ACCESS_KEY, Running, S3fcp, SECRET_KEY, URI};
use crate::support::table;

/// Much longer than a run, in seconds.
const HANGS: u64 = 60;

/// With a terminal, a command stays in the group of the program. Tests are run with one at times.
const DETACHED: &str = if cfg!(target_os = "linux") { "setsid" } else { "" };

/// A command that gives keys so many times, and then hangs in this way.
struct Hanging(TempDir);

impl Hanging {
    fn new(answers: usize, way: &str) -> Self {
        let folder = folder();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let (script, asked, pipe) = (at("process"), at("asked"), at("pipe"));
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
        // Whoever is left has the pipe open.
        let text = format!(
            "printf x >> '{asked}'\nread -r all < '{asked}'\n\
             if [ \"${{#all}}\" -gt {answers} ]; then exec 3> '{pipe}'; echo hangs >&3; {way}; fi\n\
             echo '{{\"Version\": 1, \"AccessKeyId\": \"{ACCESS_KEY}\", \"SecretAccessKey\": \"{SECRET_KEY}\", \
             \"SessionToken\": \"old\"}}'\n"
        );
        fs::write(&script, text).expect("a script");
        let config = format!("[default]\ncredential_process = /bin/sh -c \"/bin/sh '{script}'; exit $?\"\n");
        fs::write(at("config"), config).expect("a profile");
        Self(folder)
    }

    /// Starts `run`, waits until the command hangs, and returns the pipe that all that it has started have open.
    fn hang(&self, run: S3fcp) -> (Running, BufReader<File>) {
        let run = run
            .without_env("AWS_ACCESS_KEY_ID")
            .without_env("AWS_SECRET_ACCESS_KEY")
            .env("AWS_CONFIG_FILE", self.0.path().join("config"));
        let running = run.args([URI]).start();
        let mut pipe = BufReader::new(File::open(self.0.path().join("pipe")).expect("a writer"));
        let mut line = String::new();
        pipe.read_line(&mut line).expect("a line");
        assert_eq!(line, "hangs\n");
        (running, pipe)
    }

    /// Returns whether something is left after `end` has ended the run.
    fn outlasts(&self, run: S3fcp, end: impl FnOnce(&Running)) -> bool {
        let (running, mut pipe) = self.hang(run);
        end(&running);
        let began = Instant::now();
        assert!(!running.wait().status.success());
        pipe.read_to_end(&mut Vec::new()).expect("the end of the pipe");
        began.elapsed() > Duration::from_secs(HANGS / 2)
    }
}

/// A parent that does not collect its children may leave SIGCHLD ignored.
#[test]
fn a_command_gives_keys_although_sigchld_was_ignored() {
    let server = FaultServer::start(object(SIZE), |_| Reply::ok());
    let process = Hanging::new(1, ":");
    let run = S3fcp::shell("trap '' CHLD; exec s3fcp \"$0\" \"$@\"")
        .args(["--endpoint", &server.endpoint()])
        .without_env("AWS_ACCESS_KEY_ID")
        .without_env("AWS_SECRET_ACCESS_KEY")
        .env("AWS_CONFIG_FILE", process.0.path().join("config"));
    run.download(URI).assert_object(&object(SIZE));
}

/// What a command does when it hangs.
fn ways() -> [(&'static str, String); 5] {
    [
        ("itself", format!("exec /bin/sleep {HANGS}")),
        ("a child", format!("/bin/sleep {HANGS}; :")),
        ("a pipeline", format!("/bin/sleep {HANGS} | /bin/cat; :")),
        ("a grandchild", format!("/bin/sh -c '/bin/sleep {HANGS}; :'; :")),
        ("in the background", format!("/bin/sleep {HANGS} & wait")),
    ]
}

/// In a terminal a command stays in the group of the program, and in that of the shell's job.
#[test]
#[cfg(target_os = "linux")]
fn no_process_is_left_in_a_terminal_by_a_run_that_ends_early() {
    table::each(&ways(), |way| {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("a terminal of ours");
        let name = ptsname(&terminal, Vec::new()).expect("its name").into_string().expect("UTF-8");
        let inside = File::options().read(true).write(true).open(name).expect("its other end");
        // The session's leader lasts longer than the run: its end would hang up on all others.
        let leader = format!(
            "exec setsid --ctty /bin/sh -c 's3fcp \"$0\" \"$@\"; exec /bin/sleep {HANGS}' \"$0\" \"$@\""
        );
        let server = FaultServer::start(object(SIZE), |_| Reply::ok());
        let run =
            S3fcp::shell(&leader).stdin(inside).args(["--max-time", "3", "--endpoint", &server.endpoint()]);
        let (running, mut pipe) = Hanging::new(0, way).hang(run);
        let stat = fs::read_to_string(format!("/proc/{}/stat", running.id())).expect("the leader");
        assert_ne!(stat.split(' ').nth(6), Some("0"), "it has a terminal: {stat}");
        let began = Instant::now();
        pipe.read_to_end(&mut Vec::new()).expect("the end of the pipe");
        assert!(began.elapsed() < Duration::from_secs(HANGS / 2));
        running.signal(Signal::KILL);
        running.wait();
    });
}

#[test]
fn no_process_is_left_by_a_run_that_ends_early() {
    let ways = ways();
    table::each(&ways, |way| {
        // At the start, and when the keys have expired in the middle, where other threads ask.
        for answers in [0, 1] {
            for signal in [None, Some(Signal::TERM), Some(Signal::INT)] {
                let server =
                    FaultServer::start(object(SIZE), |request: &Request| match request.chunk(CHUNK) {
                        Some(2..) => Reply::status(400).code("ExpiredToken"),
                        _ => Reply::ok(),
                    });
                let run = S3fcp::shell(&format!("exec {DETACHED} s3fcp \"$0\" \"$@\""))
                    .args(["--hedge", "off", "--endpoint", &server.endpoint(), "--threads", "2"])
                    .window(4, CHUNK);
                let run = if signal.is_none() { run.args(["--max-time", "3"]) } else { run };
                let outlasts = Hanging::new(answers, way).outlasts(run, |running| {
                    if let Some(signal) = signal {
                        running.signal(signal);
                    }
                });
                assert!(!outlasts, "{answers} answers, {signal:?}");
            }
        }
    });
}
