//! Small files that the user or the environment names, as pipes: without a writer a time limit or a signal still ends
//! the run, and a pipe that is written is read like a file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rcgen::CertifiedKey;
use rustix::process::Signal;

use crate::support::certificate::self_signed;
use crate::support::fault_server::{FaultServer, Reply, Request};
use crate::support::files::{file, folder};
use crate::support::object::{SIZE, object};
use crate::support::run::{Running, S3fcp, SECRET_KEY, SESSION_TOKEN, URI};
use crate::support::table;
use crate::support::tls_front::TlsFront;

/// How a run names the pipe.
type Name = fn(S3fcp, &Path) -> S3fcp;

fn by_profile(run: S3fcp, pipe: &Path, setting: &str) -> S3fcp {
    let config = pipe.with_extension("config");
    let role = "role_arn = arn:aws:iam::123456789012:role/reader";
    let text = format!("[default]\n{setting} = {}\n{role}\n", pipe.display());
    std::fs::write(&config, text).expect("a file");
    run.env("AWS_CONFIG_FILE", config)
}

fn without_keys(run: S3fcp) -> S3fcp {
    run.without_env("AWS_ACCESS_KEY_ID").without_env("AWS_SECRET_ACCESS_KEY")
}

const NAMES: [(&str, Name); 12] = [
    ("AWS_CA_BUNDLE", |run, pipe| run.env("AWS_CA_BUNDLE", pipe)),
    ("--ca-bundle", |run, pipe| run.args(["--ca-bundle".as_ref(), pipe])),
    ("ca_bundle", |run, pipe| by_profile(run, pipe, "ca_bundle")),
    ("--client-cert", |run, pipe| run.args(["--client-cert".as_ref(), pipe])),
    ("--client-key", |run, pipe| {
        run.args(["--client-cert".as_ref(), Path::new("/dev/null"), "--client-key".as_ref(), pipe])
    }),
    ("--sse-c-key", |run, pipe| run.args(["--sse-c-key".as_ref(), pipe])),
    ("--sse-c-key by scheme", |run, pipe| run.args(["--sse-c-key", &format!("fileb://{}", pipe.display())])),
    ("AWS_CONFIG_FILE", |run, pipe| run.env("AWS_CONFIG_FILE", pipe)),
    ("AWS_SHARED_CREDENTIALS_FILE", |run, pipe| run.env("AWS_SHARED_CREDENTIALS_FILE", pipe)),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", |run, pipe| {
        without_keys(run)
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", pipe)
            .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")
    }),
    ("web_identity_token_file", |run, pipe| by_profile(without_keys(run), pipe, "web_identity_token_file")),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", |run, pipe| {
        without_keys(run)
            .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
            .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", pipe)
    }),
];

fn pipe(folder: &Path, name: &str) -> PathBuf {
    let pipe = folder.join(name);
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    pipe
}

/// Starts a run for each name, all at the same time, with a pipe that nobody writes to.
fn start_all(folder: &Path, endpoint: &str, args: &[&str]) -> Vec<(&'static str, PathBuf, Running)> {
    let start = |(number, (name, set)): (usize, &(&'static str, Name))| {
        let pipe = pipe(folder, &format!("pipe-{number}"));
        let run = set(S3fcp::at(endpoint).args(args), &pipe).args([URI]).start();
        (*name, pipe, run)
    };
    NAMES.iter().enumerate().map(start).collect()
}

#[test]
fn a_pipe_without_a_writer_is_named_and_the_time_limit_ends_the_run() {
    let (server, folder) = (FaultServer::start(object(SIZE), |_| Reply::ok()), folder());
    for (name, pipe, run) in start_all(folder.path(), &server.endpoint(), &["-m", "4"]) {
        let outcome = run.wait();
        outcome.assert_failed(5, &[]);
        let named = format!("warning: waiting for a pipe or device to be written: {}\n", pipe.display());
        assert!(outcome.stderr.contains(&named), "{name}: {}", outcome.stderr);
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_signal_ends_a_run_that_waits_for_a_pipe() {
    let (server, folder) = (FaultServer::start(object(SIZE), |_| Reply::ok()), folder());
    let runs = start_all(folder.path(), &server.endpoint(), &[]);
    thread::sleep(Duration::from_millis(500));
    for (name, _, run) in runs {
        assert!(!run.has_ended(), "{name}");
        run.signal(Signal::TERM);
        let limit = Instant::now() + Duration::from_mins(1);
        while !run.has_ended() && Instant::now() < limit {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(run.has_ended(), "{name}");
        assert_eq!(run.wait().signal(), Some(Signal::TERM.as_raw()), "{name}");
    }
}

/// A shell's `<(command)` is such a pipe.
#[test]
fn a_pipe_that_is_written_is_read_like_a_file() {
    let (tls, ca) = self_signed("127.0.0.1");
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["client".to_owned()]).expect("a certificate");
    let client = format!("{}{}", cert.pem(), signing_key.serialize_pem());
    let bundle = file(&ca);
    let token = "a.b.c\n".to_owned();
    let table = [
        ("AWS_CA_BUNDLE", ca.clone()),
        ("--ca-bundle", ca.clone()),
        ("--client-cert", client),
        ("--sse-c-key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n".to_owned()),
        ("--sse-c-key by scheme", "0123456789abcdef0123456789abcdef".to_owned()),
        ("AWS_CONFIG_FILE", "[default]\nregion = eu-west-1\n".to_owned()),
        ("AWS_SHARED_CREDENTIALS_FILE", "[default]\n".to_owned()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.clone()),
        ("web_identity_token_file", token),
    ];
    table::each(&table, |text| {
        let (name, _) = table.iter().find(|(_, other)| std::ptr::eq(other, text)).expect("its row");
        let (_, set) = NAMES.iter().find(|(other, _)| other == name).expect("a name");
        let (server, folder) = (FaultServer::start(object(SIZE), answer), folder());
        let pipe = pipe(folder.path(), "pipe");
        let front = TlsFront::start(Arc::clone(&tls), server.address());
        let is_of_tls = matches!(*name, "AWS_CA_BUNDLE" | "--ca-bundle" | "--client-cert");
        let endpoint = if is_of_tls { front.endpoint() } else { server.endpoint() };
        let run = S3fcp::at(&endpoint).env("AWS_CA_BUNDLE", bundle.path());
        let run = set(run.env("AWS_ENDPOINT_URL_STS", server.endpoint()), &pipe);
        let text = text.clone();
        let writer = thread::spawn(move || std::fs::write(pipe, text));
        run.download(URI).assert_object(&object(SIZE));
        writer.join().expect("a writer").expect("a reader");
        let sts = server.requests().into_iter().filter(|request| request.target == "/").count();
        assert_eq!(sts, usize::from(name.to_lowercase().contains("web_identity")));
    });
}

fn answer(request: &Request) -> Reply {
    if request.target.starts_with("/bucket/key") {
        return Reply::ok();
    }
    Reply::status(200).body(format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>web</AccessKeyId>\
         <SecretAccessKey>{SECRET_KEY}</SecretAccessKey><SessionToken>{SESSION_TOKEN}</SessionToken>\
         <Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
         </AssumeRoleWithWebIdentityResponse>"
    ))
}
