//! Connections that break: the download goes on at the byte reached, on another connection, and no
//! byte that arrived is fetched again.

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use crate::cases;
use crate::fault::{FaultServer, Gate, Greeting, Options, Reply, Request, once};
use crate::object::{CHUNK, CHUNKS, SIZE, object};
use crate::run::{Outcome, S3fcp, URI};

fn download(server: &FaultServer) -> Outcome {
    S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI)
}

/// The requests for one chunk, in order.
fn attempts(server: &FaultServer, chunk: u64) -> Vec<Request> {
    server.gets().into_iter().filter(|get| get.chunk(CHUNK) == Some(chunk)).collect()
}

/// The bytes of a chunk, from `reached` bytes into it.
fn rest(chunk: u64, reached: u64) -> Range<u64> {
    chunk * CHUNK + reached..SIZE.min((chunk + 1) * CHUNK)
}

#[test]
fn a_cut_is_resumed_at_the_byte_reached() {
    let table = [
        ("first chunk, before its first byte", (0, 0)),
        ("first chunk, behind its first byte", (0, 1)),
        ("first chunk, in the middle", (0, CHUNK / 2)),
        ("first chunk, before its last byte", (0, CHUNK - 1)),
        ("middle chunk, before its first byte", (2, 0)),
        ("middle chunk, behind its first byte", (2, 1)),
        ("middle chunk, in the middle", (2, CHUNK / 2 + 7)),
        ("middle chunk, before its last byte", (2, CHUNK - 1)),
        ("last chunk, before its first byte", (5, 0)),
        ("last chunk, in the middle", (5, 600)),
        ("last chunk, before its last byte", (5, 1233)),
    ];
    cases::each(&table, |&(chunk, reached)| {
        let server = FaultServer::start(object(SIZE), once(chunk, Reply::ok().cut_after(reached)));
        download(&server).assert_object(&object(SIZE));
        let attempts = attempts(&server, chunk);
        let ranges: Vec<_> = attempts.iter().map(|get| get.range.clone()).collect();
        assert_eq!(ranges, [Some(rest(chunk, 0)), Some(rest(chunk, reached))]);
        assert_ne!(attempts[0].connection, attempts[1].connection);
        assert_eq!(server.gets().len(), CHUNKS + 1);
        assert_eq!(server.object_bytes(), SIZE);
    });
}

#[test]
fn a_cut_behind_the_last_byte_costs_nothing() {
    let every = |request: &Request| if request.is_get() { Reply::ok().cut_after(CHUNK) } else { Reply::ok() };
    let server = FaultServer::start(object(SIZE), every);
    download(&server).assert_object(&object(SIZE));
    assert_eq!(server.gets().len(), CHUNKS);
}

#[test]
fn a_reset_is_resumed_inside_what_was_sent() {
    let table = [
        ("first chunk, no byte", (0, 0)),
        ("first chunk, a byte", (0, 1)),
        ("first chunk, half of it", (0, CHUNK / 2)),
        ("first chunk, all but a byte", (0, CHUNK - 1)),
        ("middle chunk, half of it", (3, CHUNK / 2)),
        ("last chunk, half of it", (5, 600)),
    ];
    cases::each(&table, |&(chunk, sent)| {
        let server = FaultServer::start(object(SIZE), once(chunk, Reply::ok().reset_after(sent)));
        download(&server).assert_object(&object(SIZE));
        let attempts = attempts(&server, chunk);
        assert_eq!(attempts.len(), 2);
        let again = attempts[1].range.clone().expect("a range");
        // A reset takes away what the client had not read: it may ask for that part again, not more.
        assert!((rest(chunk, 0).start..=rest(chunk, sent).start).contains(&again.start), "{again:?}");
        assert_eq!(again.end, rest(chunk, 0).end);
        assert_eq!(server.gets().len(), CHUNKS + 1);
    });
}

/// The reset comes when its reader has seen every byte before it: then not one may be fetched again.
#[test]
fn bytes_reach_stdout_at_once_and_a_reset_behind_them_repeats_none() {
    let delivered = Gate::closed();
    let reply = Reply::ok().pause_after(10_000, &delivered).reset_after(10_000);
    let server = FaultServer::start(object(SIZE), once(0, reply));
    let (running, stdout) = S3fcp::at(&server.endpoint()).window(4, CHUNK).args([URI]).start_unread();
    let mut stdout = stdout.expect("a pipe");
    let mut bytes = vec![0; 10_000];
    stdout.read_exact(&mut bytes).expect("the head of the line, while its range is not complete");
    delivered.open();
    stdout.read_to_end(&mut bytes).expect("the rest");
    let mut outcome = running.wait();
    outcome.stdout = bytes;
    outcome.assert_object(&object(SIZE));
    let ranges: Vec<_> = attempts(&server, 0).into_iter().map(|get| get.range).collect();
    assert_eq!(ranges, [Some(rest(0, 0)), Some(rest(0, 10_000))]);
    assert_eq!(server.object_bytes(), SIZE);
}

#[test]
fn a_connection_that_breaks_before_a_response_is_tried_again() {
    let table = [
        ("closed, first", (0, Reply::raw(""))),
        ("closed, later", (3, Reply::raw(""))),
        ("reset, first", (0, Reply::raw("").reset_after(0))),
        ("reset, later", (3, Reply::raw("").reset_after(0))),
        ("in the status line", (0, Reply::raw("HTTP/1.1 20"))),
        ("in a header", (3, Reply::raw("HTTP/1.1 206 Partial Content\r\ncontent-le"))),
        ("garbage, first", (0, Reply::raw("SSH-2.0-OpenSSH_9.2\r\n"))),
        ("garbage, later", (3, Reply::raw("\0\u{1}\u{2}\r\n\r\n"))),
    ];
    cases::each(&table, |(chunk, reply)| {
        let server = FaultServer::start(object(SIZE), once(*chunk, reply.clone()));
        download(&server).assert_object(&object(SIZE));
        assert_eq!(server.gets().len(), CHUNKS + 1);
        assert_eq!(server.object_bytes(), SIZE);
    });
}

#[test]
fn connections_refused_for_a_while_are_survived() {
    for greeting in [Greeting::Close, Greeting::Reset] {
        let greet = move |number| if number < 3 { greeting } else { Greeting::Serve };
        let server = Options::default().greet(greet).start(object(SIZE), |_| Reply::ok());
        download(&server).assert_object(&object(SIZE));
        assert_eq!(server.gets().len(), CHUNKS);
    }
}

/// Attempts count tries in a row without a new byte: each try brings some here.
#[test]
fn a_download_that_makes_progress_outlives_any_number_of_cuts() {
    let (chunk, step) = (1 << 20, 128 << 10);
    let server = FaultServer::start(object(2 * chunk), move |request| {
        if request.is_get() { Reply::ok().cut_after(step) } else { Reply::ok() }
    });
    let run = S3fcp::at(&server.endpoint()).window(2, chunk).args(["--max-attempts", "2"]);
    run.download(URI).assert_object(&object(2 * chunk));
    assert_eq!(server.gets().len(), 16);
    assert_eq!(server.object_bytes(), 2 * chunk);
}

#[test]
fn a_stalled_body_is_given_up_and_resumed() {
    let table = [("first", (0, 1000)), ("middle", (2, 1000)), ("last", (5, 1000))];
    cases::each(&table, |&(chunk, reached)| {
        let server = FaultServer::start(object(SIZE), once(chunk, Reply::ok().stall_after(reached)));
        download(&server).assert_object(&object(SIZE));
        let ranges: Vec<_> = attempts(&server, chunk).into_iter().map(|get| get.range).collect();
        assert_eq!(ranges, [Some(rest(chunk, 0)), Some(rest(chunk, reached))]);
        assert_eq!(server.object_bytes(), SIZE);
    });
}

#[test]
fn a_host_that_is_not_there_is_exit_5_within_few_attempts() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let refused = format!("http://{}", closed.local_addr().expect("its address"));
    drop(closed);
    // A label of more than 63 letters has no address, and nobody is asked for it.
    let unresolved = format!("http://{}.invalid", "x".repeat(64));
    let table = [("refused", refused), ("unresolved", unresolved)];
    cases::each(&table, |endpoint| {
        let outcome = S3fcp::at(endpoint).download(URI);
        outcome.assert_failed(5, &[]);
        assert!(outcome.stderr.contains("4 attempts"), "{}", outcome.stderr);
    });
}

#[test]
fn cuts_without_end_are_exit_5_with_a_prefix() {
    let table = [("first", 0), ("middle", 2), ("last", 5)];
    cases::each(&table, |&chunk| {
        let script = move |request: &Request| match request.chunk(CHUNK) {
            Some(number) if number == chunk && request.attempt == 0 => Reply::ok().cut_after(500),
            Some(number) if number == chunk => Reply::ok().cut_after(0),
            _ => Reply::ok(),
        };
        let server = FaultServer::start(object(SIZE), script);
        let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--max-attempts", "3"]);
        let outcome = run.download(URI);
        outcome.assert_failed(5, &object(SIZE));
        // What came before the failure was right, and so it was delivered.
        assert_eq!(outcome.stdout.len() as u64, chunk * CHUNK + 500);
    });
}
