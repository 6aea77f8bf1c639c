//! Connections to one host, directly or through a proxy.
//!
//! To an `https` host the proxy opens a tunnel (CONNECT), and TLS runs inside it. To an `http` host no tunnel is
//! needed: each request names the host instead (RFC 9112, section 3.2.2), see [`ProxyConnector::make_absolute`]. A
//! SOCKS5 proxy forwards bytes for both.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower_service::Service;

use crate::transport::connect::TcpConnector;
use crate::transport::proxy::Proxy;
use crate::transport::socket::Socket;
use crate::transport::socks;
use crate::transport::tls_error::in_plain_words;

/// A stream to the host or to the proxy, which may itself use TLS.
pub(super) type HopStream = MaybeHttpsStream<TokioIo<Socket>>;

/// The most bytes that a proxy may send before the tunnel is open.
const HEAD_BYTES_MAX: usize = 64 << 10;

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

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

    /// Returns whether the host, or the proxy, has accepted a TCP connection.
    pub(super) fn has_accepted(&self) -> bool {
        self.tcp.has_accepted()
    }

    /// Makes the next connection ask the resolver again.
    pub(super) fn forget_addresses(&self) {
        self.tcp.forget_addresses();
    }

    /// Puts the host of `base` into the request's target if a proxy forwards the request. Nothing that is signed
    /// changes.
    pub(super) fn make_absolute(&self, request: &mut Request<Empty<Bytes>>, base: &Uri) {
        let Some(proxy) = self.proxy().filter(|proxy| proxy.forwards(base)) else { return };
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
        if proxy.is_socks() {
            return Ok(MaybeHttpsStream::Http(socks::connect(tcp, &proxy, &host).await?));
        }
        let stream = hop.call(proxy.uri().clone()).await.map_err(ToProxyError)?;
        if is_https(&host) { tunnel(stream, &proxy, &host).await } else { Ok(stream) }
    }
}

/// The connection to the proxy itself failed.
#[derive(Debug)]
pub(super) struct ToProxyError(BoxError);

impl fmt::Display for ToProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for ToProxyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
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

/// Asks the proxy at the other end of `stream` for a tunnel to `host` (RFC 9110, section 9.3.6). The exchange is
/// written here because hyper opens no tunnel after a 204, and hyper-util's tunnel does not report the status of a
/// refusal.
async fn tunnel(stream: HopStream, proxy: &Proxy, host: &Uri) -> Result<HopStream, BoxError> {
    let authority = format!("{}:{}", host.host().unwrap_or_default(), host.port_u16().unwrap_or(443));
    let mut headers = HeaderMap::new();
    proxy.authorize(&mut headers);
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    for (name, value) in &headers {
        request.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    request.extend_from_slice(b"\r\n");

    let mut stream = TokioIo::new(stream);
    let closed = || proxy.tunnel_error("closed the connection instead of opening a tunnel");
    let cut = |e: io::Error| closed().with_source(in_plain_words(e));
    stream.write_all(&request).await.map_err(cut)?;
    stream.flush().await.map_err(cut)?;
    let (mut head, mut received) = (Vec::with_capacity(1024), 0);
    loop {
        let length = stream.read_buf(&mut head).await.map_err(cut)?;
        if length == 0 {
            return Err(closed().into());
        }
        received += length;
        while let Some(status) =
            status_of(&head).map_err(|e| proxy.tunnel_error("does not speak HTTP").with_source(e))?
            && let Some(end) = end_of_head(&head)
        {
            if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                head.drain(..end);
                continue;
            }
            // Any 2xx opens the tunnel, whatever length the response claims.
            if !status.is_success() {
                return Err(proxy.connect_error(status).into());
            }
            // In TLS the client speaks first, so nothing can have arrived yet.
            if end < head.len() {
                return Err(invalid("the proxy sent bytes before the tunnel was open").into());
            }
            return Ok(stream.into_inner());
        }
        if received >= HEAD_BYTES_MAX {
            return Err(invalid("the proxy's response is too long").into());
        }
    }
}

/// Returns where a head ends: after an empty line.
fn end_of_head(head: &[u8]) -> Option<usize> {
    let is_end =
        |at: usize| head[at] == b'\n' && (head[..at].ends_with(b"\n") || head[..at].ends_with(b"\n\r"));
    (0..head.len()).find(|at| is_end(*at)).map(|at| at + 1)
}

/// Returns the status of a response whose head begins with `head`; `None` if its first line has not arrived as a whole,
/// or an error if that is no status line. Its other lines mean nothing here, and may look like anything.
fn status_of(head: &[u8]) -> Result<Option<StatusCode>, BoxError> {
    const VERSION: &[u8] = b"HTTP/1.";
    let line = head.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    let begins_well = line.iter().zip(VERSION).all(|(byte, expected)| byte == expected);
    if begins_well && !line.ends_with(b"\n") {
        return Ok(None);
    }
    // More than one space, and anything after the number, is what curl reads too.
    let number =
        line.strip_prefix(VERSION).and_then(|rest| rest.get(1..)?.trim_ascii_start().split_at_checked(3));
    match number {
        Some((number, rest)) if !rest.first().is_some_and(u8::is_ascii_digit) => {
            Ok(Some(StatusCode::from_bytes(number)?))
        }
        _ => Err("there is no status line".into()),
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn is_https(uri: &Uri) -> bool {
    uri.scheme_str() == Some("https")
}
