//! Certificates whose refusal is easily misread: the message names what is wrong, and with which of them.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use crate::request::tls_failures::download;
use crate::support::certificate::without_key;
use crate::support::table;

/// Made by OpenSSL, because neither ring nor rcgen makes such keys and signatures. All but the last one are self-signed.
const RSA_1024: &str = include_str!("certificates/rsa-1024.pem");
const SHA_1: &str = include_str!("certificates/sha-1.pem");
const MD5: &str = include_str!("certificates/md5.pem");
const P_521: &str = include_str!("certificates/p-521.pem");
/// A CA named "Short Keys" with an RSA key of 1024 BITS, and a certificate that it has signed.
const SHORT_CA: &str = include_str!("certificates/short-ca.pem");
const BELOW_SHORT_CA: &str = include_str!("certificates/below-short-ca.pem");

const BITS: &str = "has an RSA key of 1024 bits";
const INTERMEDIATE: &str = "the issuer \"Old \\u{1b}[31m Intermediate\" of the server's certificate";

/// The certificates of a server, and the bundle that the client trusts.
type Chain = (Vec<CertificateDer<'static>>, String);

fn stored(certificate: &str, bundle: &str) -> Chain {
    (vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")], bundle.to_owned())
}

/// A certificate for this host below an intermediate one that `change` has changed.
fn below_intermediate(change: impl FnOnce(&mut CertificateParams)) -> Chain {
    let ca = |name: &str| {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let key = || KeyPair::generate().expect("a key");
    let (root_key, middle_key) = (key(), key());
    let (root, mut middle) = (ca("Root"), ca("Old \u{1b}[31m Intermediate"));
    change(&mut middle);
    let root_pem = root.self_signed(&root_key).expect("a root").pem();
    let root = Issuer::new(root, root_key);
    let middle_der = middle.signed_by(&middle_key, &root).expect("an issuer").der().clone();
    let host = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
    let host = host.signed_by(&key(), &Issuer::new(middle, middle_key)).expect("a certificate");
    (vec![host.der().clone(), middle_der], root_pem)
}

fn self_signed(params: &CertificateParams) -> Chain {
    let certificate = params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
    (vec![certificate.der().clone()], certificate.pem())
}

#[test]
fn a_refusal_names_the_certificate_and_what_is_wrong_with_it() {
    use SignatureScheme::{ECDSA_NISTP256_SHA256, ECDSA_NISTP521_SHA512, RSA_PSS_SHA256};
    type Case = (Chain, SignatureScheme, &'static [&'static str]);
    let good = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
    let mut dns = good.clone();
    dns.subject_alt_names = vec![SanType::DnsName("127.0.0.1".try_into().expect("a name of ASCII"))];
    let table: [(&str, Case); 9] = [
        (
            "RSA-1024",
            (stored(RSA_1024, RSA_1024), RSA_PSS_SHA256, &["server's certificate has", BITS, "2048"]),
        ),
        (
            "an issuer with RSA-1024",
            (
                stored(BELOW_SHORT_CA, SHORT_CA),
                ECDSA_NISTP256_SHA256,
                &["issuer \"Short Keys\"", BITS, "2048"],
            ),
        ),
        ("SHA-1", (stored(SHA_1, SHA_1), RSA_PSS_SHA256, &["signed with RSA and SHA-1", "SHA-256"])),
        ("MD5", (stored(MD5, MD5), RSA_PSS_SHA256, &["signed with RSA and MD5", "SHA-256"])),
        ("P-521", (stored(P_521, P_521), ECDSA_NISTP521_SHA512, &["ECDSA and SHA-512", "P-384"])),
        (
            "an expired intermediate",
            (
                below_intermediate(|p| p.not_after = date_time_ymd(2020, 2, 3)),
                ECDSA_NISTP256_SHA256,
                &[INTERMEDIATE, "expired on 2020-02-03T00:00:00Z", "current certificate of this issuer"],
            ),
        ),
        (
            "an early intermediate",
            (
                below_intermediate(|p| p.not_before = date_time_ymd(2999, 2, 3)),
                ECDSA_NISTP256_SHA256,
                &[INTERMEDIATE, "not valid before 2999-02-03T00:00:00Z", "if the clock is right"],
            ),
        ),
        (
            "an address as a DNS name",
            (self_signed(&dns), ECDSA_NISTP256_SHA256, &["lists 127.0.0.1 as a DNS name", "IP:127.0.0.1"]),
        ),
        (
            "another key",
            (self_signed(&good), ECDSA_NISTP256_SHA256, &["not have the private key", "certificate and key"]),
        ),
    ];
    table::each(&table, |((chain, bundle), scheme, says)| {
        let (outcome, connections) = download(without_key(chain.clone(), *scheme), bundle);
        outcome.assert_failed(5, &[]);
        for part in says.iter().chain(&["\n  hint: "]) {
            assert!(outcome.stderr.contains(part), "no {part:?} in {}", outcome.stderr);
        }
        assert!(!outcome.stderr.contains('\u{1b}'), "{:?}", outcome.stderr);
        assert!(connections <= 2, "{connections} connections");
    });
}

/// A server with a key of another kind than was offered says so by an alert (`tls_failures.rs`), or uses it all the same.
#[test]
fn a_key_of_an_unsupported_kind_is_named() {
    let chain = self_signed(&CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name"));
    let outcome = download(without_key(chain.0, SignatureScheme::ECDSA_NISTP521_SHA512), &chain.1).0;
    outcome.assert_failed(5, &[]);
    assert!(
        outcome.stderr.contains("no common TLS version, cipher suite, group or kind of key"),
        "{}",
        outcome.stderr
    );
}
