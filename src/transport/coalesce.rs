//! Reads through TLS that fill the reader's buffer with all data that has arrived.
//!
//! rustls returns one record (16 KiB at most) for each read; each would become a frame of its own, with its own hop
//! through hyper's channel. Without TLS reads stay single: a second read on a socket just emptied is a wasted system
//! call.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use crate::transport::layered::ReadLayer;
use crate::transport::tls_error::in_plain_words;

/// Reads until the buffer is full or no more data has arrived.
#[derive(Debug, Default)]
pub(super) struct ReadCoalescing {
    /// An error that followed data in the same read; reported by the next call, because a socket reports an error only
    /// once.
    error: Option<io::Error>,
}

impl<S: AsyncRead> ReadLayer<S> for ReadCoalescing {
    fn poll_read(
        &mut self,
        mut stream: Pin<&mut S>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(error) = self.error.take() {
            return Poll::Ready(Err(error));
        }
        let before = buf.filled().len();
        loop {
            let filled = buf.filled().len();
            match stream.as_mut().poll_read(cx, buf).map_err(in_plain_words) {
                Poll::Ready(Ok(())) => {
                    if buf.filled().len() == filled || buf.remaining() == 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(Err(e)) if filled > before => {
                    self.error = Some(e);
                    return Poll::Ready(Ok(()));
                }
                // `stream` has registered the waker; the bytes that are here are delivered immediately.
                Poll::Pending if filled > before => return Poll::Ready(Ok(())),
                other => return other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::layered::Layered;
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
        for (bytes, layer, read) in
            [(5, None, 1), (5, Some(ReadCoalescing::default()), 5), (50, Some(ReadCoalescing::default()), 8)]
        {
            let mut stream = Layered { stream: Drip(bytes, None), layer };
            assert_eq!(stream.read(&mut buf).await.unwrap(), read);
        }
    }

    #[tokio::test]
    async fn an_error_after_bytes_is_reported_after_them() {
        let drip = Drip(3, Some(io::ErrorKind::ConnectionReset));
        let mut stream = Layered { stream: drip, layer: ReadCoalescing::default() };
        let mut buf = [0; 8];
        assert_eq!(stream.read(&mut buf).await.unwrap(), 3);
        assert_eq!(stream.read(&mut buf).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}
