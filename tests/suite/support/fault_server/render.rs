//! Turns a reply into bytes: the head with all that S3 sends, and the body in its framing. Pure; `connection.rs` sends
//! the result.

use std::io::Write as _;
use std::ops::Range;

use bytes::Bytes;
use http::StatusCode;

use super::reply::{Kind, Reply};
use super::request::Request;

/// The object's `ETag` in every reply that is not bent.
pub(crate) const ETAG: &str = "\"9bb58f26192e4ba00f01e2e7b136bbd8\"";
/// The request id in every reply, for tests that look for it in a message.
pub(crate) const REQUEST_ID: &str = "4442587FB7D0A2F9";

/// A reply as bytes.
pub(super) struct Rendered {
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<Bytes>,
    /// Sent over and over after the body; empty for all but endless replies.
    pub(super) endless: &'static str,
    /// The body is bytes of the object: they count.
    pub(super) is_object: bool,
    /// The client cannot know where this reply ends but by the connection's end.
    pub(super) closes: bool,
}

impl Reply {
    /// The bytes of this reply to `request` for `object`.
    pub(super) fn render(&self, request: &Request, object: &Bytes) -> Rendered {
        let mut asked = request.range.as_ref().filter(|_| request.is_get());
        if let Kind::Part(range) = &self.kind {
            asked = Some(range);
        }
        let (status, body, is_object) = match &self.kind {
            Kind::Raw(bytes) => return raw(bytes.clone(), ""),
            Kind::Endless(start, piece) => return raw(Bytes::from_static(start.as_bytes()), piece),
            Kind::Status(status, body) => (*status, body.clone(), false),
            Kind::Object if self.is_precondition_failed(request) => {
                (412, error_document("PreconditionFailed"), false)
            }
            Kind::Object if asked.is_some_and(Range::is_empty) => {
                (416, error_document("InvalidRange"), false)
            }
            Kind::Object | Kind::Part(_) => match asked {
                Some(range) => (206, slice(object, range), true),
                None => (200, object.clone(), true),
            },
            Kind::Whole => (200, object.clone(), true),
        };
        let mut headers =
            vec![("x-amz-request-id", REQUEST_ID.to_owned()), ("content-length", body.len().to_string())];
        if is_object {
            headers.push(("etag", ETAG.to_owned()));
            headers.push(("accept-ranges", "bytes".to_owned()));
            headers.push(("last-modified", "Wed, 12 Oct 2022 17:50:00 GMT".to_owned()));
        }
        match (status, asked) {
            (206, Some(range)) if !range.is_empty() => headers
                .push(("content-range", format!("bytes {}-{}/{}", range.start, range.end - 1, object.len()))),
            (416, _) => headers.push(("content-range", format!("bytes */{}", object.len()))),
            _ => {}
        }
        for (name, value) in &self.headers {
            headers.retain(|(n, _)| n != name);
            headers.extend(value.clone().map(|v| (*name, v)));
        }
        let status = if self.called_200 && status == 206 { 200 } else { status };
        let has_body = request.method != "HEAD";
        Rendered {
            head: head(self.interim, status, &headers),
            closes: has_body
                && self.chunked.is_none()
                && !headers.iter().any(|(n, _)| *n == "content-length"),
            body: if has_body { self.framed(body) } else { Vec::new() },
            endless: "",
            is_object: is_object && has_body,
        }
    }

    fn is_precondition_failed(&self, request: &Request) -> bool {
        let bent = self.headers.iter().any(|(name, _)| *name == "etag");
        !bent && request.header("if-match").is_some_and(|wanted| wanted != ETAG && wanted != "*")
    }

    /// The body as it goes over the wire.
    fn framed(&self, body: Bytes) -> Vec<Bytes> {
        let body = match self.chunked {
            Some(size) => chunked(&body, size),
            None => body,
        };
        vec![body, self.excess.clone()]
    }
}

fn raw(start: Bytes, endless: &'static str) -> Rendered {
    Rendered { head: Vec::new(), body: vec![start], endless, is_object: false, closes: true }
}

fn head(interim: &str, status: u16, headers: &[(&str, String)]) -> Vec<u8> {
    let reason = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("");
    let mut head = interim.as_bytes().to_vec();
    // Writing into a vector cannot fail.
    let _ = write!(head, "HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head.extend(b"\r\n");
    head
}

/// The chunked coding (RFC 9112, 7.1), as one piece: many small ones would cost a write each.
fn chunked(body: &[u8], size: usize) -> Bytes {
    let mut wire = Vec::new();
    for piece in body.chunks(size) {
        // Writing into a vector cannot fail.
        let _ = write!(wire, "{:x}\r\n", piece.len());
        wire.extend_from_slice(piece);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    wire.into()
}

/// S3's error document with this code (Amazon S3 API Reference, "Error responses").
pub(super) fn error_document(code: &str) -> Bytes {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>The script says {code}.</Message><RequestId>{REQUEST_ID}</RequestId></Error>"
    )
    .into()
}

/// A part of the object; the range ends inside it (see [`Request::range`]).
fn slice(object: &Bytes, range: &Range<u64>) -> Bytes {
    let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(object.len());
    object.slice(index(range.start)..index(range.end))
}
