//! A response whose head has arrived, and its body, which is read from the connection as it comes.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use crate::client::request_log::RequestLog;
use crate::error::{Error, Result};
use crate::s3::secrets::Secrets;
use crate::transport::pool::Lease;

/// A response, and the connection that its body arrives on.
pub(crate) struct Exchange {
    pub(crate) head: Parts,
    pub(crate) body: ResponseBody,
    /// The secrets that the request carried.
    pub(crate) secrets: Secrets,
    /// The time from sending the request to receiving the head of the response.
    pub(crate) latency: Duration,
}

/// The body of a response. Dropping it before its end closes the connection.
pub(crate) struct ResponseBody {
    incoming: Incoming,
    lease: Lease,
    log: RequestLog,
}

impl ResponseBody {
    /// Wraps the body `incoming`, which arrives on the connection of `lease`.
    pub(crate) fn new(incoming: Incoming, lease: Lease, log: RequestLog) -> Self {
        Self { incoming, lease, log }
    }

    /// Polls for the next bytes of the body; `None` after its last byte. Fails if a body of known length, or one sent
    /// in chunks, is cut before its end.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            let Some(frame) = ready!(std::pin::Pin::new(&mut self.incoming).poll_frame(cx)) else {
                return Poll::Ready(None);
            };
            let frame = frame.map_err(|e| {
                self.note_cut();
                Error::network("the body was cut").with_source(e)
            })?;
            // Trailers carry no bytes of the object.
            if let Ok(data) = frame.into_data() {
                self.log.received(data.len());
                self.lease.note_received();
                return Poll::Ready(Some(Ok(data)));
            }
        }
    }

    /// Notes that the connection has failed in the middle of the response.
    pub(crate) fn note_cut(&self) {
        self.lease.note_cut();
    }

    /// Lets the kernel accumulate this many bytes before it wakes the reader.
    pub(crate) fn set_low_water(&self, bytes: usize) {
        self.lease.set_low_water(bytes);
    }

    /// Notes whether the body came much slower than those of other connections do.
    pub(crate) fn note_speed(&mut self, is_slow: bool) {
        self.lease.note_speed(is_slow);
    }

    /// Reads the whole body within `limit` and returns the connection to the pool. `None` if the body has more than
    /// `max` bytes.
    pub(crate) async fn collect(mut self, max: usize, limit: Duration) -> Result<Option<Bytes>> {
        let mut bytes = Vec::new();
        let has_ended = timeout(limit, self.read_into(&mut bytes, max))
            .await
            .unwrap_or_else(|_| Err(Error::network("the body stalled")))?;
        if has_ended {
            self.give_back();
        }
        Ok(has_ended.then(|| bytes.into()))
    }

    /// Returns what arrives of the body within `limit`, and of that no more than the first `max` bytes: a body that is
    /// cut, too long or late may say in its beginning what it is.
    pub(crate) async fn beginning(mut self, max: usize, limit: Duration) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = timeout(limit, self.read_into(&mut bytes, max)).await;
        if matches!(read, Ok(Ok(true))) {
            self.give_back();
        }
        bytes
    }

    /// Reads the body into `bytes`, up to its end or to `max` bytes; returns whether it has ended.
    async fn read_into(&mut self, bytes: &mut Vec<u8>, max: usize) -> Result<bool> {
        while let Some(frame) = self.incoming.frame().await {
            let frame = frame.map_err(|e| Error::network("the body was cut").with_source(e))?;
            let Ok(data) = frame.into_data() else { continue };
            let fitting = data.len().min(max - bytes.len());
            bytes.extend_from_slice(&data[..fitting]);
            if fitting < data.len() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads the whole body, each piece of it within `limit`, and returns how many bytes it has; `None` if they are
    /// more than `max`.
    pub(crate) async fn count(mut self, max: u64, limit: Duration) -> Result<Option<u64>> {
        let mut bytes = 0;
        loop {
            match timeout(limit, poll_fn(|cx| self.poll_data(cx))).await {
                Ok(Some(data)) => bytes += data?.len() as u64,
                Ok(None) => {
                    self.give_back();
                    return Ok(Some(bytes));
                }
                Err(_) => return Err(Error::network("the body stalled")),
            }
            if bytes > max {
                return Ok(None);
            }
        }
    }

    /// Returns the connection to the pool once the body has ended, waiting at most `limit`. For a body whose bytes have
    /// all arrived: the last chunk of a chunked body may still be on its way.
    pub(crate) async fn finish(mut self, limit: Duration) {
        let ended = self.incoming.is_end_stream()
            || matches!(
                timeout(limit, poll_fn(|cx| std::pin::Pin::new(&mut self.incoming).poll_frame(cx))).await,
                Ok(None)
            );
        if ended {
            self.lease.note_served();
            self.give_back();
        }
    }

    /// Returns the connection to the pool immediately. For responses without a body, such as those to HEAD.
    pub(crate) fn give_back(self) {
        self.log.completed();
        self.lease.give_back();
    }
}

#[cfg(test)]
mod tests;
