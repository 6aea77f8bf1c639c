//! Header values as text and numbers. A value that is not visible ASCII counts as absent.

use http::HeaderMap;
use http::header::CONTENT_LENGTH;

/// Returns the value of the header `name` as text.
pub(crate) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Returns the value of `Content-Length`, in bytes.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    header_text(headers, CONTENT_LENGTH.as_str())?.trim().parse().ok()
}
