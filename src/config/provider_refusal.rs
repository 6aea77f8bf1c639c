//! Refusals of credential sources: whose fault one is, and its reason without the secrets of the request, which a source
//! may echo.

use http::{Request, StatusCode};

use crate::config::provider_answer::KeyDocument;
use crate::error::printable::printable_within;
use crate::error::{Error, ErrorKind, ServiceError};
use crate::s3::error_document::ErrorDocument;
use crate::s3::secrets::Secrets;

/// Returns whether the same request may succeed a little later: a service that fails, or has too many requests.
pub(super) fn is_transient(status: StatusCode, body: &[u8]) -> bool {
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return true;
    }
    let document = || ErrorDocument::read(body).filter(|_| status.is_client_error());
    document().and_then(|document| document.code).is_some_and(|code| {
        // The issuer of a web identity does not answer STS.
        code == "IDPCommunicationError"
            || ServiceError { status: status.as_u16(), code: Some(code), ..ServiceError::default() }
                .is_throttling()
    })
}

/// Returns the kind of the error for an answer that is not a success, after the last attempt.
pub(super) fn kind_of_refusal(status: StatusCode, body: &[u8]) -> ErrorKind {
    if is_transient(status, body) { ErrorKind::Server } else { ErrorKind::Access }
}

/// Collects the secrets in the headers of `request`.
pub(super) fn secrets_of<B>(request: &Request<B>) -> Secrets {
    let mut secrets = Secrets::default();
    let values = request.headers().values().filter(|value| value.is_sensitive());
    values.filter_map(|value| value.to_str().ok()).for_each(|text| secrets.add(text));
    secrets
}

/// Returns the error for an answer that is not a success, with the reason that its document gives, to a request with
/// these secrets.
pub(super) fn refusal(secrets: &Secrets, status: StatusCode, body: &[u8]) -> Error {
    let document = KeyDocument::parse(body).ok();
    let reason = ["message", "error_description", "error", "code"]
        .iter()
        .find_map(|name| document.as_ref()?.text(name))
        .and_then(|reason| secrets.redact(reason))
        .map_or_else(String::new, |reason| format!(": {}", printable_within(&reason, 200)));
    Error::new(kind_of_refusal(status, body), format!("HTTP {}{reason}", status.as_u16()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_reason_is_shown_without_the_token_that_was_sent() {
        let mut token = HeaderValue::from_static("Bearer the.token.of.the.pod");
        token.set_sensitive(true);
        let request = Request::get("http://h").header("authorization", token).body(()).unwrap();
        for (status, body, says, kind) in [
            (403, "{\"message\": \"no\"}", "HTTP 403: no", ErrorKind::Access),
            (
                403,
                "{\"Message\": \"bad Bearer the.token.of.the.pod!\"}",
                "HTTP 403: bad [hidden]!",
                ErrorKind::Access,
            ),
            (403, "{\"code\": \"bad the.token.of.the.pod\"}", "HTTP 403: bad[hidden]", ErrorKind::Access),
            (400, "{\"code\": \"ThrottlingException\"}", "HTTP 400: ThrottlingException", ErrorKind::Server),
            (500, "{\"error\": \"oops\"}", "HTTP 500: oops", ErrorKind::Server),
            (503, "<html>", "HTTP 503", ErrorKind::Server),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = refusal(&secrets_of(&request), status, body.as_bytes());
            assert_eq!((error.to_string().as_str(), error.kind()), (says, kind), "{body}");
        }
    }
}
