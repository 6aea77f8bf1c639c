//! The meaning of an error response, as an [`Error`]: its kind, whether the same request may succeed later, and a hint.
//!
//! Source: Amazon S3 API Reference, "Error responses" (codes).

use std::net::IpAddr;

use http::StatusCode;
use http::header::LOCATION;
use http::response::Parts;
use http::uri::Authority;

use crate::error::printable::printable_within;
use crate::error::{Error, ErrorKind, ServiceError};
use crate::s3::error_fields::{ErrorFields, is_authority};
use crate::s3::header::header_text;
use crate::s3::secrets::{BLANK, Secrets};

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
    let names_nothing = service.code().is_empty() && service.region.is_none() && endpoint.is_none();
    if matches!(head.status.as_u16(), 301..=303 | 307 | 308) && names_nothing {
        return redirected(head, secrets).with_service(service);
    }
    if is_about_customer_key(&service) {
        return Error::usage("the encryption key is missing, or the object is not encrypted with one")
            .with_hint(SSE_C_HINT)
            .with_service(service);
    }
    let (kind, what, hint) = meaning(&service);
    let mut error = Error::new(kind, what).retryable(is_transient(&service));
    match (&service.region, endpoint, hint) {
        (_, Some(endpoint), Some(REGION_HINT)) => {
            error = error
                .reworded(kind, "the bucket is at another endpoint")
                .with_hint(format!("the service names another endpoint: use --endpoint https://{endpoint}"));
        }
        (Some(region), None, Some(REGION_HINT)) => {
            error = error.with_hint(region_hint(region));
        }
        (_, _, Some(hint)) => error = error.with_hint(hint),
        (_, _, None) => {}
    }
    error.with_service(service)
}

/// Returns whether a refusal is about a customer's key that is missing or not wanted. Services have many codes for that, and
/// 403 beside 400, so that the message decides.
fn is_about_customer_key(service: &ServiceError) -> bool {
    const CODES: [&str; 2] = ["SSECustomerKeyMissing", "InsecureSSECustomerRequest"];
    const PHRASES: [&str; 5] = [
        "customer provided key",
        "customer provided encryption key",
        "customer key",
        "server side encryption",
        "sse c",
    ];
    let message = service.message.as_deref().unwrap_or("").to_ascii_lowercase().replace('-', " ");
    // A key of KMS is none that a request could bring, and the denial of a policy repeats the names of buckets and keys.
    if !matches!(service.status, 400 | 403) || message.contains("kms") || message.contains("not authorized") {
        return false;
    }
    CODES.contains(&service.code())
        || PHRASES.iter().any(|phrase| message.contains(phrase))
        || (matches!(service.code(), "InvalidRequest" | "InvalidArgument") && message.contains("encrypt"))
}

/// Explains a refusal of a request with a customer's key: of a wrong key a service says no more than that.
pub(crate) fn of_customer_key(error: Error) -> Error {
    const WRONG_KEY_HINT: &str =
        "check that the key of --sse-c-key is the object's, and that these credentials allow s3:GetObject";
    match error.service() {
        Some(service)
            if service.status == 403 && matches!(service.code(), "AccessDenied" | "Forbidden" | "") =>
        {
            error.with_better_hint(WRONG_KEY_HINT)
        }
        _ => error,
    }
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

/// Creates the error for a redirect that names no region: a proxy, a gateway or a web server sends it. What is signed for
/// one host is never sent to another. Of the target a query or a password is not shown.
fn redirected(head: &Parts, secrets: &Secrets) -> Error {
    let target = header_text(&head.headers, LOCATION.as_str()).unwrap_or_default();
    let target = target.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = target.split_once("://").unwrap_or(("", target));
    let authority = rest.split('/').next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    // Whatever comes before an `@` may be a password, be it in the right place or not.
    let rest = rest.rsplit('@').next().unwrap_or_default();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_shown = |text: &str| secrets.redact(text).is_some_and(|shown| shown == text);
    let may_be_it = matches!(scheme, "http" | "https")
        && host == authority
        && is_authority(host)
        && !is_link_local(host)
        && is_shown(host);
    let place = if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{host}{path}") };
    let place = secrets.redact(&place).unwrap_or_else(|| BLANK.to_owned());
    let what = match place.as_str() {
        "" => "the server redirects the request, and does not say where".to_owned(),
        place => format!("the server redirects to {}, which is not followed", printable_within(place, 100)),
    };
    let hint = if may_be_it {
        format!("if that is the same store, use --endpoint {scheme}://{host}")
    } else {
        "check the endpoint: another service, such as a login page, may be listening there".to_owned()
    };
    Error::new(ErrorKind::Server, what).with_hint(hint)
}

/// Returns whether `authority` has a link-local address, at which there is no store, but the metadata service of a cloud.
fn is_link_local(authority: &str) -> bool {
    let host = authority.parse::<Authority>().ok();
    let host = host.as_ref().map_or(authority, Authority::host).trim_matches(['[', ']']);
    match host.parse() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_unicast_link_local(),
        Err(_) => false,
    }
}

/// Creates the error for a 401 that is not S3's: of a gateway, or of tinyproxy, which answers so to a wrong password.
fn wants_password() -> Error {
    Error::new(ErrorKind::Access, "a proxy or gateway in front of the store rejected the credentials")
        .with_hint(
            "S3 does not respond like this: check the user name and password in the proxy's URL, and the \
             endpoint",
        )
}

/// Explains the refusal of a request that was not signed. Swift's `s3api` passes such a request on to Swift, which
/// knows no such path: its 400 has no code. No credentials were rejected.
pub(crate) fn of_unsigned(error: Error) -> Error {
    const NOT_PUBLIC_HINT: &str = "the request was not signed: the object may not be public, or not exist; \
        if it is yours, leave out --no-sign-request";
    match error.service() {
        Some(service)
            if matches!(service.status, 400 | 401 | 403)
                && error.kind() == ErrorKind::Access
                && !matches!(service.code(), "InvalidObjectState" | "RequestTimeTooSkewed") =>
        {
            error.with_better_hint(NOT_PUBLIC_HINT)
        }
        Some(service)
            if service.status == 400 && service.code().is_empty() && error.kind() == ErrorKind::Server =>
        {
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
        (401 | 403, _) | (400, "AccessDenied") => {
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

/// Returns the hint to set `region`. A custom endpoint's may have characters that mean something to a shell.
fn region_hint(region: &str) -> String {
    let is_plain = region.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
    let option = if is_plain { format!("--region {region}") } else { "--region".to_owned() };
    format!("the bucket is in {region}: use {option}")
}

/// Returns whether the same request may succeed later.
fn is_transient(service: &ServiceError) -> bool {
    // By class: gateways have statuses of their own, such as 520 to 530.
    matches!(service.status, 408 | 421 | 425 | 429 | 500 | 502..=504 | 506..=599)
        || matches!(
            service.code(),
            "InternalError" | "ServiceUnavailable" | "RequestTimeout" | "RequestTimeoutException"
        )
        || service.is_throttling()
}

fn meaning(service: &ServiceError) -> (ErrorKind, &'static str, Option<&'static str>) {
    use ErrorKind::{Access, Changed, NotFound, Server, Usage};
    match (service.status, service.code()) {
        (204, _) => (Server, "the server sent no content", None),
        _ if service.names_throttling() => (
            Server,
            "the service is throttling requests",
            Some("try again later, or with fewer requests: -c N"),
        ),
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
        (_, "AllAccessDisabled" | "AccountProblem") => (
            Access,
            "access denied",
            Some(
                "the service has disabled all access to the bucket or its account: check the bucket's name, or ask its owner",
            ),
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
        (401 | 403, _) | (400, "AccessDenied") => (
            Access,
            "access denied",
            Some(
                "check that these credentials allow s3:GetObject; without s3:ListBucket a missing key is also reported as 403",
            ),
        ),
        (400, "InvalidArgument") => (Usage, "the service rejected an argument", None),
        (400, "") => (
            Server,
            "the service rejected the request",
            Some("some services respond like this to a request that is not signed: check the credentials"),
        ),
        _ => (Server, "the service failed", None),
    }
}

#[cfg(test)]
mod tests;
