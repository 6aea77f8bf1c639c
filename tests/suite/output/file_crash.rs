//! A crash at every system call of a download to a file leaves nothing, a part that `--continue` completes, or FILE.

use std::fs;
use std::path::Path;

use crate::support::fault_server::{ETAG, FaultServer, Reply};
use crate::support::files::{adopt, folder, names, start};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::URI;
use crate::support::strace::{can_trace, injected};
use crate::support::table;

/// The system calls of a run that concern files: every one that writes, opens, locks or closes.
const FILE_CALLS: [&str; 13] = [
    "openat",
    "renameat2",
    "renameat",
    "unlinkat",
    "ftruncate",
    "fsync",
    "fdatasync",
    "fsetxattr",
    "fchmod",
    "flock",
    "writev",
    "lseek",
    "close",
];

/// More calls of one name than a run makes.
const CALLS_MAX: usize = 400;

/// The system calls that change files: a crash at any other leaves the disk as the one before it did.
const WRITING_CALLS: [&str; 11] = [
    "renameat2",
    "renameat",
    "unlinkat",
    "ftruncate",
    "fsync",
    "fdatasync",
    "fsetxattr",
    "fchmod",
    "utimensat",
    "writev",
    "write",
];

/// The files that a run finds, and its arguments.
struct Scenario {
    before: fn(&Path),
    args: &'static str,
    /// FILE before the run, which it may leave.
    old: Option<&'static [u8]>,
}

/// Makes what a run leaves that is cut in its middle.
fn leave_part(folder: &Path) {
    let cut = FaultServer::start(object(SIZE), |request| match request.chunk(CHUNK) {
        Some(0) | None => Reply::ok(),
        Some(_) => Reply::status(403).code("AccessDenied"),
    });
    let outcome = start(&cut, &folder.join("out"), &[]).wait();
    assert_eq!((outcome.code(), names(folder).len()), (Some(4), 2), "{}", outcome.stderr);
}

fn scenarios() -> Vec<(&'static str, Scenario)> {
    let old: &[u8] = b"old";
    let write_old = |folder: &Path| fs::write(folder.join("out"), "old").expect("a file");
    vec![
        ("a new file", Scenario { before: |_| {}, args: "-o out", old: None }),
        ("a file with a time", Scenario { before: |_| {}, args: "-o out --remote-time", old: None }),
        ("a part", Scenario { before: leave_part, args: "-o out --continue", old: None }),
        ("a part that is discarded", Scenario { before: leave_part, args: "-o out", old: None }),
        ("an old file", Scenario { before: write_old, args: "-o out --force", old: Some(old) }),
        (
            "an old file and a part",
            Scenario {
                before: |folder| {
                    leave_part(folder);
                    fs::write(folder.join("out"), "old").expect("a file");
                },
                args: "-o out --force --continue",
                old: Some(old),
            },
        ),
    ]
}

/// Asserts that FILE is whole, or as it was, and that another run completes it and leaves nothing else.
#[track_caller]
fn assert_completes(server: &FaultServer, folder: &Path, scenario: &Scenario, what: &str) {
    let out = folder.join("out");
    match fs::read(&out).ok() {
        None => assert!(scenario.old.is_none(), "{what}: the old file is gone"),
        Some(bytes) => {
            assert!(bytes == object(SIZE) || Some(&*bytes) == scenario.old, "{what}: FILE is wrong");
        }
    }
    let mut again = vec!["--continue"];
    again.extend(scenario.old.map(|_| "--force"));
    let outcome = start(server, &out, &again).wait();
    assert_eq!(outcome.code(), Some(0), "{what}: {}", outcome.stderr);
    assert!(fs::read(&out).expect("the file") == object(SIZE), "{what}");
    assert_eq!(names(folder), ["out"], "{what}");
}

/// Runs `scenario` once for each time that it makes `call`, which gets `what` instead; returns how often that was.
fn at_each(server: &FaultServer, scenario: &Scenario, call: &str, what: &str) -> usize {
    for nth in 1..CALLS_MAX {
        let folder = folder();
        (scenario.before)(folder.path());
        adopt(server, &folder.path().join("out"));
        let now = format!("{what}:when={nth}");
        let code = injected(server, folder.path(), call, &now, &format!("{} {URI}", scenario.args));
        let name = format!("{} {call} {now} {code:?}", scenario.args);
        if code == Some(0) {
            assert!(fs::read(folder.path().join("out")).expect("the file") == object(SIZE), "{name}");
            // An error that does no harm does not end it.
            if what.starts_with("signal") || !was_called(server, scenario, call, nth) {
                assert_eq!(names(folder.path()), ["out"], "{name}");
                return nth - 1;
            }
            continue;
        }
        assert_completes(server, folder.path(), scenario, &name);
    }
    CALLS_MAX
}

/// Returns whether a run makes `call` at least `nth` times: then it ends by a signal.
fn was_called(server: &FaultServer, scenario: &Scenario, call: &str, nth: usize) -> bool {
    let folder = folder();
    (scenario.before)(folder.path());
    adopt(server, &folder.path().join("out"));
    let args = format!("{} {URI}", scenario.args);
    injected(server, folder.path(), call, &format!("signal=SIGKILL:when={nth}"), &args) != Some(0)
}

#[test]
fn a_kill_at_any_system_call_leaves_nothing_or_a_part_that_continues_or_the_file() {
    if !can_trace() {
        return;
    }
    let server = FaultServer::healthy();
    let new_file = Scenario { before: |_| {}, args: "-o out", old: None };
    let kills: usize =
        FILE_CALLS.iter().map(|call| at_each(&server, &new_file, call, "signal=SIGKILL")).sum();
    assert!(kills > 10, "{kills}");
    table::each(&scenarios(), |scenario| {
        let kills: usize =
            WRITING_CALLS.iter().map(|call| at_each(&server, scenario, call, "signal=SIGKILL")).sum();
        assert!(kills > 5, "{kills}");
    });
}

/// A full disk, one that is broken, and file systems that lack a call.
#[test]
fn an_error_of_any_system_call_leaves_what_continues() {
    if !can_trace() {
        return;
    }
    let server = FaultServer::healthy();
    table::each(&scenarios(), |scenario| {
        for (call, error) in [
            ("renameat2", "EIO"),
            ("renameat2", "EINVAL"),
            ("renameat", "EIO"),
            ("unlinkat", "EIO"),
            ("ftruncate", "EIO"),
            ("fsync", "EIO"),
            ("fdatasync", "EIO"),
            ("fsetxattr", "EOPNOTSUPP"),
            ("fchmod", "EPERM"),
            ("utimensat", "EPERM"),
            ("flock", "ENOLCK"),
            ("writev", "ENOSPC"),
            ("write", "EIO"),
        ] {
            at_each(&server, scenario, call, &format!("error={error}"));
        }
    });
}

/// After an error of fsync(2) the system shows bytes that never reached the disk, and reports no error again.
#[test]
fn bytes_that_could_not_be_synced_are_fetched_again() {
    if !can_trace() {
        return;
    }
    let server = FaultServer::healthy();
    for args in ["-o out", "-o out --remote-time"] {
        let args = &format!("{args} {URI}");
        let folder = folder();
        for call in ["fsync", "fdatasync"] {
            if injected(&server, folder.path(), call, "error=EIO:when=1", args) != Some(0) {
                assert_eq!(names(folder.path()), ["out.part", "out.part.json"]);
                let sent = server.object_bytes();
                let outcome = start(&server, &folder.path().join("out"), &["--continue"]).wait();
                assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
                assert!(outcome.stderr.contains("certain to be on disk"), "{}", outcome.stderr);
                assert_eq!(server.object_bytes() - sent, SIZE);
            }
            fs::remove_file(folder.path().join("out")).expect("FILE");
        }
    }
}

/// Other processes write to the same file: a piece is complete after another run.
#[test]
fn a_kill_or_an_error_in_place_is_made_good_by_another_run() {
    if !can_trace() {
        return;
    }
    let server = FaultServer::healthy();
    let args = format!("-o out --in-place --remote-time --shard 1/3 --if-match '{ETAG}' {URI}");
    let fill = |out: &Path| {
        fs::write(out, vec![7; usize::try_from(SIZE).expect("a size")]).expect("a file");
    };
    let right = folder();
    fill(&right.path().join("out"));
    let shard = ["--in-place", "--shard", "1/3", "--if-match", ETAG];
    assert_eq!(start(&server, &right.path().join("out"), &shard).wait().code(), Some(0));
    let right = fs::read(right.path().join("out")).expect("the file");
    for (call, what) in [
        ("writev", "signal=SIGKILL"),
        ("write", "signal=SIGKILL"),
        ("fsync", "signal=SIGKILL"),
        ("utimensat", "signal=SIGKILL"),
        ("writev", "error=ENOSPC"),
        ("fsync", "error=EIO"),
        ("utimensat", "error=EPERM"),
    ] {
        let (folder, mut failures) = (folder(), 0);
        let out = folder.path().join("out");
        fill(&out);
        for nth in 1..CALLS_MAX {
            let code = injected(&server, folder.path(), call, &format!("{what}:when={nth}"), &args);
            if code == Some(0) {
                break;
            }
            failures += 1;
            assert!(what.starts_with("signal") || code == Some(8), "{call} {what} {nth}: {code:?}");
        }
        assert!(failures > 0 || call == "write", "{call} {what}");
        assert!(fs::read(&out).expect("the file") == right, "{call} {what}");
        assert_eq!(names(folder.path()), ["out"]);
    }
}

/// NFS, FUSE and quotas report there what an earlier write could not do.
#[test]
fn an_error_of_close_is_exit_8() {
    if !can_trace() {
        return;
    }
    let server = FaultServer::healthy();
    let in_place = format!("-o f --in-place --shard 0/2 --if-match '{ETAG}'");
    for (args, error) in [
        ("> f", "EDQUOT"),
        ("> f", "EIO"),
        ("-o f", "ENOSPC"),
        ("-o f --force", "EIO"),
        (&in_place, "EDQUOT"),
    ] {
        let folder = folder();
        let (before, after) = args.split_once('>').map_or((args, ""), |_| ("", args));
        let line = format!("{before} {URI} {after}");
        // The loader fails, too, if the closes of the beginning do.
        let code = (1..60).map(|first| {
            let what = format!("error={error}:when={first}+");
            injected(&server, folder.path(), "close", &what, &line)
        });
        assert_eq!(code.into_iter().find(|code| *code != Some(127)), Some(Some(8)), "{args} {error}");
    }
}
