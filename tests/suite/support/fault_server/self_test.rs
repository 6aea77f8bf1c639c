//! Tests of the fault server itself, by bare sockets: a test of a fault proves something only if the fault happened.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use crate::support::fault_server::{ETAG, FaultServer, Gate, Greeting, Options, Reply};
use crate::support::object::object;
use crate::support::table;

/// The client's view: all bytes until the end, and whether the end was a reset.
#[derive(Debug, PartialEq)]
struct Seen {
    bytes: String,
    is_reset: bool,
}

/// One GET of bytes 2 to 5 of "0123456789", to the connection's end.
fn seen(server: &FaultServer, method: &str, headers: &str) -> Seen {
    let mut socket = TcpStream::connect(server.address()).expect("a server that listens");
    write!(socket, "{method} /b/k%20k HTTP/1.1\r\nhost: x\r\n{headers}\r\n").expect("a request");
    end_of(socket)
}

/// Tells the server that no more comes, and reads what it has to say.
fn end_of(mut socket: TcpStream) -> Seen {
    // A server that reset the connection first makes this fail; the read below shows it.
    let _ = socket.shutdown(std::net::Shutdown::Write);
    let mut bytes = Vec::new();
    let is_reset = match socket.read_to_end(&mut bytes) {
        Ok(_) => false,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => true,
        Err(error) => panic!("{error}"),
    };
    Seen { bytes: String::from_utf8(bytes).expect("text"), is_reset }
}

fn digits() -> Bytes {
    Bytes::from_static(b"0123456789")
}

const RANGE: &str = "range: bytes=2-5\r\n";

#[test]
fn right_answers_are_those_of_s3() {
    let server = FaultServer::start(digits(), |_| Reply::ok());
    let head = |status: &str, length: u64, more: &str| {
        format!(
            "HTTP/1.1 {status}\r\nx-amz-request-id: 4442587FB7D0A2F9\r\ncontent-length: {length}\r\n{more}"
        )
    };
    let object =
        format!("etag: {ETAG}\r\naccept-ranges: bytes\r\nlast-modified: Wed, 12 Oct 2022 17:50:00 GMT\r\n");
    let ranged = head("206 Partial Content", 4, &format!("{object}content-range: bytes 2-5/10\r\n\r\n2345"));
    assert_eq!(seen(&server, "GET", RANGE).bytes, ranged);
    assert_eq!(seen(&server, "GET", &format!("{RANGE}if-match: {ETAG}\r\n")).bytes, ranged);
    assert_eq!(seen(&server, "GET", "").bytes, head("200 OK", 10, &format!("{object}\r\n0123456789")));
    assert_eq!(seen(&server, "HEAD", "").bytes, head("200 OK", 10, &format!("{object}\r\n")));
    let beyond = seen(&server, "GET", "range: bytes=10-\r\n").bytes;
    assert!(beyond.starts_with("HTTP/1.1 416 Range Not Satisfiable\r\n"), "{beyond}");
    assert!(beyond.contains("content-range: bytes */10\r\n"), "{beyond}");
    let other = seen(&server, "GET", "if-match: \"other\"\r\n").bytes;
    assert!(other.starts_with("HTTP/1.1 412 Precondition Failed\r\n"), "{other}");
    assert!(other.contains("<Code>PreconditionFailed</Code>"), "{other}");
}

#[test]
fn requests_are_counted_and_numbered() {
    let server = FaultServer::start(digits(), |_| Reply::ok());
    for range in ["bytes=0-4", "bytes=3-4", "bytes=5-99", "bytes=5-9"] {
        seen(&server, "GET", &format!("range: {range}\r\n"));
    }
    seen(&server, "HEAD", "");
    let numbers: Vec<_> =
        server.gets().into_iter().map(|r| (r.range, r.serial, r.attempt, r.connection, r.target)).collect();
    let target = "/b/k%20k".to_owned();
    let expected = [
        (Some(0..5), 0, 0, 0, target.clone()),
        (Some(3..5), 1, 1, 1, target.clone()),
        (Some(5..10), 2, 0, 2, target.clone()),
        (Some(5..10), 3, 1, 3, target),
    ];
    assert_eq!(numbers, expected);
    assert_eq!(server.gets()[2].chunk(5), Some(1));
    assert_eq!((server.requests().len(), server.heads(), server.connections()), (5, 1, 5));
    assert_eq!(server.object_bytes(), 5 + 2 + 5 + 5);
}

#[test]
fn a_connection_is_used_again() {
    let server = FaultServer::start(digits(), |_| Reply::ok());
    let mut socket = TcpStream::connect(server.address()).expect("a server that listens");
    socket.write_all(b"GET /b/k HTTP/1.1\r\n\r\nGET /b/k HTTP/1.1\r\n\r\n").expect("two requests");
    assert_eq!(end_of(socket).bytes.matches("\r\n\r\n0123456789").count(), 2);
    assert_eq!(server.connections(), 1);
}

/// A reply, and parts of what a client sees of it: `^` is the start, `$` the end and `%` a reset; a
/// part after `!` must not be there.
type Bent<'a> = (Reply, &'a [&'a str]);

#[test]
fn bent_replies_are_bent_as_asked() {
    let table: [(&str, Bent); 21] = [
        ("cut", (Reply::ok().cut_after(2), &["content-length: 4\r\n", "\r\n\r\n23$"])),
        ("cut before the body", (Reply::ok().cut_after(0), &["\r\n\r\n$"])),
        ("cut after the body", (Reply::ok().cut_after(9), &["\r\n\r\n2345$"])),
        ("nothing", (Reply::raw(""), &["^$"])),
        ("reset", (Reply::raw("").reset_after(0), &["^%"])),
        ("garbage", (Reply::raw("SSH-2.0\r\n"), &["^SSH-2.0\r\n$"])),
        ("status", (Reply::status(503), &["^HTTP/1.1 503 Service Unavailable\r\n", "\r\n\r\n$"])),
        (
            "error",
            (Reply::status(503).code("SlowDown"), &["<Code>SlowDown</Code>", "!content-range", "!etag"]),
        ),
        ("document", (Reply::status(503).body("busy"), &["content-length: 4\r\n", "\r\n\r\nbusy$"])),
        ("patience", (Reply::status(503).retry_after(7), &["retry-after: 7\r\n"])),
        ("whole", (Reply::whole_with_200(), &["^HTTP/1.1 200 OK\r\n", "\r\n0123456789$", "!content-range"])),
        ("part", (Reply::part(1..3), &["content-range: bytes 1-2/10\r\n", "\r\n\r\n12$"])),
        (
            "range",
            (Reply::ok().content_range("bytes 3-6/10"), &["content-range: bytes 3-6/10\r\n", "!2-5/10"]),
        ),
        ("tag", (Reply::ok().etag("\"other\""), &["etag: \"other\"\r\n", "!9bb58f26"])),
        ("header", (Reply::ok().header("x-more", "1"), &["x-more: 1\r\n"])),
        ("no tag", (Reply::ok().without("etag"), &["\r\n\r\n2345$", "!etag"])),
        ("no length", (Reply::ok().without("content-length"), &["\r\n\r\n2345$", "!content-length"])),
        ("chunked", (Reply::ok().chunked(), &["\r\n\r\n4\r\n2345\r\n0\r\n\r\n$", "!content-length"])),
        ("in pieces", (Reply::ok().chunked_by(3), &["\r\n\r\n3\r\n234\r\n1\r\n5\r\n0\r\n\r\n$"])),
        (
            "interim",
            (Reply::ok().after_interim("HTTP/1.1 100\r\n\r\n"), &["^HTTP/1.1 100\r\n\r\nHTTP/1.1 206 "]),
        ),
        ("excess", (Reply::ok().with_excess("67"), &["content-length: 4\r\n", "\r\n\r\n234567$"])),
    ];
    table::each(&table, |(reply, parts)| {
        let reply = reply.clone();
        let server = FaultServer::start(digits(), move |_| reply.clone());
        let seen = seen(&server, "GET", RANGE);
        let text = format!("^{}{}", seen.bytes, if seen.is_reset { '%' } else { '$' });
        for part in *parts {
            match part.strip_prefix('!') {
                Some(absent) => assert!(!text.contains(absent), "{absent}: {text}"),
                None => assert!(text.contains(part), "{part}: {text}"),
            }
        }
    });
}

#[test]
fn an_endless_reply_ends_with_the_client() {
    let server = FaultServer::start(digits(), |_| Reply::endless("HTTP/1.1 200 OK\r\n", "x-more: 1\r\n"));
    let mut socket = TcpStream::connect(server.address()).expect("a server that listens");
    socket.write_all(b"GET /b/k HTTP/1.1\r\n\r\n").expect("a request");
    let mut bytes = vec![0; 1 << 20];
    socket.read_exact(&mut bytes).expect("a mebibyte of head");
    assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\nx-more: 1\r\nx-more: 1\r\n"));
}

#[test]
fn gates_decide_the_order() {
    let (held, second) = (Gate::closed(), Gate::closed());
    let (pause, order) = (held.clone(), second.clone());
    let server = FaultServer::start(digits(), move |request| match request.chunk(5) {
        Some(0) => Reply::ok().delay_until(&order),
        Some(_) => Reply::ok().pause_after(2, &pause).then_open(&order),
        None => Reply::ok(),
    });
    thread::scope(|scope| {
        let first = scope.spawn(|| seen(&server, "GET", "range: bytes=0-4\r\n"));
        let mut socket = TcpStream::connect(server.address()).expect("a server that listens");
        socket.write_all(b"GET /b/k HTTP/1.1\r\nrange: bytes=5-9\r\n\r\n").expect("a request");
        let mut start = String::new();
        while !start.ends_with("\r\n\r\n56") {
            let mut byte = [0];
            socket.read_exact(&mut byte).expect("what stands before the pause");
            start.push(char::from(byte[0]));
        }
        assert!(!first.is_finished());
        assert_eq!(server.object_bytes(), 2);
        held.open();
        assert_eq!(end_of(socket).bytes, "789");
        assert!(first.join().expect("a client").bytes.ends_with("\r\n\r\n01234"));
    });
}

#[test]
fn a_stall_lasts_until_the_server_ends() {
    for greeting in [Greeting::Serve, Greeting::Stall] {
        let options = Options::default().greet(move |_| greeting);
        let server = options.start(digits(), |_| Reply::ok().stall_after(3));
        let mut socket = TcpStream::connect(server.address()).expect("a server that listens");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        socket.write_all(b"GET /b/k HTTP/1.1\r\n\r\n").expect("a request");
        let mut bytes = Vec::new();
        let error = socket.read_to_end(&mut bytes).expect_err("no end while the server lives");
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error}");
        let expected: &[u8] = if greeting == Greeting::Serve { b"\r\n\r\n012" } else { b"" };
        assert!(bytes.ends_with(expected) && bytes.is_empty() == expected.is_empty());
        drop(server);
        let end = socket.read_to_end(&mut bytes);
        assert!(end.is_ok() || end.is_err_and(|e| e.kind() == io::ErrorKind::ConnectionReset));
    }
}

#[test]
fn greetings_come_before_requests() {
    let greet = |connection| match connection {
        0 => Greeting::Close,
        1 => Greeting::Reset,
        _ => Greeting::Serve,
    };
    let server = Options::default().greet(greet).start(digits(), |_| Reply::ok());
    for _ in 0..2 {
        let mut socket = TcpStream::connect(server.address()).expect("a server that listens");
        let mut bytes = Vec::new();
        let _ = socket.read_to_end(&mut bytes);
        assert!(bytes.is_empty());
    }
    assert!(seen(&server, "GET", "").bytes.ends_with("0123456789"));
    assert_eq!((server.connections(), server.gets().len()), (3, 1));
}

#[test]
fn a_large_body_arrives_whole() {
    let large = object((8 << 20) + 5);
    let server = FaultServer::start(large.clone(), |_| Reply::ok());
    let mut socket = TcpStream::connect(server.address()).expect("a server that listens");
    socket.write_all(b"GET /b/k HTTP/1.1\r\n\r\n").expect("a request");
    socket.shutdown(std::net::Shutdown::Write).expect("an open socket");
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).expect("a whole response");
    assert!(bytes.ends_with(&large));
    assert_eq!(server.object_bytes(), large.len() as u64);
}
