//! A byte stream that can fill the reader's buffer with all data that has arrived.
//!
//! rustls returns one record (16 KiB at most) for each read; each would become a frame of its own, with its own hop through
//! hyper's channel. Without TLS reads stay single: a second read on a socket just emptied is a wasted system call.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream over `T`.
pub(super) struct CoalescingReader<T> {
    inner: T,
    /// Read until the buffer is full or no more data has arrived.
    fill: bool,
    /// An error that followed data in the same read; reported by the next call, because a socket reports an error only once.
    error: Option<io::Error>,
}

impl<T> CoalescingReader<T> {
    /// Returns the bytes of each read of `inner` as they are.
    pub(super) fn plain(inner: T) -> Self {
        Self { inner, fill: false, error: None }
    }

    /// Fills the buffer by several reads of `inner`.
    pub(super) fn filling(inner: T) -> Self {
        Self { inner, fill: true, error: None }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for CoalescingReader<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(error) = this.error.take() {
            return Poll::Ready(Err(error));
        }
        let before = buf.filled().len();
        loop {
            let filled = buf.filled().len();
            match Pin::new(&mut this.inner).poll_read(cx, buf) {
                Poll::Ready(Ok(())) => {
                    let more = buf.filled().len() > filled && buf.remaining() > 0;
                    if !(this.fill && more) {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(Err(e)) if filled > before => {
                    this.error = Some(e);
                    return Poll::Ready(Ok(()));
                }
                // `inner` has registered the waker; the bytes that are here are delivered immediately.
                Poll::Pending if filled > before => return Poll::Ready(Ok(())),
                other => return other,
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for CoalescingReader<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    /// Gives one byte a read, then the given end.
    struct Drip(usize, Option<io::ErrorKind>);

    impl AsyncRead for Drip {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if self.0 > 0 {
                self.0 -= 1;
                buf.put_slice(b"x");
                return Poll::Ready(Ok(()));
            }
            self.1.take().map_or(Poll::Ready(Ok(())), |kind| Poll::Ready(Err(kind.into())))
        }
    }

    #[tokio::test]
    async fn reads_are_gathered_only_where_asked() {
        let mut buf = [0; 8];
        assert_eq!(CoalescingReader::plain(Drip(5, None)).read(&mut buf).await.unwrap(), 1);
        assert_eq!(CoalescingReader::filling(Drip(5, None)).read(&mut buf).await.unwrap(), 5);
        assert_eq!(CoalescingReader::filling(Drip(50, None)).read(&mut buf).await.unwrap(), 8);
    }

    #[tokio::test]
    async fn an_error_behind_bytes_is_told_after_them() {
        let mut wire = CoalescingReader::filling(Drip(3, Some(io::ErrorKind::ConnectionReset)));
        let mut buf = [0; 8];
        assert_eq!(wire.read(&mut buf).await.unwrap(), 3);
        assert_eq!(wire.read(&mut buf).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}
