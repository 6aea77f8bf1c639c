//! Answers that ask for patience: each is tried again, after a while, and not without end.

use std::time::Duration;

use crate::cases;
use crate::fault::{FaultServer, REQUEST_ID, Reply, always, once};
use crate::object::{CHUNK, CHUNKS, SIZE, object};
use crate::run::{S3fcp, URI};

/// The answers of S3 that the same request may outlive (Amazon S3 API Reference, "Error responses").
fn transient() -> Vec<(&'static str, Reply)> {
    vec![
        ("408", Reply::status(408)),
        ("429", Reply::status(429)),
        ("500", Reply::status(500)),
        ("500 InternalError", Reply::status(500).code("InternalError")),
        ("502", Reply::status(502)),
        ("503", Reply::status(503)),
        ("503 ServiceUnavailable", Reply::status(503).code("ServiceUnavailable")),
        ("503 SlowDown", Reply::status(503).code("SlowDown")),
        ("503 in HTML", Reply::status(503).header("content-type", "text/html").body("<html>busy")),
        ("504", Reply::status(504)),
        ("400 RequestTimeout", Reply::status(400).code("RequestTimeout")),
        ("400 ThrottlingException", Reply::status(400).code("ThrottlingException")),
        ("400 Throttling", Reply::status(400).code("Throttling")),
    ]
}

#[test]
fn one_refusal_of_the_first_range_is_outlived() {
    cases::each(&transient(), |reply| outlived(0, reply));
}

#[test]
fn one_refusal_of_a_later_range_is_outlived() {
    cases::each(&transient(), |reply| outlived(3, reply));
}

fn outlived(chunk: u64, reply: &Reply) {
    let server = FaultServer::start(object(SIZE), once(chunk, reply.clone()));
    let outcome = S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI);
    outcome.assert_object(&object(SIZE));
    assert_eq!(outcome.stderr, "");
    assert_eq!(server.gets().len(), CHUNKS + 1);
    assert_eq!(server.object_bytes(), SIZE);
}

#[test]
fn retry_after_is_honoured() {
    for chunk in [0, 3] {
        let server = FaultServer::start(object(SIZE), once(chunk, Reply::status(503).retry_after(1)));
        S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI).assert_object(&object(SIZE));
        let at: Vec<_> =
            server.gets().iter().filter(|get| get.chunk(CHUNK) == Some(chunk)).map(|get| get.at).collect();
        assert_eq!(at.len(), 2);
        assert!(at[1] - at[0] >= Duration::from_secs(1), "{:?}", at[1] - at[0]);
    }
}

#[test]
fn attempts_end_where_the_user_says() {
    let table = [("1", 1), ("2", 2), ("3", 3)];
    cases::each(&table, |&attempts: &usize| {
        for chunk in [0, 3] {
            let server = FaultServer::start(object(SIZE), always(chunk, Reply::status(503).code("SlowDown")));
            let run = S3fcp::at(&server.endpoint()).window(4, CHUNK);
            let outcome = run.args(["--max-attempts", &attempts.to_string()]).download(URI);
            outcome.assert_failed(5, &object(SIZE));
            assert_eq!(outcome.stdout.len() as u64, chunk * CHUNK);
            for part in ["SlowDown", "503", REQUEST_ID] {
                assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
            }
            if attempts > 1 {
                assert!(outcome.stderr.contains(&format!("{attempts} attempts")), "{}", outcome.stderr);
            }
            let tried = server.gets().iter().filter(|get| get.chunk(CHUNK) == Some(chunk)).count();
            assert_eq!(tried, attempts);
        }
    });
}

#[test]
fn before_the_first_byte_four_attempts_are_enough() {
    let server = FaultServer::start(object(SIZE), |_| Reply::status(500));
    S3fcp::at(&server.endpoint()).download(URI).assert_failed(5, &[]);
    assert_eq!(server.gets().len(), 4);
}
