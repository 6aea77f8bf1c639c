//! Text from a server reaches a terminal without its control characters and cut to a limited length.

use crate::support::fault_server::{FaultServer, Reply, always, once};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{Outcome, S3fcp, URI};
use crate::support::table;

/// All fields of three hundred letters, and what we say ourselves.
const CHARS_MAX: usize = 2000;

/// Ways to write what a terminal would obey (ECMA-48), or would never end.
fn texts() -> Vec<(&'static str, String)> {
    vec![
        ("an escape sequence", "\u{1b}[2J\u{1b}]0;owned\u{7}".to_owned()),
        ("the same as references", "&#27;[2J&#x1b;]0;owned&#7;".to_owned()),
        ("C1", "\u{9b}2J\u{9d}0;owned\u{9c}".to_owned()),
        ("C1 as references", "&#155;2J&#x9d;".to_owned()),
        ("lines", "one\ntwo\r\nthree\rfour\u{b}five\u{85}six".to_owned()),
        ("lines as references", "one&#10;two&#13;three".to_owned()),
        ("in a section", "<![CDATA[\u{1b}[2J\u{8}\u{8}]]>".to_owned()),
        ("NUL and DEL", "\0\u{7f}".to_owned()),
        ("long", "x".repeat(10_000)),
        ("long and wide", "\u{2603}".repeat(10_000)),
        ("longer than is read", "x".repeat(1 << 20)),
        ("long and hidden", format!("{}\u{1b}[2J", "x".repeat(290))),
    ]
}

/// An error document with `text` in one of its fields, or in all.
fn documents(text: &str) -> Vec<String> {
    let document = |code: &str, message: &str, id: &str, region: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
             <Message>{message}</Message><RequestId>{id}</RequestId><Region>{region}</Region></Error>"
        )
    };
    vec![
        document(text, "m", "i", "eu-west-1"),
        document("AccessDenied", text, "i", "eu-west-1"),
        document("AccessDenied", "m", text, "eu-west-1"),
        document("PermanentRedirect", "m", "i", text),
        document(text, text, text, text),
        text.to_owned(),
    ]
}

#[track_caller]
fn assert_harmless(outcome: &Outcome) {
    let said = &outcome.stderr;
    assert!(said.starts_with("s3fcp: "), "{said:?}");
    assert!(!said.contains(|c: char| c.is_control() && c != '\n'), "{said:?}");
    // The command that continues is another matter: it repeats what the user typed.
    let (said, _) = said.split_once("  stopped at byte").unwrap_or((said, ""));
    assert!(said.lines().count() <= 3, "{said:?}");
    assert!(said.chars().count() <= CHARS_MAX, "{} characters", said.chars().count());
}

#[test]
fn error_documents_are_shown_without_harm() {
    table::each(&texts(), |text| {
        for document in documents(text) {
            for status in [301, 400, 403] {
                let reply = Reply::status(status).body(document.clone());
                let server = FaultServer::start(object(SIZE), always(0, reply));
                let outcome = S3fcp::at(&server.endpoint()).window(1, CHUNK).download(URI);
                assert!(matches!(outcome.code(), Some(2 | 4 | 5)), "{:?}", outcome.status);
                assert_eq!(outcome.stdout, b"");
                assert_harmless(&outcome);
            }
        }
    });
}

#[test]
fn those_of_a_description_too() {
    let all = format!("<Error><Code>{0}</Code><Message>{0}</Message></Error>", "&#27;[2J&#10;".repeat(500));
    let server = FaultServer::start(object(SIZE), move |_| Reply::status(403).body(all.clone()));
    let outcome = S3fcp::at(&server.endpoint()).args(["--info"]).download(URI);
    assert_eq!((outcome.code(), outcome.stdout.len()), (Some(4), 0));
    assert_harmless(&outcome);
}

#[test]
fn headers_are_shown_without_harm() {
    let long = "x".repeat(5000);
    let table = [
        ("request id", Reply::status(505).header("x-amz-request-id", long.clone())),
        ("region", Reply::status(301).header("x-amz-bucket-region", long)),
        ("a region that is none", Reply::status(301).header("x-amz-bucket-region", "evil.example/#")),
    ];
    table::each(&table, |reply| {
        for chunk in [0, 1] {
            let server = FaultServer::start(object(SIZE), always(chunk, reply.clone()));
            let run = S3fcp::at(&server.endpoint()).window(1, CHUNK).args(["--max-attempts", "1"]);
            let outcome = run.download(URI);
            assert!(matches!(outcome.code(), Some(2 | 5)), "{:?}", outcome.status);
            assert_harmless(&outcome);
        }
    });
    // A failure that was survived is not mentioned at all.
    let server = FaultServer::start(object(SIZE), once(1, Reply::status(503).code("\u{1b}[2J")));
    let outcome = S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI);
    outcome.assert_object(&object(SIZE));
    assert_eq!(outcome.stderr, "");
}
