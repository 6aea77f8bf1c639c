//! A connection to one host, and how it is opened: TCP, a proxy, TLS and HTTP/1.1, each with its settings.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::runtime::{self, Handle};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};
use tower_service::Service;
use tracing::debug;

use crate::error::{Error, ErrorKind, Result};
use crate::events::{CONNECTION, milliseconds};
use crate::transport::coalesce::ReadCoalescing;
use crate::transport::connect::{TcpConnector, is_out_of_sockets};
use crate::transport::connection_cap::slot::ConnectionSlot;
use crate::transport::layered::Layered;
use crate::transport::proxy::{Proxies, Proxy};
use crate::transport::response_head::{HEAD_BYTES_MAX, HeadCheck};
use crate::transport::socket::LowWater;
use crate::transport::tls::{self, Tls};
use crate::transport::tls_error;
use crate::transport::tunnel::{ProxyConnector, ToProxyError};

/// How long a connection may take in all, if no shorter time is given: the race of the addresses, a proxy and the TLS
/// handshake.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(20);

const SILENT_PORT_HINT: &str =
    "the server accepts connections and does not answer a TLS handshake: this port may not be one for https";

/// The longest head of a response, in lines.
const HEADER_LINES_MAX: usize = 1000;

/// A connection and the task that drives it; dropping it closes the socket.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Empty<Bytes>>,
    pub(super) driver: AbortHandle,
    pub(super) low_water: Arc<LowWater>,
    /// Set if it reads long heads, and ignores lines that are no headers.
    pub(super) is_lenient: bool,
    /// From 1.
    pub(super) number: u64,
    pub(super) peer: Option<SocketAddr>,
    /// How many of its last responses were slower than those of others.
    pub(super) slow_responses: u32,
    /// The runtime that watches its socket.
    pub(super) runtime: runtime::Id,
    pub(super) slot: ConnectionSlot,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Opens connections to one host.
pub(super) struct Dialer {
    connector: HttpsConnector<ProxyConnector>,
    route: ProxyConnector,
    base: Uri,
    /// Set if TLS is used on the way, if only to a proxy.
    is_tls: bool,
    tls: Tls,
    opened: AtomicU64,
    read_buffer: usize,
    /// Set once a head could not be parsed: connections that are opened from then on read longer ones, and ignore lines
    /// that are no headers.
    is_lenient: AtomicBool,
}

impl Dialer {
    /// Creates a dialer for the scheme and host of `base`. Each connection reads up to `read_buffer` bytes per call.
    pub(super) fn new(
        base: Uri,
        tls: &Tls,
        proxies: &Proxies,
        read_buffer: usize,
        redirected: bool,
    ) -> Result<Self> {
        let proxy = proxies.of(&base)?;
        let is_https = |uri: &Uri| uri.scheme_str() == Some("https");
        if is_https(&base) {
            check_server_name(&base)?;
        }
        let is_tls = is_https(&base) || proxy.as_ref().is_some_and(|p| is_https(p.uri()));
        let config = if is_tls { tls.client_config() } else { tls::unused() }?;
        let tcp = if is_tls { TcpConnector::under_tls(read_buffer) } else { TcpConnector::plain() };
        // A proxy is the user's own choice, and resolves names itself.
        let tcp = if redirected && proxy.is_none() { tcp.without_metadata() } else { tcp };
        let route = ProxyConnector::new(tcp, proxy, &config);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(route.clone());
        Ok(Self {
            connector,
            route,
            base,
            is_tls,
            tls: tls.clone(),
            opened: AtomicU64::new(0),
            read_buffer,
            is_lenient: AtomicBool::new(false),
        })
    }

    /// Returns the host, with its port if that is not the usual one.
    pub(super) fn host(&self) -> &str {
        self.base.authority().map_or("", |authority| authority.as_str())
    }

    /// Returns the proxy that requests go through.
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.route.proxy()
    }

    /// Returns the proxy that requests are forwarded by, and that may answer them itself.
    pub(super) fn forwarding_proxy(&self) -> Option<&Proxy> {
        self.proxy().filter(|proxy| proxy.forwards(&self.base))
    }

    /// Prepares `request` for the proxy that forwards it, if one does.
    pub(super) fn prepare(&self, request: &mut Request<Empty<Bytes>>) {
        self.route.make_absolute(request, &self.base);
    }

    /// Makes connections that are opened from now on read longer heads, and ignore lines that are no headers.
    pub(super) fn set_lenient(&self) {
        self.is_lenient.store(true, Ordering::Relaxed);
    }

    /// Opens a connection within `limit`, for which there is a `slot`.
    pub(super) async fn open(&self, slot: ConnectionSlot, limit: Duration) -> Result<Connection> {
        let began = Instant::now();
        let connecting = self.connector.clone().call(self.base.clone());
        let stream = match timeout(limit.min(OPEN_TIMEOUT), connecting).await {
            Ok(opened) => opened.map_err(|e| self.refused(e))?,
            Err(_) => return Err(self.timed_out(limit.min(OPEN_TIMEOUT))),
        };
        let socket = below(below(&stream)).inner();
        let (low_water, peer) = (socket.low_water(), socket.peer());
        let stream = TokioIo::new(stream);
        let stream = Layered { stream, layer: self.is_tls.then(ReadCoalescing::default) };
        let is_lenient = self.is_lenient.load(Ordering::Relaxed);
        let stream = Layered { stream, layer: HeadCheck::default() };
        let read_buffer = if is_lenient { self.read_buffer.max(HEAD_BYTES_MAX) } else { self.read_buffer };
        let (sender, connection) = http1::Builder::new()
            .read_buf_exact_size(Some(read_buffer))
            // Each entry of an object's user metadata is a line.
            .max_headers(HEADER_LINES_MAX)
            // Old servers fold lines. Lines that are no headers at all are an error first, and then dropped silently:
            // `HeadCheck` refuses those of both that decide which bytes the body has.
            .ignore_invalid_headers_in_responses(is_lenient)
            .allow_obsolete_multiline_headers_in_responses(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| Error::network("the connection failed").with_source(e))?;
        let number = self.opened.fetch_add(1, Ordering::Relaxed) + 1;
        let host = self.host();
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
        Ok(Connection {
            sender,
            driver,
            low_water,
            is_lenient,
            number,
            peer,
            slow_responses: 0,
            runtime,
            slot,
        })
    }

    /// Returns the error for a request that failed because the server ended TLS with a reason.
    pub(super) fn tls_failure(&self, error: &hyper::Error) -> Option<Error> {
        let host = self.host();
        tls_error::explain(error, &format!("no response from {host}"), &self.tls)
    }

    fn refused(&self, cause: Box<dyn std::error::Error + Send + Sync>) -> Error {
        // A proxy's refusal explains itself.
        let cause = match cause.downcast::<Error>() {
            Ok(error) => return *error,
            Err(cause) => cause,
        };
        if has_source_out_of_sockets(&*cause) {
            return Error::new(ErrorKind::Other, "cannot connect: this process has no free file descriptor")
                .with_source(cause)
                .with_hint("raise the limit on open files (ulimit -n)");
        }
        let what = self.failure();
        let is_of_proxy = cause.is::<ToProxyError>();
        if let Some(proxy) = self.route.proxy()
            // The certificate of an https proxy is not that of the host.
            && is_of_proxy
            && let Some(error) =
                tls_error::explain(&*cause, &format!("cannot connect to the proxy {proxy}"), &self.tls)
        {
            return error;
        }
        if let Some(error) = tls_error::explain(&*cause, &what, &self.tls) {
            return error;
        }
        // A TCP connection that is refused fails otherwise. The alert that gives the reason may be lost with the rest.
        let is_cut = self.is_tls && tls_error::is_cut(&*cause);
        let error = Error::network(what).with_source(cause);
        let error = match self.route.proxy() {
            Some(proxy) if is_cut && is_of_proxy => error.with_hint(proxy.handshake_hint()),
            _ if is_cut => error.with_hint(
                "the server ended the TLS handshake: check that this port serves https, and whether it requires a client \
                 certificate (--client-cert)",
            ),
            _ => error,
        };
        self.with_usual_hint(error)
    }

    /// Returns the error for a connection that was not open within `limit`.
    fn timed_out(&self, limit: Duration) -> Error {
        if !self.route.has_accepted() {
            self.route.forget_addresses();
        }
        let error = Error::network(format!("{}: timed out after {limit:?}", self.failure()));
        // Nothing has shown yet that the port expects TLS.
        let may_be_silent = self.is_tls
            && self.route.proxy().is_none()
            && self.route.has_accepted()
            && self.opened.load(Ordering::Relaxed) == 0;
        let error = if may_be_silent { error.with_hint(SILENT_PORT_HINT) } else { error };
        self.with_usual_hint(error)
    }

    /// Returns the beginning of a message about a connection that could not be opened.
    fn failure(&self) -> String {
        let host = self.host();
        match self.route.proxy() {
            Some(proxy) => format!("cannot connect to {host} through the proxy {proxy}"),
            None => format!("cannot connect to {host}"),
        }
    }

    fn with_usual_hint(&self, error: Error) -> Error {
        match self.route.proxy() {
            Some(proxy) => error.with_hint(proxy.hint()),
            None => error.with_hint("check the endpoint, the region and the network connection"),
        }
    }
}

/// Checks that a certificate can be for the host of `base`.
fn check_server_name(base: &Uri) -> Result<()> {
    let host = base.host().unwrap_or_default().trim_matches(['[', ']']);
    ServerName::try_from(host).map(drop).map_err(|_| {
        Error::usage(format!("{host} is neither a host name nor an IP address"))
            .with_hint("check the endpoint or URL")
    })
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
