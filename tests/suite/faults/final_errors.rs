//! Responses that no retry can change: the download ends after the first of them, with the right exit code and a
//! message that repeats what the service said.

use crate::support::fault_server::{FaultServer, Gate, REQUEST_ID, Reply};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

/// A status, S3's code for it, and the exit code that they end in.
type Final = (u16, Option<&'static str>, i32);

const FINAL: [(&str, Final); 19] = [
    ("AccessDenied", (403, Some("AccessDenied"), 4)),
    ("SignatureDoesNotMatch", (403, Some("SignatureDoesNotMatch"), 4)),
    ("InvalidAccessKeyId", (403, Some("InvalidAccessKeyId"), 4)),
    ("an archived object", (403, Some("InvalidObjectState"), 4)),
    ("another 403", (403, Some("AllAccessDisabled"), 4)),
    ("a bare 403", (403, None, 4)),
    ("401", (401, None, 4)),
    ("NoSuchKey", (404, Some("NoSuchKey"), 3)),
    ("NoSuchBucket", (404, Some("NoSuchBucket"), 3)),
    ("NoSuchVersion", (404, Some("NoSuchVersion"), 3)),
    ("a bare 404", (404, None, 3)),
    ("405 MethodNotAllowed", (405, Some("MethodNotAllowed"), 5)),
    ("405 NotImplemented", (405, Some("NotImplemented"), 5)),
    ("a bare 405", (405, None, 5)),
    ("412", (412, Some("PreconditionFailed"), 6)),
    ("501", (501, Some("NotImplemented"), 5)),
    ("400", (400, Some("InvalidRequest"), 5)),
    ("a status nobody knows", (499, None, 5)),
    ("a redirect to nowhere", (307, Some("TemporaryRedirect"), 2)),
];

fn reply(status: u16, code: Option<&str>) -> Reply {
    code.map_or(Reply::status(status), |code| Reply::status(status).code(code))
}

#[test]
fn a_final_answer_to_the_first_get_ends_it_immediately() {
    table::each(&FINAL, |&(status, code, exit)| {
        let reply = reply(status, code);
        let server = FaultServer::start(object(SIZE), move |_| reply.clone());
        let outcome = S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI);
        outcome.assert_failed(exit, &[]);
        for part in [URI, code.unwrap_or(""), &status.to_string(), REQUEST_ID] {
            assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
        }
        assert!(outcome.stderr.lines().count() <= 3, "{}", outcome.stderr);
        // A server that implements no ranges may have the object all the same.
        assert_eq!(server.gets().len(), if matches!(status, 405 | 501) { 2 } else { 1 });
        // The HEAD beside it, and one without the header that some servers do not know.
        assert!(server.heads() <= 2);
    });
}

#[test]
fn the_message_has_a_hint_that_fits_the_code() {
    let table = [
        ("archived", (403, "InvalidObjectState", "restore")),
        ("expired", (400, "ExpiredToken", "renew")),
        ("signature", (403, "SignatureDoesNotMatch", "secret")),
    ];
    table::each(&table, |&(status, code, says)| {
        let reply = Reply::status(status).code(code);
        let server = FaultServer::start(object(SIZE), move |_| reply.clone());
        let outcome = S3fcp::at(&server.endpoint()).download(URI);
        outcome.assert_failed(4, &[]);
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
    });
}

/// A range that waits because the server is busy is delivered in front of one that was refused, and the refusal is
/// what the download ends with.
#[test]
fn a_busy_server_does_not_hide_a_refusal() {
    let waits = Gate::closed();
    let server =
        FaultServer::start(object(SIZE), move |request| match (request.chunk(CHUNK), request.attempt) {
            (Some(1), 0) => Reply::status(503).code("SlowDown").retry_after(1).then_open(&waits),
            (Some(2), _) => Reply::status(404).code("NoSuchKey").delay_until(&waits),
            _ => Reply::ok(),
        });
    let outcome = S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI);
    outcome.assert_failed(3, &object(SIZE));
    assert_eq!(outcome.stdout.len() as u64, 2 * CHUNK);
    assert!(outcome.stderr.contains("NoSuchKey"), "{}", outcome.stderr);
}
