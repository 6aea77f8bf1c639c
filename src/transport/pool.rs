//! The pool: HTTP/1.1 connections to one host, each carrying one request at a time.
//!
//! [`Pool::lease`] takes the idle connection that was used last, opens one, or waits where the host allows no more. A
//! [`Lease`] sends one request and is given back when the body has been read to its end. Dropping it closes the
//! connection, because the rest of the body is never read.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::debug;

use crate::error::{Error, Result};
use crate::events::{CONNECTION, first_line};
use crate::transport::connection::{Connection, Dialer};
use crate::transport::connection_cap::cap::ConnectionCap;
use crate::transport::connection_cap::queue::LeasedConnection;
use crate::transport::connection_cap::request_order::RequestOrder;
use crate::transport::connection_cap::silence::Silence;
use crate::transport::connection_cap::slot::ConnectionSlot;
use crate::transport::proxy::{Proxies, Proxy};
use crate::transport::tls::Tls;

/// How long a connection is kept idle. S3 closes those that were idle for 5 s or more; ours are closed a little
/// earlier, so that a request does not race with that.
const IDLE_TIMEOUT: Duration = Duration::from_millis(4_500);

/// A connection is not used again after so many slow responses, one after the other.
const SLOW_RESPONSES_MAX: u32 = 2;

/// Connections to one endpoint.
pub(crate) struct Pool {
    dialer: Dialer,
    /// The last one is the one used last: its congestion window is open, and the others can go idle long enough to
    /// close.
    idle: Mutex<Vec<IdleConnection>>,
    cap: Arc<ConnectionCap>,
}

struct IdleConnection {
    connection: Connection,
    since: Instant,
}

impl IdleConnection {
    fn is_usable(&self) -> bool {
        self.since.elapsed() < IDLE_TIMEOUT && !self.connection.sender.is_closed()
    }
}

/// A connection in use by one request.
pub(crate) struct Lease {
    connection: Connection,
    pool: Arc<Pool>,
    is_reused: bool,
    leased: LeasedConnection,
}

impl Pool {
    /// Creates a pool for the scheme and host of `base`. Each connection reads up to `read_buffer` bytes per call,
    /// which limits a frame and the head of a response. `tls` says which certificates are trusted. A host that a server
    /// has `redirected` to is never the metadata service of a cloud.
    pub(crate) fn new(
        base: Uri,
        tls: &Tls,
        proxies: &Proxies,
        read_buffer: usize,
        redirected: bool,
    ) -> Result<Arc<Self>> {
        let dialer = Dialer::new(base, tls, proxies, read_buffer, redirected)?;
        Ok(Arc::new(Self { dialer, idle: Mutex::default(), cap: ConnectionCap::new() }))
    }

    /// Returns an idle connection or a new one, which must be open within `limit`; `prefers_new` asks for a new one, for a
    /// retry. Where a limit on connections was seen, waits for its turn in the order of requests.
    pub(crate) async fn lease(
        self: &Arc<Self>,
        prefers_new: bool,
        order: RequestOrder,
        limit: Duration,
    ) -> Result<Lease> {
        let mut waiting = None;
        loop {
            let is_turn = self.cap.is_turn(order, waiting.as_ref());
            if is_turn
                && !prefers_new
                && !self.cap.keeps_idle_for_earlier(order)
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
                match self.open_unless_silent(slot, limit).await {
                    Ok(connection) => return Ok(Lease::new(connection, self, false, order)),
                    Err(error) if !self.cap.failed_to_open(began, is_probe) && !self.has_idle() => {
                        return Err(error);
                    }
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
        self.cap.has_spare() || self.has_idle()
    }

    /// Returns whether a request has a connection to itself: its response has not ended, or not begun.
    pub(crate) fn is_requested(&self) -> bool {
        self.cap.is_leased()
    }

    /// Returns whether a connection is being opened.
    pub(crate) fn is_opening(&self) -> bool {
        self.cap.is_opening()
    }

    /// Returns whether the server has responded to any request.
    pub(crate) fn has_responded(&self) -> bool {
        self.cap.has_responded()
    }

    /// Returns the proxy that requests go through.
    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        self.dialer.proxy()
    }

    /// Returns the proxy that requests are forwarded by, and that may answer them itself.
    pub(crate) fn forwarding_proxy(&self) -> Option<&Proxy> {
        self.dialer.forwarding_proxy()
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
        idle.retain(IdleConnection::is_usable);
        let here = Handle::current().id();
        if let Some(at) = idle.iter().rposition(|i| i.connection.runtime == here) {
            return Some(idle.remove(at).connection);
        }
        idle.pop().map(|i| i.connection)
    }

    fn has_idle(&self) -> bool {
        self.idle().iter().any(IdleConnection::is_usable)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<IdleConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a connection, unless that takes long while requests on other connections get their responses.
    async fn open_unless_silent(&self, slot: ConnectionSlot, limit: Duration) -> Result<Connection> {
        tokio::select! {
            biased;
            opened = self.dialer.open(slot, limit) => opened,
            _ = self.cap.silence(None, true, || self.has_idle()) => Err(Error::network("the host accepts no further connection")),
        }
    }
}

/// Writes the host, and the proxy on the way to it.
impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.dialer.host())?;
        self.proxy().map_or(Ok(()), |proxy| write!(f, " through the proxy {proxy}"))
    }
}

impl Lease {
    fn new(connection: Connection, pool: &Arc<Pool>, is_reused: bool, order: RequestOrder) -> Self {
        let leased = pool.cap.leased(order, &connection.slot, connection.driver.clone());
        Self { connection, pool: Arc::clone(pool), is_reused, leased }
    }

    /// Returns the error for a request that failed because the server ended TLS with a reason.
    pub(crate) fn tls_failure(&self, error: &hyper::Error) -> Option<Error> {
        self.pool.dialer.tls_failure(error)
    }

    /// Sends one request and waits for the head of its response.
    pub(crate) async fn send(
        &mut self,
        mut request: Request<Empty<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        self.pool.dialer.prepare(&mut request);
        let is_range = request.method() == Method::GET;
        let sent = Instant::now();
        let response = self.connection.sender.send_request(request).await?;
        self.connection.slot.responded(sent.elapsed(), is_range);
        self.leased.answered();
        Ok(response)
    }

    /// Closes the connection, on which the head of a response could not be parsed. Returns whether a connection that is
    /// opened from now on may be able to: it reads longer heads, and ignores lines that are no headers.
    pub(crate) fn fail_to_parse(self) -> bool {
        self.pool.dialer.set_lenient();
        !self.connection.is_lenient
    }

    /// Resolves when a request sent now has been without a response for so long that it is better sent on another
    /// connection. One that `is_slow`, as some servers are with HEAD, has more time on a new one.
    pub(crate) fn silence(&self, is_slow: bool) -> impl Future<Output = Silence> + use<> {
        let (pool, key, is_doubtful) =
            (Arc::clone(&self.pool), self.leased.key(), !self.is_reused && !is_slow);
        async move { pool.cap.silence(Some(key), is_doubtful, || pool.has_idle()).await }
    }

    /// Closes the connection, on which a request got no response. Returns whether the request is to wait for another
    /// connection: a new one failed while others work, so the host seems to allow no more.
    pub(crate) fn fail(self) -> bool {
        let Self { connection, pool, is_reused, .. } = self;
        let is_probe = connection.slot.is_probe();
        drop(connection);
        !is_reused && pool.cap.failed(is_probe)
    }

    /// Closes the connection, on which a request has got no response yet. Where that may be the network's fault, nothing
    /// follows for other connections.
    pub(crate) fn leave(self, silence: Silence) {
        let Self { connection, pool, is_reused, .. } = self;
        let is_probe = connection.slot.is_probe();
        drop(connection);
        if silence == Silence::OfConnection && !is_reused {
            pool.cap.silent(is_probe);
        }
    }

    /// Notes that the response to a GET has come to its end.
    pub(crate) fn note_served(&self) {
        self.connection.slot.served();
    }

    /// Notes that the connection failed in the middle of the response.
    pub(crate) fn note_cut(&self) {
        self.connection.slot.cut();
    }

    /// Notes that a piece of the response has come.
    pub(crate) fn note_received(&self) {
        self.leased.note_received();
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

    /// Notes whether the response came much slower than those of other connections do.
    pub(crate) fn note_speed(&mut self, is_slow: bool) {
        self.connection.slow_responses = if is_slow { self.connection.slow_responses + 1 } else { 0 };
    }

    /// Returns the connection to the pool, unless it is slow again and again and may be replaced. Only for a response that
    /// was read to its end.
    pub(crate) fn give_back(self) {
        let Self { connection, pool, .. } = self;
        connection.low_water.set(1);
        let is_slow = connection.slow_responses >= SLOW_RESPONSES_MAX && pool.cap.allowed().is_none();
        if !is_slow && !connection.sender.is_closed() {
            pool.idle().push(IdleConnection { connection, since: Instant::now() });
            pool.cap.wake_first();
        }
    }
}

#[cfg(test)]
mod tests;
