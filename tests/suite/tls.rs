//! TLS: both versions, only with a certificate that is trusted and for this host, and a cut in the
//! middle of a record's stream, which must not look like an end.

use std::path::PathBuf;

use s3server::{Server, TlsVersion};
use tempfile::TempDir;

use crate::cases;
use crate::certificate::self_signed;
use crate::fault::{Greeting, Options, Reply, once};
use crate::object::{CHUNK, CHUNKS, SIZE, object};
use crate::run::{ACCESS_KEY, S3fcp, SECRET_KEY, URI};

/// A PEM file for `AWS_CA_BUNDLE`, for as long as the folder lives.
fn bundle(pem: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
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
    cases::each(&table, |&version| {
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
fn an_untrusted_certificate_ends_it_before_any_request() {
    let (ours, other) = (server(TlsVersion::Any), server(TlsVersion::Any));
    let (_folder, file) = bundle(other.ca_pem());
    let outcome = S3fcp::at(&ours.endpoint()).env("AWS_CA_BUNDLE", file).download(URI);
    outcome.assert_failed(5, &[]);
    assert!(outcome.stderr.contains("certificate"), "{}", outcome.stderr);
    let stats = ours.stats();
    assert_eq!((stats.gets, stats.heads), (0, 0));
    // Trying again cannot help: the first GET's connection and the HEAD's, no more.
    assert!(stats.connections <= 2, "{stats:?}");
}

#[test]
fn a_certificate_for_another_name_ends_it_before_any_request() {
    let (config, pem) = self_signed("elsewhere.example");
    let server = Options::default().tls(config).start(object(SIZE), |_| Reply::ok());
    let (_folder, file) = bundle(&pem);
    let outcome = S3fcp::at(&server.endpoint()).env("AWS_CA_BUNDLE", file).download(URI);
    outcome.assert_failed(5, &[]);
    assert!(outcome.stderr.contains("certificate"), "{}", outcome.stderr);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_bundle_that_is_none_is_bad_configuration() {
    let server = server(TlsVersion::Any);
    let (folder, file) = bundle("no certificate here\n");
    for file in [file, folder.path().join("missing.pem")] {
        let outcome = S3fcp::at(&server.endpoint()).env("AWS_CA_BUNDLE", &file).download(URI);
        outcome.assert_failed(2, &[]);
        assert!(outcome.stderr.contains(&file.display().to_string()), "{}", outcome.stderr);
    }
}

#[test]
fn a_cut_of_tls_is_resumed_at_the_byte_reached() {
    let table = [("first", (0, 1000)), ("middle", (2, 40_000)), ("last", (5, 1)), ("no byte", (3, 0))];
    cases::each(&table, |&(chunk, reached)| {
        let (config, pem) = self_signed("127.0.0.1");
        let cut = once(chunk, Reply::ok().cut_after(reached));
        let server = Options::default().tls(config).start(object(SIZE), cut);
        let (_folder, file) = bundle(&pem);
        let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).env("AWS_CA_BUNDLE", file);
        run.download(URI).assert_object(&object(SIZE));
        assert_eq!(server.gets().len(), CHUNKS + 1);
        assert_eq!(server.object_bytes(), SIZE);
    });
}

#[test]
fn a_handshake_that_fails_is_tried_again() {
    for greeting in [Greeting::Close, Greeting::Reset] {
        let (config, pem) = self_signed("127.0.0.1");
        let options = Options::default().tls(config);
        let server = options
            .greet(move |number| if number < 2 { greeting } else { Greeting::Serve })
            .start(object(SIZE), |_| Reply::ok());
        let (_folder, file) = bundle(&pem);
        let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).env("AWS_CA_BUNDLE", file);
        run.download(URI).assert_object(&object(SIZE));
        assert_eq!(server.gets().len(), CHUNKS);
    }
}
