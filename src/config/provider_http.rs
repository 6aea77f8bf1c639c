//! The HTTP client of the credential sources: STS, SSO, container and instance metadata, and of the AWS crates for
//! sessions of `aws login`.
//!
//! It sends by the same transport as the object's requests, because the AWS crates' own clients read neither
//! `AWS_CA_BUNDLE` nor the proxy variables. A connection is made for each call (about one an hour).

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use tokio::time::sleep;

use crate::config::provider_refusal::is_transient;
use crate::error::ErrorKind;
use crate::transport::one_request;
use crate::transport::proxy::Proxies;
use crate::transport::tls::Tls;

/// Time limit for connecting if the source sets none.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for the response if the source sets none.
const READ_TIMEOUT: Duration = Duration::from_secs(15);

/// The pause before the second attempt.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a source is waited for, and how often it is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct SourcePatience {
    pub(super) connect: Duration,
    pub(super) read: Duration,
    pub(super) attempts: u32,
}

impl Default for SourcePatience {
    fn default() -> Self {
        Self { connect: CONNECT_TIMEOUT, read: READ_TIMEOUT, attempts: 3 }
    }
}

/// The connections of credential sources, which trust what `tls` trusts and go through `proxies`.
#[derive(Debug, Clone)]
pub(super) struct ProviderClient {
    pub(super) tls: Tls,
    pub(super) proxies: Proxies,
}

impl ProviderClient {
    /// Returns a client for the AWS crates.
    pub(super) fn shared(&self) -> SharedHttpClient {
        let Self { tls, proxies } = self.clone();
        http_client_fn(move |settings, _| {
            let (settings, proxies, tls) = (settings.clone(), proxies.clone(), tls.clone());
            SharedHttpConnector::new(ProviderHttp { settings, proxies, tls })
        })
    }

    /// Sends `request`, also again after a network failure or a busy server's answer, and returns the status and the
    /// body.
    pub(super) async fn send(
        &self,
        request: &http::Request<String>,
        patience: SourcePatience,
    ) -> Result<(StatusCode, Bytes), crate::error::Error> {
        let mut attempt = 1;
        loop {
            let (mut head, body) = request.clone().into_parts();
            if let Some(host) = head.uri.authority()
                && let Ok(host) = host.as_str().parse()
            {
                head.headers.insert(http::header::HOST, host);
            }
            let copy = http::Request::from_parts(head, Full::new(Bytes::from(body)));
            let sent = one_request::send(copy, &self.proxies, &self.tls, patience.connect, patience.read);
            // It is large, and most runs send none.
            let sent = Box::pin(sent).await;
            let may_retry = match &sent {
                Ok(response) => is_transient(response.status(), response.body()),
                Err(e) => e.is_retryable(),
            };
            if !may_retry || attempt >= patience.attempts {
                return sent.map(|response| (response.status(), response.into_body()));
            }
            sleep(PAUSE * attempt).await;
            attempt += 1;
        }
    }
}

type ConversionError = Box<dyn std::error::Error + Send + Sync>;

/// Sends the requests of one credential source.
#[derive(Debug, Clone)]
struct ProviderHttp {
    settings: HttpConnectorSettings,
    proxies: Proxies,
    tls: Tls,
}

impl HttpConnector for ProviderHttp {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move { this.send(request).await })
    }
}

impl ProviderHttp {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = convert_request(&request).map_err(ConnectorError::user)?;
        let connect_timeout = self.settings.connect_timeout().unwrap_or(CONNECT_TIMEOUT);
        let read_timeout = self.settings.read_timeout().unwrap_or(READ_TIMEOUT);
        let response = one_request::send(request, &self.proxies, &self.tls, connect_timeout, read_timeout);
        let (head, body) = response.await.map_err(connector_error)?.into_parts();
        let mut response = HttpResponse::new(head.status.into(), SdkBody::from(body.to_vec()));
        for (name, value) in &head.headers {
            // A value that is not text is of no use to a credential source.
            if let Ok(value) = value.to_str() {
                response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
            }
        }
        Ok(response)
    }
}

fn convert_request(request: &HttpRequest) -> Result<http::Request<Full<Bytes>>, ConversionError> {
    let body = request.body().bytes().ok_or("the body of a credential request is in memory")?;
    let mut converted = http::Request::builder().method(request.method()).uri(request.uri());
    for (name, value) in request.headers() {
        converted = converted.header(name, value);
    }
    let converted = converted.body(Full::new(Bytes::copy_from_slice(body)))?;
    let host = converted.uri().authority().map(|a| a.as_str().to_owned()).ok_or("the URL has no host")?;
    let (mut head, body) = converted.into_parts();
    if !head.headers.contains_key(http::header::HOST) {
        head.headers.insert(http::header::HOST, host.parse()?);
    }
    Ok(http::Request::from_parts(head, body))
}

/// Failures of the network and busy servers are retried by the AWS crates; a bad configuration is not.
fn connector_error(error: crate::error::Error) -> ConnectorError {
    match error.kind() {
        _ if error.is_retryable() => ConnectorError::io(error.into()),
        ErrorKind::Usage => ConnectorError::user(error.into()),
        _ => ConnectorError::other(error.into(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::tls::CaBundle;

    fn client(bundle: &[u8]) -> (tempfile::NamedTempFile, ProviderHttp) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, bundle).unwrap();
        let bundle = CaBundle::new(file.path(), "AWS_CA_BUNDLE");
        let tls = Tls::new(Some(bundle), None);
        (file, ProviderHttp { settings: HttpConnectorSettings::default(), proxies: Proxies::default(), tls })
    }

    #[tokio::test]
    async fn only_the_bundle_is_trusted() {
        let server = s3server::Server::builder().tls().start();
        let other = s3server::Server::builder().tls().start();
        for (pem, trusted) in [(server.ca_pem(), true), (other.ca_pem(), false)] {
            let (_file, client) = client(pem.as_bytes());
            let answer = client.call(HttpRequest::get(server.endpoint()).unwrap()).await;
            assert_eq!(answer.is_ok(), trusted, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_bad_bundle_is_an_error_and_not_a_panic() {
        for bytes in
            [&b""[..], b"nothing to see", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"]
        {
            let (_file, client) = client(bytes);
            let error = client.call(HttpRequest::get("https://h").unwrap()).await.unwrap_err();
            assert!(error.is_user() && format!("{error:?}").contains("CA bundle"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn plain_http_reads_no_certificate() {
        let server = s3server::Server::builder().start();
        let (_file, client) = client(b"nothing to see");
        client.call(HttpRequest::get(server.endpoint()).unwrap()).await.unwrap();
    }
}
