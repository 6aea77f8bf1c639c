//! A sync, a close or a rename that fails, at each place of a run: such a run never ends with 0, and another one
//! completes what it left.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::support::fault_server::{ETAG, FaultServer, Reply};
use crate::support::files::{adopt, folder, names};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::S3fcp;
use crate::support::strace::{can_trace, failing};
use crate::support::table;

/// More calls of one name than a thread of a run makes.
const CALLS_MAX: usize = 100;

/// The calls that may report that an earlier write was lost, or lose a name.
const CALLS: [&str; 5] = ["fsync", "fdatasync", "close", "renameat", "renameat2"];

/// The errors that disks, network file systems and quotas have.
const ERRORS: [&str; 3] = ["EIO", "ENOSPC", "EDQUOT"];

/// A run: what it finds, its arguments, and the files that it makes.
struct Scenario {
    before: fn(&Path),
    args: &'static str,
    /// Arguments of a run that completes what this one left.
    again: &'static str,
    files: &'static [&'static str],
}

fn old_files(folder: &Path) {
    for name in ["out", "a", "c"] {
        fs::write(folder.join(name), "old").expect("a file");
    }
}

/// Makes what a run leaves that is cut in its middle, by its arguments.
fn leave(folder: &Path, args: &[&str]) {
    let cut = FaultServer::start(object(SIZE), |request| match request.chunk(CHUNK) {
        Some(1..) => Reply::status(403).code("AccessDenied"),
        _ => Reply::ok(),
    });
    let run = S3fcp::at(&cut.endpoint()).window(4, CHUNK).args(["-o"]).args([folder.join(args[0])]);
    assert_eq!(run.args(&args[1..]).start().wait().code(), Some(4));
    assert!(names(folder).iter().any(|name| name.ends_with(".part.json")));
}

fn scenarios() -> Vec<(&'static str, Scenario)> {
    let several = &["a", "b", "c"][..];
    let new = |args, again, files| Scenario { before: |_| {}, args, again, files };
    vec![
        ("a file", new("-o out s3://b/k", "-o out --continue s3://b/k", &["out"])),
        ("a file with a time", new("-o out -R s3://b/k", "-o out -R --continue s3://b/k", &["out"])),
        ("a file of several objects", new("-o out s3://b/{a,b}", "-o out --continue s3://b/{a,b}", &["out"])),
        (
            "an old file",
            Scenario {
                before: old_files,
                ..new("-o out --force s3://b/k", "-o out --force --continue s3://b/k", &["out"])
            },
        ),
        (
            "a part",
            Scenario {
                before: |folder| leave(folder, &["out", "s3://b/k"]),
                ..new("-o out --continue s3://b/k", "-o out --continue s3://b/k", &["out"])
            },
        ),
        ("files", new("-o ./ s3://b/{a,b,c}", "-o ./ --continue s3://b/{a,b,c}", several)),
        ("files with a time", new("-o ./ -R s3://b/{a,b,c}", "-o ./ -R --continue s3://b/{a,b,c}", several)),
        (
            "old files",
            Scenario {
                before: old_files,
                ..new("-o ./ --force s3://b/{a,b,c}", "-o ./ --force --continue s3://b/{a,b,c}", several)
            },
        ),
        (
            "a part of several files",
            Scenario {
                before: |folder| leave(folder, &["", "s3://b/b"]),
                ..new("-o ./ --continue s3://b/{a,b,c}", "-o ./ --continue s3://b/{a,b,c}", several)
            },
        ),
        (
            "in place",
            new(
                "-o out --in-place --shard 0/1 --if-match ETAG s3://b/k",
                "-o out --in-place --shard 0/1 --if-match ETAG s3://b/k",
                &["out"],
            ),
        ),
        (
            "in place of an old file",
            Scenario {
                before: old_files,
                ..new(
                    "-o out --in-place --shard 0/1 --if-match ETAG s3://b/k",
                    "-o out --in-place --shard 0/1 --if-match ETAG s3://b/k",
                    &["out"],
                )
            },
        ),
        ("stdout", new("s3://b/k > out", "s3://b/k > out", &["out"])),
        ("a descriptor", new("-o /dev/fd/3 s3://b/k 3> out", "s3://b/k > out", &["out"])),
    ]
}

/// Writes out what a shell need not know.
fn spelled(args: &str) -> String {
    args.replace("s3://b/{a,b,c}", "s3://b/a s3://b/b s3://b/c")
        .replace("s3://b/{a,b}", "s3://b/a s3://b/b")
        .replace("ETAG", &format!("'{ETAG}'"))
}

impl Scenario {
    fn is_right(&self, folder: &Path, name: &str) -> bool {
        let objects = if self.args.contains("{a,b} ") || self.args.ends_with("{a,b}") { 2 } else { 1 };
        let right = object(SIZE).repeat(objects);
        fs::read(folder.join(name)).is_ok_and(|bytes| bytes == right)
    }

    /// Returns whether a run in which a call failed shows its files whole, old or not at all; bytes that come in place or
    /// by a shell's redirection are there as they come.
    fn is_harmless(&self, folder: &Path, name: &str) -> bool {
        let is_direct = self.args.contains("--in-place") || self.args.contains('>');
        is_direct
            || self.is_right(folder, name)
            || fs::read(folder.join(name)).map_or(true, |bytes| bytes == b"old")
    }

    /// Lets a call fail each time that a thread makes it; returns how many outputs were concerned.
    fn with_failures(&self, server: &FaultServer, call: &str, error: &str) -> usize {
        let mut concerned = 0;
        for nth in 1..CALLS_MAX {
            let folder = folder();
            let folder = folder.path();
            (self.before)(folder);
            self.files.iter().for_each(|name| adopt(server, &folder.join(name)));
            let run = failing(server, folder, self.files, (call, error, nth), &spelled(self.args));
            let what = format!("{call} {nth} {error}: {:?} {:?}", run.exit_code, run.of_outputs);
            assert!(self.files.iter().all(|name| self.is_harmless(folder, name)), "{what}");
            if run.exit_code == Some(0) {
                assert!(run.of_outputs.is_empty(), "{what}");
                assert!(self.files.iter().all(|name| self.is_right(folder, name)), "{what}");
            } else if !run.of_outputs.is_empty() {
                assert_eq!(run.exit_code, Some(8), "{what}");
                let (at, again) = (server.endpoint(), spelled(self.again));
                let again = format!("cd '{}' && s3fcp --endpoint {at} {again}", folder.display());
                let again = S3fcp::shell(&again).start().wait();
                assert_eq!(again.code(), Some(0), "{what}: {}", again.stderr);
                assert!(self.files.iter().all(|name| self.is_right(folder, name)), "{what}");
            }
            concerned += usize::from(!run.of_outputs.is_empty());
            if !run.any {
                return concerned;
            }
        }
        panic!("{call} has no end");
    }
}

#[test]
fn a_sync_close_or_rename_that_fails_never_ends_with_0() {
    if !can_trace() {
        return;
    }
    let server = FaultServer::healthy();
    let next_error = AtomicUsize::new(0);
    table::each(&scenarios(), |scenario| {
        let concerned = |call| {
            let error = ERRORS[next_error.fetch_add(1, Relaxed) % ERRORS.len()];
            scenario.with_failures(&server, call, error)
        };
        let [syncs, data_syncs, closes, renames, final_renames] = CALLS.map(concerned);
        // A stream is closed, and neither synced nor renamed. In place there is one name.
        let (is_stream, has_time) = (scenario.args.contains('>'), scenario.args.contains("-R"));
        let is_renamed = !is_stream && !scenario.args.contains("--in-place");
        assert!(closes > 0 && (syncs == 0) == is_stream && (data_syncs > 0) == has_time);
        assert!((renames > 0) == is_renamed && (final_renames == 0 || is_renamed));
    });
}
