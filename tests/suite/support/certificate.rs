//! Self-signed certificates for servers in the tests.

use std::sync::Arc;

use rcgen::{CertificateParams, CertifiedKey, KeyPair};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::{Error, ServerConfig, SignatureAlgorithm, SignatureScheme, sign};

/// Returns a server's configuration with a certificate for `name`, and the certificate in PEM for the client to trust.
pub(crate) fn self_signed(name: &str) -> (Arc<ServerConfig>, String) {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key in PKCS #8");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a key that fits its certificate");
    (Arc::new(config), cert.pem())
}

/// Returns a server's configuration with the self-signed certificate that `params` describe, and that in PEM.
pub(crate) fn from_params(params: &CertificateParams) -> (Arc<ServerConfig>, String) {
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key in PKCS #8");
    (unchecked(certificate.der().clone(), key), certificate.pem())
}

/// Returns a server's configuration with a certificate that rustls itself might refuse to serve.
pub(crate) fn unchecked(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let key = provider.key_provider.load_private_key(key).expect("a usable key");
    with_resolver(Fixed(Arc::new(sign::CertifiedKey::new(vec![certificate], key))))
}

fn with_resolver(resolver: Fixed) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    Arc::new(config)
}

/// Returns a server's configuration with a chain whose key it does not have: its signatures are zeros, and claim to be of
/// `scheme` whether the client offers that or not.
pub(crate) fn without_key(chain: Vec<CertificateDer<'static>>, scheme: SignatureScheme) -> Arc<ServerConfig> {
    let resolver = Fixed(Arc::new(sign::CertifiedKey::new(chain, Arc::new(Zeros(scheme)))));
    with_resolver(resolver)
}

#[derive(Debug)]
struct Zeros(SignatureScheme);

impl sign::SigningKey for Zeros {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn sign::Signer>> {
        Some(Box::new(Self(self.0)))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

impl sign::Signer for Zeros {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(vec![0; 128])
    }

    fn scheme(&self) -> SignatureScheme {
        self.0
    }
}

#[derive(Debug)]
struct Fixed(Arc<sign::CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
