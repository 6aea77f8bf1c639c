//! The server's reply to one request: the right one, or one that is wrong in a chosen way.
//!
//! A [`Reply`] is only a description. `render.rs` turns it into bytes, and `connection.rs` waits, sends and cuts.

use std::ops::Range;

use bytes::Bytes;

use super::gate::Gate;
use super::render::error_document;

/// One answer. It starts as the right one ([`Reply::ok`]) or as an error ([`Reply::status`]); each
/// further call bends it. Offsets count bytes of the body, after the head.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(super) kind: Kind,
    /// Set if a 206 is sent with the status 200.
    pub(super) called_200: bool,
    /// Sent before the head, as it is.
    pub(super) interim: &'static str,
    /// A value replaces the header or adds it, `None` takes it away.
    pub(super) headers: Vec<(&'static str, Option<String>)>,
    /// `Transfer-Encoding: chunked`, in pieces of so many bytes.
    pub(super) chunked: Option<usize>,
    /// Sent after the body, as it is.
    pub(super) excess: Bytes,
    pub(super) gate: Option<Gate>,
    pub(super) events: Vec<(u64, Event)>,
    pub(super) opens: Option<Gate>,
}

/// An event once so many bytes of the body are out.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// Wait for the gate, then continue.
    Pause(Gate),
    /// End the connection as a close does.
    Cut,
    /// End it as a crash does: RST.
    Reset,
    /// Send no more, but keep the connection for as long as the server lives.
    Stall,
}

/// Where the status and the body come from.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// The range asked for, or the whole object where none was.
    Object,
    /// The whole object with 200, whatever was asked.
    Whole,
    /// These bytes of the object with 206, whatever was asked.
    Part(Range<u64>),
    /// Another status, with what explains it.
    Status(u16, Bytes),
    /// Anything at all; the connection ends after it.
    Raw(Bytes),
    /// A start, then the same piece again until the client goes away.
    Endless(&'static str, &'static str),
}

impl Reply {
    /// The reply of S3: 206 with the range, 200 without one, 412 and 416 where they are due.
    pub(crate) fn ok() -> Self {
        Self::new(Kind::Object)
    }

    /// The whole object with 200, as a server without ranges answers.
    pub(crate) fn whole_with_200() -> Self {
        Self::new(Kind::Whole)
    }

    /// The bytes of `range` with 206, declared and sent, whatever was requested.
    pub(crate) fn part(range: Range<u64>) -> Self {
        Self::new(Kind::Part(range))
    }

    /// This status without a body; [`Reply::code`] adds S3's error document, [`Reply::body`] any.
    pub(crate) fn status(status: u16) -> Self {
        Self::new(Kind::Status(status, Bytes::new()))
    }

    /// These bytes instead of a response (none: nothing but the connection's end), then the end.
    pub(crate) fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::new(Kind::Raw(bytes.into()))
    }

    /// `start`, then `piece` for ever.
    pub(crate) fn endless(start: &'static str, piece: &'static str) -> Self {
        Self::new(Kind::Endless(start, piece))
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            called_200: false,
            interim: "",
            headers: Vec::new(),
            chunked: None,
            excess: Bytes::new(),
            gate: None,
            events: Vec::new(),
            opens: None,
        }
    }

    /// Makes a status carry S3's XML with this code (Amazon S3 API Reference, "Error responses").
    pub(crate) fn code(self, code: &str) -> Self {
        self.body(error_document(code)).header("content-type", "application/xml")
    }

    /// Makes a status carry this body.
    pub(crate) fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        if let Kind::Status(_, body) = &mut self.kind {
            *body = bytes.into();
        }
        self
    }

    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        self.header("retry-after", seconds.to_string())
    }

    pub(crate) fn content_range(self, value: impl Into<String>) -> Self {
        self.header("content-range", value)
    }

    /// A part as `rclone serve s3` sends it: its `Content-Range`, and the status of a whole object.
    pub(crate) fn called_200(mut self) -> Self {
        self.called_200 = true;
        self
    }

    /// Another `ETag`; `If-Match` is not looked at then, as on servers that do not know it.
    pub(crate) fn etag(self, value: impl Into<String>) -> Self {
        self.header("etag", value)
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, Some(value.into())));
        self
    }

    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.headers.push((name, None));
        self
    }

    /// Sends the body with `Transfer-Encoding: chunked` and no length, in pieces of a size that no read
    /// buffer, range or record has.
    pub(crate) fn chunked(self) -> Self {
        self.chunked_by(10_007)
    }

    /// Sends the body chunked, in pieces of `size` bytes.
    pub(crate) fn chunked_by(mut self, size: usize) -> Self {
        self.chunked = Some(size);
        self.without("content-length").header("transfer-encoding", "chunked")
    }

    /// Bytes before the head, such as interim responses.
    pub(crate) fn after_interim(mut self, responses: &'static str) -> Self {
        self.interim = responses;
        self
    }

    /// Bytes after the body that its length does not include.
    pub(crate) fn with_excess(mut self, bytes: impl Into<Bytes>) -> Self {
        self.excess = bytes.into();
        self
    }

    /// Sends nothing, not even the head, before the gate opens.
    pub(crate) fn delay_until(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Opens this gate when the whole reply has been written.
    pub(crate) fn then_open(mut self, gate: &Gate) -> Self {
        self.opens = Some(gate.clone());
        self
    }

    /// Holds the body after `n` bytes until the gate opens.
    pub(crate) fn pause_after(self, n: u64, gate: &Gate) -> Self {
        self.event(n, Event::Pause(gate.clone()))
    }

    pub(crate) fn cut_after(self, n: u64) -> Self {
        self.event(n, Event::Cut)
    }

    /// Bytes that the client had not read yet may be lost to it: RST overtakes them.
    pub(crate) fn reset_after(self, n: u64) -> Self {
        self.event(n, Event::Reset)
    }

    pub(crate) fn stall_after(self, n: u64) -> Self {
        self.event(n, Event::Stall)
    }

    /// Events happen in the order of their offsets, and of the calls where those are the same.
    fn event(mut self, n: u64, event: Event) -> Self {
        self.events.push((n, event));
        self.events.sort_by_key(|(offset, _)| *offset);
        self
    }
}
