//! The response to a GET, read for what it proves: which bytes follow, of an object of which size.
//!
//! Lenient where a response can be read one way only, strict where its bytes could be wrong. A length alone never shows
//! which bytes come: only a `Content-Range` or a whole 200 does. Source: RFC 9110, sections 14.4 and 15.3.7.

use http::header::{CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::response::Parts;
use http::{HeaderMap, StatusCode};

use crate::error::printable::printable_within;
use crate::error::{Error, ErrorKind, Result, ServiceError};
use crate::s3::checksum::expected::ExpectedChecksum;
use crate::s3::error_response::not_s3;
use crate::s3::header::{content_length, header_text, is_chunked};
use crate::s3::object::{ObjectInfo, malformed};
use crate::s3::proof::{SizeProof, is_strong};
use crate::s3::range::{
    ByteRange, content_range, content_range_without_size, is_range_of_empty, is_range_of_nothing,
};

/// A successful response to a GET: what the object is, and which of its bytes follow.
#[derive(Debug)]
pub(crate) struct RangeResponse {
    /// The object's metadata, without checksums: a server may show those of the part or of the object.
    pub(crate) info: ObjectInfo,
    /// The bytes that the body holds: those that were requested, or the first of them.
    pub(crate) body: ByteRange,
    /// Set if the server sends the whole object (RFC 9110, section 14.2).
    pub(crate) whole: bool,
    /// The fact that shows the object's size.
    pub(crate) size_proof: SizeProof,
    /// Set if the body comes in chunks, the last of which has to be where it ends.
    pub(crate) is_chunked: bool,
    /// The checksum of the bytes that follow, if they are the whole object, by `Content-Range`.
    pub(crate) checksum: Option<ExpectedChecksum>,
}

/// The GET that a response answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SentGet {
    /// The bytes requested; `None` for a GET without `Range`.
    pub(crate) range: Option<ByteRange>,
    /// The object's size, once a response has shown it. Until then the object may end before the range does.
    pub(crate) size: Option<u64>,
    /// Set if the server should speak S3.
    pub(crate) is_s3: bool,
}

/// The facts that a response proves.
#[derive(Debug)]
pub(crate) enum ResponseProof {
    /// These bytes of an object of this size follow.
    Bytes(RangeResponse),
    /// The whole object follows, up to the last chunk; its size is unknown.
    Unsized(ObjectInfo),
    /// A 200 follows that may be a part of the object or all of it, because it is as long as the range, or the range begins
    /// after the object's first byte. HEAD may show which, or a request for the byte after it.
    PartOrWhole(RangeResponse),
    /// Bytes follow, and nothing shows which. A GET without `Range` may.
    Nothing(&'static str),
}

#[cfg(any(test, fuzzing))]
impl RangeResponse {
    /// Checks the head of a 200 or 206 that answers a GET of `asked`; `size` is the object's, once it is known.
    ///
    /// # Errors
    /// Also where the response proves nothing.
    pub(crate) fn check(head: &Parts, asked: ByteRange, size: Option<u64>) -> Result<Self> {
        match ResponseProof::read(head, SentGet { range: Some(asked), size, is_s3: true })? {
            ResponseProof::Bytes(response) => Ok(response),
            ResponseProof::Unsized(_) => Err(malformed("the server sent neither a range nor a length")),
            ResponseProof::PartOrWhole(_) => {
                Err(malformed("the response does not say which bytes it contains"))
            }
            ResponseProof::Nothing(why) => Err(malformed(why)),
        }
    }
}

impl ResponseProof {
    /// Returns the object's metadata, if the response proves any.
    pub(crate) fn info(&self) -> Option<&ObjectInfo> {
        match self {
            Self::Bytes(response) | Self::PartOrWhole(response) => Some(&response.info),
            Self::Unsized(info) => Some(info),
            Self::Nothing(_) => None,
        }
    }

    /// Reads the head of a 200 or 206 that answers `sent`.
    pub(crate) fn read(head: &Parts, sent: SentGet) -> Result<Self> {
        if sent.is_s3 && is_web_page(&head.headers) {
            return Err(not_s3());
        }
        match sent.range {
            Some(range) if head.status == StatusCode::PARTIAL_CONTENT || is_called_a_part(&head.headers) => {
                part(&head.headers, range, sent.size)
            }
            _ if head.status == StatusCode::PARTIAL_CONTENT => {
                Err(malformed("the server sent a part of the object although all of it was requested"))
            }
            range => whole(&head.headers, range, sent),
        }
    }
}

/// Returns whether the headers are those of a web page, and of no object: `text/html`, no `ETag` and no `x-amz-*`. A
/// web console answers so to any path.
pub(crate) fn is_web_page(headers: &HeaderMap) -> bool {
    ["text/html", "application/xhtml+xml"].iter().any(|page| has_type(headers, page))
        && !headers.contains_key(ETAG)
        && !headers.keys().any(|name| name.as_str().starts_with("x-amz-"))
}

/// Returns whether the body has several parts, each with headers of its own (RFC 9110, section 14.6).
fn is_multipart(headers: &HeaderMap) -> bool {
    has_type(headers, "multipart/byteranges")
}

/// Returns whether `Content-Type` names `kind`, whatever its parameters.
fn has_type(headers: &HeaderMap, kind: &str) -> bool {
    let shown = header_text(headers, CONTENT_TYPE.as_str()).unwrap_or("");
    shown.split(';').next().is_some_and(|shown| shown.trim().eq_ignore_ascii_case(kind))
}

/// Reads a response without the range of a part.
fn whole(headers: &HeaderMap, range: Option<ByteRange>, sent: SentGet) -> Result<ResponseProof> {
    // Every store sends one of them with an object; an error document sent with 200 has neither.
    if sent.is_s3 && !headers.contains_key(ETAG) && !headers.contains_key(LAST_MODIFIED) {
        return Err(malformed("the server sent neither a range nor anything that looks like an object"));
    }
    // With chunks a length says nothing (RFC 9112, section 6.3).
    let is_chunked = is_chunked(headers)?;
    let length = content_length(headers).filter(|_| !is_chunked);
    let Some(length) = length else {
        if is_chunked {
            return Ok(ResponseProof::Unsized(object_info(headers, ObjectInfo::SIZE_UNKNOWN)));
        }
        // Without a length the end of the body and a cut could not be distinguished.
        return Err(malformed("the server sent neither a range nor a length"));
    };
    let of_length = |size_proof| {
        let (info, body) = (object_info(headers, length), ByteRange::new(0, length));
        RangeResponse { info, body, whole: true, size_proof, is_chunked, checksum: None }
    };
    let is_called_whole = headers.contains_key(CONTENT_RANGE);
    // Some servers call a part 200. It is as long as the range, or shorter where the object ends in it; from 0 on it is
    // all.
    let may_be_part = |range: ByteRange| range.len() == length || (range.start() > 0 && length < range.len());
    if let Some(range) = range.filter(|_| !is_called_whole) {
        match sent.size {
            Some(size) if size == length => {}
            Some(_) if may_be_part(range) => {
                return Err(malformed("the response does not say which bytes it contains"));
            }
            // Some ignore the end of the range, or round it up: then a later start would put all bytes in wrong places.
            None if may_be_part(range) || range.start() > 0 => {
                return Ok(ResponseProof::PartOrWhole(of_length(SizeProof::TwoResponses)));
            }
            _ => {}
        }
    }
    Ok(ResponseProof::Bytes(of_length(SizeProof::WholeResponse)))
}

/// Reads the response with a part of the object.
fn part(headers: &HeaderMap, asked: ByteRange, size: Option<u64>) -> Result<ResponseProof> {
    let is_chunked = is_chunked(headers)?;
    let length = content_length(headers).filter(|_| !is_chunked);
    let shown = header_text(headers, CONTENT_RANGE.as_str());
    if headers.get_all(CONTENT_RANGE).iter().any(|other| Some(other.as_bytes()) != shown.map(str::as_bytes)) {
        return Err(malformed("the response has several Content-Range headers"));
    }
    // One range was requested, so that this is no response to it (RFC 9110, section 15.3.7.2), and its bytes are not the
    // object's alone. A Content-Range beside it, even with the length of the range, does not show that they are. An object
    // that was stored with this type is read by a GET without a range, whose 200 has no parts.
    if is_multipart(headers) {
        let what = "the response is multipart/byteranges although one range was requested";
        return if size.is_none() { Ok(ResponseProof::Nothing(what)) } else { Err(malformed(what)) };
    }
    // A size that the server does not know may be known from before. Then the tag alone shows that the version is the
    // same one.
    let is_tagged = header_text(headers, ETAG.as_str()).is_some_and(is_strong);
    let known_size = size.filter(|_| is_tagged);
    let of_known_size = || Some((shown.and_then(content_range_without_size)?, known_size?));
    let Some((body, total)) = shown.and_then(content_range).or_else(of_known_size) else {
        return without_range(shown, length, size);
    };
    if let Some(size) = size
        && size != total
    {
        let what =
            format!("the object changed during the download: it has {total} bytes where it had {size}");
        return Err(Error::new(ErrorKind::Changed, what));
    }
    let expected = asked.clipped(total);
    // Some servers send no more than so many bytes a response. Only a body that shows its own end is used so.
    let is_beginning = body.start() == expected.start()
        && body.end() < expected.end()
        && (is_chunked || length == Some(body.len()));
    let is_as_requested = body == expected || is_beginning;
    // s3rver answers `bytes=0-0` with all of the object, and declares it as that.
    let is_all = size.is_none() && body == ByteRange::new(0, total) && length == Some(total);
    if !is_as_requested && !is_all {
        return another_range(body, length, asked, total);
    }
    if let Some(length) = length
        && length != body.len()
    {
        return Err(malformed(format!(
            "the response has {length} bytes instead of the {} that were requested",
            body.len()
        )));
    }
    let (whole, size_proof) = (!is_as_requested, SizeProof::ContentRange);
    let mut info = ObjectInfo::from_headers(headers, total);
    let is_all = body == ByteRange::new(0, total);
    let checksum = is_all.then(|| ExpectedChecksum::of_whole_response(&info)).flatten();
    remove_checksums(&mut info);
    Ok(ResponseProof::Bytes(RangeResponse { info, body, whole, size_proof, is_chunked, checksum }))
}

/// Judges a part whose `Content-Range` is missing or names no range.
fn without_range(shown: Option<&str>, length: Option<u64>, size: Option<u64>) -> Result<ResponseProof> {
    let has_nothing = match length {
        Some(0) => shown.is_none_or(is_range_of_nothing),
        // s3rver announces one byte with `bytes 0-0/0`, and sends none.
        Some(1) => shown.is_some_and(|shown| shown.trim() == "bytes 0-0/0"),
        Some(_) => false,
        None => shown.is_some_and(is_range_of_empty),
    };
    if has_nothing && size.is_none() {
        return Err(claims_to_be_empty());
    }
    match shown.filter(|shown| is_range_of_empty(shown) || !is_range_of_nothing(shown)) {
        Some(shown) if content_range_without_size(shown).is_some() => {
            Ok(ResponseProof::Nothing("the response does not show the object's size"))
        }
        None if length != Some(0) => {
            Ok(ResponseProof::Nothing("the response to a range request has no Content-Range"))
        }
        None => Err(malformed("the response to a range request has no Content-Range and no bytes")),
        Some(shown) => {
            // The beginning of a header that is no range is enough to recognize it.
            let beginning = printable_within(shown, 80);
            Err(malformed(format!("the response has an invalid Content-Range: \"{beginning}\"")))
        }
    }
}

/// Judges a part whose `Content-Range` is `body`, and not the range that was requested of an object of `total` bytes.
fn another_range(
    body: ByteRange,
    length: Option<u64>,
    asked: ByteRange,
    total: u64,
) -> Result<ResponseProof> {
    let expected = asked.clipped(total);
    // The bytes are there, and more after them: a GET without a range brings the same ones.
    if body.start() == expected.start() && body.end() > expected.end() {
        return Ok(ResponseProof::Nothing("the response contains more bytes than were requested"));
    }
    // Ceph's answer for large objects of Swift: the right bytes, under a range that always begins at 0.
    let begins_at_0 = body == ByteRange::new(0, expected.end()) && length == Some(expected.len());
    if begins_at_0 && !expected.is_empty() {
        return Ok(ResponseProof::Nothing(
            "the response has the length of the requested range, but names another one",
        ));
    }
    Err(malformed(format!("the response contains other bytes than requested: {body} instead of {asked}")))
}

/// Returns whether a 200 is a part all the same, or the whole object by its `Content-Range`. `rclone serve s3` sends
/// every range so, and its `Content-Length` taken for the object's size would be a download cut short that ends well.
fn is_called_a_part(headers: &HeaderMap) -> bool {
    let Some(shown) = headers.get(CONTENT_RANGE) else { return false };
    let shown = shown.to_str().ok().and_then(content_range);
    shown.is_none_or(|(body, total)| {
        body != ByteRange::new(0, total) || content_length(headers).is_some_and(|length| length != total)
    })
}

/// Creates the error for a 206 of an empty object, which is no response to a range: it stands for a 416, and is
/// confirmed like one.
fn claims_to_be_empty() -> Error {
    let service = ServiceError { status: 416, object_size: Some(0), ..ServiceError::default() };
    Error::new(ErrorKind::Usage, "the range is beyond the end of the object").with_service(service)
}

fn object_info(headers: &HeaderMap, size: u64) -> ObjectInfo {
    let mut info = ObjectInfo::from_headers(headers, size);
    remove_checksums(&mut info);
    info
}

fn remove_checksums(info: &mut ObjectInfo) {
    info.checksums.clear();
    info.checksum_type = None;
}

#[cfg(test)]
mod tests;
