//! The command line: what is wrong with it is told with exit 2 before anything is asked, and what
//! it can tell without a download.

use s3server::{Checksum, Object, Server};

use crate::support::object::object;
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

#[test]
fn info_describes_the_object_by_one_head_and_no_get() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests().start();
    let stored = Object::new(object(1234)).content_type("text/plain").storage_class("STANDARD_IA");
    let version = server.put("bucket", "a key", stored.checksum(Checksum::Crc64Nvme, "AAAAAAAAAAA="));

    let json = S3fcp::at(&server.endpoint()).args(["--info=json"]).download("s3://bucket/a key");
    assert_eq!((json.code(), json.stderr.as_str()), (Some(0), ""));
    let told: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(told["uri"], "s3://bucket/a key");
    assert_eq!(told["size"], 1234);
    assert_eq!(told["etag"], version.e_tag);
    assert_eq!(told["version_id"], version.id);
    assert_eq!(told["storage_class"], "STANDARD_IA");
    assert_eq!(told["content_type"], "text/plain");
    assert_eq!(told["checksums"]["crc64nvme"], "AAAAAAAAAAA=");

    let text = S3fcp::at(&server.endpoint()).args(["--info"]).download("s3://bucket/a key");
    let text = String::from_utf8(text.stdout).expect("text");
    for part in ["s3://bucket/a key", "1234", &version.e_tag, &version.id, "STANDARD_IA"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let stats = server.stats();
    assert_eq!((stats.heads, stats.gets), (2, 0));

    S3fcp::at(&server.endpoint()).args(["--info"]).download("s3://bucket/other").assert_failed(3, &[]);
}

#[test]
fn info_of_a_version() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    let version = server.put("bucket", "key", object(5));
    server.put("bucket", "key", object(6));
    let run = S3fcp::at(&server.endpoint()).args(["--info=json", "--version-id", &version.id]);
    let told: serde_json::Value = serde_json::from_slice(&run.download(URI).stdout).expect("JSON");
    assert_eq!((&told["size"], &told["version_id"]), (&5.into(), &version.id.into()));
}
