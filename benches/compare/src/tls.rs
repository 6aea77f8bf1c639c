//! A certificate authority made on the spot, and a server certificate of it for the loopback address.
//!
//! rustls's server configuration, and a file of the authority for clients to trust. The keys live and end with the
//! process.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::version::TLS13;
use tempfile::NamedTempFile;

use crate::Result;

/// What a server and its clients need for TLS 1.3.
pub(crate) struct Tls {
    pub(crate) config: Arc<ServerConfig>,
    authority: NamedTempFile,
}

impl Tls {
    /// Makes the keys and certificates.
    pub(crate) fn new() -> Result<Self> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        authority.distinguished_name.push(DnType::CommonName, "compare's own authority");
        let authority_key = KeyPair::generate()?;
        let pem = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);

        let mut leaf = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &issuer)?;

        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];

        let mut file = NamedTempFile::with_suffix(".pem")?;
        file.write_all(pem.as_bytes())?;
        Ok(Self { config: Arc::new(config), authority: file })
    }

    /// The authority, in PEM.
    pub(crate) fn authority(&self) -> &Path {
        self.authority.path()
    }
}
