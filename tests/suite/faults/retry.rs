//! Responses that ask the client to wait: how long it waits, how often it tries, and the message when it gives up. The
//! table of faults has the list of these responses.

use std::time::Duration;

use crate::support::fault_server::{FaultServer, REQUEST_ID, Reply, always, once};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

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
    table::each(&table, |&attempts: &usize| {
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
