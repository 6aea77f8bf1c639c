//! `--info`: a description of the object, by a single HEAD and without downloading anything.

use s3server::{Checksum, Object, Server};

use crate::support::object::object;
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY, URI};

#[test]
fn info_describes_the_object_by_one_head_and_no_get() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests().start();
    let stored = Object::new(object(1234)).content_type("text/plain").storage_class("STANDARD_IA");
    let version = server.put("bucket", "a key", stored.checksum(Checksum::Crc64Nvme, "AAAAAAAAAAA="));

    let json = S3fcp::at(&server.endpoint()).args(["--info=json"]).download("s3://bucket/a key");
    assert_eq!((json.code(), json.stderr.as_str()), (Some(0), ""));
    let shown: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(shown["uri"], "s3://bucket/a key");
    assert_eq!(shown["size"], 1234);
    assert_eq!(shown["etag"], version.e_tag);
    assert_eq!(shown["version_id"], version.id);
    assert_eq!(shown["storage_class"], "STANDARD_IA");
    assert_eq!(shown["content_type"], "text/plain");
    assert_eq!(shown["checksums"]["crc64nvme"], "AAAAAAAAAAA=");

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
fn descriptions_of_several_objects_are_apart() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    server.put("bucket", "key", object(5));
    for (option, between) in [("--info", "\n\nuri:"), ("--info=json", "}\n{")] {
        let described = S3fcp::at(&server.endpoint()).args([option, URI]).download(URI);
        let text = String::from_utf8(described.stdout).expect("text");
        assert_eq!(text.matches(between).count(), 1, "{text}");
        assert!(!text.starts_with('\n') && !text.ends_with("\n\n"), "{text}");
    }
}

#[test]
fn info_of_a_version() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    let version = server.put("bucket", "key", object(5));
    server.put("bucket", "key", object(6));
    let run = S3fcp::at(&server.endpoint()).args(["--info=json", "--version-id", &version.id]);
    let shown: serde_json::Value = serde_json::from_slice(&run.download(URI).stdout).expect("JSON");
    assert_eq!((&shown["size"], &shown["version_id"]), (&5.into(), &version.id.into()));
}
