//! Keys that other clients break: each must reach the server encoded once, not normalised, and signed as it is sent.

use s3server::Server;

use crate::support::fault_server::FaultServer;
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY};
use crate::support::table;

#[test]
fn hard_keys_reach_the_wire_encoded_once() {
    let table = [
        ("a space", (" a b ", "%20a%20b%20")),
        ("plus", ("a+b", "a%2Bb")),
        ("equals", ("a=b", "a%3Db")),
        ("ampersand", ("a&b", "a%26b")),
        ("percent", ("100%", "100%25")),
        ("an encoded slash", ("a%2Fb", "a%252Fb")),
        ("a double slash", ("a//b", "a//b")),
        ("a slash first", ("/a", "/a")),
        ("a slash last", ("a/", "a/")),
        ("dots", ("a/../b/./c", "a/../b/./c")),
        ("a question mark", ("a?versionId=b", "a%3FversionId%3Db")),
        ("a hash", ("a#b", "a%23b")),
        ("unreserved", ("a-b_c.d~e", "a-b_c.d~e")),
        ("two bytes", ("é", "%C3%A9")),
        ("three bytes", ("☃", "%E2%98%83")),
        ("four bytes", ("🦀", "%F0%9F%A6%80")),
        ("quotes and brackets", ("'\"()[]{}<>", "%27%22%28%29%5B%5D%7B%7D%3C%3E")),
        ("other signs", ("!$*,:;@^`|\\", "%21%24%2A%2C%3A%3B%40%5E%60%7C%5C")),
        ("a control character", ("a\tb\nc", "a%09b%0Ac")),
        ("a URL", ("https://host/path?x=y", "https%3A//host/path%3Fx%3Dy")),
    ];
    table::each(&table, |&(key, encoded)| {
        let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests().start();
        let bytes = object(1000);
        server.put("bucket", key, bytes.clone());
        let uri = format!("s3://bucket/{key}");
        S3fcp::at(&server.endpoint()).window(2, 600).download(&uri).assert_object(&bytes);
        let requests = server.requests();
        assert!(requests.len() >= 2);
        for request in requests {
            assert_eq!(request.target, format!("/bucket/{encoded}"));
        }
    });
}

#[test]
fn the_longest_key_works() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    let bytes = object(1000);
    let key = "☃".repeat(341) + "x";
    server.put("bucket", &key, bytes.clone());
    S3fcp::at(&server.endpoint()).download(&format!("s3://bucket/{key}")).assert_object(&bytes);
}

/// A tenant of Ceph stands before the bucket's name, and the colon is encoded in the path that is sent and signed.
#[test]
fn a_tenant_is_a_part_of_the_bucket() {
    let table = [
        ("a key", ("s3://tenant:bucket/a key", "/tenant%3Abucket/a%20key")),
        ("a colon in the key too", ("s3://ten:b/a:b", "/ten%3Ab/a%3Ab")),
        ("a dollar sign", ("s3://ten:b/a$b", "/ten%3Ab/a%24b")),
        ("capitals and underscores", ("s3://Ten_1:My_Bucket/k", "/Ten_1%3AMy_Bucket/k")),
        ("a region with underscores", ("s3://ten:b/k", "/ten%3Ab/k")),
    ];
    table::each(&table, |&(uri, target)| {
        let server = FaultServer::healthy();
        let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--region", "zg_public:1"]);
        run.download(uri).assert_object(&object(SIZE));
        let requests = server.requests();
        assert!(requests.len() > CHUNKS, "{}", requests.len());
        assert!(requests.iter().all(|request| request.target == target), "{requests:?}");
    });
    // AWS has no tenants.
    S3fcp::new().env("AWS_REGION", "us-east-1").download("s3://tenant:bucket/key").assert_failed(2, &[]);
}
