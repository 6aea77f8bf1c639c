//! A stderr that cannot be written to: the exit code alone reports the outcome, and it is the right one.

use crate::support::fault_server::{FaultServer, Reply};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

/// A shell's redirection of stderr: closed, not open for writing, or on a disk that is full.
const NOWHERE: [&str; 3] = [
    "2>&-",
    "2</dev/null",
    #[cfg(target_os = "linux")]
    "2>/dev/full",
];

fn run(nowhere: &str, server: &FaultServer) -> S3fcp {
    S3fcp::redirected(nowhere).args(["--endpoint", &server.endpoint()]).window(4, CHUNK)
}

#[test]
fn a_failure_keeps_its_code() {
    let table = [
        ("not found", (404, "NoSuchKey", 3)),
        ("denied", (403, "AccessDenied", 4)),
        ("broken", (501, "NotImplemented", 5)),
        ("changed", (412, "PreconditionFailed", 6)),
    ];
    table::each(&table, |&(status, code, exit)| {
        let server = FaultServer::start(object(SIZE), move |_| Reply::status(status).code(code));
        for nowhere in NOWHERE {
            let outcome = run(nowhere, &server).download(URI);
            assert_eq!((outcome.code(), outcome.stdout.len()), (Some(exit), 0), "{nowhere}");
        }
    });
}

#[test]
fn bad_usage_is_still_exit_2() {
    for nowhere in NOWHERE {
        for args in [&["--frobnicate", URI][..], &["--endpoint", "localhost", URI], &["nothing"]] {
            let outcome = S3fcp::redirected(nowhere).args(args).start().wait();
            assert_eq!(outcome.code(), Some(2), "{nowhere} {args:?}");
        }
    }
}

#[test]
fn a_good_download_does_not_miss_it() {
    let server = FaultServer::healthy();
    for nowhere in NOWHERE {
        run(nowhere, &server).download(URI).assert_object(&object(SIZE));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_under_both_is_exit_8() {
    let server = FaultServer::healthy();
    let outcome = run(">/dev/full 2>&1", &server).download(URI);
    assert_eq!(outcome.code(), Some(8), "{:?}", outcome.status);
}
