//! One connection: reads request heads, asks the script for a reply, and sends it.
//!
//! Every fault that needs a socket happens here, and the bytes that are sent are counted here. What to reply is the
//! script's decision alone.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Shared;
use super::reply::{Event, Reply};
use super::request::Request;

/// A head longer than this comes from no S3 client.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// The largest single write, so that the counts follow what is sent closely.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// A stream that can also be reset.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Serves `socket` until either side ends it. TCP alone ends it, without TLS's closing alert, so
/// that a cut on TLS is one.
pub(super) async fn serve(mut socket: impl Socket, connection: usize, shared: Arc<Shared>) {
    let mut unread = Vec::new();
    while let Ok(Some(request)) = next_request(&mut socket, &mut unread, shared.size()).await {
        let request = shared.record(request, connection);
        let reply = (shared.script)(&request);
        match answer(&mut socket, &reply, &request, &shared).await {
            Ok(After::Next) => {}
            Ok(After::Reset) => return reset(socket.tcp()),
            Ok(After::Close) | Err(_) => return,
        }
    }
}

/// Makes the end of `tcp`, which comes when it is dropped, an RST instead of a FIN.
pub(super) fn reset(tcp: &TcpStream) {
    // Where this fails the connection is gone already.
    let _ = tcp.set_zero_linger();
}

/// The fate of the connection after a reply.
#[derive(Debug, Clone, Copy)]
enum After {
    Next,
    Close,
    Reset,
}

/// `None` when the client has ended the connection between two requests.
async fn next_request(
    socket: &mut impl Socket,
    unread: &mut Vec<u8>,
    size: u64,
) -> io::Result<Option<Request>> {
    loop {
        match Request::parse(unread, size) {
            Ok(Some((request, length))) => {
                unread.drain(..length);
                return Ok(Some(request));
            }
            Ok(None) if unread.len() < HEAD_BYTES_MAX => {}
            Ok(None) | Err(_) => return Err(io::ErrorKind::InvalidData.into()),
        }
        if socket.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    }
}

/// Sends one reply, with all that happens on its way.
async fn answer(
    socket: &mut impl Socket,
    reply: &Reply,
    request: &Request,
    shared: &Shared,
) -> io::Result<After> {
    if let Some(gate) = &reply.gate {
        gate.passed().await;
    }
    let rendered = reply.render(request, &shared.object);
    socket.write_all(&rendered.head).await?;
    let mut sent: u64 = 0;
    let mut pieces = rendered.body.into_iter();
    let mut piece = Bytes::new();
    for (offset, event) in &reply.events {
        while sent < *offset {
            if piece.is_empty() {
                let Some(next) = pieces.next() else { break };
                piece = next;
            }
            let wanted = usize::try_from(offset - sent).unwrap_or(usize::MAX).min(piece.len());
            sent += wanted as u64;
            send(socket, piece.split_to(wanted), rendered.is_object, shared).await?;
        }
        socket.flush().await?;
        match event {
            Event::Pause(gate) => gate.passed().await,
            Event::Stall => std::future::pending().await,
            Event::Cut => return Ok(After::Close),
            Event::Reset => return Ok(After::Reset),
        }
    }
    send(socket, piece, rendered.is_object, shared).await?;
    for piece in pieces {
        send(socket, piece, rendered.is_object, shared).await?;
    }
    while !rendered.endless.is_empty() {
        socket.write_all(rendered.endless.as_bytes()).await?;
    }
    socket.flush().await?;
    if let Some(gate) = &reply.opens {
        gate.open();
    }
    Ok(if rendered.closes { After::Close } else { After::Next })
}

async fn send(
    socket: &mut impl Socket,
    mut bytes: Bytes,
    is_object: bool,
    shared: &Shared,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let piece = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
        let n = poll_fn(|cx| {
            // Written and counted as one: a client that has the bytes never meets an older count.
            let mut count = shared.object_bytes();
            let polled = Pin::new(&mut *socket).poll_write(cx, piece);
            if let (Poll::Ready(Ok(n)), true) = (&polled, is_object) {
                *count += *n as u64;
            }
            polled
        })
        .await?;
        bytes = bytes.split_off(n);
    }
    Ok(())
}
