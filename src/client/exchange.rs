//! A response whose head has arrived, and the body that flows from then on.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use crate::client::request_log::RequestLog;
use crate::error::{Error, Result};
use crate::transport::pool::Lease;

/// A response, and the connection that its body comes on.
pub(crate) struct Exchange {
    pub(crate) head: Parts,
    pub(crate) body: ResponseBody,
    /// From the request sent to its response's head.
    pub(crate) latency: Duration,
}

/// The body of a response. Dropping it before its end closes the connection.
pub(crate) struct ResponseBody {
    incoming: Incoming,
    lease: Lease,
    log: RequestLog,
}

impl ResponseBody {
    /// The body `incoming`, which arrives on the connection of `lease`.
    pub(crate) fn new(incoming: Incoming, lease: Lease, log: RequestLog) -> Self {
        Self { incoming, lease, log }
    }

    /// The next bytes of the body. An error where there are none: who asks knows that some are missing.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes>> {
        loop {
            let frame = ready!(std::pin::Pin::new(&mut self.incoming).poll_frame(cx))
                .ok_or_else(|| Error::network("the body ended early"))?
                .map_err(|e| Error::network("the body was cut").with_source(e))?;
            // Trailers carry no bytes of the object.
            if let Ok(data) = frame.into_data() {
                self.log.received(data.len());
                return Poll::Ready(Ok(data));
            }
        }
    }

    /// Lets bytes gather in the kernel until there are so many.
    pub(crate) fn set_low_water(&self, bytes: usize) {
        self.lease.set_low_water(bytes);
    }

    /// The whole body where it has at most `max` bytes (`None` where it has more), within `limit`; the connection is
    /// given back.
    pub(crate) async fn collect(self, max: usize, limit: Duration) -> Result<Option<Bytes>> {
        let Self { incoming, lease, log } = self;
        match timeout(limit, Limited::new(incoming, max).collect()).await {
            Ok(Ok(body)) => {
                log.completed();
                lease.give_back();
                Ok(Some(body.to_bytes()))
            }
            Ok(Err(e)) if e.is::<LengthLimitError>() => Ok(None),
            Ok(Err(e)) => Err(Error::network("the body was cut").with_source(e)),
            Err(_) => Err(Error::network("the body stalled")),
        }
    }

    /// Gives the connection back once the body has ended, for which it waits no longer than `limit`. All bytes that
    /// are wanted have come: a chunked body has its end still to come.
    pub(crate) async fn finish(mut self, limit: Duration) {
        let ended = self.incoming.is_end_stream()
            || matches!(
                timeout(limit, poll_fn(|cx| std::pin::Pin::new(&mut self.incoming).poll_frame(cx))).await,
                Ok(None)
            );
        if ended {
            self.give_back();
        }
    }

    /// Gives the connection back at once: the response has no body, as those to HEAD.
    pub(crate) fn give_back(self) {
        self.log.completed();
        self.lease.give_back();
    }
}
