//! The pool: HTTP/1.1 connections to one host, each carrying one request at a time.
//!
//! [`Pool::lease`] takes the idle connection that was used last, opens one, or waits where the host allows no more. A
//! [`Lease`] sends one request and is given back when the body has been read to its end. Dropping it closes the
//! connection, because the rest of the body is never read.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use tokio::runtime::{self, Handle};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
use tower_service::Service;
use tracing::debug;

use crate::error::{Error, ErrorKind, Result};
use crate::events::{CONNECTION, first_line, milliseconds};
use crate::transport::coalesce::ReadCoalescing;
use crate::transport::connect::{TcpConnector, is_out_of_sockets};
use crate::transport::connection_cap::{ConnectionCap, ConnectionSlot, LeasedConnection, RequestOrder};
use crate::transport::layered::Layered;
use crate::transport::proxy::{Proxies, Proxy};
use crate::transport::response_head::{HEAD_BYTES_MAX, HeadCheck};
use crate::transport::socket::LowWater;
use crate::transport::tls::{self, Tls};
use crate::transport::tls_error;
use crate::transport::tunnel::ProxyConnector;

/// How long a connection may take in all: the race of the addresses, a proxy and the TLS handshake.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a connection is kept idle. S3 closes those that were idle for 5 s or more; ours are closed a little earlier,
/// so that a request does not race with that.
const IDLE_TIMEOUT: Duration = Duration::from_millis(4_500);

/// The longest head of a response, in lines.
const HEADER_LINES_MAX: usize = 1000;

/// Connections to one endpoint.
pub(crate) struct Pool {
    connector: HttpsConnector<ProxyConnector>,
    route: ProxyConnector,
    base: Uri,
    /// Set if TLS is used on the way, if only to a proxy.
    is_tls: bool,
    tls: Tls,
    /// The last one is the one used last: its congestion window is open, and the others can go idle long enough to close.
    idle: Mutex<Vec<IdleConnection>>,
    cap: Arc<ConnectionCap>,
    opened: AtomicU64,
    read_buffer: usize,
    /// Set once a head could not be parsed: connections that are opened from then on read longer ones, and ignore lines
    /// that are no headers.
    is_lenient: AtomicBool,
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
    /// Set if it reads long heads, and ignores lines that are no headers.
    is_lenient: bool,
    /// From 1.
    number: u64,
    peer: Option<SocketAddr>,
    /// The runtime that watches its socket.
    runtime: runtime::Id,
    slot: ConnectionSlot,
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
    is_reused: bool,
    _leased: LeasedConnection,
}

impl Pool {
    /// Creates a pool for the scheme and host of `base`. Each connection reads up to `read_buffer` bytes per call, which
    /// limits a frame and the head of a response. `tls` says which certificates are trusted.
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
        let (idle, opened, cap) = (Mutex::default(), AtomicU64::new(0), ConnectionCap::new());
        let tls = tls.clone();
        Ok(Arc::new(Self {
            connector,
            route,
            base,
            is_tls,
            tls,
            idle,
            cap,
            opened,
            read_buffer,
            is_lenient: AtomicBool::new(false),
        }))
    }

    /// Returns an idle connection or a new one; `prefers_new` asks for a new one, for a retry. Where a limit on
    /// connections was seen, waits for its turn in the order of requests.
    pub(crate) async fn lease(self: &Arc<Self>, prefers_new: bool, order: RequestOrder) -> Result<Lease> {
        let mut waiting = None;
        loop {
            let is_turn = self.cap.is_turn(order, waiting.as_ref());
            if is_turn
                && !prefers_new
                && let Some(lease) = self.lease_idle(order).await
            {
                return Ok(lease);
            }
            let slot = if is_turn { self.cap.take_slot() } else { None };
            if let Some(slot) = slot.or_else(|| self.cap.take_probe()) {
                let is_probe = slot.is_probe();
                if is_probe {
                    // A connection that becomes idle meanwhile is for the next in line.
                    waiting = None;
                }
                let began = Instant::now();
                match self.open_unless_silent(slot).await {
                    Ok(connection) => return Ok(Lease::new(connection, self, false, order)),
                    Err(error) if !self.cap.failed_to_open(began, is_probe) => return Err(error),
                    Err(error) => debug!(
                        target: CONNECTION,
                        cap = self.cap.allowed(),
                        reason = first_line(&error),
                        "no more connections for now"
                    ),
                }
            }
            if self.cap.is_turn(order, waiting.as_ref())
                && let Some(lease) = self.lease_idle(order).await
            {
                return Ok(lease);
            }
            waiting.get_or_insert_with(|| self.cap.wait(order)).wait().await;
        }
    }

    /// Returns the number of connections that the host allows; `None` while no limit was seen.
    pub(crate) fn connection_cap(&self) -> Option<usize> {
        self.cap.allowed()
    }

    /// Returns whether a further request would get a connection without waiting.
    pub(crate) fn has_spare_connection(&self) -> bool {
        self.cap.has_spare() || !self.idle().is_empty()
    }

    /// Returns the proxy that requests go through.
    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        self.route.proxy()
    }

    /// Returns whether requests go through a proxy.
    pub(crate) fn has_proxy(&self) -> bool {
        self.proxy().is_some()
    }

    async fn lease_idle(self: &Arc<Self>, order: RequestOrder) -> Option<Lease> {
        while let Some(mut connection) = self.take_idle() {
            // Not ready means that the server closed it, or hyper did.
            if connection.sender.ready().await.is_ok() {
                return Some(Lease::new(connection, self, true, order));
            }
        }
        None
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(|i| i.since.elapsed() < IDLE_TIMEOUT && !i.connection.sender.is_closed());
        let here = Handle::current().id();
        if let Some(at) = idle.iter().rposition(|i| i.connection.runtime == here) {
            return Some(idle.remove(at).connection);
        }
        idle.pop().map(|i| i.connection)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<IdleConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a connection, unless that takes long while requests on other connections get their responses.
    async fn open_unless_silent(&self, slot: ConnectionSlot) -> Result<Connection> {
        tokio::select! {
            biased;
            opened = self.open(slot) => opened,
            () = self.cap.silence() => Err(Error::network("the host accepts no further connection")),
        }
    }

    async fn open(&self, mut slot: ConnectionSlot) -> Result<Connection> {
        let began = Instant::now();
        let connecting = self.connector.clone().call(self.base.clone());
        let stream = timeout(OPEN_TIMEOUT, connecting)
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
            .map_err(|e| self.refused(e))?;
        let socket = below(below(&stream)).inner();
        let (low_water, peer) = (socket.low_water(), socket.peer());
        let stream = TokioIo::new(stream);
        let stream = Layered { stream, layer: self.is_tls.then(ReadCoalescing::default) };
        let is_lenient = self.is_lenient.load(Ordering::Relaxed);
        let stream = Layered { stream, layer: is_lenient.then(HeadCheck::default) };
        let read_buffer = if is_lenient { self.read_buffer.max(HEAD_BYTES_MAX) } else { self.read_buffer };
        let (sender, connection) = http1::Builder::new()
            .read_buf_exact_size(Some(read_buffer))
            // Each entry of an object's user metadata is a line.
            .max_headers(HEADER_LINES_MAX)
            // Old servers fold lines, and put a space before the colon. Lines that are not headers at all are an error
            // first: hyper drops them silently, and one may be the length or the framing of the body.
            .ignore_invalid_headers_in_responses(is_lenient)
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .handshake(TokioIo::new(stream))
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
        slot.establish();
        let runtime = Handle::current().id();
        Ok(Connection { sender, driver, low_water, is_lenient, number, peer, runtime, slot })
    }

    fn refused(&self, cause: Box<dyn std::error::Error + Send + Sync>) -> Error {
        // A proxy's refusal explains itself.
        let cause = match cause.downcast::<Error>() {
            Ok(error) => return *error,
            Err(cause) => cause,
        };
        if has_source_out_of_sockets(&*cause) {
            return Error::new(ErrorKind::Other, "no file descriptor is left for a connection")
                .with_source(cause)
                .with_hint("raise the limit on open files (ulimit -n)");
        }
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

/// Returns whether an error in the chain of `error` says that there can be no further socket.
fn has_source_out_of_sockets(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(is_out_of_sockets)
}

/// Returns the stream below TLS, or the stream itself where there is none.
fn below<T>(stream: &MaybeHttpsStream<T>) -> &T {
    match stream {
        MaybeHttpsStream::Http(stream) => stream,
        MaybeHttpsStream::Https(tls) => tls.inner().get_ref().0.inner(),
    }
}

impl Lease {
    fn new(connection: Connection, pool: &Arc<Pool>, is_reused: bool, order: RequestOrder) -> Self {
        let leased = pool.cap.leased(order, connection.driver.clone());
        Self { connection, pool: Arc::clone(pool), is_reused, _leased: leased }
    }

    /// Sends one request and waits for the head of its response.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<Empty<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        self.pool.route.make_absolute(&mut request, &self.pool.base);
        let sent = Instant::now();
        let response = self.connection.sender.send_request(request).await?;
        self.pool.cap.responded(sent.elapsed(), !self.is_reused);
        Ok(response)
    }

    /// Closes the connection, on which the head of a response could not be parsed. Returns whether a connection that is opened
    /// from now on may be able to: it reads longer heads, and ignores lines that are no headers.
    pub(crate) fn fail_to_parse(self) -> bool {
        self.pool.is_lenient.store(true, Ordering::Relaxed);
        !self.connection.is_lenient
    }

    /// Resolves when a request sent now has been without a response for so long, while others got theirs, that it is
    /// better sent on another connection.
    pub(crate) fn silence(&self) -> impl Future<Output = ()> + use<> {
        let cap = Arc::clone(&self.pool.cap);
        async move { cap.silence().await }
    }

    /// Closes the connection, on which a request got no response. Returns whether the request is to wait for another
    /// connection: a new one failed while others work, so the host seems to allow no more.
    pub(crate) fn fail(self) -> bool {
        let Self { connection, pool, is_reused, .. } = self;
        let is_probe = connection.slot.is_probe();
        drop(connection);
        !is_reused && pool.cap.failed(is_probe)
    }

    /// Lets bytes gather in the kernel until there are this many.
    pub(crate) fn set_low_water(&self, bytes: usize) {
        self.connection.low_water.set(bytes);
    }

    /// Returns the connection's number in its pool, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.connection.number
    }

    /// Returns the other end, perhaps a proxy; `None` where the system does not know.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.connection.peer
    }

    /// Returns whether the connection has served a request before: then it may have died while idle.
    pub(crate) fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// Returns the connection to the pool. Only for a response that was read to its end.
    pub(crate) fn give_back(self) {
        let Self { connection, pool, .. } = self;
        connection.low_water.set(1);
        if !connection.sender.is_closed() {
            pool.idle().push(IdleConnection { connection, since: Instant::now() });
            pool.cap.wake_first();
        }
    }
}

#[cfg(test)]
mod tests;
