//! Servers, firewalls and descriptor limits that let only some connections live: the download continues over those, and
//! the others are not tried again and again.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::support::certificate::self_signed;
use crate::support::fault_server::{FaultServer, Reply};
use crate::support::files::folder;
use crate::support::object::{SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;
use crate::support::tls_front::TlsFront;

const MIB: u64 = 1 << 20;

/// What happens to a connection beyond those that the server keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Excess {
    /// It is reset without a look at the request.
    Reset,
    /// It is closed after the request was read.
    Closed,
    /// It is closed in the body of its first response to a GET, after so many bytes.
    Cut(usize),
    /// It brings nothing after so many bytes of the body of its first response to a GET.
    Stalled(usize),
    /// It waits until another one ends, as before a server with as many threads.
    Waits,
    /// It is accepted, and never gets a response.
    Silent,
}

/// A server that keeps so many connections.
struct LimitedServer {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

struct Served {
    bytes: Bytes,
    /// In the heads of responses to GETs.
    lines: &'static str,
}

struct Kept {
    count: Mutex<usize>,
    less: Condvar,
}

impl LimitedServer {
    /// Starts a server on which each connection brings 1 MiB in `per_mib`. It ends with the process.
    fn start(object: Bytes, limit: usize, excess: Excess, per_mib: Duration) -> Self {
        Self::start_with(object, limit, excess, per_mib, "ETag: \"one\"\r\n")
    }

    /// Starts one whose responses to GETs have these lines.
    fn start_with(
        object: Bytes,
        limit: usize,
        excess: Excess,
        per_mib: Duration,
        lines: &'static str,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        let address = listener.local_addr().expect("a bound listener's address");
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let kept = Arc::new(Kept { count: Mutex::new(0), less: Condvar::new() });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let (object, kept) = (object.clone(), Arc::clone(&kept));
                let object = Served { bytes: object, lines };
                thread::spawn(move || serve(&stream, &object, limit, excess, &kept, per_mib));
            }
        });
        Self { address, accepted }
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

fn serve(stream: &TcpStream, object: &Served, limit: usize, excess: Excess, kept: &Kept, per_mib: Duration) {
    {
        let mut count = kept.count.lock().expect("a lock");
        if excess == Excess::Waits {
            count = kept.less.wait_while(count, |count| *count >= limit).expect("a lock");
        } else if *count >= limit {
            drop(count);
            match excess {
                Excess::Closed => {
                    let _ = request(stream);
                    let _ = stream.shutdown(Shutdown::Both);
                }
                Excess::Cut(bytes) => while respond_and_cut(stream, object, bytes).is_ok() {},
                Excess::Stalled(bytes) => {
                    while respond_and_cut(stream, object, bytes).is_ok() {}
                    while request(stream).is_some() {}
                }
                Excess::Silent => while request(stream).is_some() {},
                Excess::Reset | Excess::Waits => {}
            }
            return;
        }
        *count += 1;
    }
    while let Some(head) = request(stream) {
        if respond(stream, &head, object, per_mib).is_err() {
            break;
        }
    }
    *kept.count.lock().expect("a lock") -= 1;
    kept.less.notify_one();
}

/// Reads the head of a request; `None` at the end of the connection.
fn request(mut stream: &TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&head).to_lowercase())
}

/// Responds to a request with no more than so many bytes of a body; fails after those.
fn respond_and_cut(stream: &TcpStream, object: &Served, bytes: usize) -> std::io::Result<()> {
    let head = request(stream).ok_or(ErrorKind::UnexpectedEof)?;
    let range = begin_response(stream, &head, object)?;
    let body = &object.bytes[range];
    (&mut &*stream).write_all(&body[..bytes.min(body.len())])?;
    if body.is_empty() { Ok(()) } else { Err(ErrorKind::ConnectionReset.into()) }
}

fn respond(mut stream: &TcpStream, head: &str, object: &Served, per_mib: Duration) -> std::io::Result<()> {
    for piece in object.bytes[begin_response(stream, head, object)?].chunks(256 << 10) {
        thread::sleep(per_mib / 4);
        stream.write_all(piece)?;
    }
    Ok(())
}

/// Writes the head of a response; returns where its body is in the object.
fn begin_response(mut stream: &TcpStream, head: &str, object: &Served) -> std::io::Result<Range<usize>> {
    let (size, fields) = (object.bytes.len(), object.lines);
    if head.starts_with("head") {
        write!(stream, "HTTP/1.1 200 OK\r\nETag: \"one\"\r\nContent-Length: {size}\r\n\r\n")?;
        return Ok(0..0);
    }
    let range = head.split("range: bytes=").nth(1).and_then(|rest| rest.lines().next()).expect("a range");
    let (first, last) = range.split_once('-').expect("both ends");
    let first: usize = first.parse().expect("a first byte");
    let end = last.parse().map_or(size, |last: usize| size.min(last + 1));
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\n{fields}Content-Range: bytes {first}-{}/{size}\r\nContent-Length: {}\r\n\r\n",
        end - 1,
        end - first
    )?;
    Ok(first..end)
}

#[test]
fn a_download_continues_over_the_connections_that_live() {
    let table = [
        ("four live, the others are reset", (4, Excess::Reset)),
        ("two live, the others are reset", (2, Excess::Reset)),
        ("one lives, the others are reset", (1, Excess::Reset)),
        ("three live, the others are closed", (3, Excess::Closed)),
        ("one lives, the others are closed", (1, Excess::Closed)),
        ("four live, the others are cut before their first byte", (4, Excess::Cut(0))),
        ("one lives, the others are cut before their first byte", (1, Excess::Cut(0))),
        ("two live, the others are cut in their first body", (2, Excess::Cut(100_000))),
        ("one lives, the others are cut in their first body", (1, Excess::Cut(100_000))),
        ("one is served at a time", (1, Excess::Waits)),
        ("three are served at a time", (3, Excess::Waits)),
    ];
    let size = 24 * MIB + 77;
    let object = object(size);
    table::each(&table, |&(limit, excess)| {
        for arguments in
            [&[][..], &["-c", "12", "--chunk-size", "1MiB"], &["--hedge", "auto", "--max-attempts", "3"]]
        {
            let server = LimitedServer::start(object.clone(), limit, excess, Duration::from_millis(20));
            let outcome = S3fcp::at(&server.endpoint()).args(arguments).download(URI);
            outcome.assert_object(&object);
            // All that were begun together, and then one now and then.
            assert!(server.accepted() <= 64, "{} connections with {arguments:?}", server.accepted());
        }
    });
}

/// Connections that are accepted and never get a response end nothing and hold up nothing for long, however slow the others
/// are: the requests move to those.
#[test]
fn a_download_moves_from_connections_that_are_silent_to_those_that_live() {
    let table = [
        ("one lives", (1, 20)),
        ("two live", (2, 20)),
        ("four live", (4, 20)),
        ("one slow one lives", (1, 150)),
        ("two slow ones live", (2, 300)),
    ];
    let size = 16 * MIB + 77;
    let object = object(size);
    table::each(&table, |&(limit, per_mib_ms)| {
        let per_mib = Duration::from_millis(per_mib_ms);
        for arguments in
            [&[][..], &["-c", "8"], &["-c", "8", "--chunk-size", "1MiB"], &["-c", "8", "--hedge", "off"]]
        {
            let server = LimitedServer::start(object.clone(), limit, Excess::Silent, per_mib);
            let began = Instant::now();
            let outcome = S3fcp::at(&server.endpoint()).args(arguments).download(URI);
            outcome.assert_object(&object);
            // Less than the 30 s after which a single request would be given up; 2.4 s at the rate of all.
            assert!(began.elapsed() < Duration::from_secs(20), "{:?} with {arguments:?}", began.elapsed());
            assert!(server.accepted() <= 64, "{} connections with {arguments:?}", server.accepted());
        }
    });
}

/// What a response leaves open is asked over another connection, and where there is none, not at all.
#[test]
fn a_response_that_shows_no_tag_needs_no_second_connection() {
    let object = object(12 * MIB + 77);
    for limit in [1, 2] {
        for arguments in [&[][..], &["-c", "4"]] {
            let per_mib = Duration::from_millis(20);
            let server = LimitedServer::start_with(object.clone(), limit, Excess::Reset, per_mib, "");
            S3fcp::at(&server.endpoint()).args(arguments).download(URI).assert_object(&object);
        }
    }
}

/// The head of a response does not show that the rest will come.
#[test]
fn a_download_moves_from_connections_that_stall_in_their_first_response() {
    let table = [
        ("one lives, the others stall at once", (1, Excess::Stalled(0))),
        ("one lives, the others stall in the body", (1, Excess::Stalled(100_000))),
        ("two live, the others stall at once", (2, Excess::Stalled(0))),
        ("four live, the others stall in the body", (4, Excess::Stalled(100_000))),
    ];
    let size = 16 * MIB + 77;
    let object = object(size);
    table::each(&table, |&(limit, excess)| {
        for arguments in [&["--hedge", "auto"][..], &["--hedge", "auto", "-c", "16"]] {
            let server = LimitedServer::start(object.clone(), limit, excess, Duration::from_millis(20));
            let outcome = S3fcp::at(&server.endpoint()).args(arguments).download(URI);
            outcome.assert_object(&object);
        }
    });
}

#[test]
fn a_low_limit_on_open_files_means_fewer_connections_or_a_clear_error() {
    let object = object(12 * MIB);
    let server = LimitedServer::start(object.clone(), usize::MAX, Excess::Reset, Duration::from_millis(20));
    for (limit, is_enough) in [(64, true), (20, true), (6, false), (7, false), (9, false)] {
        let script = format!("ulimit -n {limit} && exec s3fcp --endpoint {} {URI}", server.endpoint());
        let outcome = S3fcp::shell(&script).start().wait();
        if is_enough {
            outcome.assert_object(&object);
        } else {
            assert_eq!(outcome.status.code(), Some(1), "{limit}: {}", outcome.stderr);
            assert!(outcome.stderr.contains("ulimit -n"), "{limit}: {}", outcome.stderr);
        }
    }
    // Before anything is opened a soft limit is raised.
    let script = format!("ulimit -S -n 6 && exec s3fcp --endpoint {} {URI}", server.endpoint());
    S3fcp::shell(&script).start().wait().assert_object(&object);
}

/// Whatever file it is for which there is no descriptor, that is no fault of the file.
#[test]
fn where_no_further_file_can_be_opened_the_limit_is_named() {
    const KEYS: &str = r#"{"Version":1,"AccessKeyId":"a","SecretAccessKey":"s"}"#;
    let folder = folder();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("list"), format!("{URI}\n")).expect("a file");
    std::fs::write(at("config"), format!("[default]\ncredential_process = echo '{KEYS}'\n")).expect("a file");
    let (config, pem) = self_signed("127.0.0.1");
    std::fs::write(at("ca"), pem).expect("a file");
    let server = FaultServer::start(object(SIZE), |_| Reply::ok());
    let front = TlsFront::start(config, server.address());
    let (list, ca, out) = (at("list"), at("ca"), at("out"));
    let unset = "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY;";
    let table = [
        ("a list", ("", format!("--from {list}"))),
        ("a bundle", ("", format!("--ca-bundle {ca} {URI}"))),
        ("a pipe as the bundle", ("", format!("--ca-bundle <(cat {ca}) {URI}"))),
        ("a pipe as the key", ("", format!("--sse-c-key <(head -c 32 /dev/zero) {URI}"))),
        ("a file", ("", format!("-o {out} {URI}"))),
        ("a credential process", (unset, URI.to_owned())),
    ];
    table::each(&table, |(before, args)| {
        for limit in 10..=24 {
            let _ = std::fs::remove_file(&out);
            let endpoint = if args.contains("--ca-bundle") { front.endpoint() } else { server.endpoint() };
            let script = format!("{before} ulimit -n {limit} && exec s3fcp --endpoint {endpoint} {args}");
            let script = format!("exec bash -c '{}'", script.replace('\'', "'\\''"));
            let run = S3fcp::shell(&script).env("AWS_CONFIG_FILE", at("config"));
            let outcome = run.start().wait();
            let is_named = outcome.code() == Some(1) && outcome.stderr.contains("ulimit -n");
            // bash itself has no descriptor for its pipe.
            let is_of_shell = outcome.stderr.starts_with("bash: ");
            assert!(
                outcome.code() == Some(0) || is_named || is_of_shell,
                "{limit}: {:?} {}",
                outcome.code(),
                outcome.stderr
            );
        }
    });
}
