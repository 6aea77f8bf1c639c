//! Credentials that are accepted or refused: what is sent, to whom, and the exit code of a refusal.

use s3server::Server;

use crate::support::files::folder;
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY, URI};
use crate::support::table;

/// A request that the server refuses.
struct Refusal {
    /// What makes it one that is refused.
    change: fn(S3fcp) -> S3fcp,
    uri: &'static str,
    exit_code: i32,
    /// A part of the message.
    message: &'static str,
}

#[test]
fn refusals_end_immediately_with_their_code() {
    let denied = |change, message| Refusal { change, uri: URI, exit_code: 4, message };
    let missing = |uri, message| Refusal { change: |run| run, uri, exit_code: 3, message };
    let table = [
        (
            "wrong secret",
            denied(|run| run.env("AWS_SECRET_ACCESS_KEY", "not/the/secret"), "SignatureDoesNotMatch"),
        ),
        ("unknown key", denied(|run| run.env("AWS_ACCESS_KEY_ID", "AKIANOBODY"), "InvalidAccessKeyId")),
        ("unsigned", denied(|run| run.args(["--no-sign-request"]), "AccessDenied")),
        ("missing key", missing("s3://bucket/other", "NoSuchKey")),
        ("missing bucket", missing("s3://other/key", "NoSuchBucket")),
    ];
    table::each(&table, |&Refusal { change, uri, exit_code, message }| {
        let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
        server.put("bucket", "key", object(SIZE));
        let outcome = change(S3fcp::at(&server.endpoint())).download(uri);
        outcome.assert_failed(exit_code, &[]);
        assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
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
