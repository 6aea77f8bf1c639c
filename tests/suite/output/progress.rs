//! `--progress`: lines for a log or for a program, on stderr only, and none unless somebody asked for them.

use std::path::Path;

use serde_json::Value;

use crate::support::fault_server::{FaultServer, Reply, always, once};
use crate::support::files::{adopt, folder};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

fn run(server: &FaultServer, progress: &str) -> S3fcp {
    S3fcp::at(&server.endpoint()).window(2, CHUNK).args(["--progress", progress])
}

/// The lines of `--progress=json`.
#[track_caller]
fn lines(stderr: &str) -> Vec<Value> {
    stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[test]
fn nothing_where_nobody_looks() {
    let server = FaultServer::healthy();
    for progress in ["auto", "off"] {
        let outcome = run(&server, progress).download(URI);
        outcome.assert_object(&object(SIZE));
        assert_eq!(outcome.stderr, "", "{progress}");
    }
    for progress in ["plain", "json"] {
        let outcome = run(&server, progress).args(["--quiet"]).download(URI);
        outcome.assert_object(&object(SIZE));
        assert_eq!(outcome.stderr, "", "{progress}");
    }
}

#[test]
fn plain_lines_end_in_what_it_took() {
    let server = FaultServer::healthy();
    let outcome = run(&server, "plain").download(URI);
    outcome.assert_object(&object(SIZE));
    let last = outcome.stderr.lines().last().expect("a line");
    assert!(last.starts_with(&format!("{URI}: ")) && last.ends_with("B/s"), "{last}");
}

#[test]
fn json_shows_the_beginning_and_the_end() {
    let server = FaultServer::start(object(SIZE), once(1, Reply::ok().cut_after(100)));
    let outcome = run(&server, "json").download(URI);
    outcome.assert_object(&object(SIZE));
    let lines = lines(&outcome.stderr);
    let (first, last) = (&lines[0], &lines[lines.len() - 1]);
    assert_eq!(
        (&first["state"], &first["total"], &first["uri"]),
        (&"running".into(), &SIZE.into(), &URI.into())
    );
    assert_eq!((&last["state"], &last["bytes"]), (&"complete".into(), &SIZE.into()));
    assert!(last["retries"].as_u64() > Some(0) && last["objects"] == 1, "{last}");
}

#[test]
fn several_objects_have_a_total_when_all_have_begun() {
    let server = FaultServer::healthy();
    let outcome = run(&server, "json").args([URI, URI]).download(URI);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let lines = lines(&outcome.stderr);
    let last = &lines[lines.len() - 1];
    let counts = ["object", "objects", "bytes", "total"].map(|key| last[key].as_u64());
    assert_eq!(counts, [3, 3, 3 * SIZE, 3 * SIZE].map(Some));
    assert!(lines[0]["total"].is_null(), "{}", lines[0]);
}

#[test]
fn what_an_earlier_run_brought_is_there_and_a_piece_counts_by_itself() {
    let folder = folder();
    let out = folder.path().join("out");
    let to = |run: S3fcp, out: &Path| run.args(["-o"]).args([out]);
    let refused = FaultServer::start(object(SIZE), always(3, Reply::status(403)));
    assert_eq!(to(run(&refused, "off"), &out).download(URI).code(), Some(4));
    let server = FaultServer::healthy();
    adopt(&server, &out);
    let outcome = to(run(&server, "json"), &out).args(["--continue"]).download(URI);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let whole = lines(&outcome.stderr);
    assert!(whole[0]["bytes"].as_u64() >= Some(CHUNK), "{}", whole[0]);
    assert!(whole.iter().all(|line| line["total"] == SIZE), "{whole:?}");
    assert_eq!(whole[whole.len() - 1]["bytes"], SIZE);
    table::each(&[("range", ("--range=10-19", 10)), ("suffix", ("--range=-7", 7))], |(range, bytes)| {
        let outcome = run(&server, "json").args([range]).download(URI);
        let lines = lines(&outcome.stderr);
        let last = &lines[lines.len() - 1];
        assert_eq!((last["bytes"].as_u64(), last["total"].as_u64()), (Some(*bytes), Some(*bytes)));
    });
}
