//! Runs the program as a user's shell does, and returns how it ended.
//!
//! The environment has nothing of this machine in it: no profile, no metadata service, an empty home. A run that
//! exceeds its time limit or prints a secret fails the test.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The key id in the environment of every run.
pub(crate) const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
/// The secret that belongs to it (the one of AWS's documentation).
pub(crate) const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// The session token of runs with temporary credentials.
pub(crate) const SESSION_TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLESESSIONTOKEN";
/// Texts that no run may write to stdout or stderr: secrets, and the text around a signature in a request.
///
/// The last ones are secrets that tests bring themselves: in a proxy's URL, in a presigned URL, and in `--sse-c-key`.
const NEVER_WRITTEN: [(&str, &str); 9] = [
    ("the secret key", SECRET_KEY),
    ("the session token", SESSION_TOKEN),
    ("an authorization", "AWS4-HMAC-SHA256"),
    ("a signature", "Signature="),
    ("a signature in a query", "X-Amz-Signature"),
    ("a password", "hunter2"),
    ("a user name and a password", "dXNlcj"),
    ("a value of a URL's query", "f00dfeedf00dfeed"),
    ("a customer's key", "AAECAwQFBgcICQ"),
];
/// Far more than `--info` writes of an object, in bytes.
const DESCRIPTION_MAX: usize = 64 << 10;
/// An object's URI, for servers that do not care which one it is.
pub(crate) const URI: &str = "s3://bucket/key";

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_s3fcp");
/// Far longer than any run here takes, even on a loaded machine: a run that exceeds it hangs.
const TIME_LIMIT: Duration = Duration::from_mins(1);

/// A run that has not started: the program with a clean environment.
pub(crate) struct S3fcp {
    command: Command,
    home: TempDir,
    is_logged: bool,
}

/// A run in progress.
pub(crate) struct Running {
    id: u32,
    child: Arc<Mutex<Child>>,
    started: Instant,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    is_logged: bool,
    /// Ends the watch on the time limit when it is dropped with the run.
    _limit: Sender<()>,
    _home: TempDir,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// The program's log, if the run was [`logged`](S3fcp::logged): lines taken out of `stderr`.
    pub(crate) log: String,
    pub(crate) status: ExitStatus,
}

impl S3fcp {
    /// Prepares the program with keys in its environment, no arguments, and its output captured.
    pub(crate) fn new() -> Self {
        Self::of(Command::new(PROGRAM))
    }

    /// Prepares the program to be started by a shell, with redirections such as `2>&-`.
    pub(crate) fn redirected(redirections: &str) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("exec \"$0\" \"$@\" {redirections}"), PROGRAM]);
        Self::of(shell)
    }

    /// Prepares a shell that runs `command`, in which `s3fcp` is the program, and other words are the system's.
    pub(crate) fn shell(command: &str) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]);
        let folder = std::path::Path::new(PROGRAM).parent().expect("a folder").display();
        Self::of(shell).env("PATH", format!("{folder}:/usr/bin:/bin"))
    }

    fn of(mut command: Command) -> Self {
        let home = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("an empty home");
        command
            .env_clear()
            .env("HOME", home.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_REGION", "us-east-1")
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self { command, home, is_logged: false }
    }

    /// Prepares the program with `--endpoint`, and without hedges: on a busy machine some range is late and would be
    /// requested twice, and most tests count requests.
    pub(crate) fn at(endpoint: &str) -> Self {
        Self::new().args(["--hedge", "off", "--endpoint", endpoint])
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets the number of requests at the same time, and the size of a chunk in bytes.
    pub(crate) fn window(self, concurrency: u64, chunk: u64) -> Self {
        self.args(["-c", &concurrency.to_string(), "--chunk-size", &format!("{chunk}B")])
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Turns on all logging, of any crate. It ends up in [`Outcome::log`], and may not contain a secret either.
    pub(crate) fn logged(mut self) -> Self {
        self.is_logged = true;
        self.env("RUST_LOG", "trace")
    }

    /// Takes stdin from elsewhere; it is empty otherwise.
    pub(crate) fn stdin(mut self, from: impl Into<Stdio>) -> Self {
        self.command.stdin(from);
        self
    }

    /// Sends stdout elsewhere: [`Outcome::stdout`] stays empty.
    pub(crate) fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stdout(to);
        self
    }

    /// Sends stderr elsewhere: [`Outcome::stderr`] stays empty.
    pub(crate) fn stderr(mut self, to: impl Into<Stdio>) -> Self {
        self.command.stderr(to);
        self
    }

    /// Runs the program to its end with `uri` as the last argument.
    pub(crate) fn download(self, uri: &str) -> Outcome {
        self.args([uri]).start().wait()
    }

    /// Starts the program and collects its output.
    pub(crate) fn start(self) -> Running {
        let (mut running, stdout) = self.start_unread();
        running.stdout = stdout.map(collect);
        running
    }

    /// Starts the program and leaves reading its stdout to the caller.
    pub(crate) fn start_unread(mut self) -> (Running, Option<ChildStdout>) {
        let mut child = self.command.spawn().expect("the program starts");
        let stdout = child.stdout.take();
        let stderr = child.stderr.take().map(collect);
        let (id, child) = (child.id(), Arc::new(Mutex::new(child)));
        let limit = limited(&child);
        let started = Instant::now();
        let is_logged = self.is_logged;
        (
            Running { id, child, started, stdout: None, stderr, is_logged, _limit: limit, _home: self.home },
            stdout,
        )
    }
}

impl Running {
    /// Returns the process's id.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Sends the process a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.id.cast_signed()).expect("a process id");
        kill_process(id, signal).expect("a process that was not waited for");
    }

    /// Returns whether the process has ended.
    pub(crate) fn has_ended(&self) -> bool {
        lock(&self.child).try_wait().expect("a child of ours").is_some()
    }

    /// Returns the most memory that the process ever had, in bytes, or 0 if the process has ended or the system is not
    /// Linux.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.map_or(0, |kib| kib << 10)
    }

    /// Waits for the end of the run.
    ///
    /// # Panics
    /// If the program hangs, or if it wrote a secret.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Outcome {
        let status = loop {
            let ended = lock(&self.child).try_wait().expect("a child of ours");
            if let Some(status) = ended {
                break status;
            }
            thread::sleep(Duration::from_millis(2));
        };
        let in_time = self.started.elapsed() < TIME_LIMIT;
        let stderr = String::from_utf8_lossy(&joined(self.stderr.take())).into_owned();
        let stdout = joined(self.stdout.take());
        assert!(in_time, "still running after {TIME_LIMIT:?}; stderr: {stderr}");
        // Longer output is an object, and compared as such.
        let described = String::from_utf8_lossy(&stdout[..stdout.len().min(DESCRIPTION_MAX)]);
        for (what, secret) in NEVER_WRITTEN {
            assert!(!stderr.contains(secret), "{what} is on stderr: {stderr}");
            assert!(!described.contains(secret), "{what} is on stdout: {described}");
        }
        let (log, stderr) = stderr
            .split_inclusive('\n')
            .partition(|line| self.is_logged && line.contains(" s3fcp::") && !line.starts_with("s3fcp: "));
        Outcome { stdout, stderr, log, status }
    }
}

impl Drop for Running {
    /// A failed test leaves no process running.
    fn drop(&mut self) {
        end(&self.child);
    }
}

impl Outcome {
    /// Returns the exit code, or `None` if a signal ended the process.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Returns the signal that ended the process, if one did.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Returns the command that the message suggests, which is on a line of its own.
    pub(crate) fn command(&self) -> Option<String> {
        let line = self.stderr.lines().find(|line| line.starts_with("    ") && line.contains("s3fcp "))?;
        Some(line.trim().to_owned())
    }

    /// Asserts success: exit code 0, and stdout is the object.
    #[track_caller]
    pub(crate) fn assert_object(&self, object: &[u8]) {
        assert_eq!(self.code(), Some(0), "{:?}, stderr: {}", self.status, self.stderr);
        self.assert_prefix(object);
        assert_eq!(self.stdout.len(), object.len(), "exit 0 with a part of the object");
    }

    /// Asserts a failure as it must be: this exit code, a prefix of the object on stdout, and a message.
    #[track_caller]
    pub(crate) fn assert_failed(&self, code: i32, object: &[u8]) {
        assert_eq!(self.code(), Some(code), "{:?}, stderr: {}", self.status, self.stderr);
        self.assert_prefix(object);
        // Before it may stand the last line of `--stats` or `--progress`.
        let has_message = self.stderr.lines().any(|line| line.starts_with("s3fcp: "));
        assert!(has_message, "no message on stderr: {:?}", self.stderr);
    }

    /// Asserts the contract: the object with exit code 0, or a prefix of it with another one.
    #[track_caller]
    pub(crate) fn assert_contract(&self, object: &[u8]) {
        match self.code() {
            Some(0) => self.assert_object(object),
            Some(code) => self.assert_failed(code, object),
            None => panic!("ended by {:?}, stderr: {}", self.status, self.stderr),
        }
    }

    /// Asserts that neither the messages nor the log have one of these `secrets`.
    #[track_caller]
    pub(crate) fn assert_hides(&self, secrets: &[&str]) {
        for text in [&self.stderr, &self.log] {
            for secret in secrets {
                assert!(!text.contains(secret), "{secret} is in {text}");
            }
        }
    }

    /// Asserts that stdout is a prefix of `object`, without printing either of them.
    #[track_caller]
    fn assert_prefix(&self, object: &[u8]) {
        if object.starts_with(&self.stdout) {
            return;
        }
        let same = self.stdout.iter().zip(object).take_while(|(a, b)| a == b).count();
        panic!(
            "stdout ({} bytes) leaves the object ({} bytes) at byte {same}; stderr: {}",
            self.stdout.len(),
            object.len(),
            self.stderr
        );
    }
}

/// Ends `child` at its time limit, so that nobody waits for its output for ever. Dropping the returned value cancels
/// that.
fn limited(child: &Arc<Mutex<Child>>) -> Sender<()> {
    let (limit, over) = mpsc::channel();
    let child = Arc::clone(child);
    thread::spawn(move || {
        if over.recv_timeout(TIME_LIMIT) == Err(RecvTimeoutError::Timeout) {
            end(&child);
        }
    });
    limit
}

fn end(child: &Mutex<Child>) {
    let mut child = lock(child);
    // Both can fail only if the process has ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a pipe to its end on a thread: a full pipe must not stop the program.
fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe that can be read");
        bytes
    })
}

fn joined(thread: Option<JoinHandle<Vec<u8>>>) -> Vec<u8> {
    thread.map(|t| t.join().expect("a reader that does not panic")).unwrap_or_default()
}

#[test]
fn a_run_that_shows_a_secret_fails() {
    for (stream, secret) in
        [("2", "$AWS_SECRET_ACCESS_KEY"), ("1", "$AWS_SESSION_TOKEN"), ("2", "Signature=00")]
    {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("echo \"a word {secret}\" >&{stream}")]);
        let running = S3fcp::of(shell).env("AWS_SESSION_TOKEN", SESSION_TOKEN).start();
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| running.wait()));
        assert!(seen.is_err(), "{secret}");
    }
}
