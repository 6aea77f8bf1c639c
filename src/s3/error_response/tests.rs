//! Error responses as services, gateways and proxies send them, and what each means.

use http::header::CONTENT_RANGE;

use super::*;

fn head(status: u16, headers: &[(&str, &str)]) -> Parts {
    let mut head = http::Response::builder().status(status);
    for (name, value) in headers {
        head = head.header(*name, *value);
    }
    head.body(()).unwrap().into_parts().0
}

/// Reads a response with these headers alone, none of which is a request id unless it is named.
fn with_headers(status: u16, headers: &[(&str, &str)], body: &str) -> Error {
    error_from_response(&head(status, headers), body.as_bytes(), &Secrets::default())
}

/// Reads a response with a request id.
fn of(status: u16, body: &str) -> Error {
    with_headers(status, &[("x-amz-request-id", "FROM-HEADER")], body)
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
        (400, "AccessDenied", 4, false),
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

/// botocore's lists of codes that it repeats a request for, whatever their status.
#[test]
fn codes_that_ask_for_patience_do_so_with_any_status() {
    let throttling = [
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "TooManyRequests",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "RequestThrottled",
        "SlowDown",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
    ];
    let slow = ["RequestTimeout", "RequestTimeoutException"];
    let codes = throttling.map(|code| (code, true)).into_iter().chain(slow.map(|code| (code, false)));
    for (code, is_throttling) in codes {
        for status in [400, 403, 429, 503].into_iter().filter(|status| is_throttling || *status != 403) {
            let error = of(status, &format!("<Error><Code>{code}</Code></Error>"));
            assert_eq!((error.exit_code(), error.is_retryable()), (5, true), "{status} {code}");
            assert_eq!(
                error.is_throttling(),
                is_throttling || matches!(status, 429 | 503),
                "{status} {code}"
            );
            let shown = error.to_string().contains("the service is throttling requests");
            assert_eq!(shown, is_throttling || status == 429, "{error}");
        }
    }
    for code in ["LimitExceeded", "TooManyBuckets", "SlowDownload", "Whatever"] {
        assert!(!of(400, &format!("<Error><Code>{code}</Code></Error>")).is_retryable(), "{code}");
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
    let document = "<Error><Code>AccessDenied</Code></Error>";
    for (name, body, is_of_proxy) in [
        ("www-authenticate", "", true),
        ("server", "<html>401 Unauthorized</html>", true),
        ("server", document, false),
        ("x-amz-request-id", "", false),
    ] {
        let error = with_headers(401, &[(name, "x")], body);
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
        (Some("bytes */18446744073709551615"), xml, Some(6)),
        (None, "<Error><ActualObjectSize>18446744073709551615</ActualObjectSize></Error>", None),
        (Some("bytes 0-1/5"), "<Error><ActualObjectSize>six</ActualObjectSize></Error>", None),
        (None, "", None),
    ] {
        let headers: Vec<_> = header.iter().map(|value| (CONTENT_RANGE.as_str(), *value)).collect();
        let error = with_headers(416, &headers, body);
        assert_eq!((error.exit_code(), error.service().unwrap().object_size), (2, size), "{header:?} {body}");
    }
}

#[test]
fn a_missing_customer_key_is_named_in_the_hint() {
    // AWS and LocalStack, AWS, Ceph, SeaweedFS, and messages about other things.
    let appropriate = "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.";
    let stored = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided.";
    let algorithm = "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm.";
    let not_applicable = "The encryption parameters are not applicable to this object.";
    let policy = "User: u is not authorized to perform: s3:GetObject on resource: \"arn:aws:s3:::server-side-encryption/sse-c\"";
    let kms =
        "Server Side Encryption: the ciphertext refers to a customer master key of KMS that does not exist.";
    for (status, code, message, exit) in [
        (400, "InvalidRequest", stored, 2),
        (400, "InvalidRequest", not_applicable, 2),
        (400, "InvalidArgument", not_applicable, 2),
        (400, "InvalidArgument", algorithm, 2),
        (400, "InvalidArgument", appropriate, 2),
        (400, "InvalidRequest", "The object was stored using SSE-C.", 2),
        (400, "BadRequest", "The object is encrypted with a customer key.", 2),
        (400, "InvalidRequest", "x-amz-server-side-encryption-customer-algorithm is required.", 2),
        (400, "SSECustomerKeyMissing", "", 2),
        (400, "SSECustomerKeyMissing", appropriate, 2),
        (400, "MissingParameter", appropriate, 2),
        (400, "", appropriate, 2),
        (403, "AccessDenied", appropriate, 2),
        (403, "InvalidRequest", appropriate, 2),
        (403, "Forbidden", appropriate, 2),
        (403, "", appropriate, 2),
        (400, "InvalidRequest", "S3 Transfer Acceleration is not configured on this bucket.", 5),
        (400, "InvalidArgument", "Invalid version id specified", 2),
        (403, "AccessDenied", "Access Denied", 4),
        (403, "AccessDenied", policy, 4),
        (403, "AccessDenied", kms, 4),
        (404, "NoSuchKey", appropriate, 3),
        (503, "SlowDown", appropriate, 5),
    ] {
        let error = of(status, &format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"));
        let is_of_key = exit == 2 && !message.contains("version id");
        assert_eq!(error.exit_code(), exit, "{status} {code} {message}");
        assert_eq!(error.to_string().contains("--sse-c-key"), is_of_key, "{status} {code} {message}");
        // It says more than that the request was not signed.
        assert_eq!(of_unsigned(error).exit_code(), exit, "{status} {code} {message}");
    }
}

/// S3 answers a wrong key as any other denial.
#[test]
fn a_denial_of_a_request_with_a_customer_key_may_be_about_the_key() {
    for (status, code, is_of_key) in [
        (403, "AccessDenied", true),
        (403, "Forbidden", true),
        (403, "", true),
        (403, "SignatureDoesNotMatch", false),
        (403, "InvalidObjectState", false),
        (404, "NoSuchKey", false),
    ] {
        let denied = of(status, &format!("<Error><Code>{code}</Code></Error>"));
        let exit = denied.exit_code();
        let error = of_customer_key(denied);
        assert_eq!(error.hint().is_some_and(|hint| hint.contains("--sse-c-key")), is_of_key, "{code}");
        assert_eq!(error.exit_code(), exit, "{code}");
    }
}

#[test]
fn a_code_may_be_in_a_header_alone() {
    let document = "<Error><Code>AccessDenied</Code></Error>";
    for (kind, body, code) in [
        ("ThrottlingException", "", "ThrottlingException"),
        ("com.amazonaws.s3#SlowDown:http://x/", "<Error><Code/></Error>", "SlowDown"),
        ("SlowDown", document, "AccessDenied"),
        ("", "", ""),
    ] {
        let error = with_headers(400, &[("x-amzn-ErrorType", kind)], body);
        assert_eq!(error.service().unwrap().code(), code, "{kind}");
    }
    // Gateways of AWS have that header too: it is no sign of S3.
    let error = with_headers(404, &[("x-amzn-errortype", "NotFoundException")], "");
    assert_eq!(error.exit_code(), 5, "{error}");
}

#[test]
fn a_region_is_named_in_the_hint() {
    let error = with_headers(301, &[("x-amz-bucket-region", "eu-west-1")], "");
    assert!(error.to_string().contains("--region eu-west-1"), "{error}");
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
            let error = with_headers(status, headers, body);
            assert_eq!((error.exit_code(), error.is_retryable()), (exit, false), "{why}, {status}: {error}");
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
        ("another resource", 405, &[id], document("<ResourceType>BUCKET</ResourceType>"), 5, "not support"),
        ("no document", 405, &[id], String::new(), 5, "does not support"),
        ("nothing of S3", 405, &[], String::new(), 5, "does not look like an S3 server"),
    ] {
        let error = with_headers(status, headers, &body);
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
fn the_servers_clock_is_read_from_the_document_and_the_header() {
    let document = |time: &str| {
        format!("<Error><Code>RequestTimeTooSkewed</Code><ServerTime>{time}</ServerTime></Error>")
    };
    let date = [("date", "Thu, 01 Jan 1970 00:00:09 GMT")];
    for (headers, body, clocks) in [
        (&date[..], document("1970-01-01T00:00:07Z"), (Some(7), Some(9))),
        (&[][..], document("1970-01-01T00:00:07.123Z"), (Some(7), None)),
        (&[][..], document(" 1970-01-01T00:00:07Z\n"), (Some(7), None)),
        (&date[..], document("noon"), (None, Some(9))),
        (&[][..], document("noon"), (None, None)),
    ] {
        let error = with_headers(403, headers, &body);
        let service = error.service().unwrap();
        assert_eq!((service.server_time, service.date), clocks, "{body}");
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
        let message = with_headers(301, &[], &document(endpoint)).to_string();
        let named = message.contains(&format!("--endpoint https://{endpoint}"));
        assert_eq!(named && !endpoint.is_empty(), is_named, "{message}");
    }
}

/// Of a proxy, a gateway or a web server: nothing says that the bucket is in another region.
#[test]
fn a_redirect_that_names_no_region_shows_where_to_and_no_secret() {
    let long = format!("https://other.example/{}", "a".repeat(3000));
    for (location, shown, hint) in [
        (
            "https://other.example/bucket/key?X-Amz-Signature=TOPSECRET0",
            "to https://other.example/bucket/key, ",
            "--endpoint https://other.example",
        ),
        ("http://store:9000/a#TOPSECRET0", "to http://store:9000/a, ", "--endpoint http://store:9000"),
        (
            "https://user:TOPSECRET0@other.example/a",
            "to https://other.example/a, ",
            "--endpoint https://other.example",
        ),
        ("https://user:TOPSECRET0/x@other.example/a", "to https://other.example/a, ", "check the endpoint"),
        ("https://other.example/a/me@third.example", "to https://third.example, ", "check the endpoint"),
        ("https://SENTSECRET0.example/a", "to https://[hidden].example/a, ", "check the endpoint"),
        ("/login?next=TOPSECRET0", "to /login, ", "check the endpoint"),
        (
            "http://169.254.169.254/latest/meta-data",
            "to http://169.254.169.254/latest/meta-data, ",
            "check the endpoint",
        ),
        ("http://[fe80::1]:80/a", "to http://[fe80::1]:80/a, ", "check the endpoint"),
        ("http://10.0.0.1:9000/a", "to http://10.0.0.1:9000/a, ", "--endpoint http://10.0.0.1:9000"),
        ("ftp://other.example/a", "to ftp://other.example/a, ", "check the endpoint"),
        (&long, "aaa..., which", "--endpoint https://other.example"),
        ("", "does not say where", "check the endpoint"),
    ] {
        let mut secrets = Secrets::default();
        secrets.add("SENTSECRET0");
        for status in [301, 302, 303, 307, 308] {
            let head = head(status, &[("location", location)]);
            let error = error_from_response(&head, b"<html>Moved</html>", &secrets);
            let message = error.to_string();
            assert_eq!(error.exit_code(), 5, "{message}");
            assert!(message.contains(shown) && message.contains(hint), "{message}");
            assert!(!message.contains("SECRET0") && message.len() < 400, "{message}");
        }
    }
}

#[test]
fn a_request_that_was_not_signed_is_told_nothing_of_credentials() {
    let code = |code: &str| format!("<Error><Code>{code}</Code></Error>");
    for (status, body) in [
        (403, String::new()),
        (401, code("AccessDenied")),
        (403, code("AccessDenied")),
        (403, code("InvalidAccessKeyId")),
        (403, code("SignatureDoesNotMatch")),
        (400, code("ExpiredToken")),
    ] {
        let error = of_unsigned(of(status, &body));
        assert_eq!(error.exit_code(), 4);
        assert!(error.hint().is_some_and(|hint| hint.contains("--no-sign-request")), "{error}");
    }
    let archived = of_unsigned(of(403, &code("InvalidObjectState")));
    assert!(archived.hint().is_some_and(|hint| hint.contains("restore")), "{archived}");
}

#[test]
fn a_bucket_that_the_service_has_disabled_is_not_answered_by_permissions() {
    for code in ["AllAccessDisabled", "AccountProblem"] {
        let error = of(403, &format!("<Error><Code>{code}</Code></Error>"));
        assert!(error.hint().is_some_and(|hint| hint.contains("disabled")), "{error}");
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
            let head = head(status, &[]);
            for error in [
                error_from_response(&head, all.as_bytes(), &secrets),
                error_from_url_response(&head, all.as_bytes(), &secrets, true),
            ] {
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains("0123456789") && shown.contains("got [hidden] from you"), "{shown}");
            }
        }
    }
}

#[test]
fn a_region_or_an_endpoint_that_holds_a_secret_is_not_believed() {
    const SIGNATURE: &str = "0123456789abcdef0123456789abcdef";
    let mut secrets = Secrets::default();
    secrets.add(SIGNATURE);
    for (named, is_known) in [("eu-west-1", true), (SIGNATURE, false), (&SIGNATURE[..20], false)] {
        let document = format!(
            "<Error><Code>PermanentRedirect</Code><Region>{named}</Region><Endpoint>{named}</Endpoint></Error>"
        );
        for header in [None, Some(("x-amz-bucket-region", named))] {
            let head = head(301, header.as_slice());
            let error = error_from_response(&head, document.as_bytes(), &secrets);
            assert_eq!(error.service().is_some_and(|s| s.region.is_some()), is_known, "{named}");
            assert!(is_known || !format!("{error} {error:?}").contains("0123456789"), "{error} {error:?}");
        }
    }
}
