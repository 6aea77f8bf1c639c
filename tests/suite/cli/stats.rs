//! `--stats`: the figures agree with what the server saw.

use serde_json::Value;

use crate::support::fault_server::{FaultServer, Reply, once};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, URI};

#[test]
fn the_json_line_shows_what_the_server_saw() {
    let cut_in_the_middle = once(2, Reply::ok().cut_after(CHUNK / 2));
    let server = FaultServer::start(object(SIZE), cut_in_the_middle);
    let outcome = S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--stats=json"]).download(URI);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, *object(SIZE));
    let stats: Value = serde_json::from_str(&outcome.stderr).expect("one line of JSON");
    let number = |key: &str| stats[key].as_u64().unwrap_or_else(|| panic!("{key} in {stats}"));
    assert_eq!(number("bytes"), SIZE);
    assert_eq!(number("retries"), 1);
    assert_eq!(number("bytes_beyond"), 0, "the retry asked for the remainder only");
    // The HEAD may be under way still when the download ends.
    let requests = server.gets().len() as u64;
    assert!((requests..=requests + 1).contains(&number("requests")), "{stats}");
    assert!(number("connections") <= 4 + 1 + 1, "{stats}");
    assert!((1..=4).contains(&number("concurrency")), "{stats}");
    for key in ["seconds", "mib_per_second", "first_byte_seconds", "cpu_seconds"] {
        assert!(stats[key].is_f64(), "{key} in {stats}");
    }
    assert!(["network", "reader", "cpu"].contains(&stats["bottleneck"].as_str().unwrap_or("")), "{stats}");
}

#[test]
fn a_download_that_fails_has_figures_too() {
    let server = FaultServer::start(object(SIZE), |request| match request.chunk(CHUNK) {
        Some(3) => Reply::status(403).code("AccessDenied"),
        _ => Reply::ok(),
    });
    let outcome = S3fcp::at(&server.endpoint()).window(1, CHUNK).args(["--stats"]).download(URI);
    assert_eq!(outcome.code(), Some(4), "{}", outcome.stderr);
    for part in ["delivered ", "requests ", "limited by ", "AccessDenied"] {
        assert!(outcome.stderr.contains(part), "no {part:?} in {}", outcome.stderr);
    }
}

#[test]
fn a_time_limit_ends_a_run_with_exit_5_and_the_command_that_continues() {
    let server = FaultServer::start(object(SIZE), |request| match request.chunk(CHUNK) {
        Some(0) | None => Reply::ok(),
        _ => Reply::ok().stall_after(0),
    });
    let run = S3fcp::at(&server.endpoint()).window(1, CHUNK).args(["--max-time", "1.5"]);
    let outcome = run.download(URI);
    assert_eq!(outcome.code(), Some(5), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("--max-time"), "{}", outcome.stderr);
}

/// Nobody knows of requests that came to nothing: no number is better than a wrong one.
#[test]
fn what_was_not_counted_is_null() {
    let server = FaultServer::start(object(SIZE), |_| Reply::status(403).code("AccessDenied"));
    let outcome = S3fcp::at(&server.endpoint()).args(["--stats=json"]).download(URI);
    assert_eq!(outcome.code(), Some(4), "{}", outcome.stderr);
    let line = outcome.stderr.lines().find(|line| line.starts_with('{')).expect("a line of JSON");
    let stats: Value = serde_json::from_str(line).expect("JSON");
    for key in
        ["requests", "connections", "retries", "hedges", "bytes_beyond", "concurrency", "threads", "window"]
    {
        assert!(stats[key].is_null(), "{key} in {stats}");
    }
    assert_eq!((&stats["bytes"], &stats["exit_code"]), (&0.into(), &4.into()));
}
