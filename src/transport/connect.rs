//! TCP to one host: all its addresses are raced (RFC 8305), and the first one that accepts is used.
//!
//! A connection attempt fails only after every address has failed. It is a connector below hyper-rustls.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use hyper_util::rt::TokioIo;
use nix::errno::Errno;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tower_service::Service;

use crate::transport::address_book::AddressBook;
use crate::transport::metadata_address::is_metadata_service;
use crate::transport::socket::Socket;

/// How long one address may take to accept a TCP connection: a lost SYN is sent again after 1 s and after 3 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// rustls reads a few KiB at a time; one system call fetches at most this many bytes for it.
const TLS_BUFFER_MAX: usize = 128 << 10;
/// How long an address may take before the next one is tried as well (RFC 8305, section 5, recommends 250 ms).
const FIRST_ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// The delay once one address has not answered, so that several dead ones cost little. RFC 8305 allows no less.
const LATER_ATTEMPT_DELAY: Duration = Duration::from_millis(100);

/// Connects to the addresses of one host.
#[derive(Clone, Debug, Default)]
pub(super) struct TcpConnector {
    addresses: Arc<AddressBook>,
    /// Bytes that a socket reads per call below TLS; 1 where HTTP's own large reads go straight to it.
    buffer: usize,
    /// Set if a server chose the host: no metadata service is connected to.
    refuses_metadata: bool,
}

impl TcpConnector {
    /// Creates a connector for plain HTTP. No address is known yet.
    pub(super) fn plain() -> Self {
        Self { buffer: 1, ..Self::default() }
    }

    /// Creates a connector for use below TLS, whose reader reads `read_buffer` bytes per call.
    pub(super) fn under_tls(read_buffer: usize) -> Self {
        Self { buffer: read_buffer.min(TLS_BUFFER_MAX), ..Self::default() }
    }

    /// Refuses to connect to the metadata service of a cloud.
    pub(super) fn without_metadata(self) -> Self {
        Self { refuses_metadata: true, ..self }
    }

    /// Returns whether an address of the host has accepted a connection.
    pub(super) fn has_accepted(&self) -> bool {
        self.addresses.has_accepted()
    }

    /// Makes the next connection ask the resolver again.
    pub(super) fn forget_addresses(&self) {
        self.addresses.forget();
    }

    async fn connect(self, uri: Uri) -> io::Result<TokioIo<Socket>> {
        let https = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        #[cfg(test)]
        if let Some(dialled) = crate::transport::in_memory::dial(host) {
            return Ok(TokioIo::new(Socket::new(dialled.await?, self.buffer)));
        }
        self.addresses
            .resolve(host, port)
            .await
            .map_err(|e| with_context(e, &format!("resolving {host}")))?;
        // A name may stand for such an address too, and for another one a moment later.
        let refuses = self.refuses_metadata;
        let dial = async |address: SocketAddr| {
            if refuses && is_metadata_service(address.ip()) {
                return Err(io::Error::other(
                    "this is the metadata service of a cloud, to which redirects are never followed",
                ));
            }
            TcpStream::connect(address).await
        };
        // The message names the host anyway; an address that it stands for says more.
        let is_name = host.parse::<IpAddr>().is_err();
        let stream = race(&self.addresses, dial).await.map_err(|failed| match failed.address {
            Some(address) if is_name => with_context(failed.error, &address.to_string()),
            _ => failed.error,
        })?;
        stream.set_nodelay(true)?;
        Ok(TokioIo::new(Socket::new(stream, self.buffer)))
    }
}

/// The last error of a [`race`] that nobody won, and the address that it is about.
#[derive(Debug)]
struct FailedDial {
    address: Option<SocketAddr>,
    error: io::Error,
}

/// Connects by `dial` to the first address that accepts. The next address is tried as soon as one fails, or when the
/// latest one has not answered for a while; the earlier ones stay in the race.
async fn race<S, F>(addresses: &AddressBook, dial: impl Fn(SocketAddr) -> F) -> Result<S, FailedDial>
where
    F: Future<Output = io::Result<S>>,
{
    let mut untried = addresses.next_order().into_iter();
    let mut dials = FuturesUnordered::new();
    let mut delay = FIRST_ATTEMPT_DELAY;
    let no_address = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let mut last = FailedDial { address: None, error: no_address };
    loop {
        let latest = untried.next();
        if let Some(address) = latest {
            let dialled = timeout(CONNECT_TIMEOUT, dial(address));
            dials.push(async move {
                (address, dialled.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())))
            });
        }
        tokio::select! {
            biased;
            done = dials.next() => match done {
                Some((address, Ok(stream))) => {
                    addresses.accepted(address);
                    return Ok(stream);
                }
                // No fault of the address, and no other one would fare better.
                Some((_, Err(error))) if is_out_of_sockets(&error) => {
                    untried = Vec::new().into_iter();
                    last = FailedDial { address: None, error };
                }
                Some((address, Err(error))) => {
                    addresses.avoid(address);
                    last = FailedDial { address: Some(address), error };
                }
                None => break,
            },
            () = sleep(delay), if untried.len() > 0 => {
                if let Some(address) = latest {
                    addresses.avoid(address);
                }
                delay = LATER_ATTEMPT_DELAY;
            }
        }
    }
    if !is_out_of_sockets(&last.error) {
        addresses.forget();
    }
    Err(last)
}

/// Returns whether `error` says that this process or machine cannot have another socket, whatever the address.
pub(super) fn is_out_of_sockets(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw);
    matches!(code, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM))
}

/// Adds what was tried to `error`. One that [`is_out_of_sockets`] is left as it is, to be recognized.
fn with_context(error: io::Error, what: &str) -> io::Error {
    if is_out_of_sockets(&error) { error } else { io::Error::new(error.kind(), format!("{what}: {error}")) }
}

impl Service<Uri> for TcpConnector {
    type Response = TokioIo<Socket>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::sync::Mutex;
    use tokio::time::Instant;

    /// How an address answers a fake dialer.
    #[derive(Clone, Copy, Debug)]
    enum Host {
        /// After so many milliseconds.
        Accepts(u64),
        Refuses,
        Dead,
        /// The process has no descriptor left.
        OutOfSockets,
    }
    use Host::{Accepts, Dead, OutOfSockets, Refuses};

    fn address(n: usize) -> SocketAddr {
        // Even ones IPv4, odd ones IPv6.
        if n.is_multiple_of(2) { format!("10.0.0.{n}:80") } else { format!("[fd00::{n}]:80") }
            .parse()
            .unwrap()
    }

    fn book(hosts: &[Host]) -> AddressBook {
        let book = AddressBook::default();
        book.set((0..hosts.len()).map(address).collect());
        book
    }

    async fn answer(hosts: &[Host], to: SocketAddr) -> io::Result<SocketAddr> {
        match hosts[(0..hosts.len()).find(|n| address(*n) == to).unwrap()] {
            Accepts(ms) => sleep(Duration::from_millis(ms)).await,
            Refuses => return Err(io::ErrorKind::ConnectionRefused.into()),
            OutOfSockets => return Err(io::Error::from_raw_os_error(Errno::EMFILE as i32)),
            Dead => pending().await,
        }
        Ok(to)
    }

    /// Timers are a few milliseconds coarse.
    fn assert_is_about(elapsed: Duration, ms: u64, hosts: &[Host]) {
        let excess = elapsed.checked_sub(Duration::from_millis(ms));
        assert!(excess.is_some_and(|e| e < Duration::from_millis(20)), "{elapsed:?}: {hosts:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_address_that_accepts_wins_and_is_preferred_from_then_on() {
        let many = |n: usize, host| vec![host; n];
        let then_live = |mut hosts: Vec<Host>| {
            hosts.push(Accepts(10));
            hosts
        };
        for (hosts, first_ms, dials) in [
            (vec![Accepts(10), Accepts(10)], 10, 1),
            (vec![Dead, Accepts(10)], 260, 2),
            (vec![Refuses, Accepts(10)], 10, 2),
            (then_live(many(8, Dead)), 250 + 7 * 100 + 10, 9),
            (then_live(many(14, Refuses)), 10, 15),
            (then_live(vec![Dead, Refuses, Dead]), 360, 4),
            // A long round trip: the first one still wins, though a second one was tried.
            (vec![Accepts(300), Accepts(300)], 300, 2),
            // Alone, an address has all the time there is.
            (vec![Accepts(4_900)], 4_900, 1),
        ] {
            let book = book(&hosts);
            let dialled = Mutex::new(Vec::new());
            let dial = |to| {
                dialled.lock().unwrap().push(to);
                answer(&hosts, to)
            };
            let began = Instant::now();
            let winner = race(&book, dial).await.unwrap();
            assert_is_about(began.elapsed(), first_ms, &hosts);
            assert_eq!(dialled.lock().unwrap().len(), dials, "{hosts:?}");
            if hosts.iter().filter(|host| matches!(host, Accepts(_))).count() == 1 {
                dialled.lock().unwrap().clear();
                let again = race(&book, dial).await.unwrap();
                assert_eq!((again, dialled.lock().unwrap().as_slice()), (winner, &[winner][..]), "{hosts:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_fails_only_after_every_address_has() {
        for (hosts, ms) in [
            (vec![Refuses; 3], 0),
            (vec![Dead, Refuses], 5_000),
            (vec![Dead; 3], 350 + 5_000),
            (Vec::new(), 0),
        ] {
            let book = book(&hosts);
            let began = Instant::now();
            let error = race(&book, |to| answer(&hosts, to)).await.unwrap_err();
            assert_is_about(began.elapsed(), ms, &hosts);
            assert!(!is_out_of_sockets(&error.error));
            assert_eq!(book.next_order(), [], "the resolver is asked again");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_descriptor_no_further_address_is_tried_and_none_is_avoided() {
        let hosts = [OutOfSockets, Accepts(10)];
        let book = book(&hosts);
        let error = race(&book, |to| answer(&hosts, to)).await.unwrap_err();
        assert!(is_out_of_sockets(&error.error), "{error:?}");
        assert_eq!(book.next_order().len(), 2);

        // A dial that is under way may still succeed.
        let hosts = [Accepts(300), OutOfSockets];
        let book = super::tests::book(&hosts);
        assert_eq!(race(&book, |to| answer(&hosts, to)).await.unwrap(), address(0));
    }

    #[tokio::test]
    async fn live_listeners_share_the_connections_and_a_closed_port_costs_nothing() {
        let live = [
            tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
            tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
        ];
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let connector = TcpConnector::plain();
        connector.addresses.set(vec![closed, live[0].local_addr().unwrap(), live[1].local_addr().unwrap()]);
        let mut peers = Vec::new();
        for _ in 0..5 {
            let socket = connector.clone().connect("http://unused.invalid".parse().unwrap()).await.unwrap();
            peers.push(socket.inner().peer().unwrap());
        }
        for listener in &live {
            let count = peers.iter().filter(|peer| **peer == listener.local_addr().unwrap()).count();
            assert!((2..=3).contains(&count), "{peers:?}");
        }
    }

    #[tokio::test]
    async fn when_no_address_accepts_the_error_names_one_that_a_name_stands_for() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        for (host, names_address) in [("localhost", true), ("127.0.0.1", false)] {
            let uri = format!("http://{host}:{port}").parse().unwrap();
            let Err(error) = TcpConnector::plain().connect(uri).await else {
                panic!("connected to a closed port")
            };
            assert_eq!(error.to_string().contains(&format!(":{port}: ")), names_address, "{error}");
        }
    }
}
