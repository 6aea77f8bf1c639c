//! A connected socket that wakes its reader only when enough bytes have arrived.
//!
//! A sender's pieces are small, and each of them would cost a wake-up, a system call and a frame. While much
//! is still to come, the kernel is asked to gather (`SO_RCVLOWAT`, socket(7)): one read then fills the reader's
//! buffer. The consumer of the bytes sets the amount through the [`LowWater`] of the socket, not the task that owns it.
//! Systems without `SO_RCVLOWAT` wake the reader for every byte, as usual.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, BufReader, ReadBuf};
use tokio::net::TcpStream;
#[cfg(not(test))]
use tokio::net::TcpStream as SocketStream;

/// Unit tests of the engine run over pipes in memory, with paused time.
#[cfg(test)]
use crate::transport::in_memory::TestStream as SocketStream;
use crate::transport::layered::{Layered, ReadLayer};

/// The number of bytes that must have arrived before a socket's reader is woken.
#[derive(Debug)]
pub(super) struct LowWater {
    bytes: AtomicUsize,
    /// The task that reads: only it can set the mark in the kernel.
    reader: AtomicWaker,
}

impl LowWater {
    /// Makes the reader wake only for so many `bytes`, or for the end of the stream.
    pub(super) fn set(&self, bytes: usize) {
        if self.bytes.swap(bytes.max(1), Ordering::Relaxed) != bytes.max(1) {
            self.reader.wake();
        }
    }
}

/// A TCP stream, with a read buffer where TLS is to run on it.
pub(super) type Socket = Layered<BufReader<SocketStream>, LowWaterReads>;

/// Reads that wait for the mark of a socket.
#[derive(Debug)]
pub(super) struct LowWaterReads {
    mark: Arc<LowWater>,
    /// The mark that the kernel has at present.
    applied: usize,
}

impl Socket {
    /// Wraps `stream`; `buffer` bytes are read in one call for a reader that asks for less.
    pub(super) fn new(stream: impl Into<SocketStream>, buffer: usize) -> Self {
        let mark = LowWater { bytes: AtomicUsize::new(1), reader: AtomicWaker::new() };
        let layer = LowWaterReads { mark: Arc::new(mark), applied: 1 };
        Self { stream: BufReader::with_capacity(buffer, stream.into()), layer }
    }

    /// Returns the mark that decides when this socket's reader is woken.
    pub(super) fn low_water(&self) -> Arc<LowWater> {
        Arc::clone(&self.layer.mark)
    }

    /// Returns the address at the other end.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        tcp(&self.stream)?.peer_addr().ok()
    }
}

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "a unit test's stream may be none of TCP")]
fn tcp(stream: &BufReader<SocketStream>) -> Option<&TcpStream> {
    Some(stream.get_ref())
}

#[cfg(test)]
fn tcp(stream: &BufReader<SocketStream>) -> Option<&TcpStream> {
    stream.get_ref().tcp()
}

impl ReadLayer<BufReader<SocketStream>> for LowWaterReads {
    fn poll_read(
        &mut self,
        stream: Pin<&mut BufReader<SocketStream>>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.mark.reader.register(cx.waker());
        let bytes = self.mark.bytes.load(Ordering::Relaxed);
        if bytes != self.applied
            && let Some(tcp) = tcp(&stream)
        {
            set_low_water(tcp, bytes);
            let is_enough = self.applied > bytes && stream.buffer().is_empty();
            let is_read = is_enough && try_read_now(tcp, buf)?;
            self.applied = bytes;
            if is_read {
                return Poll::Ready(Ok(()));
            }
        }
        stream.poll_read(cx, buf)
    }
}

/// hyper-rustls needs this of a stream that TLS runs on.
impl Connection for Socket {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

#[cfg(target_os = "linux")]
fn set_low_water(stream: &TcpStream, bytes: usize) {
    use nix::sys::socket::setsockopt;
    use nix::{libc, setsockopt_impl, sockopt_impl};

    sockopt_impl!(ReceiveLowWater, SetOnly, libc::SOL_SOCKET, libc::SO_RCVLOWAT, i32);
    // Where the system refuses, the reader is woken more often.
    let _ = setsockopt(stream, ReceiveLowWater, &i32::try_from(bytes).unwrap_or(i32::MAX));
}

/// Tries a direct read after the mark was lowered: enough bytes may have gathered. The runtime has not been notified of
/// them yet, and where it is busy it would notice them late.
#[cfg(target_os = "linux")]
fn try_read_now(stream: &TcpStream, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
    use nix::errno::Errno;
    use nix::sys::socket::{MsgFlags, recv};
    use std::os::fd::AsRawFd;

    match recv(stream.as_raw_fd(), buf.initialize_unfilled(), MsgFlags::MSG_DONTWAIT) {
        // The end of the stream is reported at every call.
        Ok(count) => {
            buf.advance(count);
            Ok(count > 0)
        }
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(false),
        // An error is reported only once.
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn set_low_water(_: &TcpStream, _: usize) {}

#[cfg(not(target_os = "linux"))]
fn try_read_now(_: &TcpStream, _: &mut ReadBuf<'_>) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A socket and its peer.
    async fn pair() -> (Socket, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Socket::new(here, 1), listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_reader_is_woken_for_enough_or_when_less_will_do() {
        let (mut socket, mut peer) = pair().await;
        let low_water = socket.low_water();
        low_water.set(1000);
        let reader = tokio::spawn(async move {
            let mut buffer = [0; 4000];
            let first = socket.read(&mut buffer).await.unwrap();
            (first, socket.read(&mut buffer).await.unwrap())
        });
        tokio::task::yield_now().await;
        for _ in 0..10 {
            peer.write_all(&[7; 100]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The reader may have been late, but it cannot have seen the first hundred alone.
        peer.write_all(&[7; 50]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!reader.is_finished(), "fifty are not enough");
        low_water.set(1);
        let (first, second) = reader.await.unwrap();
        assert!(first >= 1000 && first + second == 1050, "{first} and {second}");
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn bytes_that_have_arrived_are_read_and_errors_are_reported() {
        let (socket, mut peer) = pair().await;
        let mut bytes = [0; 100];
        let mut buf = ReadBuf::new(&mut bytes);
        assert!(!try_read_now(tcp(&socket.stream).unwrap(), &mut buf).unwrap(), "nothing yet");
        peer.write_all(b"some").await.unwrap();
        tcp(&socket.stream).unwrap().readable().await.unwrap();
        assert!(try_read_now(tcp(&socket.stream).unwrap(), &mut buf).unwrap());
        assert_eq!(buf.filled(), b"some");
        peer.set_zero_linger().unwrap();
        drop(peer);
        let mut seen = None;
        for _ in 0..400 {
            match try_read_now(tcp(&socket.stream).unwrap(), &mut buf) {
                Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(error) => {
                    seen = Some(error.kind());
                    break;
                }
            }
        }
        assert_eq!(seen, Some(io::ErrorKind::ConnectionReset));
    }

    #[tokio::test]
    async fn the_end_wakes_whatever_was_asked_for() {
        let (mut socket, mut peer) = pair().await;
        socket.low_water().set(1_000_000);
        peer.write_all(b"end").await.unwrap();
        drop(peer);
        let mut all = Vec::new();
        socket.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"end");
        assert_eq!(socket.read(&mut [0; 1]).now_or_never().unwrap().unwrap(), 0);
    }
}
