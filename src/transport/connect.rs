//! TCP to one host, by way of all its addresses, as a connector under hyper-rustls.
//!
//! It gets a URI's host and port and hands on a connected socket. Addresses are asked for once, shuffled,
//! and taken in turn; one that fails is left out until the resolver is asked again.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use crate::events::CONNECTION;
use crate::transport::socket::Socket;
use crate::transport::{ADDRESSES, CONNECT_TIMEOUT};
use tracing::debug;

/// rustls asks its socket for a few KiB at a time; one system call fetches at most this many bytes for it.
const TLS_BUFFER_MAX: usize = 128 << 10;

/// Connects to the addresses of one host, in turn.
#[derive(Clone, Debug, Default)]
pub(super) struct TcpConnector {
    /// In the order in which they are to be tried next; empty until first resolved.
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
    /// What a socket reads at once for TLS on it, in bytes; 1 where HTTP's own large reads go straight to it.
    buffer: usize,
}

impl TcpConnector {
    /// No address known yet.
    pub(super) fn plain() -> Self {
        Self { addresses: Arc::default(), buffer: 1 }
    }

    /// The same for TLS; `read_buffer` is what is read at once above it.
    pub(super) fn under_tls(read_buffer: usize) -> Self {
        Self { addresses: Arc::default(), buffer: read_buffer.min(TLS_BUFFER_MAX) }
    }

    async fn connect(self, uri: Uri) -> io::Result<TokioIo<Socket>> {
        let https = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for _ in 0..ADDRESSES {
            self.resolve(&host, port).await?;
            let Some(address) = self.next() else { break };
            let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect(address));
            match connecting.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(TokioIo::new(Socket::new(stream, self.buffer)));
                }
                Err(e) => {
                    // Without any address left the resolver is asked again: they may have moved.
                    self.lock().retain(|a| *a != address);
                    last = io::Error::new(e.kind(), format!("connecting to {address}: {e}"));
                }
            }
        }
        Err(last)
    }

    /// Asks the resolver where no address is known.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<()> {
        if !self.lock().is_empty() {
            return Ok(());
        }
        let mut found = lookup(host, port)
            .await
            .map_err(|e| io::Error::new(e.kind(), format!("resolving {host}: {e}")))?;
        debug!(target: CONNECTION, host, addresses = ?found, "resolved");
        fastrand::shuffle(&mut found);
        let mut addresses = self.lock();
        // Connections that start together resolve together: the first answer stays.
        if addresses.is_empty() {
            *addresses = found;
        }
        Ok(())
    }

    /// The address whose turn it is; it goes to the end of the line.
    fn next(&self) -> Option<SocketAddr> {
        let mut addresses = self.lock();
        if addresses.is_empty() {
            return None;
        }
        addresses.rotate_left(1);
        addresses.last().copied()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SocketAddr>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names below `localhost` are this machine and no question for a resolver (RFC 6761, section 6.3), many of which
/// know none of them: `http://bucket.s3.localhost:9000` is a local store with the bucket in the host.
async fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let lower = host.to_ascii_lowercase();
    if lower.trim_end_matches('.').ends_with(".localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
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

    #[tokio::test]
    async fn a_dead_address_is_passed_over_and_new_connections_are_spread() {
        let live = [
            tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
            tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
        ];
        let dead = {
            let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            gone.local_addr().unwrap()
        };
        let tcp = TcpConnector::plain();
        *tcp.lock() = vec![dead, live[0].local_addr().unwrap(), live[1].local_addr().unwrap()];
        let mut seen = Vec::new();
        for _ in 0..4 {
            let socket = tcp.clone().connect("http://unused.invalid".parse().unwrap()).await.unwrap();
            seen.push(socket.inner().stream().peer_addr().unwrap());
        }
        for listener in &live {
            let address = listener.local_addr().unwrap();
            assert_eq!(seen.iter().filter(|a| **a == address).count(), 2, "{seen:?}");
        }
    }

    #[tokio::test]
    async fn when_no_address_answers_the_error_names_one() {
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let uri = format!("http://{gone}").parse().unwrap();
        let Err(error) = TcpConnector::plain().connect(uri).await else {
            panic!("connected to a closed port")
        };
        assert!(error.to_string().contains(&gone.to_string()), "{error}");
    }

    #[tokio::test]
    async fn names_below_localhost_are_this_machine() {
        let loopback = ["127.0.0.1:9000".parse().unwrap(), "[::1]:9000".parse().unwrap()];
        for name in ["s3.localhost", "bucket.s3.localhost", "Bucket.LOCALHOST."] {
            assert_eq!(lookup(name, 9000).await.unwrap(), loopback, "{name}");
        }
        for name in ["localhost.invalid", "notlocalhost.invalid"] {
            assert!(lookup(name, 9000).await.is_err(), "{name}");
        }
    }
}
