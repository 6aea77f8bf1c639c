//! A loopback server that behaves like S3 towards one object, whole or in pieces, and costs as little as a server can.
//!
//! Path style; HEAD, GET and a single Range, over HTTP/1.1, plain or TLS; one thread a connection, `sendfile` out of
//! memory where there is no TLS. It checks no signature and keeps no bucket: it is here to be fast, to be slow in the
//! ways that S3 is ([`Pace`]), and to count. Whether requests are right is what fixtures/s3server is for.
//!
//! A request's way: `connection` reads it by `request`, asks `reply` what to answer, and sends it on the `wire` at the
//! `pace`.

mod connection;
mod counts;
mod keys;
mod pace;
mod reply;
mod request;
mod wire;

pub(crate) use counts::{Counts, Seen};
pub(crate) use keys::Keys;
pub(crate) use pace::{MIB, Pace, Straggler};

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustls::ServerConfig;

use crate::object::Object;

/// The only bucket.
pub(crate) const BUCKET: &str = "bench";

/// A server that runs until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    site: Arc<Site>,
    acceptor: Option<JoinHandle<()>>,
}

/// What all connections share.
struct Site {
    object: Object,
    pace: Pace,
    tls: Option<Arc<ServerConfig>>,
    /// Where connections accepted from now on are counted.
    counts: Mutex<Arc<Counts>>,
    stopping: AtomicBool,
}

impl Server {
    /// Serves `object` on a free port of the loopback interface.
    pub(crate) fn start(object: Object, pace: Pace, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        Self::listen(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, object, pace, tls)
    }

    /// Serves `object` to every client that connects to `listener`.
    pub(crate) fn listen(
        listener: TcpListener,
        object: Object,
        pace: Pace,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let site =
            Arc::new(Site { object, pace, tls, counts: Mutex::default(), stopping: AtomicBool::new(false) });
        let shared = Arc::clone(&site);
        let acceptor =
            thread::Builder::new().name("accept".to_owned()).spawn(move || accept(&listener, &shared))?;
        Ok(Self { address, site, acceptor: Some(acceptor) })
    }

    /// `http://127.0.0.1:PORT`, or `https://`.
    pub(crate) fn endpoint(&self) -> String {
        let scheme = if self.site.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The address alone.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The object that is served.
    pub(crate) fn object(&self) -> &Object {
        &self.site.object
    }

    /// The keys that it is served under.
    pub(crate) fn keys(&self) -> Keys {
        self.site.keys()
    }

    /// How it is served.
    pub(crate) fn pace(&self) -> Pace {
        self.site.pace
    }

    /// Counts from zero. Connections that are open still count into what was handed out before, so that a client
    /// which ends late is not charged to the next one.
    pub(crate) fn count_anew(&self) -> Arc<Counts> {
        let counts = Arc::new(Counts::default());
        *self.site.counts.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&counts);
        counts
    }
}

impl Site {
    fn keys(&self) -> Keys {
        Keys::new(self.object.size, self.object.pieces)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.site.stopping.store(true, Relaxed);
        // The acceptor waits for a connection. Where it cannot be woken it ends with the process.
        if TcpStream::connect(self.address).is_ok()
            && let Some(acceptor) = self.acceptor.take()
        {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, site: &Arc<Site>) {
    for stream in listener.incoming() {
        if site.stopping.load(Relaxed) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let site = Arc::clone(site);
        let counts = Arc::clone(&site.counts.lock().unwrap_or_else(PoisonError::into_inner));
        // Two references are the site's own, and one is that of this connection.
        let open = Arc::strong_count(&site).saturating_sub(3);
        if site.pace.connections.is_some_and(|most| open >= most as usize) {
            continue;
        }
        counts.connection();
        // A peer that goes away in the middle is the ordinary end of a connection here.
        let serve = move || connection::serve(stream, &site, &counts);
        let _ = thread::Builder::new().spawn(serve);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Source;
    use std::io::{Read, Write};
    use std::time::Duration;

    #[test]
    fn ranges_come_over_one_connection_and_are_counted() {
        let object = Source::new(3_000_000).unwrap().object(3_000_000);
        let pace = Pace { rate: Some(1000), ..Pace::default() };
        let server = Server::start(object.clone(), pace, None).unwrap();
        let counts = server.count_anew();

        let mut client = TcpStream::connect(server.address()).unwrap();
        client.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        write!(client, "HEAD /bench/object HTTP/1.1\r\n\r\n").unwrap();
        write!(client, "GET /bench/object HTTP/1.1\r\nRange: bytes=1000000-2999999\r\n\r\n").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();

        let (heads, body) = answer.split_at(answer.len() - 2_000_000);
        let mut want = vec![0; 2_000_000];
        object.read_at(1_000_000, &mut want).unwrap();
        assert!(body == want, "the body differs");
        let heads = String::from_utf8_lossy(heads);
        assert!(heads.contains("Content-Length: 3000000\r\n\r\nHTTP/1.1 206 "), "{heads}");
        assert!(heads.contains("Content-Range: bytes 1000000-2999999/3000000\r\n"), "{heads}");
        let seen = Seen { connections: 1, unused: 0, heads: 1, gets: 1, bytes: 2_000_000 };
        assert_eq!(counts.seen(), seen);
        assert_eq!(server.count_anew().seen(), Seen::default());
    }
}
