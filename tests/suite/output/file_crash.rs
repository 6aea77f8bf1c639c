//! A crash at every system call of a download to a file leaves nothing, a part that `--continue` completes, or FILE.

use std::fs;
use std::path::Path;

use crate::support::fault_server::{FaultServer, Reply};
use crate::support::files::{assert_good, folder, names, start};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, URI};

const STRACE: &str = "/usr/bin/strace";

/// The calls by which files change, and those between them.
const CALLS: [&str; 13] = [
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

/// Runs the program under strace, which does `what` to the `nth` of these calls of a thread.
fn injected(server: &FaultServer, folder: &Path, call: &str, what: &str, args: &str) -> Option<i32> {
    let line = format!(
        "exec {STRACE} -f -qq -o /dev/null -e trace={call} -e inject={call}:{what} \
         s3fcp --endpoint {} -c 4 --chunk-size {CHUNK} --hedge off {args} {URI}",
        server.endpoint()
    );
    S3fcp::shell(&format!("cd '{}' && {line}", folder.display())).start().wait().code()
}

fn can_trace() -> bool {
    let traced = S3fcp::shell(&format!("exec {STRACE} -f -qq -o /dev/null s3fcp --version")).start().wait();
    let can = traced.code() == Some(0);
    if !can {
        eprintln!("SKIPPED: strace is not there or may not trace: {}", traced.stderr);
    }
    can
}

#[test]
fn a_kill_at_any_system_call_leaves_nothing_or_a_part_that_continues_or_the_file() {
    if !can_trace() {
        return;
    }
    let server = FaultServer::start(object(SIZE), |_| Reply::ok());
    let mut kills = 0;
    for call in CALLS {
        for nth in 1..CALLS_MAX {
            let folder = folder();
            let out = folder.path().join("out");
            let what = format!("signal=SIGKILL:when={nth}");
            if injected(&server, folder.path(), call, &what, "-o out") == Some(0) {
                assert_eq!(names(folder.path()), ["out"]);
                break;
            }
            kills += 1;
            if out.exists() {
                assert!(fs::read(&out).expect("the file") == object(SIZE), "{call} {nth}");
            }
            assert_good(&start(&server, &out, &["--continue"]).wait());
            assert!(fs::read(&out).expect("the file") == object(SIZE), "{call} {nth}");
            assert_eq!(names(folder.path()), ["out"], "{call} {nth}");
        }
    }
    assert!(kills > 10, "{kills}");
}

/// NFS, FUSE and quotas report there what an earlier write could not do.
#[test]
fn an_error_of_close_is_exit_8() {
    if !can_trace() {
        return;
    }
    let server = FaultServer::start(object(SIZE), |_| Reply::ok());
    for (args, error) in [("> f", "EDQUOT"), ("> f", "EIO"), ("-o f", "ENOSPC"), ("-o f --force", "EIO")] {
        let folder = folder();
        let (before, after) = args.split_once('>').map_or((args, ""), |_| ("", args));
        let line = format!("{before} {URI} {after} #");
        // The loader fails, too, if the closes of the beginning do.
        let code = (1..60).map(|first| {
            let what = format!("error={error}:when={first}+");
            injected(&server, folder.path(), "close", &what, &line)
        });
        assert_eq!(code.into_iter().find(|code| *code != Some(127)), Some(Some(8)), "{args} {error}");
    }
}
