//! Wrong arguments and wrong configuration end with exit code 2 before any request is sent.

use s3server::Server;

use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY, URI};
use crate::support::table;

#[test]
fn wrong_usage_is_exit_2_and_asks_nobody() {
    let table: [(&str, &[&str]); 16] = [
        ("nothing", &[]),
        ("no scheme", &["bucket/key"]),
        ("another scheme", &["ftp://bucket/key"]),
        ("no key", &["s3://bucket"]),
        ("an empty key", &["s3://bucket/"]),
        ("no bucket", &["s3:///key"]),
        ("a range of two objects", &[URI, URI, "--range", "0-5"]),
        ("unknown flag", &["--frobnicate", URI]),
        ("concurrency 0", &["-c", "0", URI]),
        ("concurrency as a word", &["-c", "many", URI]),
        ("chunks of nothing", &["--chunk-size", "0", URI]),
        ("chunks of a strange unit", &["--chunk-size", "8 parsecs", URI]),
        ("no attempts", &["--max-attempts", "0", URI]),
        ("strange style", &["--addressing-style", "baroque", URI]),
        ("strange format", &["--info=xml", URI]),
        ("an empty version", &["--version-id", "", URI]),
    ];
    table::each(&table, |args| {
        let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
        let outcome = S3fcp::new().env("AWS_ENDPOINT_URL", server.endpoint()).args(*args).start().wait();
        assert_eq!(outcome.code(), Some(2), "{}", outcome.stderr);
        assert_eq!(outcome.stdout, b"");
        assert!(!outcome.stderr.is_empty());
        assert_eq!(server.stats().connections, 0);
    });
}

#[test]
fn bad_configuration_is_exit_2() {
    let table: [(&str, &[&str]); 6] = [
        ("an endpoint without a scheme", &["--endpoint", "localhost"]),
        ("an endpoint of another scheme", &["--endpoint", "ftp://localhost"]),
        ("an endpoint without a host", &["--endpoint", "http://"]),
        ("an endpoint with a user", &["--endpoint", "http://user:pass@localhost"]),
        ("a region that is none", &["--endpoint", "http://127.0.0.1:1", "--region", "evil.example/#"]),
        ("a profile that is not there", &["--endpoint", "http://127.0.0.1:1", "--profile", "none"]),
    ];
    table::each(&table, |args| {
        S3fcp::new().args(*args).download(URI).assert_failed(2, &[]);
    });
}

#[test]
fn help_and_version_go_to_stdout() {
    for (flag, says) in
        [("--help", "s3://"), ("-h", "--chunk-size"), ("--version", env!("CARGO_PKG_VERSION"))]
    {
        let outcome = S3fcp::new().args([flag]).start().wait();
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""), "{flag}");
        let stdout = String::from_utf8(outcome.stdout).expect("text");
        assert!(stdout.contains(says), "{flag}: {stdout}");
    }
}
