//! The meaning of an error response, as an [`Error`]: its kind, whether the same request may succeed later, and a hint.
//!
//! Source: Amazon S3 API Reference, "Error responses" (codes).

use http::StatusCode;
use http::response::Parts;

use crate::error::{Error, ErrorKind, ServiceError};
use crate::s3::error_fields::ErrorFields;
use crate::s3::secrets::Secrets;

/// Reads a response other than 200 and 206 into an error; `body` may be cut, or not an error document at all. Where the
/// server echoes one of `secrets`, it is blanked out.
pub(crate) fn error_from_response(head: &Parts, body: &[u8], secrets: &Secrets) -> Error {
    if is_refusal_of_plain_http(head, body) {
        return wants_tls();
    }
    let ErrorFields { service, is_s3, endpoint } = ErrorFields::read(head, body, secrets);
    if !is_s3 && matches!(head.status.as_u16(), 404 | 405 | 410) {
        // A job that waits for a key must not take a web server's 404 for a missing object.
        return not_s3().with_service(service);
    }
    if !is_s3 && head.status == StatusCode::UNAUTHORIZED {
        return wants_password().with_service(service);
    }
    let (kind, what, hint) = meaning(&service);
    let mut error = Error::new(kind, what).retryable(is_transient(&service));
    match (&service.region, endpoint, hint) {
        (_, Some(endpoint), Some(REGION_HINT)) => {
            error = error
                .with_hint(format!("the service names another endpoint: use --endpoint https://{endpoint}"));
        }
        (Some(region), None, Some(REGION_HINT)) => {
            error = error.with_hint(format!("the bucket is in {region}: use --region {region}"));
        }
        (_, _, Some(hint)) => error = error.with_hint(hint),
        // These codes have many meanings; a message about encryption is about a key that is missing or not wanted.
        (_, _, None)
            if matches!(service.code(), "InvalidRequest" | "InvalidArgument")
                && message_contains(&service, "ncrypt") =>
        {
            error = Error::usage("the encryption key is missing, or the object is not encrypted with one")
                .with_hint(SSE_C_HINT);
        }
        (_, _, None) => {}
    }
    error.with_service(service)
}

/// Returns whether a response says that its port expects TLS: nginx, Go's servers and Apache each do so in words of
/// their own.
fn is_refusal_of_plain_http(head: &Parts, body: &[u8]) -> bool {
    const WORDS: [&str; 3] =
        ["HTTP request to an HTTPS server", "plain HTTP request was sent to", "plain HTTP to an SSL"];
    let text = String::from_utf8_lossy(body);
    head.status == StatusCode::BAD_REQUEST && WORDS.iter().any(|words| text.contains(words))
}

fn wants_tls() -> Error {
    Error::new(ErrorKind::Server, "this port expects TLS").with_hint("write https:// in place of http://")
}

/// Creates the error for a host that answers as no S3 server does.
pub(crate) fn not_s3() -> Error {
    Error::new(ErrorKind::Server, "this does not look like an S3 server")
        .with_hint("check the endpoint: another service, such as a web console, may be listening there")
}

/// Creates the error for a 401 that is not S3's: of a gateway, or of tinyproxy, which answers so to a wrong password.
fn wants_password() -> Error {
    Error::new(ErrorKind::Access, "a proxy or gateway in front of the store rejected the credentials")
        .with_hint("S3 does not respond like this: check the user name and password in the proxy's URL, and the endpoint")
}

/// Explains the refusal of a request that was not signed. Swift's `s3api` passes such a request on to Swift, which
/// knows no such path: its 400 has no code.
pub(crate) fn of_unsigned(error: Error) -> Error {
    match error.service() {
        Some(service) if service.status == 400 && service.code().is_empty() => {
            Error::new(ErrorKind::Access, NOT_SIGNED).with_hint(NOT_SIGNED_HINT).with_service(service.clone())
        }
        _ => error,
    }
}

/// Reads a response other than 200 and 206 from a URL's server into an error. Where the server echoes one of `secrets`,
/// the URL's query above all, it is blanked out. Only a URL with a query may be presigned.
pub(crate) fn error_from_url_response(
    head: &Parts,
    body: &[u8],
    secrets: &Secrets,
    has_query: bool,
) -> Error {
    const DENIED: &str = "a presigned URL expires, and is valid only for GET and the headers it was signed with: create a new one";
    const UNSIGNED: &str = "a URL is requested without a signature: for an object that is not public use s3://bucket/key, or a presigned URL";
    if is_refusal_of_plain_http(head, body) {
        return wants_tls();
    }
    let mut service = ErrorFields::read(head, body, secrets).service;
    // The bucket's region does not matter: the URL names the host.
    service.region = None;
    let (kind, what, hint) = match (head.status.as_u16(), service.code()) {
        (_, "InvalidObjectState") | (407 | 408 | 412 | 416 | 421 | 425 | 429 | 500.., _) => meaning(&service),
        _ if service.is_delete_marker => meaning(&service),
        (401 | 403, _) => {
            (ErrorKind::Access, "access denied", Some(if has_query { DENIED } else { UNSIGNED }))
        }
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
const NOT_SIGNED: &str = "the request is not signed";
const NOT_SIGNED_HINT: &str = "configure an access key for this service";
const REGION_HINT: &str = "set the bucket's region with --region";

fn message_contains(service: &ServiceError, text: &str) -> bool {
    service.message.as_deref().is_some_and(|message| message.contains(text))
}

/// Returns whether the same request may succeed later.
fn is_transient(service: &ServiceError) -> bool {
    // By class: gateways have statuses of their own, such as 520 to 530.
    matches!(service.status, 408 | 421 | 425 | 429 | 500 | 502..=504 | 506..=599)
        || matches!(service.code(), "InternalError" | "ServiceUnavailable" | "RequestTimeout")
        || service.is_throttling()
}

fn meaning(service: &ServiceError) -> (ErrorKind, &'static str, Option<&'static str>) {
    use ErrorKind::{Access, Changed, NotFound, Server, Usage};
    match (service.status, service.code()) {
        (_, "NoSuchBucket") => {
            (NotFound, "no such bucket", Some("check the bucket's name, and --endpoint if it is not on AWS"))
        }
        (_, "NoSuchVersion") => (NotFound, "no such version of the object", None),
        (404, _) if service.is_delete_marker => (
            NotFound,
            "the object is deleted",
            Some("an older version may be there: name it with --version-id"),
        ),
        (405, _) if service.is_delete_marker => {
            (NotFound, "the object is a delete marker", Some("choose an older version with --version-id"))
        }
        (405 | 501, _) => (
            Server,
            "the server does not support this request",
            Some("check the endpoint, and any proxy or gateway in front of it"),
        ),
        (407, _) => (
            Access,
            "the proxy requires authentication, or rejected these credentials",
            Some("set user name and password in the proxy's URL: HTTP_PROXY=http://user:password@host:port"),
        ),
        (404 | 410, _) => (NotFound, "no such object", None),
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
        (_, "UnsupportedAlgorithm") => (Access, NOT_SIGNED, Some(NOT_SIGNED_HINT)),
        (_, "RequestTimeTooSkewed") => (
            Access,
            "this machine's clock is wrong",
            Some("set the clock of this machine, or start its time synchronization"),
        ),
        (301 | 307 | 308, _) => (Usage, "the bucket is in another region", Some(REGION_HINT)),
        (400, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException")
            if service.region.is_some() =>
        {
            (Usage, "the bucket is in another region", Some(REGION_HINT))
        }
        (400, "AuthorizationHeaderMalformed") => {
            (Access, "the credentials are malformed", Some("check the access key ID"))
        }
        (401 | 403, _) => (
            Access,
            "access denied",
            Some(
                "check that these credentials allow s3:GetObject; without s3:ListBucket a missing key is also reported as 403",
            ),
        ),
        (400, "InvalidArgument") => (Usage, "the service rejected an argument", None),
        (429, _) | (_, "SlowDown") => (
            Server,
            "the service is throttling requests",
            Some("try again later, or with fewer requests: -c N"),
        ),
        (400, "") => (
            Server,
            "the service rejected the request",
            Some("some services respond like this to a request that is not signed: check the credentials"),
        ),
        _ => (Server, "the service failed", None),
    }
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_RANGE;

    use super::*;

    fn of(status: u16, body: &str) -> Error {
        let head = http::Response::builder()
            .status(status)
            .header("x-amz-request-id", "FROM-HEADER")
            .body(())
            .unwrap()
            .into_parts()
            .0;
        error_from_response(&head, body.as_bytes(), &Secrets::default())
    }

    #[test]
    fn codes_and_statuses() {
        for (status, code, exit, retryable) in [
            (404, "NoSuchKey", 3, false),
            (404, "NoSuchBucket", 3, false),
            (404, "NoSuchVersion", 3, false),
            (405, "MethodNotAllowed", 5, false),
            (405, "NotImplemented", 5, false),
            (405, "", 5, false),
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
            (505, "", 5, false),
            (421, "", 5, true),
            (425, "", 5, true),
            (507, "", 5, true),
            (509, "", 5, true),
            (520, "", 5, true),
            (527, "", 5, true),
            (530, "", 5, true),
            (598, "", 5, true),
            (599, "", 5, true),
            (410, "", 3, false),
            (412, "PreconditionFailed", 6, false),
            (416, "InvalidRange", 2, false),
            (418, "", 5, false),
        ] {
            let error = of(status, &format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>"));
            assert_eq!((error.exit_code(), error.is_retryable()), (exit, retryable), "{status} {code}");
        }
    }

    #[test]
    fn a_bare_400_to_a_request_that_is_not_signed_is_about_that() {
        let code = |code: &str| format!("<Error><Code>{code}</Code></Error>");
        for (status, body, exit) in [
            (400, "", 4),
            (400, "<html><h1>Bad Request</h1></html>", 4),
            (400, &*code("InvalidRequest"), 5),
            (400, &code("UnsupportedAlgorithm"), 4),
            (403, "", 4),
            (404, "", 3),
            (500, "", 5),
        ] {
            let error = of_unsigned(of(status, body));
            assert_eq!(error.exit_code(), exit, "{status} {body}");
            assert_eq!(error.service().map(|s| s.status), Some(status), "{status} {body}");
        }
    }

    /// S3 answers 403, with a document.
    #[test]
    fn a_401_that_is_not_of_s3_is_about_a_proxy() {
        let head = |name: &str| {
            http::Response::builder().status(401).header(name, "x").body(()).unwrap().into_parts().0
        };
        let document = "<Error><Code>AccessDenied</Code></Error>";
        for (name, body, is_of_proxy) in [
            ("www-authenticate", "", true),
            ("server", "<html>401 Unauthorized</html>", true),
            ("server", document, false),
            ("x-amz-request-id", "", false),
        ] {
            let error = error_from_response(&head(name), body.as_bytes(), &Secrets::default());
            assert_eq!(error.exit_code(), 4, "{name} {body}");
            assert_eq!(error.to_string().contains("proxy"), is_of_proxy, "{name} {body}: {error}");
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
            let error = error_from_response(
                &head.body(()).unwrap().into_parts().0,
                body.as_bytes(),
                &Secrets::default(),
            );
            assert_eq!(
                (error.exit_code(), error.service().unwrap().object_size),
                (2, size),
                "{header:?} {body}"
            );
        }
    }

    #[test]
    fn a_missing_customer_key_is_named_in_the_hint() {
        // AWS and LocalStack, AWS, Ceph, SeaweedFS, and messages about other things.
        for (code, message, is_of_key) in [
            (
                "InvalidRequest",
                "The object was stored using a form of Server Side Encryption. The correct parameters must be provided.",
                true,
            ),
            ("InvalidRequest", "The encryption parameters are not applicable to this object.", true),
            (
                "InvalidArgument",
                "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.",
                true,
            ),
            (
                "InvalidArgument",
                "Requests specifying Server Side Encryption with Customer provided keys must provide the customer key.",
                true,
            ),
            ("InvalidRequest", "S3 Transfer Acceleration is not configured on this bucket.", false),
            ("InvalidArgument", "Invalid version id specified", false),
        ] {
            let error = of(400, &format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"));
            assert_eq!(error.to_string().contains("--sse-c-key"), is_of_key, "{message}");
            assert!(!is_of_key || error.exit_code() == 2, "{message}");
        }
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
        assert!(
            error_from_response(&head, b"", &Secrets::default()).to_string().contains("--region eu-west-1")
        );
    }

    fn without_an_id(status: u16, headers: &[(&str, &str)], body: &str) -> Error {
        let mut head = http::Response::builder().status(status);
        for (name, value) in headers {
            head = head.header(*name, *value);
        }
        error_from_response(&head.body(()).unwrap().into_parts().0, body.as_bytes(), &Secrets::default())
    }

    #[test]
    fn a_404_means_a_missing_object_only_if_the_server_speaks_s3() {
        let document = "<Error><Code>NoSuchKey</Code></Error>";
        let id = [("x-amz-request-id", "1")];
        for (why, headers, body, exit) in [
            ("a document", &[][..], document, 3),
            ("a request id", &id[..], "", 3),
            ("a request id and a page", &id[..], "<html>Not Found</html>", 3),
            ("nothing", &[][..], "", 5),
            ("a page", &[("content-type", "text/html")][..], "<html>Not Found</html>", 5),
            ("a document without a code", &[][..], "<Error/>", 5),
            ("JSON of another service", &[][..], "{\"status\": 404}", 5),
        ] {
            for status in [404, 410] {
                let error = without_an_id(status, headers, body);
                assert_eq!(
                    (error.exit_code(), error.is_retryable()),
                    (exit, false),
                    "{why}, {status}: {error}"
                );
                assert_eq!(exit == 5, error.to_string().contains("does not look like an S3 server"), "{why}");
            }
        }
    }

    #[test]
    fn a_405_means_a_delete_marker_only_if_it_says_so() {
        let (id, marker) = (("x-amz-request-id", "1"), ("x-amz-delete-marker", "true"));
        let document = |more: &str| format!("<Error><Code>MethodNotAllowed</Code>{more}</Error>");
        let kind = document("<ResourceType>DeleteMarker</ResourceType>");
        for (why, status, headers, body, exit, says) in [
            ("by the header", 405, &[id, marker][..], document(""), 3, "is a delete marker"),
            ("by the header alone", 405, &[marker], String::new(), 3, "is a delete marker"),
            ("by the document", 405, &[id], kind, 3, "is a delete marker"),
            ("the latest version", 404, &[marker], String::new(), 3, "the object is deleted"),
            ("false", 405, &[id, ("x-amz-delete-marker", "false")], document(""), 5, "does not support"),
            ("the method", 405, &[id], document(""), 5, "does not support"),
            (
                "another resource",
                405,
                &[id],
                document("<ResourceType>BUCKET</ResourceType>"),
                5,
                "not support",
            ),
            ("no document", 405, &[id], String::new(), 5, "does not support"),
            ("nothing of S3", 405, &[], String::new(), 5, "does not look like an S3 server"),
        ] {
            let error = without_an_id(status, headers, &body);
            let text = error.to_string();
            assert_eq!((error.exit_code(), error.is_retryable()), (exit, false), "{why}: {text}");
            assert!(text.contains(says), "{why}: {text}");
            let service = error.service().unwrap();
            assert_eq!(service.is_unsupported(), exit == 5, "{why}");
        }
        for (status, code, is_unsupported) in [
            (501, "", true),
            (400, "NotImplemented", true),
            (400, "InvalidRequest", false),
            (503, "SlowDown", false),
        ] {
            assert_eq!(ServiceError::of(status, code).is_unsupported(), is_unsupported, "{status} {code}");
        }
    }

    #[test]
    fn the_servers_clock_is_read_from_the_document_before_the_header() {
        let document = |time: &str| {
            format!("<Error><Code>RequestTimeTooSkewed</Code><ServerTime>{time}</ServerTime></Error>")
        };
        let date = [("date", "Thu, 01 Jan 1970 00:00:09 GMT")];
        for (headers, body, seconds) in [
            (&date[..], document("1970-01-01T00:00:07Z"), Some(7)),
            (&[][..], document("1970-01-01T00:00:07.123Z"), Some(7)),
            (&[][..], document(" 1970-01-01T00:00:07Z\n"), Some(7)),
            (&date[..], document("noon"), Some(9)),
            (&[][..], document("noon"), None),
        ] {
            let error = without_an_id(403, headers, &body);
            assert_eq!(error.service().unwrap().date, seconds, "{body}");
        }
    }

    #[test]
    fn a_redirect_to_another_endpoint_names_it() {
        let document = |endpoint: &str| {
            format!("<Error><Code>PermanentRedirect</Code><Endpoint>{endpoint}</Endpoint></Error>")
        };
        for (endpoint, is_named) in [
            ("s3.fr-par.example.com", true),
            ("store:9000", true),
            ("b.s3.eu-west-1.amazonaws.com", false),
            ("evil.example/?x", false),
            ("a b", false),
            ("", false),
        ] {
            let message = without_an_id(301, &[], &document(endpoint)).to_string();
            let named = message.contains(&format!("--endpoint https://{endpoint}"));
            assert_eq!(named && !endpoint.is_empty(), is_named, "{message}");
        }
    }

    #[test]
    fn a_token_in_the_document_is_printed_nowhere() {
        let document = "<Error><Code>ExpiredToken</Code><Message>the token TOKEN/0123456789abcdef has expired</Message>\
                        <Token-0>TOKEN/0123456789abcdef</Token-0><RequestId>R</RequestId></Error>";
        let error = of(400, document);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("0123456789") && shown.contains("the token [hidden] has expired"), "{shown}");
    }

    #[test]
    fn secrets_that_a_server_echoes_are_blanked() {
        let mut secrets = Secrets::default();
        secrets.add("TOKEN/0123456789abcdef");
        for echoed in ["TOKEN/0123456789abcdef", "TOKEN%2F0123456789abcdef", "TOKEN&#47;0123456789abcdef"] {
            let all = format!(
                "<Error><Code>x {echoed}</Code><Message>got {echoed} from you</Message><RequestId>{echoed}</RequestId></Error>"
            );
            for status in [301, 400, 403, 404, 500] {
                let head = http::Response::builder().status(status).body(()).unwrap().into_parts().0;
                for error in [
                    error_from_response(&head, all.as_bytes(), &secrets),
                    error_from_url_response(&head, all.as_bytes(), &secrets, true),
                ] {
                    let shown = format!("{error} {error:?}");
                    assert!(
                        !shown.contains("0123456789") && shown.contains("got [hidden] from you"),
                        "{shown}"
                    );
                }
            }
        }
    }
}
