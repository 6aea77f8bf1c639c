//! A request as it arrived, and its number among the others.
//!
//! Scripts decide by it, and tests find it in the server's log. Heads are parsed by httparse.

use std::ops::Range;
use std::time::Instant;

/// More headers than any S3 client sends.
const HEADERS_MAX: usize = 64;

/// A request, numbered by the server.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `GET` or `HEAD`, from a well-behaved client.
    pub(crate) method: String,
    /// Path and query exactly as they stood on the wire.
    pub(crate) target: String,
    /// Names in lower case, in the order of the wire.
    pub(crate) headers: Vec<(String, String)>,
    /// The bytes asked for, half-open, cut off at the object's end; empty when it starts after it.
    pub(crate) range: Option<Range<u64>>,
    /// Which connection of the server this came by, from 0.
    pub(crate) connection: usize,
    /// The number of requests of this method that came before, on all connections.
    pub(crate) serial: usize,
    /// The number of requests of this method that came before for the same last byte: which attempt at its
    /// chunk this is, from 0, also where a retry starts further on.
    pub(crate) attempt: usize,
    /// When its head was complete.
    pub(crate) at: Instant,
}

impl Request {
    /// Reads the head at the start of `bytes` for an object of `size` bytes. Returns it with its
    /// length, or `None` while it is incomplete.
    ///
    /// # Errors
    /// httparse's error for bytes that are no request.
    pub(super) fn parse(bytes: &[u8], size: u64) -> Result<Option<(Self, usize)>, httparse::Error> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(length) = head.parse(bytes)? else { return Ok(None) };
        let headers: Vec<_> = head
            .headers
            .iter()
            .map(|h| (h.name.to_ascii_lowercase(), String::from_utf8_lossy(h.value).into_owned()))
            .collect();
        let range = headers.iter().find(|(name, _)| name == "range").and_then(|(_, v)| range(v, size));
        let request = Self {
            method: head.method.unwrap_or_default().to_owned(),
            target: head.path.unwrap_or_default().to_owned(),
            headers,
            range,
            connection: 0,
            serial: 0,
            attempt: 0,
            at: Instant::now(),
        };
        Ok(Some((request, length)))
    }

    pub(crate) fn is_get(&self) -> bool {
        self.method == "GET"
    }

    /// A header's value, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The number of the chunk that a ranged GET is for, with chunks of `chunk` bytes; `None` for
    /// any other request.
    pub(crate) fn chunk(&self, chunk: u64) -> Option<u64> {
        let range = self.range.as_ref().filter(|_| self.is_get())?;
        Some(range.end.saturating_sub(1) / chunk)
    }

    /// Returns the last segment of the path.
    pub(crate) fn last_segment(&self) -> String {
        self.target.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// Returns whether both have the same method and the same last byte.
    pub(super) fn is_same_chunk(&self, other: &Self) -> bool {
        self.method == other.method
            && self.range.as_ref().map(|r| r.end) == other.range.as_ref().map(|r| r.end)
    }
}

/// `bytes=A-B` and `bytes=A-`, the forms that a download by ranges uses (RFC 9110, 14.1.2).
fn range(value: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let first: u64 = first.parse().ok()?;
    let end = if last.is_empty() { size } else { last.parse::<u64>().ok()?.saturating_add(1).min(size) };
    Some(first..end.max(first))
}
