//! An error response, read into an [`Error`]: its kind, whether the same request may succeed later, and a hint.
//!
//! Source: Amazon S3 API Reference, "Error responses" (codes and the XML body).

use http::HeaderMap;
use http::StatusCode;
use http::header::{CONTENT_RANGE, DATE, RETRY_AFTER};
use http::response::Parts;
use serde::Deserialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, ErrorKind, ServiceError};
use crate::printable::printable;
use crate::s3::address::region::Region;
use crate::s3::header::header_text;
use crate::s3::range::unsatisfied_range;

/// Reads a response other than 200 and 206 into an error; `body` may be cut, or not XML at all.
pub(crate) fn error_from_response(head: &Parts, body: &[u8]) -> Error {
    let service = read(head, body);
    let (kind, what, hint) = meaning(head.status, service.code(), service.region.is_some());
    let mut error = Error::new(kind, what).retryable(is_transient(&service));
    match (&service.region, hint) {
        (Some(region), Some(REGION_HINT)) => {
            error = error.with_hint(format!("the bucket is in {region}: use --region {region}"));
        }
        (_, Some(hint)) => error = error.with_hint(hint),
        // This code has many meanings; a message about encryption is about a key that is missing or not wanted.
        (_, None) if service.code() == "InvalidRequest" && message_contains(&service, "ncrypt") => {
            error = error.with_hint(SSE_C_HINT);
        }
        (_, None) => {}
    }
    error.with_service(service)
}

/// Reads a response other than 200 and 206 from a URL's server into an error. Text for which `is_secret` returns true,
/// because it repeats the URL's query, is left out.
pub(crate) fn error_from_url_response(head: &Parts, body: &[u8], is_secret: impl Fn(&str) -> bool) -> Error {
    const DENIED: &str =
        "a presigned URL is valid for a limited time, for GET and for its own headers: get a new one";
    let mut service = read(head, body);
    for text in [&mut service.code, &mut service.message, &mut service.request_id] {
        *text = text.take().filter(|text| !is_secret(text));
    }
    // The bucket's region does not matter: the URL names the host.
    service.region = None;
    let (kind, what, hint) = match (head.status.as_u16(), service.code()) {
        (_, "InvalidObjectState") | (407 | 408 | 412 | 416 | 429 | 500.., _) => {
            meaning(head.status, service.code(), false)
        }
        (401 | 403, _) => (ErrorKind::Access, "access denied", Some(DENIED)),
        (400, "ExpiredToken" | "InvalidToken") => (ErrorKind::Access, "the URL has expired", Some(DENIED)),
        (404 | 410, _) => (ErrorKind::NotFound, "there is nothing at this URL", None),
        _ => (ErrorKind::Server, "the server did not send a file", None),
    };
    let error = Error::new(kind, what).retryable(is_transient(&service));
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
    .with_service(service)
}

const SSE_C_HINT: &str = "--sse-c-key is needed for an object encrypted with a customer-provided key, and must be omitted for any other";
const REGION_HINT: &str = "name the bucket's region with --region";

/// The fields of S3's `<Error>` document that are used.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct ErrorDocument {
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    region: Option<String>,
    actual_object_size: Option<String>,
}

fn read(head: &Parts, body: &[u8]) -> ServiceError {
    let xml =
        std::str::from_utf8(body).ok().and_then(|text| quick_xml::de::from_str::<ErrorDocument>(text).ok());
    let document = xml.unwrap_or_default();
    let header = |name: &str| header_text(&head.headers, name).map(str::to_owned);
    ServiceError {
        status: head.status.as_u16(),
        code: document.code.as_deref().map(printable),
        message: document.message.as_deref().map(printable),
        request_id: document.request_id.or_else(|| header("x-amz-request-id")).as_deref().map(printable),
        // The region becomes part of a hint and of a host name.
        region: header("x-amz-bucket-region").or(document.region).filter(|r| Region::parse(r).is_ok()),
        retry_after: retry_after(&head.headers),
        date: header(DATE.as_str()).and_then(|d| httpdate::parse_http_date(&d).ok()).and_then(seconds),
        object_size: header(CONTENT_RANGE.as_str())
            .and_then(|range| unsatisfied_range(&range))
            .or_else(|| document.actual_object_size?.parse().ok()),
    }
}

fn message_contains(service: &ServiceError, text: &str) -> bool {
    service.message.as_deref().is_some_and(|message| message.contains(text))
}

/// Reads `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = header_text(headers, RETRY_AFTER.as_str())?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).ok()
}

fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().map(|d| d.as_secs())
}

/// Returns whether the same request may succeed later.
fn is_transient(service: &ServiceError) -> bool {
    matches!(service.status, 408 | 500 | 502 | 504)
        || matches!(service.code(), "InternalError" | "ServiceUnavailable" | "RequestTimeout")
        || service.is_throttling()
}

fn meaning(
    status: StatusCode,
    code: &str,
    names_region: bool,
) -> (ErrorKind, &'static str, Option<&'static str>) {
    use ErrorKind::{Access, Changed, NotFound, Server, Usage};
    match (status.as_u16(), code) {
        (_, "NoSuchBucket") => (NotFound, "no such bucket", None),
        (_, "NoSuchVersion") => (NotFound, "no such version of the object", None),
        (405, _) => {
            (NotFound, "the object is a delete marker", Some("name an older version with --version-id"))
        }
        (407, _) => (
            Access,
            "the proxy requires authentication, or rejected these credentials",
            Some("set user name and password in the proxy's URL: HTTP_PROXY=http://user:password@host:port"),
        ),
        (404, _) => (NotFound, "no such object", None),
        (412, _) => (Changed, "the object changed during the download", None),
        (416, _) => (Usage, "the range is beyond the end of the object", None),
        (_, "InvalidObjectState") => {
            (Access, "the object is archived", Some("restore it first: aws s3api restore-object"))
        }
        (_, "ExpiredToken" | "TokenRefreshRequired") => {
            (Access, "the credentials have expired", Some("renew them, for example with `aws sso login`"))
        }
        (_, "SignatureDoesNotMatch") => {
            (Access, "the signature was rejected", Some("check the secret access key and the endpoint"))
        }
        (_, "InvalidAccessKeyId" | "InvalidToken") => (
            Access,
            "the service does not know these credentials",
            Some("check the access key, session token and endpoint"),
        ),
        // The response of `rclone serve s3` to a request that is not signed.
        (_, "UnsupportedAlgorithm") => {
            (Access, "the request is not signed", Some("configure an access key for this service"))
        }
        (_, "RequestTimeTooSkewed") => (Access, "this machine's clock is wrong", Some("set the clock")),
        (301 | 307 | 308, _) => (Usage, "the bucket is in another region", Some(REGION_HINT)),
        (400, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") if names_region => {
            (Usage, "the bucket is in another region", Some(REGION_HINT))
        }
        (400, "AuthorizationHeaderMalformed") => {
            (Access, "the credentials are malformed", Some("check the access key id"))
        }
        (401 | 403, _) => (
            Access,
            "access denied",
            Some(
                "check that these credentials allow s3:GetObject; without s3:ListBucket a missing key is also reported as 403",
            ),
        ),
        (400, "InvalidArgument") => (Usage, "the service rejected an argument", None),
        _ => (Server, "the service failed", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Error {
        let head = http::Response::builder()
            .status(status)
            .header("x-amz-request-id", "FROM-HEADER")
            .body(())
            .unwrap()
            .into_parts()
            .0;
        error_from_response(&head, body.as_bytes())
    }

    #[test]
    fn codes_and_statuses() {
        for (status, code, exit, retryable) in [
            (404, "NoSuchKey", 3, false),
            (404, "NoSuchBucket", 3, false),
            (404, "NoSuchVersion", 3, false),
            (405, "MethodNotAllowed", 3, false),
            (404, "", 3, false),
            (403, "AccessDenied", 4, false),
            (403, "SignatureDoesNotMatch", 4, false),
            (403, "InvalidAccessKeyId", 4, false),
            (403, "InvalidObjectState", 4, false),
            (403, "RequestTimeTooSkewed", 4, false),
            (403, "", 4, false),
            (401, "", 4, false),
            (400, "ExpiredToken", 4, false),
            (400, "AuthorizationHeaderMalformed", 4, false),
            (400, "UnsupportedAlgorithm", 4, false),
            (301, "PermanentRedirect", 2, false),
            (400, "RequestTimeout", 5, true),
            (400, "Whatever", 5, false),
            (408, "", 5, true),
            (429, "", 5, true),
            (500, "InternalError", 5, true),
            (502, "", 5, true),
            (503, "SlowDown", 5, true),
            (503, "ServiceUnavailable", 5, true),
            (504, "", 5, true),
            (400, "ThrottlingException", 5, true),
            (501, "NotImplemented", 5, false),
            (412, "PreconditionFailed", 6, false),
            (416, "InvalidRange", 2, false),
            (418, "", 5, false),
        ] {
            let error = of(status, &format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>"));
            assert_eq!((error.exit_code(), error.is_retryable()), (exit, retryable), "{status} {code}");
        }
    }

    #[test]
    fn the_xml_body_is_read_and_any_other_body_is_tolerated() {
        let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>No &lt;such&gt; key\u{1b}</Message>\
                   <Key>k</Key><RequestId>R1</RequestId><HostId>h</HostId></Error>";
        let error = of(404, xml);
        let service = error.service().unwrap();
        assert_eq!(service.code(), "NoSuchKey");
        assert_eq!(service.message.as_deref(), Some("No <such> key\\u{1b}"));
        assert_eq!(service.request_id.as_deref(), Some("R1"));
        for body in ["", "<html>oops", "<Error><Code>", "\0\u{1}", "<Error/>", &"<a>".repeat(10_000)] {
            let error = of(500, body);
            assert_eq!(error.service().unwrap().request_id.as_deref(), Some("FROM-HEADER"), "{body:.20}");
        }
    }

    #[test]
    fn a_416_shows_the_size_in_a_header_or_in_its_document() {
        let xml = "<Error><Code>InvalidRange</Code><ActualObjectSize>6</ActualObjectSize></Error>";
        for (header, body, size) in [
            (Some("bytes */5"), "", Some(5)),
            (Some("bytes */5"), xml, Some(5)),
            (None, xml, Some(6)),
            (Some("bytes 0-1/5"), "<Error><ActualObjectSize>six</ActualObjectSize></Error>", None),
            (None, "", None),
        ] {
            let mut head = http::Response::builder().status(416);
            if let Some(value) = header {
                head = head.header(CONTENT_RANGE, value);
            }
            let error = error_from_response(&head.body(()).unwrap().into_parts().0, body.as_bytes());
            assert_eq!(
                (error.exit_code(), error.service().unwrap().object_size),
                (2, size),
                "{header:?} {body}"
            );
        }
    }

    #[test]
    fn a_missing_customer_key_is_named_in_the_hint() {
        let message_of = |message: &str| {
            let document = format!("<Error><Code>InvalidRequest</Code><Message>{message}</Message></Error>");
            of(400, &document).to_string()
        };
        let missing = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided.";
        assert!(message_of(missing).contains("--sse-c-key"));
        assert!(
            message_of("The encryption parameters are not applicable to this object.")
                .contains("--sse-c-key")
        );
        assert!(
            !message_of("S3 Transfer Acceleration is not configured on this bucket.").contains("--sse-c-key")
        );
    }

    #[test]
    fn a_region_is_named_in_the_hint() {
        let head = http::Response::builder()
            .status(301)
            .header("x-amz-bucket-region", "eu-west-1")
            .body(())
            .unwrap()
            .into_parts()
            .0;
        assert!(error_from_response(&head, b"").to_string().contains("--region eu-west-1"));
    }
}
