//! The last lines of stderr for programs: whatever ends a run, and however early, they come last and say how it ended.

use std::io::{self, Read as _};
use std::os::unix::process::ExitStatusExt as _;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::fault_server::{FaultServer, Reply, Request};
use crate::support::files::folder;
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{Outcome, S3fcp, URI};
use crate::support::table;

/// The ways to ask for the lines, and how many each brings.
const ASKED: [(&[&str], usize); 4] = [
    (&["--progress=json"], 1),
    (&["--progress", "json"], 1),
    (&["--stats=json"], 1),
    (&["--progress=json", "--stats=json"], 2),
];

/// The id of every request at the server of the tests.
const REQUEST_ID: &str = "4442587FB7D0A2F9";

type Script = fn(&Request) -> Reply;

/// A run that fails by itself.
struct Failing {
    args: &'static [&'static str],
    env: &'static [(&'static str, Option<&'static str>)],
    script: Script,
    code: u8,
    kind: &'static str,
    service_code: Option<&'static str>,
}

impl Failing {
    const fn args(args: &'static [&'static str], code: u8, kind: &'static str) -> Self {
        Self { args, env: &[], script: |_| Reply::ok(), code, kind, service_code: None }
    }

    const fn env(env: &'static [(&'static str, Option<&'static str>)], code: u8, kind: &'static str) -> Self {
        Self { env, ..Self::args(&[URI], code, kind) }
    }

    const fn server(
        script: Script,
        code: u8,
        kind: &'static str,
        service_code: Option<&'static str>,
    ) -> Self {
        Self { script, service_code, ..Self::args(&[URI], code, kind) }
    }

    fn run(&self, endpoint: &str, asked: &[&str]) -> S3fcp {
        let mut run = S3fcp::at(endpoint).window(1, CHUNK).args(["--max-attempts", "2"]);
        for (name, value) in self.env {
            run = match value {
                Some(value) => run.env(name, value),
                None => run.without_env(name),
            };
        }
        run.args(asked).args(self.args)
    }
}

/// Returns the last lines after asserting that there are `count` of them, that nothing follows and no other line of the
/// kind precedes them, and that they agree with how the process ended.
#[track_caller]
fn last_lines(outcome: &Outcome, count: usize) -> Vec<Value> {
    let lines: Vec<_> = outcome.stderr.lines().collect();
    let (_, last) = lines.split_at(lines.len().saturating_sub(count));
    let parse = |line: &&str| serde_json::from_str::<Value>(line);
    let last: Vec<_> = last
        .iter()
        .map(|line| parse(line).unwrap_or_else(|e| panic!("{e}: {line:?} in {}", outcome.stderr)))
        .collect();
    let all = lines.iter().filter_map(|line| parse(line).ok()).filter(|line| line.get("exit_code").is_some());
    assert_eq!(all.count(), count, "{}", outcome.stderr);
    assert_eq!(last.len(), count, "{}", outcome.stderr);
    let shown = outcome.status.code().or(outcome.status.signal().map(|signal| 128 + signal));
    for line in &last {
        assert_eq!(line["exit_code"].as_i64(), shown.map(i64::from), "{line}");
        for key in ["error", "resume", "bytes", "seconds"] {
            assert!(line.get(key).is_some(), "no {key} in {line}");
        }
    }
    if count == 2 {
        let (progress, stats) = (&last[0], &last[1]);
        let requests = stats.get("requests").expect("a key");
        let is_count = requests.is_number() || requests.is_null();
        assert!(progress["state"].is_string() && is_count, "{progress} {stats}");
        for key in ["exit_code", "error", "resume"] {
            assert_eq!(progress[key], stats[key], "{key}");
        }
    }
    last
}

/// An endpoint where nobody listens.
const GONE: &str = "http://127.0.0.1:1";

/// Runs that fail by themselves, the earliest first.
const FAILING: &[(&str, Failing)] = &[
    ("no source", Failing::args(&[], 2, "usage")),
    ("an unknown option", Failing::args(&["--frobnicate", URI], 2, "usage")),
    ("a misspelt option", Failing::args(&["--chunksize", "1", URI], 2, "usage")),
    ("another tool's option", Failing::args(&["--retry", "5", URI], 2, "usage")),
    ("another tool's command", Failing::args(&["cp", URI, "-"], 2, "usage")),
    ("a value out of its limits", Failing::args(&["-c", "0", URI], 2, "usage")),
    ("a value that is none", Failing::args(&["--chunk-size", "8 parsecs", URI], 2, "usage")),
    ("options that exclude each other", Failing::args(&["--info", "-o", "f", URI], 2, "usage")),
    ("a file name that is missing", Failing::args(&["--continue", URI], 2, "usage")),
    ("no scheme", Failing::args(&["bucket/key"], 2, "usage")),
    ("an endpoint that is none", Failing::args(&["--endpoint", "ftp://h", URI], 2, "usage")),
    ("a profile that is not there", Failing::args(&["--profile", "none", URI], 2, "usage")),
    (
        "a certificate that is not there",
        Failing::args(&["--ca-bundle", "none.pem", "--endpoint", "https://127.0.0.1:1", URI], 2, "usage"),
    ),
    ("a range beyond the end", Failing::args(&["--range", "99999999-", URI], 2, "usage")),
    ("a folder that is not there", Failing::args(&["-o", "none/file", URI], 8, "output")),
    ("a folder for several that is not there", Failing::args(&["-o", "none/", URI, URI], 8, "output")),
    ("a list that is not there", Failing::args(&["--from", "none"], 2, "usage")),
    ("a list without a source", Failing::args(&["--from", "/dev/null"], 2, "usage")),
    ("a server that is not there", Failing::args(&["--endpoint", GONE, URI], 5, "network")),
    (
        "a time limit",
        Failing {
            script: |_| Reply::ok().stall_after(0),
            ..Failing::args(&["--max-time", "0.5", URI], 5, "network")
        },
    ),
    (
        "a time limit of --info",
        Failing {
            script: |_| Reply::ok().stall_after(0),
            ..Failing::args(
                &["--max-time", "0.5", "--info", "--endpoint", "http://192.0.2.1", URI],
                5,
                "network",
            )
        },
    ),
    (
        "--info of nothing",
        Failing {
            script: |_| Reply::status(404).code("NoSuchKey"),
            service_code: None,
            ..Failing::args(&["--info", URI], 3, "not_found")
        },
    ),
    ("a log filter", Failing::env(&[("RUST_LOG", Some("s3fcp=verbose"))], 2, "usage")),
    (
        "no credentials",
        Failing::env(&[("AWS_ACCESS_KEY_ID", None), ("AWS_SECRET_ACCESS_KEY", None)], 4, "access"),
    ),
    ("a setting", Failing::env(&[("AWS_USE_FIPS_ENDPOINT", Some("maybe"))], 2, "usage")),
    ("a proxy", Failing::env(&[("http_proxy", Some("http://h:port"))], 2, "usage")),
    ("no key", Failing::server(|_| Reply::status(404).code("NoSuchKey"), 3, "not_found", Some("NoSuchKey"))),
    (
        "no access",
        Failing::server(|_| Reply::status(403).code("AccessDenied"), 4, "access", Some("AccessDenied")),
    ),
    (
        "a busy server",
        Failing::server(|_| Reply::status(503).code("SlowDown"), 5, "server", Some("SlowDown")),
    ),
    (
        "a key that is lost in the middle",
        Failing::server(
            |request| match request.chunk(CHUNK) {
                Some(2..) => Reply::status(403).code("AccessDenied"),
                _ => Reply::ok(),
            },
            4,
            "access",
            Some("AccessDenied"),
        ),
    ),
    (
        "an object that changes",
        Failing::server(
            |request| match request.chunk(CHUNK) {
                Some(2..) => Reply::ok().etag("\"another\""),
                _ => Reply::ok(),
            },
            6,
            "changed",
            None,
        ),
    ),
    (
        "a checksum that does not match",
        Failing::server(
            |_| {
                Reply::ok()
                    .header("x-amz-checksum-type", "FULL_OBJECT")
                    .header("x-amz-checksum-crc32", "AAAAAA==")
            },
            7,
            "integrity",
            None,
        ),
    ),
    (
        "a log as well",
        Failing {
            script: |_| Reply::status(403).code("AccessDenied"),
            service_code: Some("AccessDenied"),
            ..Failing::args(&["-vvv", URI], 4, "access")
        },
    ),
];

#[test]
fn a_failure_ends_in_them_however_early_it_comes() {
    table::each(FAILING, |failing| {
        for (asked, count) in ASKED {
            let server = FaultServer::start(object(SIZE), failing.script);
            let outcome = failing.run(&server.endpoint(), asked).start().wait();
            let lines = last_lines(&outcome, count);
            for line in &lines {
                let (error, message) =
                    (&line["error"], line["error"]["message"].as_str().unwrap_or_default());
                assert_eq!(
                    (line["exit_code"].as_u64(), &error["kind"]),
                    (Some(failing.code.into()), &failing.kind.into())
                );
                if failing.service_code.is_some() {
                    assert_eq!(error["code"].as_str(), failing.service_code, "{line}");
                }
                assert!(!message.is_empty() && !message.contains('\n'), "{line}");
                // Both are about the same thing.
                let word = message.split_whitespace().next().unwrap_or_default();
                assert!(
                    outcome.stderr.lines().any(|line| !line.starts_with('{') && line.contains(word)),
                    "{line}"
                );
            }
            if asked.iter().any(|option| option.starts_with("--progress")) {
                assert_eq!(lines[0]["state"], "failed");
                assert!(lines[0]["total"].as_u64() != Some(0), "of no object is it known how large it is");
            }
        }
    });
}

#[test]
fn a_failure_names_the_object_and_the_request_and_the_command_that_continues() {
    let script = |request: &Request| match request.chunk(CHUNK) {
        Some(2..) => Reply::status(503).code("SlowDown"),
        _ => Reply::ok(),
    };
    for (asked, count) in ASKED {
        let server = FaultServer::start(object(SIZE), script);
        let run = S3fcp::at(&server.endpoint()).window(1, CHUNK).args(["--max-attempts", "1"]);
        let outcome = run.args(asked).download(URI);
        for line in last_lines(&outcome, count) {
            let error = &line["error"];
            assert_eq!((&error["code"], &error["status"]), (&"SlowDown".into(), &503.into()), "{line}");
            assert_eq!((&error["object"], &error["request_id"]), (&URI.into(), &REQUEST_ID.into()), "{line}");
            let resume: Vec<_> =
                line["resume"].as_array().expect("words").iter().map(Value::as_str).collect();
            assert_eq!(resume[..2], [Some("s3fcp"), Some(URI)], "{line}");
            assert!(resume.contains(&Some(&*format!("{}-", outcome.stdout.len()))), "{line}");
        }
        assert!(outcome.command().is_some(), "the command for people: {}", outcome.stderr);
    }
}

#[test]
fn of_several_objects_they_name_the_one_that_failed_and_the_rest() {
    let second = "s3://bucket/second";
    let script = |request: &Request| {
        if request.target.contains("second") { Reply::status(404).code("NoSuchKey") } else { Reply::ok() }
    };
    for (asked, count) in ASKED {
        let server = FaultServer::start(object(SIZE), script);
        let run = S3fcp::at(&server.endpoint()).window(1, CHUNK).args(asked);
        let outcome = run.args([URI, second, "s3://bucket/third"]).start().wait();
        assert_eq!(outcome.code(), Some(3), "{}", outcome.stderr);
        for line in last_lines(&outcome, count) {
            assert_eq!(
                (&line["error"]["object"], &line["error"]["kind"]),
                (&second.into(), &"not_found".into())
            );
            assert_eq!(line["bytes"], SIZE);
        }
    }
}

#[test]
fn success_ends_in_them() {
    for (asked, count) in ASKED {
        for args in [
            &[URI][..],
            &[URI, URI],
            &["--info", URI],
            &["-vvv", URI],
            &["--version"],
            &["--help"],
            &["--man"],
        ] {
            let server = FaultServer::healthy();
            let outcome = S3fcp::at(&server.endpoint()).args(asked).args(args).start().wait();
            if args == ["--man"] {
                // It stands alone on a command line.
                assert_eq!(outcome.code(), Some(2));
            } else {
                assert_eq!(outcome.code(), Some(0), "{args:?}: {}", outcome.stderr);
            }
            let lines = last_lines(&outcome, count);
            assert!(lines.iter().all(|line| line["resume"].is_null()));
            assert!(lines.iter().all(|line| line["error"].is_null() == (outcome.code() == Some(0))));
        }
    }
}

#[test]
fn a_signal_ends_in_them() {
    for (asked, count) in ASKED {
        for (stalls_at, resumes) in [(0, false), (1, true)] {
            let script = move |request: &Request| match request.chunk(CHUNK) {
                Some(chunk) if chunk >= stalls_at => Reply::ok().stall_after(0),
                _ if stalls_at == 0 => Reply::ok().stall_after(0),
                _ => Reply::ok(),
            };
            let server = FaultServer::start(object(SIZE), script);
            let run = S3fcp::at(&server.endpoint()).window(1, CHUNK).args(asked).args([URI]);
            let (running, stdout) = run.start_unread();
            let mut stdout = stdout.expect("a pipe");
            if resumes {
                stdout.read_exact(&mut vec![0; usize::try_from(CHUNK).expect("small")]).expect("a chunk");
            } else {
                while server.gets().is_empty() {
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
            }
            running.signal(Signal::TERM);
            let outcome = running.wait();
            assert_eq!(outcome.status.signal(), Some(15), "{}", outcome.stderr);
            for line in last_lines(&outcome, count) {
                assert_eq!((line["resume"].is_array(), &line["error"]), (resumes, &Value::Null), "{line}");
            }
        }
    }
}

/// The server of `--info` accepts and says nothing.
#[test]
fn a_signal_during_a_description_ends_in_them() {
    for (asked, count) in ASKED {
        let server = FaultServer::start(object(SIZE), |_| Reply::raw("").stall_after(0));
        let running = S3fcp::at(&server.endpoint()).args(asked).args(["--info", URI]).start();
        while server.requests().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        running.signal(Signal::TERM);
        let outcome = running.wait();
        assert_eq!(outcome.status.signal(), Some(15), "{}", outcome.stderr);
        last_lines(&outcome, count);
    }
}

/// However early: the signal may come before the program has read its arguments, but not before it has its handlers,
/// which nobody outside sees; so a process that died without a line has opened no connection.
#[test]
fn a_signal_at_any_moment_after_the_start_ends_in_them() {
    for delay in [5, 10, 20, 40] {
        let server = FaultServer::start(object(SIZE), |_| Reply::ok().stall_after(0));
        let running = S3fcp::at(&server.endpoint()).args(["--progress=json", URI]).start();
        std::thread::sleep(std::time::Duration::from_millis(delay));
        running.signal(Signal::TERM);
        let outcome = running.wait();
        assert_eq!(outcome.status.signal(), Some(15), "{}", outcome.stderr);
        if server.connections() > 0 {
            last_lines(&outcome, 1);
        }
    }
}

#[test]
fn a_reader_that_closes_the_pipe_ends_in_them() {
    for (asked, count) in ASKED {
        let server = FaultServer::healthy();
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let outcome = S3fcp::at(&server.endpoint()).args(asked).stdout(writer).download(URI);
        assert_eq!(outcome.status.signal(), Some(13), "{}", outcome.stderr);
        for line in last_lines(&outcome, count) {
            assert_eq!((&line["error"], &line["resume"]), (&Value::Null, &Value::Null), "{line}");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_ends_in_them() {
    for (asked, count) in ASKED {
        for args in [&[URI][..], &["--info", URI], &["--help"]] {
            let server = FaultServer::healthy();
            let run = S3fcp::redirected(">/dev/full").args(["--endpoint", &server.endpoint()]);
            let outcome = run.args(asked).args(args).start().wait();
            assert_eq!(outcome.code(), Some(8), "{args:?}: {}", outcome.stderr);
            assert!(last_lines(&outcome, count).iter().all(|line| line["error"]["kind"] == "output"));
        }
    }
}

#[test]
fn a_file_ends_in_them() {
    for (asked, count) in ASKED {
        let folder = folder();
        let out = folder.path().join("out");
        let server = FaultServer::healthy();
        let run = || S3fcp::at(&server.endpoint()).args(asked).args(["-o"]).args([&out]);
        assert_eq!(last_lines(&run().download(URI), count)[0]["exit_code"], 0);
        // It is there, and right.
        assert_eq!(last_lines(&run().args(["--continue"]).download(URI), count)[0]["exit_code"], 0);
        std::fs::write(&out, "another").expect("the file");
        assert_eq!(last_lines(&run().download(URI), count)[0]["exit_code"], 8);
    }
}

/// Nobody who did not ask for them gets any.
#[test]
fn without_the_options_there_are_none() {
    let server = FaultServer::start(object(SIZE), |_| Reply::status(404).code("NoSuchKey"));
    for args in [&[][..], &["--frobnicate"], &["--stats"], &["--progress=plain"], &["-q", "--progress=json"]]
    {
        let outcome = S3fcp::at(&server.endpoint()).args(args).download(URI);
        assert!(!outcome.stderr.lines().any(|line| line.starts_with('{')), "{}", outcome.stderr);
    }
}
