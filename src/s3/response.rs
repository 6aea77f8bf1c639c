//! The response to a GET, read for what it proves: which bytes follow, of an object of which size.
//!
//! Lenient where a response can be read one way only, strict where its bytes could be wrong. A length alone never shows
//! which bytes come: only a `Content-Range` or a whole 200 does. Source: RFC 9110, sections 14.4 and 15.3.7.

use http::header::{CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::response::Parts;
use http::{HeaderMap, StatusCode};

use crate::error::printable::printable_within;
use crate::error::{Error, ErrorKind, Result, ServiceError};
use crate::s3::error_response::not_s3;
use crate::s3::header::{content_length, header_text, is_chunked};
use crate::s3::object::{ObjectInfo, malformed};
use crate::s3::proof::SizeProof;
use crate::s3::range::{ByteRange, content_range, unsatisfied_range};

/// A successful response to a GET: what the object is, and which of its bytes follow.
#[derive(Debug)]
pub(crate) struct RangeResponse {
    /// The object's metadata, without checksums: a server may show those of the part or of the object.
    pub(crate) info: ObjectInfo,
    /// The bytes that the body holds.
    pub(crate) body: ByteRange,
    /// Set if the server sends the whole object (RFC 9110, section 14.2).
    pub(crate) whole: bool,
    /// The fact that shows the object's size.
    pub(crate) size_proof: SizeProof,
    /// Set if the body comes in chunks, the last of which has to be where it ends.
    pub(crate) is_chunked: bool,
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
    /// A 200 follows, which is a part of the object or this, all of it: it is as long as the range, or the range begins
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
        RangeResponse { info, body, whole: true, size_proof, is_chunked }
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
    // Its bytes are not the object's alone, and no header says how many there are.
    if is_multipart(headers) && (shown.is_none() || length.is_none()) {
        let what = "the response is multipart/byteranges although one range was requested";
        return if size.is_none() { Ok(ResponseProof::Nothing(what)) } else { Err(malformed(what)) };
    }
    let Some((body, total)) = shown.and_then(content_range) else {
        // s3rver announces one byte with `bytes 0-0/0`, and sends none.
        let announces_one = length == Some(1) && shown.is_some_and(|shown| shown.trim() == "bytes 0-0/0");
        let has_nothing = (length == Some(0) && shown.is_none_or(is_of_nothing)) || announces_one;
        if has_nothing && size.is_none() {
            return Err(claims_to_be_empty());
        }
        return match shown {
            None if length != Some(0) => {
                Ok(ResponseProof::Nothing("the response to a range request has no Content-Range"))
            }
            None => Err(malformed("the response to a range request has no Content-Range and no bytes")),
            Some(shown) => {
                // Of a header that is not a range, the beginning says enough.
                let beginning = printable_within(shown, 80);
                Err(malformed(format!("the response has an invalid Content-Range: \"{beginning}\"")))
            }
        };
    };
    if let Some(size) = size
        && size != total
    {
        let what =
            format!("the object changed during the download: it has {total} bytes where it had {size}");
        return Err(Error::new(ErrorKind::Changed, what));
    }
    let expected = asked.clipped(total);
    if body != expected {
        // s3rver answers `bytes=0-0` with all of the object, and declares it as that.
        if size.is_none() && body == ByteRange::new(0, total) && length == Some(total) {
            let (info, size_proof) = (object_info(headers, total), SizeProof::ContentRange);
            let whole = RangeResponse { info, body, whole: true, size_proof, is_chunked };
            return Ok(ResponseProof::Bytes(whole));
        }
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
        return Err(malformed(format!(
            "the response contains other bytes than requested: {body} instead of {asked}"
        )));
    }
    if let Some(length) = length
        && length != body.len()
    {
        return Err(malformed(format!(
            "the response has {length} bytes instead of the {} that were requested",
            body.len()
        )));
    }
    let (info, size_proof) = (object_info(headers, total), SizeProof::ContentRange);
    Ok(ResponseProof::Bytes(RangeResponse { info, body, whole: false, size_proof, is_chunked }))
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

/// Returns whether a `Content-Range` is how servers write that an object is empty, which has no right spelling.
fn is_of_nothing(shown: &str) -> bool {
    unsatisfied_range(shown) == Some(0) || matches!(shown.trim(), "bytes 0--1/0" | "bytes 0-0/0")
}

/// Creates the error for a 206 of an empty object, which is no response to a range: it stands for a 416, and is
/// confirmed like one.
fn claims_to_be_empty() -> Error {
    let service = ServiceError { status: 416, object_size: Some(0), ..ServiceError::default() };
    Error::new(ErrorKind::Usage, "the range is beyond the end of the object").with_service(service)
}

fn object_info(headers: &HeaderMap, size: u64) -> ObjectInfo {
    let mut info = ObjectInfo::from_headers(headers, size);
    info.checksums.clear();
    info.checksum_type = None;
    info
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::checksum::algorithm::ChecksumAlgorithm;

    fn head(status: u16, headers: &[(&str, &str)]) -> Parts {
        let mut response = http::Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_partial_response_must_be_the_range_asked() {
        let asked = ByteRange::new(10, 20);
        let ok = [("content-range", "bytes 10-19/30"), ("content-length", "10"), ("etag", "\"e\"")];
        let opened = RangeResponse::check(&head(206, &ok), asked, None).unwrap();
        assert_eq!((opened.body, opened.info.size, opened.whole), (asked, 30, false));
        assert_eq!(opened.info.etag.as_deref(), Some("\"e\""));
        // The object may end inside the first range, whose size was not known.
        let short = [("content-range", "bytes 10-14/15"), ("content-length", "5")];
        assert_eq!(
            RangeResponse::check(&head(206, &short), asked, None).unwrap().body,
            ByteRange::new(10, 15)
        );
        for (why, headers, size, kind) in [
            ("no range", vec![("content-length", "10")], Some(30), ErrorKind::Server),
            ("other start", vec![("content-range", "bytes 0-9/30")], None, ErrorKind::Server),
            ("other end", vec![("content-range", "bytes 10-18/30")], None, ErrorKind::Server),
            ("longer", vec![("content-range", "bytes 10-20/30")], None, ErrorKind::Server),
            ("unknown size", vec![("content-range", "bytes 10-19/*")], None, ErrorKind::Server),
            (
                "wrong length",
                vec![("content-range", "bytes 10-19/30"), ("content-length", "9")],
                None,
                ErrorKind::Server,
            ),
        ] {
            let error = RangeResponse::check(&head(206, &headers), asked, size).unwrap_err();
            assert_eq!(error.kind(), kind, "{why}: {error}");
        }
    }

    /// A tab is the one control character that a header may have.
    #[test]
    fn no_header_is_shown_with_a_control_character() {
        for shown in ["bytes \t0-9/30", "bytes\t0-9/30"] {
            let headers = [("content-range", shown)];
            let error = RangeResponse::check(&head(206, &headers), ByteRange::new(10, 20), None).unwrap_err();
            assert!(!error.to_string().contains(char::is_control), "{error}");
        }
    }

    #[test]
    fn a_whole_response_needs_a_length() {
        let asked = ByteRange::new(0, 10);
        let opened =
            RangeResponse::check(&head(200, &[("content-length", "30"), ("etag", "\"e\"")]), asked, None)
                .unwrap();
        assert!(opened.whole);
        assert_eq!(opened.body, ByteRange::new(0, 30));
        assert!(RangeResponse::check(&head(200, &[("etag", "\"e\"")]), asked, None).is_err());
        assert!(RangeResponse::check(&head(200, &[("content-length", "30")]), asked, None).is_err());
    }

    #[test]
    fn a_200_with_the_range_of_a_part_is_that_part() {
        let asked = ByteRange::new(10, 20);
        let with = |range, length| {
            head(200, &[("content-range", range), ("content-length", length), ("etag", "\"e\"")])
        };
        let opened = RangeResponse::check(&with("bytes 10-19/30", "10"), asked, None).unwrap();
        assert_eq!((opened.body, opened.info.size, opened.whole), (asked, 30, false));
        let opened = RangeResponse::check(&with("bytes 0-29/30", "30"), asked, None).unwrap();
        assert_eq!((opened.body, opened.whole), (ByteRange::new(0, 30), true));
        for (range, length) in [
            ("bytes 0-9/30", "10"),
            ("bytes 10-18/30", "9"),
            ("bytes 10-19/30", "30"),
            ("bytes 10-19/*", "10"),
            ("bytes 0-29/30", "10"),
            ("10-19/30", "10"),
        ] {
            let error = RangeResponse::check(&with(range, length), asked, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Server, "{range}, {length} bytes: {error}");
        }
    }

    #[test]
    fn head_shows_checksums_and_a_range_does_not() {
        let headers = [
            ("content-length", "30"),
            ("content-range", "bytes 0-29/30"),
            ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="),
            ("x-amz-checksum-type", "FULL_OBJECT"),
            ("x-amz-version-id", "null"),
        ];
        let info = ObjectInfo::from_head(&head(200, &headers)).unwrap();
        assert_eq!(info.checksums, [(ChecksumAlgorithm::Crc64Nvme, "AAAAAAAAAAA=".to_owned())]);
        assert_eq!(info.version_id, None);
        let opened = RangeResponse::check(&head(206, &headers), ByteRange::new(0, 30), None).unwrap();
        assert_eq!((opened.info.checksums.len(), opened.info.checksum_type), (0, None));
    }

    /// Reads the response of an S3 server to a GET of `bytes=10-19`.
    fn read(status: u16, headers: &[(&str, &str)], size: Option<u64>) -> Result<ResponseProof> {
        let sent = SentGet { range: Some(ByteRange::new(10, 20)), size, is_s3: true };
        ResponseProof::read(&head(status, headers), sent)
    }

    #[test]
    fn a_length_alone_never_shows_which_bytes_come() {
        let (etag, ten) = (("etag", "\"e\""), ("content-length", "10"));
        for (why, status, headers, size, proves_nothing) in [
            ("a 200 as long as the range", 200, vec![etag, ten], None, true),
            ("the same of another object", 200, vec![etag, ten], Some(30), false),
            ("a 206 without a range", 206, vec![etag, ten], None, true),
            ("the same later", 206, vec![etag, ten], Some(30), true),
            ("a range from 0", 206, vec![etag, ten, ("content-range", "bytes 0-19/30")], None, true),
            ("the same later", 206, vec![etag, ten, ("content-range", "bytes 0-19/30")], Some(30), true),
        ] {
            match read(status, &headers, size) {
                Ok(ResponseProof::Nothing(_) | ResponseProof::PartOrWhole(_)) => {
                    assert!(proves_nothing, "{why}");
                }
                Err(error) => assert!(!proves_nothing && error.kind() == ErrorKind::Server, "{why}: {error}"),
                Ok(other) => panic!("{why}: {other:?}"),
            }
        }
        // Of an object of this size it is all.
        let proof = read(200, &[etag, ten], Some(10)).unwrap();
        assert!(matches!(proof, ResponseProof::Bytes(RangeResponse { whole: true, .. })));
    }

    #[test]
    fn more_than_was_requested_is_used_only_where_it_is_all() {
        let etag = ("etag", "\"e\"");
        for (why, shown, length, size, want) in [
            ("all of it", "bytes 0-29/30", Some("30"), None, Some(true)),
            ("all of it later", "bytes 0-29/30", Some("30"), Some(30), None),
            ("all of it with another length", "bytes 0-29/30", Some("10"), None, None),
            ("all of it without a length", "bytes 0-29/30", None, None, None),
            ("from where it was requested on", "bytes 10-29/30", Some("20"), None, Some(false)),
            ("the same later", "bytes 10-29/30", Some("20"), Some(30), Some(false)),
            ("from before", "bytes 5-19/30", Some("15"), None, None),
            ("less", "bytes 10-18/30", Some("9"), None, None),
        ] {
            let headers: Vec<_> =
                [Some(etag), Some(("content-range", shown)), length.map(|l| ("content-length", l))]
                    .into_iter()
                    .flatten()
                    .collect();
            match (read(206, &headers, size), want) {
                (Ok(ResponseProof::Bytes(response)), Some(true)) => {
                    assert!(response.whole && response.body == ByteRange::new(0, 30), "{why}");
                }
                (Ok(ResponseProof::Nothing(_)), Some(false)) => {}
                (Err(error), None) => assert_eq!(error.kind(), ErrorKind::Server, "{why}"),
                (other, _) => panic!("{why}: {other:?}"),
            }
        }
    }

    #[test]
    fn chunks_count_and_not_the_length_beside_them() {
        let both = [("etag", "\"e\""), ("content-length", "100"), ("transfer-encoding", "chunked")];
        assert!(matches!(read(200, &both, None), Ok(ResponseProof::Unsized(_))));
        let part = [both.as_slice(), &[("content-range", "bytes 10-19/30")]].concat();
        assert!(matches!(read(206, &part, None), Ok(ResponseProof::Bytes(_))));
        let sent = SentGet { range: None, size: None, is_s3: true };
        assert!(matches!(ResponseProof::read(&head(200, &both), sent), Ok(ResponseProof::Unsized(_))));
    }

    #[test]
    fn a_body_in_several_parts_shows_no_range() {
        for kind in ["multipart/byteranges; boundary=X", "Multipart/ByteRanges"] {
            let (kind, etag) = (("content-type", kind), ("etag", "\"e\""));
            let range = ("content-range", "bytes 10-19/30");
            let (chunked, ten) = (("transfer-encoding", "chunked"), ("content-length", "10"));
            for headers in [&[kind, etag, ten][..], &[kind, etag, range, chunked], &[kind, etag, range]] {
                assert!(matches!(read(206, headers, None), Ok(ResponseProof::Nothing(_))), "{headers:?}");
                assert!(read(206, headers, Some(30)).is_err_and(|e| e.kind() == ErrorKind::Server));
            }
            // An object may have been stored with that type: these are as many bytes as the range has.
            assert!(matches!(read(206, &[kind, etag, range, ten], None), Ok(ResponseProof::Bytes(_))));
        }
    }

    #[test]
    fn a_body_that_only_the_connection_ends_is_no_whole_object() {
        let etag = ("etag", "\"e\"");
        for coding in ["identity", "gzip", "gzip, chunked", "chunked, identity"] {
            let headers = [etag, ("transfer-encoding", coding)];
            assert!(read(200, &headers, None).is_err_and(|e| e.kind() == ErrorKind::Server), "{coding}");
        }
        let part = [etag, ("content-range", "bytes 10-19/30"), ("transfer-encoding", "identity")];
        assert!(matches!(
            read(206, &part, None),
            Ok(ResponseProof::Bytes(RangeResponse { is_chunked: false, .. }))
        ));
    }

    #[test]
    fn a_206_of_nothing_stands_for_a_416() {
        let nothing = ("content-length", "0");
        for shown in [Some("bytes 0--1/0"), Some("bytes */0"), Some("bytes 0-0/0"), None] {
            let mut headers = vec![nothing];
            headers.extend(shown.map(|shown| ("content-range", shown)));
            let error = read(206, &headers, None).unwrap_err();
            assert_eq!(error.service().map(|s| (s.status, s.object_size)), Some((416, Some(0))), "{shown:?}");
            assert!(read(206, &headers, Some(30)).is_err_and(|e| e.kind() == ErrorKind::Server));
        }
        assert!(
            read(206, &[("content-length", "5"), ("content-range", "bytes */0")], None)
                .is_err_and(|e| e.service().is_none())
        );
    }

    #[test]
    fn a_web_page_is_no_object_of_s3() {
        let page = [
            ("content-type", "text/html; charset=utf-8"),
            ("content-length", "30"),
            ("last-modified", "Mon"),
        ];
        for kind in ["text/html", "Text/HTML; charset=utf-8", " text/html ;x", "application/xhtml+xml"] {
            let page = [page[1], page[2], ("content-type", kind)];
            for status in [200, 206] {
                let error = read(status, &page, None).unwrap_err();
                assert!(error.to_string().contains("does not look like an S3 server"), "{kind}");
            }
        }
        for proof in [("etag", "\"e\""), ("x-amz-request-id", "1")] {
            assert!(read(200, &[page.as_slice(), &[proof]].concat(), None).is_ok(), "{proof:?}");
        }
        let sent = SentGet { range: Some(ByteRange::new(10, 20)), size: None, is_s3: false };
        assert!(ResponseProof::read(&head(200, &page), sent).is_ok(), "a URL may name a page");
    }

    #[test]
    fn two_ranges_in_one_response_prove_nothing() {
        let both = [("content-range", "bytes 10-19/30"), ("content-range", "bytes 10-19/40")];
        assert!(read(206, &both, None).is_err());
    }
}
