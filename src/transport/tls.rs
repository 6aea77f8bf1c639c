//! TLS 1.2 and 1.3 by rustls over aws-lc, trusting the operating system's roots or those of a PEM file.
//!
//! Verification cannot be turned off. Roots are read only for `https`, because that costs milliseconds.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Error, ErrorKind, Result};

/// Returns the configuration for an `https` endpoint. `ca_bundle` replaces the system's roots, as `AWS_CA_BUNDLE` does
/// in every AWS tool.
pub(super) fn config(ca_bundle: Option<&Path>) -> Result<ClientConfig> {
    with_roots(match ca_bundle {
        Some(file) => from_file(file)?,
        None => from_system()?,
    })
}

/// Returns a configuration that trusts no certificate, for endpoints without TLS.
pub(super) fn unused() -> Result<ClientConfig> {
    with_roots(RootCertStore::empty())
}

fn with_roots(roots: RootCertStore) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::new(ErrorKind::Other, "TLS could not be set up").with_source(e))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn from_file(file: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in read_bundle(file)? {
        let unusable = |e| bundle_error(file, "has an unusable certificate").with_source(e);
        roots.add(certificate).map_err(unusable)?;
    }
    Ok(roots)
}

/// Reads the certificates of a PEM file; there is at least one.
pub(crate) fn read_bundle(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let pem = std::fs::read(file).map_err(|e| {
        Error::usage(format!("cannot read CA bundle {}", file.display()))
            .with_source(e)
            .with_hint(BUNDLE_HINT)
    })?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| bundle_error(file, "is not PEM").with_source(e))?;
    if certificates.is_empty() {
        return Err(bundle_error(file, "contains no certificate"));
    }
    Ok(certificates)
}

const BUNDLE_HINT: &str = "--ca-bundle, AWS_CA_BUNDLE or ca_bundle must name a file of PEM certificates";

fn bundle_error(file: &Path, reason: &str) -> Error {
    Error::usage(format!("CA bundle {} {reason}", file.display())).with_hint(BUNDLE_HINT)
}

/// Reads the operating system's roots. Certificates that cannot be parsed are skipped, because systems ship odd ones;
/// having none at all is an error.
fn from_system() -> Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let mut error = Error::new(ErrorKind::Usage, "this system has no trusted root certificates")
            .with_hint("install ca-certificates, or name a file with --ca-bundle");
        if let Some(cause) = found.errors.into_iter().next() {
            error = error.with_source(cause);
        }
        return Err(error);
    }
    Ok(roots)
}

/// Returns whether a connection failed because the server's certificate was rejected; a retry cannot help.
pub(super) fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(e) = cause {
        // An io::Error exposes what it wraps by get_ref, not by source.
        let inner = e.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(inner) = inner
            && is_untrusted(inner)
        {
            return true;
        }
        if let Some(rustls::Error::InvalidCertificate(_)) = e.downcast_ref::<rustls::Error>() {
            return true;
        }
        cause = e.source();
    }
    false
}
