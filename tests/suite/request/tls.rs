//! TLS: both versions, and only with a trusted certificate. Broken TLS connections and certificates for other names
//! are in the table of faults.

use std::io::Read as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use s3server::{Server, TlsVersion};
use tempfile::TempDir;

use crate::support::files::folder;
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY, URI};
use crate::support::table;

/// A PEM file for `AWS_CA_BUNDLE`, for as long as the folder lives.
fn bundle(pem: &str) -> (TempDir, PathBuf) {
    let folder = folder();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).expect("a file");
    (folder, file)
}

fn server(version: TlsVersion) -> Server {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).tls_version(version).start();
    server.put("bucket", "key", object(SIZE));
    server
}

#[test]
fn both_versions_of_tls_work() {
    let table = [("either", TlsVersion::Any), ("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];
    table::each(&table, |&version| {
        let server = server(version);
        let (_folder, file) = bundle(server.ca_pem());
        let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).env("AWS_CA_BUNDLE", file);
        run.download(URI).assert_object(&object(SIZE));
        let stats = server.stats();
        assert_eq!((stats.gets, stats.body_bytes), (CHUNKS as u64, SIZE));
    });
}

#[test]
fn a_larger_object_comes_over_tls() {
    let server = server(TlsVersion::Any);
    let bytes = object((20 << 20) + 7);
    server.put("bucket", "large", bytes.clone());
    let (_folder, file) = bundle(server.ca_pem());
    let run = S3fcp::at(&server.endpoint()).env("AWS_CA_BUNDLE", file);
    run.download("s3://bucket/large").assert_object(&bytes);
}

#[test]
fn an_untrusted_certificate_fails_before_any_request() {
    let (ours, other) = (server(TlsVersion::Any), server(TlsVersion::Any));
    let (_folder, file) = bundle(other.ca_pem());
    let outcome = S3fcp::at(&ours.endpoint()).env("AWS_CA_BUNDLE", file).download(URI);
    outcome.assert_failed(5, &[]);
    assert!(outcome.stderr.contains("certificate"), "{}", outcome.stderr);
    let stats = ours.stats();
    assert_eq!((stats.gets, stats.heads), (0, 0));
    // A retry cannot help: only the connections of the first GET and of the HEAD are opened.
    assert!(stats.connections <= 2, "{stats:?}");
}

#[test]
fn a_file_without_certificates_is_bad_configuration() {
    let server = server(TlsVersion::Any);
    let (folder, file) = bundle("no certificate here\n");
    for file in [file, folder.path().join("missing.pem")] {
        let outcome = S3fcp::at(&server.endpoint()).env("AWS_CA_BUNDLE", &file).download(URI);
        outcome.assert_failed(2, &[]);
        assert!(outcome.stderr.contains(&file.display().to_string()), "{}", outcome.stderr);
    }
}

/// Some middleboxes drop a `ClientHello` that does not fit into one segment, as one with a post-quantum key share does not
/// (golang/go#80573). Ours has no such share, so that there is nothing to retry without it.
#[test]
fn the_first_message_fits_into_one_segment() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let endpoint = format!("https://{}", listener.local_addr().expect("an address"));
    let running = S3fcp::at(&endpoint).args(["--max-attempts", "1", URI]).start();
    let (mut socket, _) = listener.accept().expect("a connection");
    // The header of a record: its type (22, a handshake), a version, and the length (RFC 8446, section 5.1).
    let mut header = [0; 5];
    socket.read_exact(&mut header).expect("a record");
    let length = u16::from_be_bytes([header[3], header[4]]);
    assert_eq!(header[0], 22);
    // A name has up to 253 letters, and this endpoint none.
    assert!(length < 1100, "{length} bytes");
    drop((socket, listener));
    running.wait().assert_failed(5, &[]);
}

/// As such a middlebox does with connections that resume a session, whose messages have a ticket.
#[test]
fn a_resumed_session_fits_into_one_segment_too() {
    let server = server(TlsVersion::V1_3);
    let upstream = server.endpoint().rsplit_once('/').expect("a URL").1.to_owned();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let endpoint = format!("https://{}", listener.local_addr().expect("an address"));
    let passed = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&passed);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut header = [0; 5];
            let is_small = matches!(client.peek(&mut header), Ok(5)) && header[3] < 5;
            let Some(upstream) = TcpStream::connect(&upstream).ok().filter(|_| is_small) else { continue };
            counted.fetch_add(1, Relaxed);
            for (mut from, mut to) in [
                (client.try_clone().expect("a socket"), upstream.try_clone().expect("a socket")),
                (upstream, client),
            ] {
                thread::spawn(move || {
                    // How it ends is the business of both ends.
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    let (_folder, file) = bundle(server.ca_pem());
    let run = S3fcp::at(&endpoint).window(4, CHUNK).args(["--max-attempts", "1"]);
    run.env("AWS_CA_BUNDLE", file).download(URI).assert_object(&object(SIZE));
    assert!(passed.load(Relaxed) >= 2, "one connection alone");
}
