//! The fields of an error response, from its headers and its XML document.
//!
//! Source: Amazon S3 API Reference, "Error responses" (the XML body).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{CONTENT_RANGE, DATE, RETRY_AFTER};
use http::response::Parts;

use crate::error::ServiceError;
use crate::error::printable::printable;
use crate::s3::address::region::Region;
use crate::s3::date::parse_date;
use crate::s3::error_document::{ErrorDocument, bare_code};
use crate::s3::header::header_text;
use crate::s3::range::{object_size, unsatisfied_range};
use crate::s3::secrets::Secrets;

/// The contents of an error response.
pub(super) struct ErrorFields {
    pub(super) service: ServiceError,
    /// Set if an error document or a request id shows that the server speaks S3.
    pub(super) is_s3: bool,
    /// The endpoint that a redirect of a custom endpoint names.
    pub(super) endpoint: Option<String>,
}

impl ErrorFields {
    /// Reads the head and body of a response. Where the server echoes one of `secrets`, it is blanked out.
    pub(super) fn read(head: &Parts, body: &[u8], secrets: &Secrets) -> Self {
        let document = ErrorDocument::read(body);
        let has_document = document.as_ref().is_some_and(|document| document.code.is_some());
        let document = document.unwrap_or_default();
        let header = |name: &str| header_text(&head.headers, name).map(str::to_owned);
        let mut secrets = secrets.clone();
        document.token.iter().for_each(|token| secrets.add(token));
        let text =
            |text: Option<String>| Some(printable(&secrets.redact(&text?)?)).filter(|text| !text.is_empty());
        let is_shown = |text: &String| secrets.redact(text).is_none_or(|shown| shown == *text);
        let request_id = header("x-amz-request-id").or_else(|| header("x-amz-id-2"));
        let is_delete_marker = header("x-amz-delete-marker")
            .is_some_and(|set| set.eq_ignore_ascii_case("true"))
            || document.resource_type.is_some_and(|kind| kind == "DeleteMarker");
        let is_s3 = has_document || request_id.is_some() || is_delete_marker;
        // AWS names its endpoint too, but the region is what the user can set.
        let endpoint =
            document.endpoint.filter(|e| is_authority(e) && !e.contains(".amazonaws.com") && is_shown(e));
        // AWS's JSON services name the code there too.
        let code_of_type = header("x-amzn-errortype").map(|kind| bare_code(&kind).to_owned());
        let date = header(DATE.as_str()).and_then(|d| httpdate::parse_http_date(&d).ok());
        let server_time = document.server_time.and_then(|time| parse_date(&time));
        let service = ServiceError {
            status: head.status.as_u16(),
            code: text(document.code.filter(|code| !code.is_empty()).or(code_of_type)),
            message: text(document.message),
            request_id: text(document.request_id.filter(|id| !id.is_empty()).or(request_id)),
            // The region becomes part of a hint and of a log line; to be part of a host's name it is parsed again.
            region: header("x-amz-bucket-region")
                .or(document.region)
                .filter(|r| Region::opaque(r).is_ok() && is_shown(r)),
            retry_after: retry_after(&head.headers),
            server_time: server_time.and_then(seconds),
            date: date.and_then(seconds),
            object_size: header(CONTENT_RANGE.as_str())
                .and_then(|range| unsatisfied_range(&range))
                .or_else(|| object_size(&document.actual_object_size?)),
            is_delete_marker,
        };
        Self { service, is_s3, endpoint }
    }
}

/// Returns whether `text` can only be a host, perhaps with a port.
pub(super) fn is_authority(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
}

/// Reads `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date, which counts from that of the response: the
/// server's clock and not this machine's.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = header_text(headers, RETRY_AFTER.as_str())?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = httpdate::parse_http_date(header_text(headers, DATE.as_str())?.trim()).ok()?;
    httpdate::parse_http_date(value).ok()?.duration_since(now).ok()
}

fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().map(|d| d.as_secs())
}
