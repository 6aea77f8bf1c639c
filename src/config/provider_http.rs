//! The HTTP client of the credential sources: STS, SSO, container and instance metadata.
//!
//! The AWS crates read neither `AWS_CA_BUNDLE` nor the proxy variables, so both are applied here. A connector is made
//! for each call (about one an hour); a run with static keys never pays for reading root certificates.

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

use crate::transport::proxy::Proxies;
use crate::transport::tls;

/// Creates a client that trusts the certificates in `ca_bundle`, or the operating system's without one.
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
        // Metadata services are plain HTTP, and link-local or on this host: no proxy can reach them.
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

/// Returns the PEM text of `file` after checking it, because the connector panics on invalid text.
fn certificates(file: &Path) -> Result<Vec<u8>, BoxError> {
    let mut roots = RootCertStore::empty();
    for certificate in tls::read_bundle(file)? {
        roots.add(certificate)?;
    }
    Ok(std::fs::read(file)?)
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
    async fn only_the_bundle_is_trusted() {
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
            (b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "is not PEM"),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "BadEncoding"),
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
