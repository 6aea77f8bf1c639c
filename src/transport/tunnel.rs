//! Connections to one host, directly or through a proxy.
//!
//! To an `https` host the proxy opens a tunnel (CONNECT), and TLS runs inside it. To an `http` host no tunnel is needed:
//! each request names the host instead (RFC 9112, section 3.2.2), see [`ProxyConnector::make_absolute`].

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tower_service::Service;

use crate::transport::connect::TcpConnector;
use crate::transport::proxy::Proxy;
use crate::transport::socket::Socket;

/// A stream to the host or to the proxy, which may itself use TLS.
pub(super) type HopStream = MaybeHttpsStream<TokioIo<Socket>>;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Connects to one host.
#[derive(Clone, Debug)]
pub(super) struct ProxyConnector {
    tcp: TcpConnector,
    proxy: Option<(Proxy, HttpsConnector<TcpConnector>)>,
}

impl ProxyConnector {
    /// Creates a connector through `proxy`, if any; `tls` is used for an `https` proxy.
    pub(super) fn new(tcp: TcpConnector, proxy: Option<Proxy>, tls: &ClientConfig) -> Self {
        let to_proxy = || {
            HttpsConnectorBuilder::new()
                .with_tls_config(tls.clone())
                .https_or_http()
                .enable_http1()
                .wrap_connector(tcp.clone())
        };
        let proxy = proxy.map(|proxy| (proxy, to_proxy()));
        Self { tcp, proxy }
    }

    /// Returns the proxy, if any.
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref().map(|(proxy, _)| proxy)
    }

    /// Puts the host of `base` into the request's target if a proxy forwards the request. Nothing that is signed
    /// changes.
    pub(super) fn make_absolute(&self, request: &mut Request<Empty<Bytes>>, base: &Uri) {
        let Some(proxy) = self.proxy().filter(|_| !is_https(base)) else { return };
        let mut parts = base.clone().into_parts();
        parts.path_and_query = request.uri().path_and_query().cloned();
        if let Ok(absolute) = Uri::from_parts(parts) {
            *request.uri_mut() = absolute;
        }
        proxy.authorize(request.headers_mut());
    }

    async fn connect(self, host: Uri) -> Result<HopStream, BoxError> {
        let Self { mut tcp, proxy } = self;
        let Some((proxy, mut hop)) = proxy else {
            return Ok(MaybeHttpsStream::Http(tcp.call(host).await?));
        };
        let stream = hop.call(proxy.uri().clone()).await?;
        if is_https(&host) { tunnel(stream, &proxy, &host).await } else { Ok(stream) }
    }
}

impl Service<Uri> for ProxyConnector {
    type Response = HopStream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<HopStream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, host: Uri) -> Self::Future {
        Box::pin(self.clone().connect(host))
    }
}

/// Asks the proxy at the other end of `stream` for a tunnel to `host` (RFC 9110, section 9.3.6). Uses hyper itself,
/// because hyper-util's tunnel does not report the status of a refusal.
async fn tunnel(stream: HopStream, proxy: &Proxy, host: &Uri) -> Result<HopStream, BoxError> {
    let authority = format!("{}:{}", host.host().unwrap_or_default(), host.port_u16().unwrap_or(443));
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(Uri::builder().authority(authority.as_str()).build()?)
        .header(HOST, &authority)
        .body(Empty::<Bytes>::new())?;
    proxy.authorize(request.headers_mut());

    let (mut sender, connection) = http1::handshake(stream).await?;
    let connection = connection.with_upgrades();
    let upgrade = async move {
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(proxy.connect_error(response.status()).into());
        }
        Ok::<_, BoxError>(hyper::upgrade::on(response).await?)
    };
    // The connection drives the request; it ends with the upgrade.
    let (upgraded, _) = tokio::join!(upgrade, connection);
    let parts = upgraded?
        .downcast::<HopStream>()
        .map_err(|_| io::Error::other("the tunnel is not our own stream"))?;
    // In TLS the client speaks first, so nothing can have arrived yet.
    if !parts.read_buf.is_empty() {
        return Err(
            io::Error::new(io::ErrorKind::InvalidData, "the proxy sent bytes before the tunnel's").into()
        );
    }
    Ok(parts.io)
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}
