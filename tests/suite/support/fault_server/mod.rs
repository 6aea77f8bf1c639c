//! A server for which a script decides every reply: the right one, or one that is wrong in a chosen way, from a
//! refused connection to the last byte of a body.
//!
//! It serves one object under any bucket and key, on a free loopback port and a thread of its own. The script is a
//! function from [`Request`] to [`Reply`]. Tests can ask which requests came and in which order, how many connections
//! there were, and how many bytes of the object were sent. It speaks HTTP/1.1 over bare sockets, because no HTTP
//! server can be made to send what these tests need, and it never checks a signature.

mod connection;
mod gate;
mod render;
mod reply;
mod request;
mod script;
mod self_test;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::support::object::{SIZE, object};

pub(crate) use gate::Gate;
pub(crate) use render::{ETAG, REQUEST_ID};
pub(crate) use reply::Reply;
pub(crate) use request::Request;
pub(crate) use script::{always, cut_then, once};

/// The treatment of a new connection, before TLS and before any request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greeting {
    Serve,
    Close,
    Reset,
    /// Accepts it and stays silent.
    Stall,
}

/// A running server; dropping it ends its connections and its thread.
pub(crate) struct FaultServer {
    address: SocketAddr,
    is_tls: bool,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Settings other than the object and the script.
#[derive(Default)]
pub(crate) struct Options {
    tls: Option<Arc<ServerConfig>>,
    greet: Option<Greet>,
}

type Greet = Box<dyn Fn(usize) -> Greeting + Send + Sync>;

/// The state that all connections share.
struct Shared {
    object: Bytes,
    script: Box<dyn Fn(&Request) -> Reply + Send + Sync>,
    log: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    object_bytes: Mutex<u64>,
}

impl Options {
    /// Speaks TLS.
    pub(crate) fn tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Decides by a connection's number, counted from 0, how it is greeted.
    pub(crate) fn greet(mut self, greet: impl Fn(usize) -> Greeting + Send + Sync + 'static) -> Self {
        self.greet = Some(Box::new(greet));
        self
    }

    /// Starts the server.
    pub(crate) fn start(
        self,
        object: Bytes,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> FaultServer {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        listener.set_nonblocking(true).expect("a listener that can be polled");
        let address = listener.local_addr().expect("a bound listener's address");
        let shared = Arc::new(Shared {
            object,
            script: Box::new(script),
            log: Mutex::default(),
            connections: AtomicUsize::new(0),
            object_bytes: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let is_tls = self.tls.is_some();
        let state = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            // Connections are tasks: they end with the runtime, at the end of this thread.
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = accept(listener, self, state) => {}
                    _ = stopped => {}
                }
            });
        });
        FaultServer { address, is_tls, shared, stop: Some(stop), thread: Some(thread) }
    }
}

impl FaultServer {
    /// Serves the object of most tests over plain HTTP, without a fault.
    pub(crate) fn healthy() -> Self {
        Self::start(object(SIZE), |_| Reply::ok())
    }

    /// Serves `object` over plain HTTP by `script`.
    pub(crate) fn start(object: Bytes, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Options::default().start(object, script)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the value for `--endpoint`.
    pub(crate) fn endpoint(&self) -> String {
        format!("{}://{}", if self.is_tls { "https" } else { "http" }, self.address)
    }

    /// Returns every request so far, in the order in which their heads were complete.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.log().clone()
    }

    /// Returns the GETs so far, in order.
    pub(crate) fn gets(&self) -> Vec<Request> {
        self.shared.log().iter().filter(|r| r.is_get()).cloned().collect()
    }

    /// Returns the number of HEADs so far.
    pub(crate) fn heads(&self) -> usize {
        self.shared.log().iter().filter(|r| r.method == "HEAD").count()
    }

    /// Returns the number of accepted connections.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Relaxed)
    }

    /// Returns how many bytes of the object were written to sockets so far; bodies of errors do not count.
    pub(crate) fn object_bytes(&self) -> u64 {
        *self.shared.object_bytes()
    }

    /// Waits until no byte has been sent for a while, and returns [`FaultServer::object_bytes`]. On a very slow machine
    /// that may be too early: the number is then too small, never too large.
    pub(crate) fn settled(&self) -> u64 {
        let mut before = 0;
        loop {
            thread::sleep(Duration::from_millis(400));
            let now = self.object_bytes();
            if now == before && now > 0 {
                return now;
            }
            before = now;
        }
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Shared {
    fn size(&self) -> u64 {
        self.object.len() as u64
    }

    fn object_bytes(&self) -> MutexGuard<'_, u64> {
        self.object_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Vec<Request>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers the request and adds it to the log.
    fn record(&self, mut request: Request, connection: usize) -> Request {
        let mut log = self.log();
        request.connection = connection;
        request.serial = log.iter().filter(|r| r.method == request.method).count();
        request.attempt = log.iter().filter(|r| r.is_same_chunk(&request)).count();
        log.push(request.clone());
        request
    }
}

async fn accept(listener: std::net::TcpListener, options: Options, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).expect("a listener on this runtime");
    let tls = options.tls.map(TlsAcceptor::from);
    while let Ok((socket, _)) = listener.accept().await {
        let number = shared.connections.fetch_add(1, Relaxed);
        let greeting = options.greet.as_ref().map_or(Greeting::Serve, |greet| greet(number));
        tokio::spawn(meet(socket, greeting, number, tls.clone(), Arc::clone(&shared)));
    }
}

async fn meet(
    socket: TcpStream,
    greeting: Greeting,
    number: usize,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
) {
    // Small writes must reach the client immediately: tests depend on what it has seen.
    let _ = socket.set_nodelay(true);
    match (greeting, tls) {
        (Greeting::Close, _) => {}
        (Greeting::Reset, _) => connection::reset(&socket),
        (Greeting::Stall, _) => std::future::pending().await,
        (Greeting::Serve, None) => connection::serve(socket, number, shared).await,
        (Greeting::Serve, Some(tls)) => {
            if let Ok(socket) = tls.accept(socket).await {
                connection::serve(socket, number, shared).await;
            }
        }
    }
}
