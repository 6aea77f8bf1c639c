//! The way to one host: straight to it, or by a proxy, through which a tunnel leads to an `https` one.
//!
//! It gets a host's URI and hands on a byte stream that reaches it, for TLS or HTTP to run on. A plain-HTTP host
//! behind a proxy needs no tunnel: who sends names it in each request instead (RFC 9112, section 3.2.2), which
//! [`ProxyConnector::make_absolute`] does.

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

/// To the host or to the proxy: the latter may itself speak TLS.
pub(super) type HopStream = MaybeHttpsStream<TokioIo<Socket>>;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Connects to one host.
#[derive(Clone, Debug)]
pub(super) struct ProxyConnector {
    tcp: TcpConnector,
    proxy: Option<(Proxy, HttpsConnector<TcpConnector>)>,
}

impl ProxyConnector {
    /// By `proxy` where there is one; `tls` is for the proxy.
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

    /// The proxy on the way.
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref().map(|(proxy, _)| proxy)
    }

    /// Addresses `request` to the host `base` where a proxy is to make_absolute it; any other stays as it is. What is
    /// signed is not touched.
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

/// Asks the proxy at the other end of `stream` for a tunnel to `host` (RFC 9110, section 9.3.6). By hyper, and not
/// by hyper-util's own tunnel, which does not tell how the proxy refused.
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
    let asking = async move {
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(proxy.refused(response.status()).into());
        }
        Ok::<_, BoxError>(hyper::upgrade::on(response).await?)
    };
    // The connection drives what is asked; it ends with the upgrade.
    let (upgraded, _) = tokio::join!(asking, connection);
    let parts = upgraded?
        .downcast::<HopStream>()
        .map_err(|_| io::Error::other("the tunnel is not our own stream"))?;
    // TLS lets the client speak first: nothing can have come yet.
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
