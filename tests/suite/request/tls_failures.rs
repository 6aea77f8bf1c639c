//! TLS that fails: each cause has its own words and a remedy that helps, and is not retried. TLS that only looks odd
//! works: a pinned CA certificate, a bundle with a bad certificate in it, a folder.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, SanType,
    date_time_ymd,
};
use s3server::Server;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::certificate::{from_params, self_signed, unchecked};
use crate::support::fault_server::{FaultServer, Reply, Request};
use crate::support::files::{file, folder};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{ACCESS_KEY, Outcome, S3fcp, SECRET_KEY, URI};
use crate::support::table;
use crate::support::tls_front::TlsFront;

pub(super) fn store() -> Server {
    let store = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    store.put("bucket", "key", object(SIZE));
    store
}

/// A certificate for this host, changed by `change`.
fn params(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
    change(&mut params);
    params
}

fn ca(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

fn version_1() -> Arc<ServerConfig> {
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("certificates/version-1.key")).expect("a key");
    unchecked(CertificateDer::from_pem_slice(VERSION_1.as_bytes()).expect("a certificate"), key)
}

const VERSION_1: &str = include_str!("certificates/version-1.pem");

/// Downloads from a server with the certificate of `config`, trusting `bundle`.
pub(super) fn download(config: Arc<ServerConfig>, bundle: &str) -> (Outcome, u64) {
    let store = store();
    let front = TlsFront::start(config, store.address());
    let bundle = file(bundle);
    let outcome =
        S3fcp::at(&front.endpoint()).env("AWS_CA_BUNDLE", bundle.path()).window(4, CHUNK).download(URI);
    (outcome, front.connections())
}

#[test]
fn each_certificate_failure_has_its_own_words_and_remedy() {
    type Case = ((Arc<ServerConfig>, String), &'static [&'static str]);
    let good = params(|_| {});
    let expired = params(|p| p.not_after = date_time_ymd(2020, 2, 3));
    let early = params(|p| p.not_before = date_time_ymd(2999, 4, 5));
    let elsewhere = CertificateParams::new(["a.example".to_owned(), "b.example".to_owned()]).expect("names");
    let no_names = params(|p| {
        p.subject_alt_names.clear();
        p.distinguished_name.push(DnType::CommonName, "127.0.0.1");
    });
    let hostile = CertificateParams::new([format!("{}.example", "a".repeat(60))]).expect("a name");
    let escapes = params(|p| {
        let name = "\u{1b}]0;x\u{7}\u{1b}[31m.example".try_into().expect("a name of ASCII");
        p.subject_alt_names = vec![SanType::DnsName(name)];
    });
    let other = from_params(&params(ca)).1;
    let trusted = |params: &CertificateParams| {
        let (config, pem) = from_params(params);
        (config, pem)
    };
    let addresses = CertificateParams::new(["10.0.0.1".to_owned(), "fd00::1".to_owned()]).expect("names");
    let client = params(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let client_ca = params(|p| {
        ca(p);
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let critical = params(|p| {
        let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4, 5], vec![5, 0]);
        unknown.set_criticality(true);
        p.custom_extensions.push(unknown);
    });
    let table: [(&str, Case); 14] = [
        (
            "other addresses",
            (trusted(&addresses), &["not for 127.0.0.1 but for 10.0.0.1, fd00::1\n", "host name"]),
        ),
        ("a client's", (trusted(&client), &["not for servers", "serverAuth"])),
        ("a client's that is a CA's too", (trusted(&client_ca), &["not for servers", "serverAuth"])),
        ("a critical extension", (trusted(&critical), &["has a critical extension that is not supported"])),
        ("expired", (trusted(&expired), &["expired on 2020-02-03T00:00:00Z", "if the clock is right"])),
        (
            "not valid yet",
            (trusted(&early), &["not valid before 2999-04-05T00:00:00Z", "machine's clock says 2"]),
        ),
        (
            "another host",
            (trusted(&elsewhere), &["not for 127.0.0.1 but for a.example, b.example", "host name"]),
        ),
        ("a long name", (trusted(&hostile), &["aaa.example", "host name"])),
        ("escapes in a name", (trusted(&escapes), &["\\u{1b}]0;x\\u{7}\\u{1b}[31m.example", "host name"])),
        ("no names", (trusted(&no_names), &["lists no host names", "subjectAltName"])),
        ("version 1", ((version_1(), VERSION_1.to_owned() + &other), &["X.509 version 1", "subjectAltName"])),
        ("untrusted", ((from_params(&good).0, other.clone()), &["not trusted", "AWS_CA_BUNDLE", "issuer"])),
        ("a CA that is not pinned", ((from_params(&params(ca)).0, other), &["CA", "AWS_CA_BUNDLE"])),
        (
            "an expired CA that is pinned",
            (
                trusted(&params(|p| {
                    ca(p);
                    p.not_after = date_time_ymd(2020, 2, 3);
                })),
                &["expired on 2020-02-03"],
            ),
        ),
    ];
    table::each(&table, |((config, bundle), says)| {
        let (outcome, connections) = download(Arc::clone(config), bundle);
        outcome.assert_failed(5, &[]);
        for part in says.iter().chain(&["hint: "]) {
            assert!(outcome.stderr.contains(part), "no {part:?} in {}", outcome.stderr);
        }
        assert!(!outcome.stderr.contains("endpoint, the region and the network"), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains(['\u{1b}', '\u{7}']), "{:?}", outcome.stderr);
        // A retry cannot help: only the connections of the first GET and of the HEAD are opened.
        assert!(connections <= 2, "{connections} connections");
    });
}

#[test]
fn a_ca_certificate_in_the_bundle_identifies_its_own_server() {
    let (config, pem) = from_params(&params(ca));
    download(Arc::clone(&config), &pem).0.assert_object(&object(SIZE));

    // So does one that the environment names, and no other.
    let (store, other) = (store(), from_params(&params(ca)).1);
    let front = TlsFront::start(config, store.address());
    for (pem, code) in [(&pem, 0), (&other, 5)] {
        let roots = file(pem);
        let outcome = S3fcp::at(&front.endpoint()).env("SSL_CERT_FILE", roots.path()).download(URI);
        assert_eq!(outcome.code(), Some(code), "{}", outcome.stderr);
    }

    // The same subject and names with another key are another certificate.
    let (impostor, _) = from_params(&params(ca));
    download(impostor, &pem).0.assert_failed(5, &[]);

    // The name is still checked.
    let elsewhere = CertificateParams::new(["a.example".to_owned()]).map(|mut p| {
        ca(&mut p);
        p
    });
    let (config, pem) = from_params(&elsewhere.expect("a name"));
    let outcome = download(config, &pem).0;
    outcome.assert_failed(5, &[]);
    assert!(outcome.stderr.contains("a.example"), "{}", outcome.stderr);
}

#[test]
fn unusable_certificates_in_a_bundle_are_skipped_while_one_is_good() {
    let (config, pem) = self_signed("127.0.0.1");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_base64 = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let cut = "-----BEGIN CERTIFICATE-----\nMIIB\n";
    let table = [
        ("a broken one first", format!("{broken}{pem}")),
        ("a broken one last", format!("{pem}{no_base64}")),
        ("one whose end is missing", format!("{pem}{cut}")),
        ("OpenSSL's older label", pem.replace(" CERTIFICATE-----", " X509 CERTIFICATE-----")),
        ("text between", format!("# my CA\nsubject=CN = Zürich\n{pem}\nissuer=...\n")),
        ("a byte order mark and CRLF", format!("\u{feff}{}", pem.replace('\n', "\r\n"))),
    ];
    table::each(&table, |bundle| {
        let outcome = download(Arc::clone(&config), bundle).0;
        outcome.assert_object(&object(SIZE));
        let is_skipped = [broken, no_base64, cut].iter().any(|part| bundle.contains(part));
        assert_eq!(
            outcome.stderr.contains("s3fcp: warning: certificates of the CA bundle"),
            is_skipped,
            "{}",
            outcome.stderr
        );
    });
    for bundle in [broken, no_base64, cut, "nothing"] {
        let outcome = download(Arc::clone(&config), bundle).0;
        outcome.assert_failed(2, &[]);
        assert!(outcome.stderr.contains("(AWS_CA_BUNDLE) contains no"), "{}", outcome.stderr);
    }
}

/// Where neither variable names a certificate, those of the system are trusted, which this server's is not among.
#[test]
fn roots_of_the_environment_that_are_missing_are_warned_of_once_with_their_path() {
    let (config, pem) = self_signed("127.0.0.1");
    let (store, folder) = (store(), folder());
    let at = |name: &str| folder.path().join(name).display().to_string();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (name, text) in [("good", &*pem), ("empty", ""), ("text", "none"), ("broken", broken)] {
        std::fs::write(at(name), text).expect("a file");
    }
    for (name, text) in [("none", None), ("some", Some(&pem))] {
        std::fs::create_dir(at(name)).expect("a folder");
        if let Some(text) = text {
            std::fs::write(folder.path().join(name).join("a.pem"), text).expect("a file");
        }
    }
    let front = TlsFront::start(config, store.address());
    let (file, dir) = ("SSL_CERT_FILE", "SSL_CERT_DIR");
    let table = [
        ("a missing file", (vec![(file, at("x"))], false, Some("No such file"))),
        ("an empty file", (vec![(file, at("empty"))], false, Some("no usable certificate"))),
        ("a text", (vec![(file, at("text"))], false, Some("no usable certificate"))),
        ("a broken certificate", (vec![(file, at("broken"))], false, Some("no usable certificate"))),
        ("a folder as the file", (vec![(file, at("some"))], false, Some("directory"))),
        ("a missing folder", (vec![(dir, at("x"))], false, Some("No such file"))),
        ("an empty folder", (vec![(dir, at("none"))], false, Some("no usable certificate"))),
        ("neither", (vec![(file, at("x")), (dir, at("x"))], false, Some("No such file"))),
        ("a file", (vec![(file, at("good"))], true, None)),
        ("a folder", (vec![(dir, at("some")), (file, String::new())], true, None)),
        (
            "one of two folders",
            (vec![(dir, format!("{}:{}", at("x"), at("some")))], true, Some("No such file")),
        ),
        ("the folder alone", (vec![(file, at("empty")), (dir, at("some"))], true, Some("no usable"))),
    ];
    table::each(&table, |(variables, is_trusted, warning)| {
        let run = S3fcp::at(&front.endpoint());
        let outcome = variables.iter().fold(run, |run, (name, value)| run.env(name, value)).download(URI);
        if *is_trusted {
            outcome.assert_object(&object(SIZE));
        } else {
            // 2 where the system has no certificates either.
            assert!(matches!(outcome.code(), Some(2 | 5)) && outcome.stdout.is_empty(), "{}", outcome.stderr);
        }
        let warnings: Vec<_> = outcome.stderr.lines().filter(|line| line.contains("warning: ")).collect();
        assert_eq!(warnings.len(), usize::from(warning.is_some()), "{}", outcome.stderr);
        if let (Some(line), Some(reason)) = (warnings.first(), warning) {
            let (name, path) = &variables[0];
            let path = path.split(':').next().unwrap_or_default();
            assert!([name, path, *reason].iter().all(|part| line.contains(part)), "{line}");
            assert_eq!(line.contains("the system's certificates"), !is_trusted, "{line}");
        }
    });
}

#[test]
fn a_bundle_may_be_a_folder() {
    let (config, pem) = self_signed("127.0.0.1");
    let (store, folder) = (store(), folder());
    std::fs::write(folder.path().join("README"), "no certificate").expect("a file");
    std::fs::write(folder.path().join("ca.pem"), &pem).expect("a file");
    std::os::unix::fs::symlink("ca.pem", folder.path().join("1234abcd.0")).expect("a link");
    let front = TlsFront::start(config, store.address());
    let run = || S3fcp::at(&front.endpoint()).env("AWS_CA_BUNDLE", folder.path());
    let outcome = run().download(URI);
    outcome.assert_object(&object(SIZE));
    assert_eq!(outcome.stderr, "");

    // Neither does one file that cannot be read spoil it; this one is too large.
    let large = folder.path().join("a.large");
    std::fs::File::create(&large).and_then(|file| file.set_len(17 << 20)).expect("a file");
    let outcome = run().download(URI);
    outcome.assert_object(&object(SIZE));
    assert!(outcome.stderr.contains("warning: ") && outcome.stderr.contains("a.large"), "{}", outcome.stderr);
    let outcome = run().env("AWS_CA_BUNDLE", &large).download(URI);
    outcome.assert_failed(2, &[]);
    assert!(outcome.stderr.contains("cannot read CA bundle"), "{}", outcome.stderr);
    std::fs::remove_file(folder.path().join("ca.pem")).expect("a file");
    run().download(URI).assert_failed(2, &[]);
}

#[test]
fn sessions_are_resumed_by_later_connections() {
    let (config, pem) = self_signed("127.0.0.1");
    let (store, bundle) = (store(), file(&pem));
    let front = TlsFront::start(config, store.address());
    let run = S3fcp::at(&front.endpoint()).env("AWS_CA_BUNDLE", bundle.path()).window(4, CHUNK);
    run.args([URI]).download(URI).assert_object(&[object(SIZE), object(SIZE)].concat());
    let (connections, full) = (front.connections(), front.full_handshakes());
    assert!(connections > 2 && full < connections, "{full} full handshakes of {connections} connections");
}

/// Answers every connection with `reply` once something was received; counts them.
fn raw_server(reply: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
    let address = listener.local_addr().expect("its address");
    let (connections, first_bytes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, largest) = (Arc::clone(&connections), Arc::clone(&first_bytes));
    std::thread::spawn(move || {
        for socket in listener.incoming().take(20) {
            let Ok(mut socket) = socket else { return };
            count.fetch_add(1, Ordering::SeqCst);
            let mut buffer = [0; 4096];
            let received = socket.read(&mut buffer).unwrap_or(0);
            largest.fetch_max(received, Ordering::SeqCst);
            let _ = socket.write_all(reply);
        }
    });
    (address, connections, first_bytes)
}

#[test]
fn a_server_that_cannot_speak_our_tls_is_named_and_not_asked_again() {
    let table: [(&str, (&[u8], &[&str])); 4] = [
        (
            "only old suites",
            (
                b"\x15\x03\x03\x00\x02\x02\x28",
                &["no common TLS version, cipher suite", "TLS 1.2", "group X25519", "key of RSA"],
            ),
        ),
        ("only TLS 1.0", (b"\x15\x03\x01\x00\x02\x02\x46", &["no common TLS version", "TLS 1.3"])),
        (
            "plain http",
            (
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
                &["did not respond with TLS", "plain HTTP: check the scheme and the port"],
            ),
        ),
        ("SSH", (b"SSH-2.0-OpenSSH_9.2p1\r\n", &["did not respond with TLS", "port"])),
    ];
    table::each(&table, |&(reply, says)| {
        let (address, connections, first_bytes) = raw_server(reply);
        let outcome = S3fcp::at(&format!("https://{address}"))
            .env("AWS_CA_BUNDLE", file(&self_signed("h").1).path())
            .download(URI);
        outcome.assert_failed(5, &[]);
        for part in says.iter().chain(&["hint: "]) {
            assert!(outcome.stderr.contains(part), "no {part:?} in {}", outcome.stderr);
        }
        assert!(connections.load(Ordering::SeqCst) <= 2, "{connections:?} connections");
        // A middlebox that reads one segment sees all of it.
        assert!((100..1000).contains(&first_bytes.load(Ordering::SeqCst)), "{first_bytes:?} bytes");
    });
}

/// curl reads it as an IP address. No certificate can be for it.
#[test]
fn a_host_that_is_neither_a_name_nor_an_address_is_a_usage_error() {
    for run in [S3fcp::at("https://127.1").args([URI]), S3fcp::new().args(["https://127.1/file"])] {
        let outcome = run.start().wait();
        outcome.assert_failed(2, &[]);
        assert!(outcome.stderr.contains("127.1 is neither"), "{}", outcome.stderr);
    }
}

/// Plain HTTP to a port that expects TLS: some servers say so, some send an alert, and some hang up.
#[test]
fn plain_http_to_a_tls_port_is_named() {
    let store = store();
    let front = TlsFront::start(self_signed("127.0.0.1").0, store.address());
    let alert: &[u8] = b"\x15\x03\x01\x00\x02\x02\x46";
    let go: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    let nginx: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 59\r\n\r\n\
        <center>The plain HTTP request was sent to HTTPS port</center>";
    let plain = |reply| format!("http://{}", raw_server(reply).0);
    let servers = [
        ("rustls", front.endpoint().replace("https://", "http://")),
        ("an alert", plain(alert)),
        ("Go", plain(go)),
        ("nginx", plain(nginx)),
    ];
    table::each(&servers, |endpoint| {
        let outcomes = [
            S3fcp::at(endpoint).download(URI),
            S3fcp::new().args(["--max-attempts", "1"]).download(&format!("{endpoint}/file")),
        ];
        for outcome in outcomes {
            outcome.assert_failed(5, &[]);
            assert!(outcome.stderr.contains("https:// in place of http://"), "{}", outcome.stderr);
        }
    });
}

/// A server that has delivered a part over plain HTTP does not expect TLS, whatever it sends later.
#[test]
fn a_server_that_has_responded_is_not_said_to_expect_tls() {
    let table: [(&str, &[u8]); 4] = [
        ("nothing", b""),
        ("an alert", b"\x15\x03\x01\x00\x02\x02\x46"),
        ("another protocol", b"220 smtp.example ESMTP\r\n"),
        ("half a head", b"HTTP/1.1 206 Partial Content\r\nETag:"),
    ];
    table::each(&table, |&reply| {
        let reply = Reply::raw(reply);
        let script = move |request: &Request| {
            if request.chunk(CHUNK) == Some(1) { reply.clone() } else { Reply::ok() }
        };
        let server = FaultServer::start(object(SIZE), script);
        let outcome =
            S3fcp::at(&server.endpoint()).window(1, CHUNK).args(["--max-attempts", "2"]).download(URI);
        outcome.assert_failed(5, &object(SIZE));
        assert!(outcome.stderr.contains("the request got no response"), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("https://"), "{}", outcome.stderr);
    });
}
