//! The texts that people read: every kind of error with its hint, and the help, compared with the `*.snap` files next
//! to this one. After a deliberate change, write them again with
//!
//! ```sh
//! INSTA_UPDATE=always cargo test --test suite snapshots
//! ```
//!
//! and review the diff. Whatever differs between runs or machines (ports, folders, error numbers of the system, a
//! resolver's words) is replaced first.

mod errors;

use std::fmt::Write as _;
use std::sync::Mutex;

use crate::support::run::{Outcome, S3fcp};
use crate::support::table;
use errors::Case;

/// Compares with the snapshot of this name.
fn assert_same(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(".");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn each_kind_of_error() {
    for (name, code, table) in errors::tables() {
        let said = Mutex::new(Vec::new());
        let numbered: Vec<_> = table.iter().enumerate().map(|(n, case)| (case.what, (n, case))).collect();
        table::each(&numbered, |(n, case)| {
            let text = transcript(case, code);
            said.lock().expect("no case panics with it").push((*n, text));
        });
        let mut said = said.into_inner().expect("all cases are over");
        said.sort();
        let all: Vec<_> = said.into_iter().map(|(_, text)| text).collect();
        assert_same(name, &all.join("\n"));
    }
}

/// The case as somebody sees it who types its command.
fn transcript(case: &Case, code: i32) -> String {
    let server = case.server();
    let outcome = case.run(server.as_ref());
    assert_eq!(outcome.code(), Some(code), "{}", outcome.stderr);
    let mut text = format!("# {}\n$ s3fcp {}\n{}", case.what, case.args.join(" "), outcome.stderr);
    let _ = writeln!(text, "=> exit {code}, {} bytes on stdout", outcome.stdout.len());
    if let Some(server) = &server {
        text = text.replace(&server.address().to_string(), "127.0.0.1:PORT");
    }
    steady(&text)
}

/// The same on every machine and in every run.
fn steady(text: &str) -> String {
    let folder = format!("{}/.tmp", env!("CARGO_TARGET_TMPDIR"));
    let mut steady = String::new();
    for line in text.split_inclusive('\n') {
        let line = replaced(line, &folder, |c| c.is_ascii_alphanumeric(), "HOME");
        let line = replaced(&line, "(os error ", |c| c.is_ascii_digit(), "(os error N");
        let line = replaced(&line, ": failed to lookup", |c| c != '\n', ": ...");
        steady.push_str(&line);
    }
    steady.replace(env!("CARGO_PKG_VERSION"), "VERSION").replace(&"x".repeat(64), "no-such-host")
}

/// `start`, and the characters after it that are `rest`, replaced.
fn replaced(line: &str, start: &str, rest: impl Fn(char) -> bool, by: &str) -> String {
    match line.split_once(start) {
        Some((before, after)) => format!("{before}{by}{}", after.trim_start_matches(&rest)),
        None => line.to_owned(),
    }
}

fn stdout(outcome: &Outcome) -> String {
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
    steady(&String::from_utf8_lossy(&outcome.stdout))
}

#[test]
fn the_help() {
    for (name, flag) in [("help-short", "-h"), ("help-long", "--help")] {
        assert_same(name, &stdout(&S3fcp::new().args([flag]).start().wait()));
    }
}
