//! Credentials that expire during a download: their source is asked again, once, and the download continues where it
//! was.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::fault_server::{FaultServer, Reply, Request, always, cut_then};
use crate::support::files::folder;
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY, URI};
use crate::support::table;

/// A `credential_process` that gives another session token each time: `token-1`, `token-2`...
struct Process(TempDir);

impl Process {
    /// It fails, with a word of its own, where its number is `fails`.
    fn new(fails: usize) -> Self {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        let (script, asked) = (at("process"), at("asked"));
        // Nothing but the shell itself: there is no PATH. Each call leaves a letter.
        let text = format!(
            "printf x >> '{asked}'\nread -r all < '{asked}'\nnumber=${{#all}}\n\
             if [ \"$number\" = {fails} ]; then echo 'the source is down' >&2; exit 1; fi\n\
             echo '{{\"Version\": 1, \"AccessKeyId\": \"{ACCESS_KEY}\", \"SecretAccessKey\": \"{SECRET_KEY}\", \
             \"SessionToken\": \"token-'\"$number\"'\"}}'\n",
            asked = asked.display()
        );
        fs::write(&script, text).expect("a script");
        let config = format!("[default]\ncredential_process = /bin/sh '{}'\n", script.display());
        fs::write(at("config"), config).expect("a profile");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// How often it was asked.
    fn asked(&self) -> usize {
        fs::read(self.path("asked")).map_or(0, |letters| letters.len())
    }

    /// A run that has its credentials from here alone.
    fn run(&self, server: &FaultServer) -> S3fcp {
        S3fcp::at(&server.endpoint())
            .without_env("AWS_ACCESS_KEY_ID")
            .without_env("AWS_SECRET_ACCESS_KEY")
            .env("AWS_CONFIG_FILE", self.path("config"))
            .window(4, CHUNK)
    }
}

fn expired() -> Reply {
    Reply::status(400).code("ExpiredToken")
}

fn token(request: &Request) -> &str {
    request.header("x-amz-security-token").expect("a session's token")
}

#[test]
fn the_rest_of_a_range_comes_with_new_credentials() {
    let process = Process::new(0);
    let server = FaultServer::start(object(SIZE), cut_then(3, 1000, expired()));
    let outcome = process.run(&server).download(URI);
    outcome.assert_object(&object(SIZE));
    assert_eq!(outcome.stderr, "");
    let attempts: Vec<_> = server.gets().into_iter().filter(|get| get.chunk(CHUNK) == Some(3)).collect();
    let seen: Vec<_> =
        attempts.iter().map(|get| (get.range.clone().map_or(0, |r| r.start), token(get))).collect();
    let (start, reached) = (3 * CHUNK, 3 * CHUNK + 1000);
    assert_eq!(seen, [(start, "token-1"), (reached, "token-1"), (reached, "token-2")]);
    assert_eq!((process.asked(), server.gets().len()), (2, CHUNKS + 2));
    assert_eq!(server.object_bytes(), SIZE, "no byte twice");
}

/// The old token is refused from the third chunk on, in every request.
#[test]
fn requests_refused_together_ask_the_source_once() {
    let process = Process::new(0);
    let server = FaultServer::start(object(SIZE), |request: &Request| match request.chunk(CHUNK) {
        Some(2..) if token(request) == "token-1" => expired(),
        _ => Reply::ok(),
    });
    process.run(&server).download(URI).assert_object(&object(SIZE));
    assert_eq!(process.asked(), 2);
    assert!(server.gets().len() <= CHUNKS + 4, "{}", server.gets().len());
    assert_eq!(server.object_bytes(), SIZE);
}

#[test]
fn what_expired_before_the_first_request_is_renewed_too() {
    let process = Process::new(0);
    let server =
        FaultServer::start(
            object(SIZE),
            |request: &Request| {
                if token(request) == "token-1" { expired() } else { Reply::ok() }
            },
        );
    process.run(&server).download(URI).assert_object(&object(SIZE));
    assert_eq!((process.asked(), server.gets().len()), (2, CHUNKS + 1));
}

#[test]
fn new_credentials_that_are_refused_too_end_it() {
    let table = [("first", 0), ("later", 3)];
    table::each(&table, |&chunk| {
        for reply in [expired(), Reply::status(400).code("TokenRefreshRequired")] {
            let process = Process::new(0);
            let server = FaultServer::start(object(SIZE), always(chunk, reply));
            let outcome = process.run(&server).download(URI);
            outcome.assert_failed(4, &object(SIZE));
            assert_eq!(outcome.stdout.len() as u64, chunk * CHUNK);
            assert!(!outcome.stderr.contains("token-"), "{}", outcome.stderr);
            let tried = server.gets().iter().filter(|get| get.chunk(CHUNK) == Some(chunk)).count();
            assert_eq!((tried, process.asked()), (2, 2));
        }
    });
}

/// Keys in the environment stay what they are: they are sent once more, and that is all.
#[test]
fn credentials_that_cannot_change_are_not_sent_for_ever() {
    let table = [("first", 0), ("later", 3)];
    table::each(&table, |&chunk| {
        let server = FaultServer::start(object(SIZE), always(chunk, expired()));
        let run = S3fcp::at(&server.endpoint()).env("AWS_SESSION_TOKEN", "token-1").window(4, CHUNK);
        let outcome = run.download(URI);
        outcome.assert_failed(4, &object(SIZE));
        assert_eq!(outcome.stdout.len() as u64, chunk * CHUNK);
        let tried = server.gets().iter().filter(|get| get.chunk(CHUNK) == Some(chunk)).count();
        assert!(tried <= 2, "{tried}");
    });
}

/// A source that worked before is worth another question.
#[test]
fn a_source_that_is_down_for_a_moment_is_asked_again() {
    let process = Process::new(2);
    let server = FaultServer::start(object(SIZE), cut_then(3, 1000, expired()));
    let outcome = process.run(&server).download(URI);
    outcome.assert_object(&object(SIZE));
    assert_eq!(process.asked(), 3);
    assert_eq!(server.object_bytes(), SIZE);
}
