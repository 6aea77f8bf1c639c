//! TLS: both versions, and only with a trusted certificate. Broken TLS connections and certificates for other names
//! are in the table of faults.

use std::path::PathBuf;

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
