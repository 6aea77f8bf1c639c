//! A TLS server in front of a plain one, with any certificate, which counts its connections and full handshakes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{HandshakeKind, ServerConfig};

/// A running server; dropping it ends it.
pub(crate) struct TlsFront {
    address: SocketAddr,
    counts: Arc<Counts>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicU64,
    full_handshakes: AtomicU64,
}

impl TlsFront {
    /// Starts a server that decrypts what it receives and passes it to `upstream`.
    pub(crate) fn start(config: Arc<ServerConfig>, upstream: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        listener.set_nonblocking(true).expect("a listener that can be polled");
        let address = listener.local_addr().expect("a bound listener's address");
        let (stop, stopped) = oneshot::channel();
        let counts = Arc::new(Counts::default());
        let state = Arc::clone(&counts);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = accept(listener, config.into(), upstream, state) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, counts, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its URL; the certificate is for this address or for localhost.
    pub(crate) fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn full_handshakes(&self) -> u64 {
        self.counts.full_handshakes.load(Ordering::SeqCst)
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

async fn accept(
    listener: std::net::TcpListener,
    tls: TlsAcceptor,
    upstream: SocketAddr,
    counts: Arc<Counts>,
) {
    let listener = TcpListener::from_std(listener).expect("a listener on this runtime");
    while let Ok((socket, _)) = listener.accept().await {
        counts.connections.fetch_add(1, Ordering::SeqCst);
        let (tls, counts) = (tls.clone(), Arc::clone(&counts));
        tokio::spawn(async move {
            // A client may reject the certificate and close its connection at any time.
            let Ok(mut client) = tls.accept(socket).await else { return };
            if client.get_ref().1.handshake_kind() == Some(HandshakeKind::Full) {
                counts.full_handshakes.fetch_add(1, Ordering::SeqCst);
            }
            if let Ok(mut server) = TcpStream::connect(upstream).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
