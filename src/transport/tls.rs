//! The TLS client configuration: TLS 1.2 and 1.3 by rustls over aws-lc, with the operating system's
//! trusted roots or those of a file.
//!
//! It gets an optional PEM file. It never turns verification off, and is asked only when an endpoint is
//! `https`, since reading the roots costs milliseconds.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Error, ErrorKind, Result};

/// The configuration for an `https` endpoint; `ca_bundle` replaces the system's roots, as
/// `AWS_CA_BUNDLE` does in every AWS tool.
pub(super) fn config(ca_bundle: Option<&Path>) -> Result<ClientConfig> {
    with_roots(match ca_bundle {
        Some(file) => from_file(file)?,
        None => from_system()?,
    })
}

/// A configuration that trusts nobody, for endpoints without TLS.
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
    let bad = |why: &str| {
        Error::usage(format!("the CA bundle {}: {why}", file.display()))
            .with_hint("--ca-bundle, AWS_CA_BUNDLE or ca_bundle must name a file of PEM certificates")
    };
    let mut roots = RootCertStore::empty();
    for certificate in
        CertificateDer::pem_file_iter(file).map_err(|e| bad("cannot be read").with_source(e))?
    {
        let certificate = certificate.map_err(|e| bad("is not PEM").with_source(e))?;
        roots.add(certificate).map_err(|e| bad("has a certificate that cannot be used").with_source(e))?;
    }
    if roots.is_empty() {
        return Err(bad("has no certificate"));
    }
    Ok(roots)
}

/// A certificate that cannot be parsed is passed over: systems ship odd ones. None at all is an error.
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

/// Whether a connection failed because the server's certificate was refused, which no retry mends.
pub(super) fn is_untrusted(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(e) = cause {
        // An io::Error shows what it wraps by get_ref, not by source.
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
