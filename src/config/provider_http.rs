//! The HTTP client of the credential sources: STS, SSO, container and instance metadata.
//!
//! It gets `AWS_CA_BUNDLE`, which nothing in the AWS crates reads, and the proxies, and hands on what they want: a
//! [`SharedHttpClient`]. It makes a connector when a call is really made (that is about once an hour),
//! so who has keys at hand never pays for root certificates. It never carries the object's bytes.

use std::path::{Path, PathBuf};

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::transport::proxy::Proxies;

/// A client that trusts the certificates in `ca_bundle`, or the operating system's without one.
pub(super) fn new(ca_bundle: Option<PathBuf>, proxies: Proxies) -> SharedHttpClient {
    http_client_fn(move |settings, _| {
        SharedHttpConnector::new(OneCall {
            settings: settings.clone(),
            ca_bundle: ca_bundle.clone(),
            proxies: proxies.clone(),
        })
    })
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes a connector for each call.
#[derive(Debug)]
struct OneCall {
    settings: HttpConnectorSettings,
    ca_bundle: Option<PathBuf>,
    proxies: Proxies,
}

impl HttpConnector for OneCall {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match self.connector(request.uri()) {
            Ok(connector) => HttpConnectorFuture::new(async move { connector.call(request).await }),
            Err(error) => HttpConnectorFuture::ready(Err(ConnectorError::user(error))),
        }
    }
}

impl OneCall {
    fn connector(&self, uri: &str) -> Result<Connector, BoxError> {
        let uri: http::Uri = uri.parse()?;
        let https = uri.scheme_str() == Some("https");
        let trusted = match &self.ca_bundle {
            _ if !https => TrustStore::empty(),
            Some(file) => TrustStore::empty().with_pem_certificate(certificates(file)?),
            None => TrustStore::default(),
        };
        // Metadata services are plain HTTP, link-local or on this host: no proxy reaches them.
        let proxy = if https { self.proxies.of(&uri)? } else { None };
        let proxy = match proxy {
            Some(proxy) => ProxyConfig::https(proxy.secret_url())
                .map_err(|_| format!("the proxy in {} cannot be used", proxy.variable()))?,
            None => ProxyConfig::disabled(),
        };
        Ok(Connector::builder()
            .connector_settings(self.settings.clone())
            .proxy_config(proxy)
            .tls_provider(Provider::rustls(CryptoMode::AwsLc))
            .tls_context(TlsContext::builder().with_trust_store(trusted).build()?)
            .build())
    }
}

/// The PEM text of `file`, once it is known to be good: the connector would panic on anything else.
fn certificates(file: &Path) -> Result<Vec<u8>, BoxError> {
    let bad = |why: String| format!("the CA bundle {}: {why}", file.display());
    let pem = std::fs::read(file).map_err(|e| bad(e.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added =
            certificate.map_err(|e| e.to_string()).and_then(|c| roots.add(c).map_err(|e| e.to_string()));
        added.map_err(bad)?;
    }
    if roots.is_empty() {
        return Err(bad("it has no certificate".to_owned()).into());
    }
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_bundle(bytes: &[u8]) -> (tempfile::NamedTempFile, OneCall) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, bytes).unwrap();
        let ca_bundle = Some(file.path().to_owned());
        (file, OneCall { settings: HttpConnectorSettings::default(), ca_bundle, proxies: Proxies::default() })
    }

    #[tokio::test]
    async fn the_bundle_is_trusted_and_nobody_else() {
        let server = s3server::Server::builder().tls().start();
        let other = s3server::Server::builder().tls().start();
        for (pem, trusted) in [(server.ca_pem(), true), (other.ca_pem(), false)] {
            let (_file, call) = with_bundle(pem.as_bytes());
            let answer = call.call(HttpRequest::get(server.endpoint()).unwrap()).await;
            assert_eq!(answer.is_ok(), trusted, "{answer:?}");
        }
    }

    #[test]
    fn a_bad_bundle_is_an_error_and_not_a_panic() {
        for (bytes, why) in [
            (&b""[..], "no certificate"),
            (b"nothing to see", "no certificate"),
            (b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "base64"),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate"),
        ] {
            let (_file, call) = with_bundle(bytes);
            let error = call.connector("https://h").unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn plain_http_reads_no_certificate() {
        let (_file, call) = with_bundle(b"nothing to see");
        assert!(call.connector("http://h").is_ok());
    }
}
