//! An HTTP proxy in this process: CONNECT and absolute-form requests, with or without a password.
//!
//! It listens on a free loopback port, with TLS on request, and connects to the one server it is made for, whatever
//! host a request names. It records what passes through. A request that is not addressed to a proxy is answered with
//! 400.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// Settings of the proxy.
#[derive(Default)]
pub(crate) struct Options {
    /// The value of `Proxy-Authorization` that it demands; requests without it get a 407.
    pub(crate) auth: Option<&'static str>,
    /// The status with which it refuses everything.
    pub(crate) refusal: Option<u16>,
    /// The head with which it opens a tunnel, by default a 200.
    pub(crate) opened: Option<&'static str>,
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

/// The connections and requests that passed through the proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The hosts that tunnels were opened to.
    pub(crate) tunnels: Vec<String>,
    /// The targets of requests that were forwarded, absolute.
    pub(crate) forwarded: Vec<String>,
    /// Requests that were refused.
    pub(crate) refused: usize,
}

/// A running proxy; dropping it ends it.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: SocketAddr,
    auth: Option<&'static str>,
    refusal: Option<u16>,
    opened: Option<&'static str>,
    seen: Mutex<Seen>,
}

impl Options {
    /// Starts a proxy that connects to `upstream`.
    pub(crate) fn start(self, upstream: SocketAddr) -> Proxy {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        listener.set_nonblocking(true).expect("a listener that can be polled");
        let address = listener.local_addr().expect("a bound listener's address");
        let seen = Mutex::default();
        let shared =
            Arc::new(Shared { upstream, auth: self.auth, refusal: self.refusal, opened: self.opened, seen });
        let (stop, stopped) = oneshot::channel();
        let state = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = accept(listener, self.tls.map(TlsAcceptor::from), state) => {}
                    _ = stopped => {}
                }
            });
        });
        Proxy { address, shared, stop: Some(stop), thread: Some(thread) }
    }
}

impl Proxy {
    /// Starts a proxy without a password that connects to `upstream`.
    pub(crate) fn to(upstream: SocketAddr) -> Self {
        Options::default().start(upstream)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn seen(&self) -> Seen {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

async fn accept(listener: std::net::TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).expect("a listener on this runtime");
    while let Ok((socket, _)) = listener.accept().await {
        // Otherwise the server would seem to wait for acknowledgements.
        let _ = socket.set_nodelay(true);
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            // A client may close its connection at any time.
            let _ = match tls {
                None => shared.serve(socket).await,
                Some(tls) => match tls.accept(socket).await {
                    Ok(socket) => shared.serve(socket).await,
                    Err(e) => Err(e),
                },
            };
        });
    }
}

/// A request's head: what the proxy looks at, and the headers that it forwards.
struct Head {
    method: String,
    target: String,
    auth: Option<String>,
    /// All headers but those for the proxy.
    headers: String,
}

impl Shared {
    fn note(&self, what: impl FnOnce(&mut Seen)) {
        what(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
        let server = TcpStream::connect(self.upstream).await?;
        server.set_nodelay(true)?;
        Ok(server)
    }

    async fn serve(&self, client: impl AsyncRead + AsyncWrite) -> std::io::Result<()> {
        let (mut requests, mut responses) = tokio::io::split(client);
        loop {
            let Some(head) = read_head(&mut requests).await? else { return Ok(()) };
            let refusal = match &head.auth {
                auth if self.auth.is_some() && self.auth != auth.as_deref() => Some(407),
                _ => self.refusal,
            };
            if let Some(status) = refusal {
                self.note(|seen| seen.refused += 1);
                let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n");
                responses.write_all(answer.as_bytes()).await?;
            } else if head.method == "CONNECT" {
                self.note(|seen| seen.tunnels.push(head.target));
                let (mut from, mut to) = self.connect().await?.into_split();
                let opened = self.opened.unwrap_or("HTTP/1.1 200 Connection established\r\n\r\n");
                responses.write_all(opened.as_bytes()).await?;
                tokio::select! {
                    result = copy(&mut requests, &mut to) => result?,
                    result = copy(&mut from, &mut responses) => result?,
                };
                return Ok(());
            } else if head.origin_form().is_some() {
                let (mut from, mut to) = self.connect().await?.into_split();
                return tokio::select! {
                    result = self.forward(head, &mut requests, &mut to) => result,
                    result = copy(&mut from, &mut responses) => result.map(drop),
                };
            } else {
                responses.write_all(b"HTTP/1.1 400 Not for a proxy\r\nContent-Length: 0\r\n\r\n").await?;
            }
        }
    }

    /// Forwards `head` and the requests after it, in origin form.
    async fn forward(
        &self,
        head: Head,
        requests: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> std::io::Result<()> {
        let mut next = Some(head);
        while let Some(head) = next {
            let request = head.origin_form().ok_or(std::io::ErrorKind::InvalidData)?;
            self.note(|seen| seen.forwarded.push(head.target));
            to.write_all(request.as_bytes()).await?;
            next = read_head(requests).await?;
        }
        Ok(())
    }
}

impl Head {
    /// Returns the request as the server expects it, or `None` if it is not addressed to a proxy.
    fn origin_form(&self) -> Option<String> {
        let (_, path) = self.target.strip_prefix("http://")?.split_once('/')?;
        Some(format!("{} /{path} HTTP/1.1\r\n{}\r\n", self.method, self.headers))
    }
}

/// Reads the next request's head; returns `None` at the end. Clients here send no bodies, and no request before the
/// previous one is answered.
async fn read_head(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<Head>> {
    let mut bytes = Vec::new();
    loop {
        if from.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        if request.parse(&bytes).map_err(std::io::Error::other)?.is_partial() {
            continue;
        }
        let value = |h: &httparse::Header<'_>| String::from_utf8_lossy(h.value).into_owned();
        let is_auth = |h: &&httparse::Header<'_>| h.name.eq_ignore_ascii_case("proxy-authorization");
        let kept = request.headers.iter().filter(|h| !is_auth(h));
        return Ok(Some(Head {
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().to_owned(),
            auth: request.headers.iter().find(is_auth).map(value),
            headers: kept
                .flat_map(|h| [h.name.to_owned(), ": ".to_owned(), value(h), "\r\n".to_owned()])
                .collect(),
        }));
    }
}
