//! Verification of server certificates: against a bundle, or against the operating system's roots.
//!
//! Two rules are added to webpki's. A self-signed certificate that is trusted itself (byte for byte in the bundle, or by its
//! name and key among the system's roots, which `SSL_CERT_FILE` may name) is accepted for the names it lists even if it
//! is marked as a CA, as many private servers' are. And the operating system's roots are read on another thread while the
//! connection is set up: some 150 certificates cost milliseconds.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime, pem};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};

use crate::error::{Error, Result, shortage};
use crate::events::CONNECTION;
use crate::transport::refused_certificate::{RefusedCertificate, may_serve};
use crate::transport::tls::CaBundle;
use tracing::warn;

/// Verifies server certificates.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    provider: Arc<CryptoProvider>,
    roots: Roots,
}

#[derive(Debug)]
enum Roots {
    /// The verifier of a bundle, and its certificates as they are in the file.
    Bundle(Arc<WebPkiServerVerifier>, Vec<CertificateDer<'static>>),
    System,
}

impl ServerVerifier {
    /// Trusts the certificates of `bundle`, whose files are read by `read`. Unusable ones, and files of a folder that cannot
    /// be read, are skipped with a warning; there must be a usable one.
    pub(super) fn with_bundle(
        bundle: &CaBundle,
        read: impl Fn(&Path) -> std::io::Result<Vec<u8>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self> {
        let unreadable = |e: std::io::Error, path: &Path| {
            Error::usage(format!("cannot read CA bundle {} ({})", path.display(), bundle.setting))
                .with_source(e)
                .with_hint(BUNDLE_HINT)
        };
        let mut roots = RootCertStore::empty();
        let mut trusted = Vec::new();
        let mut skipped = Vec::new();
        for file in files_in(&bundle.path).map_err(|e| unreadable(e, &bundle.path))? {
            let pem = match read(&file) {
                Ok(pem) => pem,
                Err(e) if file != bundle.path && shortage::remedy(&e).is_none() => {
                    skipped.push(format!("{}: {e}", file.display()));
                    continue;
                }
                Err(e) => return Err(unreadable(e, &file)),
            };
            for (number, certificate) in certificates_in(&pem).into_iter().enumerate() {
                let added = certificate.and_then(|certificate| {
                    roots.add(certificate.clone()).map_err(|e| e.to_string())?;
                    trusted.push(certificate);
                    Ok(())
                });
                if let Err(reason) = added {
                    skipped.push(format!("certificate {} of {}: {reason}", number + 1, file.display()));
                }
            }
        }
        let path = bundle.path.display();
        if trusted.is_empty() {
            let reason = skipped.first().map_or_else(
                || "no certificate".to_owned(),
                |first| format!("no usable certificate: {first}"),
            );
            return Err(Error::usage(format!("CA bundle {path} ({}) contains {reason}", bundle.setting))
                .with_hint(BUNDLE_HINT));
        }
        if let Some(first) = skipped.first() {
            let reason = format!("{path}: {first}");
            warn!(target: CONNECTION, skipped = skipped.len(), reason, "certificates of the CA bundle are not usable");
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
            .build()
            .map_err(|e| Error::usage(format!("CA bundle {path} is unusable")).with_source(e))?;
        Ok(Self { provider, roots: Roots::Bundle(verifier, trusted) })
    }

    /// Trusts the operating system's roots, and begins to read them.
    pub(super) fn with_system_roots(provider: Arc<CryptoProvider>) -> Self {
        if SYSTEM.get().is_none() {
            let provider = Arc::clone(&provider);
            // Without another thread they are read when they are needed.
            let _ = std::thread::Builder::new()
                .name("root-certificates".to_owned())
                .spawn(move || system_roots(&provider).is_ok());
        }
        Self { provider, roots: Roots::System }
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (verifier, bundle, anchors) = match &self.roots {
            Roots::Bundle(verifier, trusted) => (verifier, trusted.as_slice(), &[][..]),
            Roots::System => match system_roots(&self.provider) {
                Ok(system) => (&system.verifier, &[][..], system.store.roots.as_slice()),
                Err(error) => return Err(rustls::Error::Other(OtherError(Arc::new(error.clone())))),
            },
        };
        let is_trusted_itself = || {
            let is_among = |anchor: TrustAnchor<'_>| anchors.contains(&anchor);
            bundle.contains(end_entity) || webpki::anchor_from_trusted_cert(end_entity).is_ok_and(is_among)
        };
        match verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // Dates are checked before this error; the handshake's signature is verified afterwards in any case.
            Err(error) if is_ca_as_end_entity(&error) && is_trusted_itself() => {
                if !may_serve(end_entity) {
                    return Err(CertificateError::InvalidPurpose.into());
                }
                rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other.map_err(|error| {
                let alone = |certificate: &CertificateDer<'_>| {
                    verifier.verify_server_cert(certificate, &[], server_name, &[], now).err()
                };
                RefusedCertificate::of_chain(error, end_entity, intermediates, bundle, alone)
            }),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
        .map_err(|error| RefusedCertificate::of_handshake(error, certificate))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
        .map_err(|error| RefusedCertificate::of_handshake(error, certificate))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Returns whether webpki rejected a certificate only because it is a CA's.
pub(super) fn is_ca_as_end_entity(error: &rustls::Error) -> bool {
    webpki_error(error) == Some(webpki::Error::CaUsedAsEndEntity)
}

/// Returns webpki's own error if rustls has none for it.
pub(super) fn webpki_error(error: &rustls::Error) -> Option<webpki::Error> {
    let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) = error else {
        return None;
    };
    cause.downcast_ref().cloned()
}

/// Returns the certificates in `pem`, each by itself, so that a bad one spoils no other. OpenSSL's older label
/// `X509 CERTIFICATE` is read too.
pub(super) fn certificates_in(pem: &[u8]) -> Vec<Result<CertificateDer<'static>, String>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    let text = String::from_utf8_lossy(pem).replace(" X509 CERTIFICATE-----", " CERTIFICATE-----");
    let parse = |block: &str| {
        CertificateDer::from_pem_slice(format!("{BEGIN}{block}").as_bytes()).map_err(|e| match e {
            pem::Error::Base64Decode(_) => "invalid base64".to_owned(),
            pem::Error::MissingSectionEnd { .. } => "its end is missing".to_owned(),
            other => other.to_string(),
        })
    };
    text.split(BEGIN).skip(1).map(parse).collect()
}

/// Returns `path`, or the files in it if it is a folder.
fn files_in(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path)?.filter_map(|entry| Some(entry.ok()?.path()));
    // In a folder for OpenSSL each certificate has a second name, a link made of its hash.
    let mut files: Vec<_> =
        entries.filter_map(|file| file.canonicalize().ok()).filter(|f| f.is_file()).collect();
    files.sort();
    files.dedup();
    Ok(files)
}

const BUNDLE_HINT: &str =
    "--ca-bundle, AWS_CA_BUNDLE or ca_bundle must name a file or folder of PEM certificates";

/// Files with all roots, by distribution. Reading one is several times faster than reading a folder with a file and a
/// link for each root.
const ROOT_FILES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The operating system has no usable root certificate.
#[derive(Debug, Clone)]
pub(super) struct NoRoots(String);

impl fmt::Display for NoRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this system has no trusted root certificates{}", self.0)
    }
}

impl std::error::Error for NoRoots {}

/// The operating system's roots.
#[derive(Debug)]
struct SystemRoots {
    verifier: Arc<WebPkiServerVerifier>,
    store: Arc<RootCertStore>,
}

static SYSTEM: OnceLock<Result<SystemRoots, NoRoots>> = OnceLock::new();

fn system_roots(provider: &Arc<CryptoProvider>) -> Result<&'static SystemRoots, &'static NoRoots> {
    let load = || {
        let (roots, reason) = read_system_roots();
        let no_roots =
            |e: &dyn fmt::Display| NoRoots(format!(": {}", reason.as_deref().unwrap_or(&e.to_string())));
        let store = Arc::new(roots);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&store), Arc::clone(provider));
        Ok(SystemRoots { verifier: verifier.build().map_err(|e| no_roots(&e))?, store })
    };
    SYSTEM.get_or_init(load).as_ref()
}

/// Reads the roots that `SSL_CERT_FILE` and `SSL_CERT_DIR` name, otherwise those of the system. Certificates that
/// cannot be parsed are skipped, because systems ship odd ones.
fn read_system_roots() -> (RootCertStore, Option<String>) {
    let mut roots = RootCertStore::empty();
    let mut reasons = named_roots(&mut roots);
    if let Some(first) = reasons.first() {
        let instead = if roots.is_empty() { "; the system's certificates are trusted instead" } else { "" };
        let reason = format!("{first}{instead}");
        warn!(target: CONNECTION, skipped = reasons.len(), reason, "certificates are missing");
    }
    for file in ROOT_FILES {
        if !roots.is_empty() {
            break;
        }
        let found = rustls_native_certs::load_certs_from_paths(Some(Path::new(file)), None);
        roots.add_parsable_certificates(found.certs);
    }
    if roots.is_empty() {
        let found = rustls_native_certs::load_native_certs();
        reasons.extend(found.errors.first().map(ToString::to_string));
        roots.add_parsable_certificates(found.certs);
    }
    (roots, reasons.into_iter().next())
}

/// Adds the roots that `SSL_CERT_FILE` and `SSL_CERT_DIR` name, and returns what is wrong with them.
fn named_roots(roots: &mut RootCertStore) -> Vec<String> {
    let value = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let file = value("SSL_CERT_FILE").map(PathBuf::from);
    let folders = value("SSL_CERT_DIR").unwrap_or_default();
    let folders = std::env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty());
    let named =
        file.into_iter().map(|file| ("SSL_CERT_FILE", file)).chain(folders.map(|f| ("SSL_CERT_DIR", f)));
    let mut reasons = Vec::new();
    for (variable, path) in named {
        let (file, folder) =
            if variable == "SSL_CERT_FILE" { (Some(&*path), None) } else { (None, Some(&*path)) };
        let found = rustls_native_certs::load_certs_from_paths(file, folder);
        let (added, _) = roots.add_parsable_certificates(found.certs);
        let path = path.display();
        if let Some(first) = found.errors.first() {
            reasons.push(format!("{variable} names {path}: {first}"));
        } else if added == 0 {
            reasons.push(format!("{variable} names {path}, which contains no usable certificate"));
        }
    }
    reasons
}
