//! The meaning of a failed TLS connection, in words for people, and a remedy.
//!
//! rustls names the cause; this adds the dates in a readable form, the setting that trusts a certificate, and whether a
//! retry can help. Text of a certificate or a server is made printable and short before it is shown.

use std::error::Error as StdError;
use std::fmt::Write;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerMisbehaved};

use crate::error::printable::{printable, printable_within};
use crate::error::{Error, ErrorKind};
use crate::transport::refused_certificate::{RSA_BITS_MIN, RefusedCertificate, algorithm};
use crate::transport::tls::Tls;
use crate::transport::trust::{NoRoots, webpki_error};

/// How many names of a certificate a message lists.
const NAMES_MAX: usize = 4;
/// The most characters of one of these names that are shown.
const NAME_CHARS_MAX: usize = 80;

/// Returns the error for a connection to `host` that failed for the TLS reason in `error`, or `None` if it failed
/// otherwise. `prefix` begins the message.
pub(crate) fn explain(error: &(dyn StdError + 'static), prefix: &str, tls: &Tls) -> Option<Error> {
    let error = find_rustls_error(error)?;
    if let rustls::Error::Other(other) = error
        && let Some(no_roots) = other.0.downcast_ref::<NoRoots>()
    {
        return Some(
            Error::new(ErrorKind::Usage, no_roots.to_string())
                .with_hint("install the package ca-certificates, or pass a PEM file with --ca-bundle"),
        );
    }
    let (reason, hint) = match error {
        rustls::Error::InvalidCertificate(certificate) => certificate_words(error, certificate, tls),
        rustls::Error::AlertReceived(alert) => alert_words(*alert, tls)?,
        // A server with no key of a kind that was offered may use it all the same.
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme) => {
            old_server_words()
        }
        rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => (
            "the server did not respond with TLS".to_owned(),
            "this port may serve plain HTTP: check the scheme and the port".to_owned(),
        ),
        _ => return None,
    };
    Some(Error::network(format!("{prefix}: {reason}")).retryable(false).with_hint(hint))
}

fn certificate_words(error: &rustls::Error, certificate: &CertificateError, tls: &Tls) -> (String, String) {
    if let Some(refused) = RefusedCertificate::find(certificate) {
        return refused_words(refused);
    }
    let clock = clock();
    match certificate {
        CertificateError::Expired => (
            "the server's certificate has expired".to_owned(),
            format!("if the clock is right ({clock}), the server needs a new certificate"),
        ),
        CertificateError::ExpiredContext { not_after, .. } => (
            format!("the server's certificate expired on {}", date(*not_after)),
            format!("if the clock is right ({clock}), the server needs a new certificate"),
        ),
        CertificateError::NotValidYet => (
            "the server's certificate is not valid yet".to_owned(),
            format!("{clock}: set it if it is wrong"),
        ),
        CertificateError::NotValidYetContext { not_before, .. } => (
            format!("the server's certificate is not valid before {}", date(*not_before)),
            format!("{clock}: set it if it is wrong"),
        ),
        CertificateError::NotValidForName => (
            "the server's certificate is for another host".to_owned(),
            "check the host name of the endpoint".to_owned(),
        ),
        CertificateError::NotValidForNameContext { expected, presented } if presented.is_empty() => (
            format!(
                "the server's certificate lists no host names, so it is not valid for {}",
                expected.to_str()
            ),
            "the server needs a certificate with subjectAltName; a common name (CN) alone is not accepted"
                .to_owned(),
        ),
        CertificateError::NotValidForNameContext { expected: ServerName::IpAddress(address), presented }
            if is_dns_name(&IpAddr::from(*address).to_string(), presented) =>
        {
            let address = IpAddr::from(*address);
            (
                format!("the server's certificate lists {address} as a DNS name, and not as an IP address"),
                format!("the server needs a certificate with subjectAltName IP:{address}"),
            )
        }
        CertificateError::NotValidForNameContext { expected, presented } => (
            format!("the server's certificate is not for {} but for {}", expected.to_str(), names(presented)),
            "check the host name of the endpoint".to_owned(),
        ),
        CertificateError::UnknownIssuer => untrusted_words(tls),
        CertificateError::Revoked => (
            "the server's certificate was revoked".to_owned(),
            "the server needs a new certificate".to_owned(),
        ),
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id: id, .. } => (
            format!(
                "a certificate of the server or of its issuers is signed with {}, which is not supported",
                signature(id)
            ),
            CHAIN_HINT.to_owned(),
        ),
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => (
            "a certificate of the server or of its issuers is signed by a kind of key that is not supported"
                .to_owned(),
            CHAIN_HINT.to_owned(),
        ),
        CertificateError::BadSignature => (
            "the server's certificate is not trusted: the trusted issuer of that name did not sign it"
                .to_owned(),
            bundle_hint(tls),
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => (
            "the server's certificate is not for servers: its extended key usage lacks serverAuth".to_owned(),
            "the server needs a certificate with extendedKeyUsage serverAuth, or without that extension"
                .to_owned(),
        ),
        _ => rare_words(error, tls),
    }
}

/// Returns the words for what rustls has no name for.
fn rare_words(error: &rustls::Error, tls: &Tls) -> (String, String) {
    match webpki_error(error) {
        Some(webpki::Error::CaUsedAsEndEntity) => (
            format!(
                "the server presents a CA's certificate as its own, and it is not {}",
                if tls.bundle().is_some() { "in the CA bundle" } else { "among those that are trusted" }
            ),
            "trust it by putting this certificate itself into the file of --ca-bundle or AWS_CA_BUNDLE"
                .to_owned(),
        ),
        Some(webpki::Error::UnsupportedCertVersion) => (
            "the server's certificate is X.509 version 1".to_owned(),
            "the server needs a certificate of version 3 with subjectAltName".to_owned(),
        ),
        Some(webpki::Error::EndEntityUsedAsCa) => (
            "the certificate that issued the server's is not a CA's".to_owned(),
            "the issuer's certificate must be marked as a CA's (basicConstraints CA:TRUE)".to_owned(),
        ),
        Some(webpki::Error::UnsupportedCriticalExtension) => (
            "a certificate of the server or of its issuers has a critical extension that is not supported"
                .to_owned(),
            ANOTHER_HINT.to_owned(),
        ),
        Some(webpki::Error::NameConstraintViolation) => (
            "an issuer of the server's certificate may not issue it for such a name (name constraints)"
                .to_owned(),
            ANOTHER_HINT.to_owned(),
        ),
        other => {
            let reason = other.map_or_else(|| error.to_string(), |other| spaced(&format!("{other:?}")));
            (
                format!("the server's certificate is not acceptable: {}", printable(&reason)),
                ANOTHER_HINT.to_owned(),
            )
        }
    }
}

const ANOTHER_HINT: &str = "the server needs another certificate";

/// Keys and signatures that are supported, for a certificate with others.
const CHAIN_HINT: &str = "the server and its issuers need keys and signatures of RSA (2048 bits or more) with SHA-256, SHA-384 or \
    SHA-512, of ECDSA P-256 or P-384 with SHA-256 or SHA-384, or of Ed25519";

fn refused_words(refused: &RefusedCertificate) -> (String, String) {
    let named = |issuer: &str| {
        format!("the issuer \"{}\" of the server's certificate", printable_within(issuer, NAME_CHARS_MAX))
    };
    match refused {
        RefusedCertificate::Issuer(name, error) => {
            let dates = match error {
                CertificateError::ExpiredContext { not_after, .. } => {
                    format!("expired on {}", date(*not_after))
                }
                CertificateError::NotValidYetContext { not_before, .. } => {
                    format!("is not valid before {}", date(*not_before))
                }
                _ => "is not valid".to_owned(),
            };
            (
                format!("the certificate of {} {dates}", named(name)),
                format!(
                    "if the clock is right ({}), the server must send a current certificate of this issuer",
                    clock()
                ),
            )
        }
        RefusedCertificate::ShortKey(issuer, bits) => {
            let whose = issuer.as_deref().map_or_else(|| "the server's certificate".to_owned(), named);
            (
                format!("{whose} has an RSA key of {bits} bits; fewer than {RSA_BITS_MIN} are not accepted"),
                CHAIN_HINT.to_owned(),
            )
        }
        RefusedCertificate::OtherKey => (
            "the server does not have the private key of its certificate".to_owned(),
            "check the certificate and key of the server, and that this is the right server".to_owned(),
        ),
    }
}

/// Returns the name of the algorithm of a signature from its DER.
fn signature(id: &[u8]) -> String {
    let id = algorithm(id).unwrap_or_default();
    match id.as_str() {
        "1.2.840.113549.1.1.4" => "RSA and MD5".to_owned(),
        "1.2.840.113549.1.1.5" => "RSA and SHA-1".to_owned(),
        "1.2.840.10045.4.1" => "ECDSA and SHA-1".to_owned(),
        "1.2.840.10045.4.3.4" => "ECDSA and SHA-512".to_owned(),
        "1.3.101.113" => "Ed448".to_owned(),
        _ => format!("an algorithm ({id})"),
    }
}

fn untrusted_words(tls: &Tls) -> (String, String) {
    ("the server's certificate is not trusted".to_owned(), bundle_hint(tls))
}

fn bundle_hint(tls: &Tls) -> String {
    match tls.bundle() {
        Some(bundle) => format!(
            "its issuer is not in {} ({}): add the issuer's certificate (PEM) there",
            bundle.path.display(),
            bundle.setting
        ),
        None => {
            "trust its CA by passing the CA's certificate (PEM) with --ca-bundle or AWS_CA_BUNDLE".to_owned()
        }
    }
}

fn old_server_words() -> (String, String) {
    (
        "the server supports no common TLS version, cipher suite, group or kind of key".to_owned(),
        "the server must support TLS 1.3, or TLS 1.2 with an ECDHE suite and AES-GCM or ChaCha20; the group X25519, P-256 \
         or P-384; and have a key of RSA, ECDSA P-256 or P-384, or Ed25519"
            .to_owned(),
    )
}

fn alert_words(alert: AlertDescription, tls: &Tls) -> Option<(String, String)> {
    match alert {
        AlertDescription::HandshakeFailure if tls.was_asked_for_certificate() => {
            Some(client_certificate_words(alert, tls))
        }
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity => Some(old_server_words()),
        AlertDescription::UnrecognisedName => Some((
            "the server does not serve this host name".to_owned(),
            "check the host name of the endpoint".to_owned(),
        )),
        // It cannot verify the signature: another key than the one it knows by this certificate's name.
        AlertDescription::DecryptError if !tls.has_client_certificate() => None,
        AlertDescription::DecryptError
        | AlertDescription::CertificateRequired
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => Some(client_certificate_words(alert, tls)),
        _ => None,
    }
}

fn client_certificate_words(alert: AlertDescription, tls: &Tls) -> (String, String) {
    if tls.has_client_certificate() {
        (
            format!("the server rejected the client certificate ({alert:?})"),
            "check --client-cert and --client-key".to_owned(),
        )
    } else {
        (
            format!("the server requires a client certificate ({alert:?})"),
            "pass one with --client-cert and --client-key".to_owned(),
        )
    }
}

/// Returns `error`, of a read through TLS, in plain words: rustls's own for a connection that ends without saying so refer
/// to its documentation.
pub(super) fn in_plain_words(error: std::io::Error) -> std::io::Error {
    match error.kind() {
        kind @ std::io::ErrorKind::UnexpectedEof => {
            std::io::Error::new(kind, "the connection was closed without the end of TLS")
        }
        _ => error,
    }
}

/// Returns whether the chain of causes of `error` says that the other end closed an established connection.
pub(crate) fn is_cut(error: &(dyn StdError + 'static)) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    let mut cause = Some(error);
    while let Some(e) = cause {
        if let Some(io) = e.downcast_ref::<std::io::Error>() {
            if matches!(io.kind(), BrokenPipe | ConnectionReset | UnexpectedEof) {
                return true;
            }
            // It exposes what it wraps by get_ref, not by source.
            if io.get_ref().is_some_and(|inner| is_cut(inner)) {
                return true;
            }
        }
        cause = e.source();
    }
    false
}

/// Returns rustls's error in the chain of causes of `error`.
fn find_rustls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(e) = cause {
        if let Some(found) = e.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An io::Error exposes what it wraps by get_ref, not by source.
        if let Some(inner) = e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
            && let Some(found) = find_rustls_error(inner)
        {
            return Some(found);
        }
        cause = e.source();
    }
    None
}

fn clock() -> String {
    format!("this machine's clock says {}", date(UnixTime::now()))
}

fn date(time: UnixTime) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs().min(253_402_300_799));
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Returns whether `address` is among the DNS names of a certificate, where it does not count (RFC 6125, section 1.7.2).
fn is_dns_name(address: &str, presented: &[String]) -> bool {
    presented.iter().any(|name| name.starts_with("DnsName") && quoted(name) == address)
}

/// Returns the name itself: webpki writes `DnsName("host")` and `IpAddress(10.0.0.1)`.
fn quoted(name: &str) -> &str {
    let in_brackets = || name.strip_suffix(')')?.split_once('(').map(|(_, inner)| inner);
    name.split('"').nth(1).or_else(in_brackets).unwrap_or(name)
}

/// Returns the words of a name such as `PathLenConstraintViolated`.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && words.ends_with(|last: char| last.is_ascii_lowercase()) {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

fn names(presented: &[String]) -> String {
    let mut list = String::new();
    for name in presented.iter().take(NAMES_MAX) {
        let name = quoted(name);
        let _ = write!(
            list,
            "{}{}",
            if list.is_empty() { "" } else { ", " },
            printable_within(name, NAME_CHARS_MAX)
        );
    }
    if presented.len() > NAMES_MAX {
        let _ = write!(list, " and {} others", presented.len() - NAMES_MAX);
    }
    list
}
