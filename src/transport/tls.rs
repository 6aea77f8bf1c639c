//! TLS 1.2 and 1.3 by rustls over ring: one client configuration for all connections of a run.
//!
//! Because all connections share it, a session is resumed by later connections to the same host, and root certificates
//! are read once. Verification cannot be turned off. Why ring: see docs/design/tls-provider.md.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};

use crate::error::{Error, ErrorKind, Result, shortage};
use crate::transport::bounded_file::{may_wait, read_bounded, read_bounded_soon};
use crate::transport::trust::{self, ServerVerifier};

/// The certificates that TLS connections trust and present; by default the operating system's roots and no client
/// certificate. Clones share one configuration.
#[derive(Clone, Default)]
pub struct Tls(Arc<Shared>);

#[derive(Default)]
struct Shared {
    bundle: Option<CaBundle>,
    client: Option<ClientCertificate>,
    /// The contents of those files that can be read only once, or only by waiting.
    pipes: OnceLock<Vec<(PathBuf, io::Result<Vec<u8>>)>>,
    config: OnceLock<ClientConfig>,
    asked: Arc<AtomicBool>,
}

/// A file or a folder of PEM certificates that replaces the operating system's roots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaBundle {
    /// The file or folder.
    pub path: PathBuf,
    /// The setting that names it, for messages.
    pub setting: String,
}

/// A certificate that identifies this client to the server, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientCertificate {
    /// The certificate and those of its issuers.
    pub certificate: PathBuf,
    /// The private key; `None` if it is in the certificate's file.
    pub key: Option<PathBuf>,
}

impl CaBundle {
    /// Creates a bundle of the certificates in `path`, a file or a folder; messages say that `setting` names it.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, setting: impl Into<String>) -> Self {
        Self { path: path.into(), setting: setting.into() }
    }
}

impl ClientCertificate {
    /// Creates a client certificate from PEM files; without `key`, the private key is in the certificate's file.
    #[must_use]
    pub fn new(certificate: impl Into<PathBuf>, key: Option<PathBuf>) -> Self {
        Self { certificate: certificate.into(), key }
    }
}

impl Tls {
    /// Trusts `bundle` instead of the operating system's roots, and presents `client` to servers that ask for a
    /// certificate.
    #[must_use]
    pub fn new(bundle: Option<CaBundle>, client: Option<ClientCertificate>) -> Self {
        Self(Arc::new(Shared { bundle, client, ..Shared::default() }))
    }

    /// Returns the bundle that is trusted instead of the operating system's roots.
    #[must_use]
    pub fn bundle(&self) -> Option<&CaBundle> {
        self.0.bundle.as_ref()
    }

    /// Returns whether a client certificate is presented to servers that ask for one.
    pub(crate) fn has_client_certificate(&self) -> bool {
        self.0.client.is_some()
    }

    /// Returns whether a server has asked for a client certificate. Over TLS 1.2 one that gets none may end the handshake
    /// with the alert of one that has no cipher suite in common.
    pub(crate) fn was_asked_for_certificate(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Reads those files that may wait for a writer. Connections are set up on a thread that must not wait.
    pub(crate) async fn read_pipes(&self) {
        let client = self.0.client.as_ref();
        let files = [
            self.0.bundle.as_ref().map(|bundle| &bundle.path),
            client.map(|client| &client.certificate),
            client.and_then(|client| client.key.as_ref()),
        ];
        let mut pipes: Vec<(PathBuf, io::Result<Vec<u8>>)> = Vec::new();
        for file in files.into_iter().flatten().filter(|file| may_wait(file)) {
            if pipes.iter().all(|(other, _)| other != file) {
                pipes.push((file.clone(), read_bounded_soon(file.clone()).await));
            }
        }
        let _ = self.0.pipes.set(pipes);
    }

    /// Returns the configuration, made at the first call. Reads the bundle and the client's files; the operating
    /// system's roots are read on another thread meanwhile and waited for only when a certificate is verified.
    pub(super) fn client_config(&self) -> Result<ClientConfig> {
        if let Some(config) = self.0.config.get() {
            return Ok(config.clone());
        }
        let mut config = self.build()?;
        config.client_auth_cert_resolver = Arc::new(NotingResolver {
            certificate: config.client_auth_cert_resolver,
            asked: Arc::clone(&self.0.asked),
        });
        Ok(self.0.config.get_or_init(|| config).clone())
    }

    fn build(&self) -> Result<ClientConfig> {
        let provider = Arc::new(provider());
        let verifier = match &self.0.bundle {
            Some(bundle) => {
                ServerVerifier::with_bundle(bundle, |file| self.0.read(file), Arc::clone(&provider))?
            }
            None => ServerVerifier::with_system_roots(Arc::clone(&provider)),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(setup_error)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let Some(client) = &self.0.client else { return Ok(builder.with_no_client_auth()) };
        let (chain, key) = client.read(&self.0)?;
        builder.with_client_auth_cert(chain, key).map_err(|e| {
            let hint = if matches!(e, rustls::Error::InconsistentKeys(_)) {
                "--client-cert and --client-key must belong together"
            } else {
                "a client's key must be RSA of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519"
            };
            Error::usage(format!("client certificate {} is unusable", client.certificate.display()))
                .with_source(e)
                .with_hint(hint)
        })
    }
}

/// Notes that a server asks for a client certificate.
#[derive(Debug)]
struct NotingResolver {
    certificate: Arc<dyn ResolvesClientCert>,
    asked: Arc<AtomicBool>,
}

impl ResolvesClientCert for NotingResolver {
    fn resolve(&self, issuers: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.certificate.resolve(issuers, schemes)
    }

    fn has_certs(&self) -> bool {
        self.certificate.has_certs()
    }
}

impl Shared {
    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        let pipe = self.pipes.get().and_then(|pipes| pipes.iter().find(|(path, _)| path == file));
        match pipe {
            Some((_, Ok(bytes))) => Ok(bytes.clone()),
            Some((_, Err(e))) => Err(shortage::copy_of(e)),
            None => read_bounded(file),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("bundle", &self.0.bundle).field("client", &self.0.client).finish()
    }
}

impl ClientCertificate {
    fn read(
        &self,
        files: &Shared,
    ) -> Result<(Vec<rustls::pki_types::CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let read = |file: &Path, what: &str| {
            files
                .read(file)
                .map_err(|e| Error::usage(format!("cannot read {what} {}", file.display())).with_source(e))
        };
        let chain = trust::certificates_in(&read(&self.certificate, "client certificate")?);
        let chain = chain.into_iter().collect::<Result<Vec<_>, _>>().map_err(|e| {
            Error::usage(format!("client certificate {} is not PEM: {e}", self.certificate.display()))
        })?;
        if chain.is_empty() {
            let file = self.certificate.display();
            return Err(Error::usage(format!("client certificate {file} contains no certificate")));
        }
        let file = self.key.as_ref().unwrap_or(&self.certificate);
        let pem = read(file, "client key")?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
            let error = Error::usage(format!("client key {} contains no usable private key", file.display()));
            if String::from_utf8_lossy(&pem).contains("ENCRYPTED") {
                return error.with_hint(
                    "the key is encrypted: decrypt it, for example with `openssl pkey -in KEY -out PLAIN`",
                );
            }
            error.with_hint("--client-key must name a PEM file with an unencrypted private key")
        })?;
        Ok((chain, key))
    }
}

/// Returns a configuration that trusts no certificate, for endpoints without TLS.
pub(super) fn unused() -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(setup_error)?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

/// Returns the only provider of cryptography for TLS in this program.
fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

fn setup_error(error: rustls::Error) -> Error {
    Error::new(ErrorKind::Other, "cannot set up TLS").with_source(error)
}
