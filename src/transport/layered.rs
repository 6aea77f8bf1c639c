//! A byte stream with a layer over its reads. Writes pass through it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A change to the reads of a stream.
pub(super) trait ReadLayer<S: AsyncRead> {
    /// Reads from `stream` into `buf`, as [`AsyncRead::poll_read`] does.
    fn poll_read(
        &mut self,
        stream: Pin<&mut S>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>>;

    /// Notes that bytes are written.
    fn before_write(&mut self) {}
}

/// A stream that is read through a layer.
#[derive(Debug)]
pub(super) struct Layered<S, L> {
    pub(super) stream: S,
    pub(super) layer: L,
}

impl<S: AsyncRead + Unpin, L: ReadLayer<S> + Unpin> AsyncRead for Layered<S, L> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.layer.poll_read(Pin::new(&mut this.stream), cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, L: ReadLayer<S> + Unpin> AsyncWrite for Layered<S, L> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.layer.before_write();
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A layer that is there on some connections only.
impl<S: AsyncRead, L: ReadLayer<S>> ReadLayer<S> for Option<L> {
    fn poll_read(
        &mut self,
        stream: Pin<&mut S>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Some(layer) => layer.poll_read(stream, cx, buf),
            None => stream.poll_read(cx, buf),
        }
    }

    fn before_write(&mut self) {
        if let Some(layer) = self {
            layer.before_write();
        }
    }
}
