//! Header values as text and numbers, and how they frame a body. A value that is not visible ASCII counts as absent.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

use crate::error::Result;
use crate::s3::object::malformed;
use crate::s3::range::object_size;

/// Returns the value of the header `name` as text.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the value of `Content-Length`, in bytes, if it is one that an object can have.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    object_size(header_text(headers, CONTENT_LENGTH.as_str())?.trim())
}

/// Returns whether the body comes in chunks. A `Transfer-Encoding` that is anything else is refused: the body would be
/// compressed, or end where the connection does, as it also does where it is cut (RFC 9112, section 6.3). `identity` does
/// not exist any more (section 7), and beside it parsers disagree on whether chunks are read.
pub(crate) fn is_chunked(headers: &HeaderMap) -> Result<bool> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(false),
        (Some(coding), None) if coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(malformed("the response has an invalid Transfer-Encoding")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_one_that_an_object_can_have() {
        for (value, want) in [
            ("0", Some(0)),
            (" 9000000 ", Some(9_000_000)),
            ("9223372036854775806", Some(9_223_372_036_854_775_806)),
            ("9223372036854775807", None),
            ("18446744073709551615", None),
            ("99999999999999999999999", None),
            ("-1", None),
            ("+1", None),
            ("", None),
            ("many", None),
            ("9000000.0", None),
            ("0x895440", None),
            ("9000000, 9000000", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_LENGTH, value.parse().expect("a value"));
            assert_eq!(content_length(&headers), want, "{value:?}");
        }
        assert_eq!(content_length(&HeaderMap::new()), None);
    }

    #[test]
    fn chunked_is_the_one_transfer_encoding_that_is_read() {
        for (values, want) in [
            (&[][..], Some(false)),
            (&["chunked"], Some(true)),
            (&["Chunked"], Some(true)),
            (&[" chunked "], Some(true)),
            (&["CHUNKED"], Some(true)),
            (&["identity"], None),
            (&["Identity"], None),
            (&["identity, chunked"], None),
            (&["identity", "chunked"], None),
            (&["chunked, identity"], None),
            (&["chunked", "identity"], None),
            (&["chunked", "chunked"], None),
            (&["chunked, chunked"], None),
            (&["gzip, chunked"], None),
            (&["gzip", "chunked"], None),
            (&["gzip"], None),
            (&["chunked;x=1"], None),
            (&["xchunked"], None),
            (&[""], None),
            (&["chunked,"], None),
            (&[", chunked"], None),
            (&["deflate"], None),
            (&["chunk\u{e9}d"], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(TRANSFER_ENCODING, value.parse().expect("a value"));
            }
            assert_eq!(is_chunked(&headers).ok(), want, "{values:?}");
        }
    }
}
