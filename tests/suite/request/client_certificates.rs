//! Client certificates: presented to a server that asks for one; a missing or wrong one has its own words.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};

use crate::request::tls_failures::store;
use crate::support::files::file;
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::tls_front::TlsFront;

#[test]
fn a_client_certificate_is_presented_and_a_missing_or_wrong_one_has_its_own_words() {
    let (identity, pem) = client_identity();
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let (config, server_pem) = mutual(&pem, versions);
        let store = store();
        let front = TlsFront::start(config, store.address());
        let (bundle, client) = (file(&server_pem), file(&identity));
        let other = file(&client_identity().0);
        let run = || S3fcp::at(&front.endpoint()).env("AWS_CA_BUNDLE", bundle.path()).window(2, CHUNK);
        let with = |file: &Path| run().args(["--client-cert".as_ref(), file.as_os_str()]).download(URI);
        with(client.path()).assert_object(&object(SIZE));

        // Over TLS 1.3 the server says so after the handshake, in place of the response. Over TLS 1.2 it may have
        // closed the connection while the handshake is still being written, and then the alert is not read.
        let is_old = versions == [&TLS12];
        let outcome = run().download(URI);
        outcome.assert_failed(5, &[]);
        assert!(outcome.stderr.contains("--client-cert"), "{}", outcome.stderr);
        assert!(is_old || outcome.stderr.contains("requires a client certificate"), "{}", outcome.stderr);
        let outcome = with(other.path());
        outcome.assert_failed(5, &[]);
        assert!(outcome.stderr.contains("--client-cert"), "{}", outcome.stderr);
        assert!(is_old || outcome.stderr.contains("rejected the client certificate"), "{}", outcome.stderr);

        let outcome = with(bundle.path());
        outcome.assert_failed(2, &[]);
        assert!(outcome.stderr.contains("no usable private key"), "{}", outcome.stderr);
        let outcome = with(Path::new("/nonexistent.pem"));
        outcome.assert_failed(2, &[]);
        assert!(
            outcome.stderr.contains("cannot read client certificate /nonexistent.pem"),
            "{}",
            outcome.stderr
        );
    }
}

/// Returns a client's certificate and key in one PEM text, and the certificate alone.
fn client_identity() -> (String, String) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["client".to_owned()]).expect("a certificate");
    (format!("{}{}", cert.pem(), signing_key.serialize_pem()), cert.pem())
}

/// Returns the configuration of a server that demands the client's certificate `client`, and its own in PEM.
fn mutual(client: &str, versions: &[&'static SupportedProtocolVersion]) -> (Arc<ServerConfig>, String) {
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::server::WebPkiClientVerifier;

    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let provider = Arc::new(ring::default_provider());
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(client.as_bytes()).expect("a certificate")).expect("a root");
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("TLS 1.2 and 1.3")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a key that fits its certificate");
    (Arc::new(config), cert.pem())
}

/// Over TLS 1.2 OpenSSL's servers, nginx among them, say `handshake_failure` to a client without a certificate, as they
/// do to one without a common cipher suite.
#[test]
fn a_handshake_failure_after_the_request_for_a_certificate_is_about_that() {
    let (config, server_pem) = mutual(&client_identity().1, &[&TLS12]);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
    let endpoint = format!("https://{}", listener.local_addr().expect("its address"));
    thread::spawn(move || {
        for socket in listener.incoming().take(20) {
            // The client may close its connection at any time.
            let (config, Ok(socket)) = (Arc::clone(&config), socket) else { return };
            thread::spawn(move || fail_handshake(socket, config).is_ok());
        }
    });
    let bundle = file(&server_pem);
    let outcome = S3fcp::at(&endpoint).env("AWS_CA_BUNDLE", bundle.path()).download(URI);
    outcome.assert_failed(5, &[]);
    assert!(outcome.stderr.contains("requires a client certificate"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("hint: pass one with --client-cert"), "{}", outcome.stderr);

    let other = file(&client_identity().0);
    let run = S3fcp::at(&endpoint).env("AWS_CA_BUNDLE", bundle.path());
    let outcome = run.args(["--client-cert".as_ref(), other.path().as_os_str()]).download(URI);
    outcome.assert_failed(5, &[]);
    assert!(outcome.stderr.contains("rejected the client certificate"), "{}", outcome.stderr);
}

/// Speaks TLS until it fails, and gives `handshake_failure` (40) as the reason, whatever it was.
fn fail_handshake(mut socket: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    let mut tls = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut received = [0; 4096];
    loop {
        let length = socket.read(&mut received)?;
        let mut bytes = &received[..length];
        let mut failed = length == 0;
        while !failed && !bytes.is_empty() {
            tls.read_tls(&mut bytes)?;
            failed = tls.process_new_packets().is_err();
        }
        let mut answer = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut answer)?;
        }
        if let (true, Some(alert)) = (failed, answer.last_mut()) {
            *alert = 40;
        }
        socket.write_all(&answer)?;
        if failed {
            // A connection that is closed while something is unread loses the alert.
            socket.shutdown(std::net::Shutdown::Write)?;
            return std::io::copy(&mut socket, &mut std::io::sink()).map(drop);
        }
    }
}
