//! Credentials: who is let in, what is sent to whom, and how a refusal ends.

use s3server::Server;

use crate::support::files::folder;
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY, URI};
use crate::support::table;

/// A change to a run, the object, the exit code and a part of the message.
type Refusal<'a> = (fn(S3fcp) -> S3fcp, &'a str, i32, &'a str);

#[test]
fn refusals_end_at_once_with_their_code() {
    let table: [(&str, Refusal); 5] = [
        (
            "wrong secret",
            (|run| run.env("AWS_SECRET_ACCESS_KEY", "not/the/secret"), URI, 4, "SignatureDoesNotMatch"),
        ),
        ("unknown key", (|run| run.env("AWS_ACCESS_KEY_ID", "AKIANOBODY"), URI, 4, "InvalidAccessKeyId")),
        ("unsigned", (|run| run.args(["--no-sign-request"]), URI, 4, "AccessDenied")),
        ("missing key", (|run| run, "s3://bucket/other", 3, "NoSuchKey")),
        ("missing bucket", (|run| run, "s3://other/key", 3, "NoSuchBucket")),
    ];
    table::each(&table, |(change, uri, code, says)| {
        let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
        server.put("bucket", "key", object(SIZE));
        let outcome = change(S3fcp::at(&server.endpoint())).download(uri);
        outcome.assert_failed(*code, &[]);
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(uri), "{}", outcome.stderr);
        assert!(outcome.stderr.lines().count() <= 3, "{}", outcome.stderr);
        assert_eq!(server.stats().gets, 1);
    });
}

#[test]
fn an_unsigned_download_has_no_authorization_and_asks_nobody_for_keys() {
    let server = Server::builder().anonymous().log_requests().start();
    server.put("bucket", "key", object(SIZE));
    let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--no-sign-request"]);
    let run = run.without_env("AWS_ACCESS_KEY_ID").without_env("AWS_SECRET_ACCESS_KEY");
    run.download(URI).assert_object(&object(SIZE));
    for request in server.requests() {
        for name in ["authorization", "x-amz-security-token", "x-amz-date"] {
            assert!(!request.headers.contains_key(name), "{request:?}");
        }
    }
}

#[test]
fn a_session_token_is_sent_and_signed() {
    let token = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJ=";
    let server = Server::builder().session(ACCESS_KEY, SECRET_KEY, token).start();
    server.put("bucket", "key", object(SIZE));
    let run = || S3fcp::at(&server.endpoint()).window(4, CHUNK);
    run().env("AWS_SESSION_TOKEN", token).download(URI).assert_object(&object(SIZE));
    let without = run().download(URI);
    without.assert_failed(4, &[]);
    assert!(without.stderr.contains("InvalidToken"), "{}", without.stderr);
}

#[test]
fn keys_come_from_a_profile_too() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).region("eu-central-1").start();
    server.put("bucket", "key", object(SIZE));
    let folder = folder();
    let file = folder.path().join("config");
    let profile = format!(
        "[profile lab]\nregion = eu-central-1\nendpoint_url = {}\n\
         aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n",
        server.endpoint()
    );
    std::fs::write(&file, profile).expect("a file");
    let mut run = S3fcp::new().env("AWS_CONFIG_FILE", &file).args(["--profile", "lab"]);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"] {
        run = run.without_env(name);
    }
    run.download(URI).assert_object(&object(SIZE));
}

#[test]
fn without_credentials_nothing_is_asked() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    let run = S3fcp::at(&server.endpoint());
    let run = run.without_env("AWS_ACCESS_KEY_ID").without_env("AWS_SECRET_ACCESS_KEY");
    run.download(URI).assert_failed(4, &[]);
    assert_eq!(server.stats().gets, 0);
}
