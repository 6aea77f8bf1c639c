//! Descriptors that the process was started with, or without: stdout by other names, closed, full, or failing at close.

use std::fs;

use crate::support::fault_server::FaultServer;
use crate::support::files::{folder, names};
use crate::support::object::{SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

fn shell(server: &FaultServer, line: &str, folder: &std::path::Path) -> crate::support::run::Outcome {
    let program = format!("s3fcp --endpoint {} {URI}", server.endpoint());
    let line = line.replace("S3FCP", &program);
    S3fcp::shell(&format!("cd '{}' && {line}", folder.display())).start().wait()
}

#[test]
fn a_descriptor_by_its_name_is_written_in_order_and_keeps_what_was_there() {
    let table = [
        ("stdout to a file", ("{ printf old; S3FCP -o /dev/stdout; printf new; } > f", "f")),
        ("stdout that appends", ("printf old > f; S3FCP --force -o /dev/stdout >> f; printf new >> f", "f")),
        ("a descriptor", ("{ printf old >&3; S3FCP -o /dev/fd/3; printf new >&3; } 3> f", "f")),
        ("through proc", ("{ printf old; S3FCP -o /proc/self/fd/1; printf new; } > f", "f")),
        ("stderr", ("{ printf old >&2; S3FCP -q -o /dev/stderr; printf new >&2; } 2> f", "f")),
        (
            "a link of the user's",
            ("ln -s /dev/stdout l; { printf old; S3FCP -o l; printf new; } > f; rm l", "f"),
        ),
    ];
    let server = FaultServer::healthy();
    table::each(&table, |&(line, file)| {
        let folder = folder();
        let outcome = shell(&server, &format!("PATH=$PATH:/usr/bin:/bin; {line}"), folder.path());
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
        let want = [&b"old"[..], &object(SIZE), b"new"].concat();
        assert!(fs::read(folder.path().join(file)).expect("the file") == want);
        assert_eq!(names(folder.path()), ["f"]);
    });
}

#[test]
fn an_output_that_is_closed_is_exit_8() {
    let table = [
        ("stdout", "S3FCP >&-"),
        ("stdout by its name", "S3FCP -o /dev/stdout >&-"),
        ("stdout and stderr", "S3FCP >&- 2>&-"),
        ("metadata", "S3FCP --info >&-"),
        ("help", "s3fcp --help >&-"),
        ("short help", "s3fcp -h >&-"),
        ("the version", "s3fcp --version >&-"),
        ("the manual", "s3fcp --man >&-"),
        ("a descriptor", "S3FCP -o /dev/fd/7 7>&-"),
        ("a descriptor to read", "S3FCP -o /dev/fd/7 7< /dev/null"),
        ("help to a full disk", "s3fcp --help > /dev/full"),
        ("the version to a full disk", "s3fcp --version > /dev/full"),
        ("metadata to a full disk", "S3FCP --info > /dev/full"),
    ];
    let server = FaultServer::healthy();
    table::each(&table, |line| {
        let folder = folder();
        let outcome = shell(&server, line, folder.path());
        assert_eq!((outcome.code(), outcome.stdout.len()), (Some(8), 0), "{}", outcome.stderr);
    });
}

#[test]
fn an_output_that_nobody_wants_is_fine() {
    let server = FaultServer::healthy();
    for line in ["S3FCP > /dev/null", "S3FCP -o f >&-", "S3FCP -o f 2>&-", "s3fcp --help > /dev/null"] {
        let folder = folder();
        let outcome = shell(&server, line, folder.path());
        assert_eq!(outcome.code(), Some(0), "{line}: {}", outcome.stderr);
    }
}
