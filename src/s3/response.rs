//! The response to a ranged GET, checked against the request: status, `Content-Range`, length and size.

use http::header::{CONTENT_RANGE, ETAG, LAST_MODIFIED};
use http::response::Parts;
use http::{HeaderMap, StatusCode};

use crate::error::{Error, ErrorKind, Result};
use crate::s3::header::{content_length, header_text};
use crate::s3::object::{ObjectInfo, malformed};
use crate::s3::range::{ByteRange, content_range};

/// A successful response to a ranged GET: what the object is, and which of its bytes follow.
#[derive(Debug)]
pub(crate) struct RangeResponse {
    /// What the object is. Checksums are left out: a server may show those of the part or of the object.
    pub(crate) info: ObjectInfo,
    /// The bytes that the body holds.
    pub(crate) body: ByteRange,
    /// Whether the server ignored the range and sends the whole object (RFC 9110, section 14.2).
    pub(crate) whole: bool,
}

impl RangeResponse {
    /// Checks the head of a 200 or 206 that answers a GET of `asked`; the object may end before `asked`
    /// does only while its size is not known (`size` is `None`).
    pub(crate) fn check(head: &Parts, asked: ByteRange, size: Option<u64>) -> Result<Self> {
        let length = content_length(&head.headers);
        let whole = head.status != StatusCode::PARTIAL_CONTENT && !is_called_a_part(&head.headers);
        let (body, total) = if whole {
            // Every store shows one of them with an object; an error document sent with 200 has neither.
            if !head.headers.contains_key(ETAG) && !head.headers.contains_key(LAST_MODIFIED) {
                return Err(malformed("the server sent no range and nothing that looks like an object"));
            }
            // Without a length the end of the body and a cut could not be told apart.
            let total = length.ok_or_else(|| malformed("the server sent no range and no length"))?;
            (ByteRange::new(0, total), total)
        } else {
            let (body, total) = partial(&head.headers, asked, size)?;
            if length.is_some_and(|length| length != body.len()) {
                return Err(malformed(format!(
                    "the response has {} bytes where {} were asked for",
                    length.unwrap_or(0),
                    body.len()
                )));
            }
            (body, total)
        };
        let mut info = ObjectInfo::from_headers(&head.headers, total);
        info.checksums.clear();
        info.checksum_type = None;
        Ok(Self { info, body, whole })
    }
}

/// Whether a 200 is a part all the same. `rclone serve s3` sends every range so, and its `Content-Length` taken
/// for the object's size would be a download cut short that ends well. Only a `Content-Range` of all that there
/// is makes no part.
fn is_called_a_part(headers: &HeaderMap) -> bool {
    let Some(shown) = headers.get(CONTENT_RANGE) else { return false };
    let shown = shown.to_str().ok().and_then(content_range);
    shown.is_none_or(|(body, total)| {
        body != ByteRange::new(0, total) || content_length(headers).is_some_and(|length| length != total)
    })
}

fn partial(headers: &HeaderMap, asked: ByteRange, size: Option<u64>) -> Result<(ByteRange, u64)> {
    let shown = header_text(headers, CONTENT_RANGE.as_str());
    let Some((body, total)) = shown.and_then(content_range) else {
        return Err(malformed(match shown {
            // Of a header that is no range, the beginning says enough.
            Some(shown) => {
                let beginning: String = shown.chars().take(80).collect();
                format!("the response has an unusable Content-Range: {beginning:?}")
            }
            None => "the response to a range has no Content-Range".to_owned(),
        }));
    };
    if let Some(size) = size
        && size != total
    {
        return Err(Error::new(
            ErrorKind::Changed,
            format!("the object changed during the download: it has {total} bytes where it had {size}"),
        ));
    }
    if body != asked.clipped(total) {
        return Err(malformed(format!(
            "the response has other bytes than asked for: {body} instead of {asked}"
        )));
    }
    Ok((body, total))
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
            ("no range", vec![("content-length", "10")], None, ErrorKind::Server),
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
            ("grown", vec![("content-range", "bytes 10-19/31")], Some(30), ErrorKind::Changed),
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
}
