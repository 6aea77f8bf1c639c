//! The log entry of one request, reported when its connection is returned to the pool or closed.
//!
//! The entry travels with the exchange. It exists only while a subscriber wants these events.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode};
use tracing::{Level, debug, enabled, info};

use crate::client::retry::Attempt;
use crate::error::printable::printable;
use crate::events::{REQUEST, milliseconds};
use crate::s3::address::source::Source;
use crate::s3::header::header_text;
use crate::s3::request::S3Request;
use crate::s3::secrets::Secrets;
use crate::transport::pool::Lease;

/// Collects what the log reports about a request.
#[derive(Default)]
pub(crate) struct RequestLog(Option<Box<LoggedRequest>>);

struct LoggedRequest {
    method: Method,
    range: Option<String>,
    query: Option<String>,
    object: String,
    attempt: Attempt,
    peer: Option<SocketAddr>,
    connection: u64,
    is_reused: bool,
    sent: Instant,
    head: Option<ResponseHead>,
    bytes: u64,
    error: Option<String>,
    is_complete: bool,
}

struct ResponseHead {
    after: Duration,
    status: StatusCode,
    request_id: Option<String>,
    id_2: Option<String>,
}

impl RequestLog {
    /// Starts the entry of `request`, which `lease` is about to send.
    pub(crate) fn start(source: &Source, request: S3Request<'_>, attempt: Attempt, lease: &Lease) -> Self {
        if !enabled!(target: REQUEST, Level::INFO) {
            return Self(None);
        }
        let inner = LoggedRequest {
            method: request.method(),
            range: request.range().map(|range| range.to_string()),
            query: request.query(),
            object: source.to_string(),
            attempt,
            peer: lease.peer(),
            connection: lease.number(),
            is_reused: lease.is_reused(),
            sent: Instant::now(),
            head: None,
            bytes: 0,
            error: None,
            is_complete: false,
        };
        debug!(
            target: REQUEST,
            method = inner.method.as_str(),
            range = inner.range,
            query = inner.query,
            attempt = inner.attempt.number,
            hedge = inner.attempt.is_hedge,
            peer = inner.peer.map(tracing::field::display),
            connection = inner.connection,
            reused = inner.is_reused,
            object = inner.object,
            "sent"
        );
        Self(Some(Box::new(inner)))
    }

    /// Records the head of the response.
    pub(crate) fn answered(&mut self, status: StatusCode, headers: &HeaderMap, secrets: &Secrets) {
        let Some(inner) = &mut self.0 else { return };
        let text = |name: &str| Some(printable(&secrets.redact(header_text(headers, name)?)?));
        let (request_id, id_2) = (text("x-amz-request-id"), text("x-amz-id-2"));
        inner.head = Some(ResponseHead { after: inner.sent.elapsed(), status, request_id, id_2 });
    }

    /// Records that no response came.
    pub(crate) fn failed(&mut self, error: &dyn StdError) {
        if let Some(inner) = &mut self.0 {
            inner.error = Some(printable(&error.to_string()));
        }
    }

    /// Adds `bytes` of the body.
    pub(crate) fn received(&mut self, bytes: usize) {
        if let Some(inner) = &mut self.0 {
            inner.bytes += bytes as u64;
        }
    }

    /// Records that the body was read to its end, and reports the request.
    pub(crate) fn completed(mut self) {
        if let Some(inner) = &mut self.0 {
            inner.is_complete = true;
        }
    }
}

impl Drop for LoggedRequest {
    fn drop(&mut self) {
        let head = self.head.as_ref();
        let outcome = match (head, self.is_complete) {
            (None, _) => "no response",
            (Some(_), true) => "complete",
            (Some(_), false) => "incomplete",
        };
        info!(
            target: REQUEST,
            outcome,
            method = self.method.as_str(),
            range = self.range,
            query = self.query,
            status = head.map(|head| head.status.as_u16()),
            bytes = self.bytes,
            head_ms = head.map(|head| milliseconds(head.after)),
            elapsed_ms = milliseconds(self.sent.elapsed()),
            attempt = self.attempt.number,
            hedge = self.attempt.is_hedge,
            peer = self.peer.map(tracing::field::display),
            connection = self.connection,
            reused = self.is_reused,
            request_id = head.and_then(|head| head.request_id.as_deref()),
            id_2 = head.and_then(|head| head.id_2.as_deref()),
            error = self.error,
            object = self.object,
            "ended"
        );
    }
}
