//! The pool: HTTP/1.1 connections to one host, each carrying one request at a time.
//!
//! [`Pool::lease`] hands out an idle connection, the one used last, or opens one; a [`Lease`] sends
//! one request and is given back when the body has been read to its end. A lease that is dropped closes
//! its connection: what is left of its body is never read.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tower_service::Service;
use tracing::debug;

use crate::error::{Error, Result};
use crate::events::{CONNECTION, milliseconds};
use crate::transport::coalesce::CoalescingReader;
use crate::transport::connect::TcpConnector;
use crate::transport::proxy::{Proxies, Proxy};
use crate::transport::socket::LowWater;
use crate::transport::tls::{self, Tls};
use crate::transport::tls_error;
use crate::transport::tunnel::ProxyConnector;
use crate::transport::{IDLE_TIMEOUT, OPEN_TIMEOUT};

/// Connections to one endpoint.
pub(crate) struct Pool {
    connector: HttpsConnector<ProxyConnector>,
    route: ProxyConnector,
    base: Uri,
    /// Whether TLS runs on the way, if only to a proxy.
    is_tls: bool,
    tls: Tls,
    /// The last one is the one used last: warm, and the others can go idle long enough to close.
    idle: Mutex<Vec<IdleConnection>>,
    opened: AtomicU64,
    read_buffer: usize,
}

struct IdleConnection {
    connection: Connection,
    since: Instant,
}

/// A connection and the task that drives it; dropping it closes the socket.
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: AbortHandle,
    low_water: Arc<LowWater>,
    /// From 1.
    number: u64,
    peer: Option<SocketAddr>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A connection in use by one request.
pub(crate) struct Lease {
    connection: Connection,
    pool: Arc<Pool>,
    reused: bool,
}

impl Pool {
    /// A pool without connections for the scheme and host of `base`; each reads `read_buffer` bytes at once, which
    /// is the largest frame and the largest response head. `tls` says which
    /// certificates are trusted.
    pub(crate) fn new(base: Uri, tls: &Tls, proxies: &Proxies, read_buffer: usize) -> Result<Arc<Self>> {
        let proxy = proxies.of(&base)?;
        let is_https = |uri: &Uri| uri.scheme_str() == Some("https");
        let is_tls = is_https(&base) || proxy.as_ref().is_some_and(|p| is_https(p.uri()));
        let config = if is_tls { tls.client_config() } else { tls::unused() }?;
        let tcp = if is_tls { TcpConnector::under_tls(read_buffer) } else { TcpConnector::plain() };
        let route = ProxyConnector::new(tcp, proxy, &config);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(route.clone());
        let (idle, opened) = (Mutex::default(), AtomicU64::new(0));
        let tls = tls.clone();
        Ok(Arc::new(Self { connector, route, base, is_tls, tls, idle, opened, read_buffer }))
    }

    /// An idle connection, or a new one; `fresh` insists on a new one, for a retry.
    pub(crate) async fn lease(self: &Arc<Self>, fresh: bool) -> Result<Lease> {
        while !fresh && let Some(mut connection) = self.take_idle() {
            // Not ready means that the server closed it, or hyper did.
            if connection.sender.ready().await.is_ok() {
                return Ok(Lease::new(connection, self, true));
            }
        }
        Ok(Lease::new(self.open().await?, self, false))
    }

    /// Returns the proxy that requests go through.
    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        self.route.proxy()
    }

    /// Whether a proxy is on the way.
    pub(crate) fn has_proxy(&self) -> bool {
        self.proxy().is_some()
    }

    /// How many connections were opened so far.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|i| i.since.elapsed() < IDLE_TIMEOUT && !i.connection.sender.is_closed());
        idle.pop().map(|i| i.connection)
    }

    async fn open(&self) -> Result<Connection> {
        let began = Instant::now();
        let connecting = self.connector.clone().call(self.base.clone());
        let stream = timeout(OPEN_TIMEOUT, connecting)
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
            .map_err(|e| self.refused(e))?;
        let socket = below(below(&stream)).inner();
        let (low_water, peer) = (socket.low_water(), socket.peer());
        let stream = TokioIo::new(stream);
        let wire =
            if self.is_tls { CoalescingReader::filling(stream) } else { CoalescingReader::plain(stream) };
        let (sender, connection) = http1::Builder::new()
            .read_buf_exact_size(Some(self.read_buffer))
            .handshake(TokioIo::new(wire))
            .await
            .map_err(|e| Error::network("the connection failed").with_source(e))?;
        let number = self.opened.fetch_add(1, Ordering::Relaxed) + 1;
        let host = self.base.authority().map_or("", |a| a.as_str());
        debug!(
            target: CONNECTION,
            host,
            proxy = self.route.proxy().map(ToString::to_string),
            peer = peer.map(tracing::field::display),
            connection = number,
            elapsed_ms = milliseconds(began.elapsed()),
            "connected"
        );
        // Its error reaches whoever waits for the response or reads the body.
        let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Connection { sender, driver, low_water, number, peer })
    }

    fn refused(&self, cause: Box<dyn std::error::Error + Send + Sync>) -> Error {
        // What a proxy says of the host is told by itself.
        let cause = match cause.downcast::<Error>() {
            Ok(told) => return *told,
            Err(cause) => cause,
        };
        let mut what = format!("no connection to {}", self.base.authority().map_or("", |a| a.as_str()));
        if let Some(proxy) = self.route.proxy() {
            let _ = write!(what, " through the proxy {proxy}");
        }
        if let Some(error) = tls_error::explain(&*cause, &what, &self.tls) {
            return error;
        }
        let mut error = Error::network(what).with_source(cause);
        if let Some(proxy) = self.route.proxy() {
            let variable = proxy.variable();
            error = error.with_hint(format!(
                "check the proxy in {variable}; NO_PROXY names hosts to reach without one"
            ));
        }
        error.with_hint("check the endpoint, the region and the network")
    }
}

/// What runs under TLS, or stands in its place.
fn below<T>(stream: &MaybeHttpsStream<T>) -> &T {
    match stream {
        MaybeHttpsStream::Http(stream) => stream,
        MaybeHttpsStream::Https(tls) => tls.inner().get_ref().0.inner(),
    }
}

impl Lease {
    fn new(connection: Connection, pool: &Arc<Pool>, reused: bool) -> Self {
        Self { connection, pool: Arc::clone(pool), reused }
    }

    /// Sends one request and waits for the head of its response.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<Empty<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        self.pool.route.make_absolute(&mut request, &self.pool.base);
        self.connection.sender.send_request(request).await
    }

    /// Lets bytes gather in the kernel until there are so many.
    pub(crate) fn set_low_water(&self, bytes: usize) {
        self.connection.low_water.set(bytes);
    }

    /// The connection's number in its pool, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.connection.number
    }

    /// Who is at the other end, perhaps a proxy; `None` where the system does not tell.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.connection.peer
    }

    /// Whether the connection had served a request before: then it may have died while idle.
    pub(crate) fn is_reused(&self) -> bool {
        self.reused
    }

    /// Puts the connection back for the next request. Only for a response read to its end.
    pub(crate) fn give_back(self) {
        let Self { connection, pool, .. } = self;
        connection.low_water.set(1);
        if !connection.sender.is_closed() {
            let mut idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(IdleConnection { connection, since: Instant::now() });
        }
    }
}
