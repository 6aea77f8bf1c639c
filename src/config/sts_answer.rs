//! Answers of STS: those with keys are read by the AWS crates, and all others here.
//!
//! The crates accept one spelling of a date, show in Rust's Debug form a document that they cannot parse, and cannot
//! parse one with a character that XML does not have.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use http::StatusCode;

use crate::config::provider_answer::normalize_document;
use crate::error::printable::printable;
use crate::error::{Error, ErrorKind, Result, ServiceError};
use crate::s3::error_document::ErrorDocument;
use crate::s3::secrets::Secrets;

/// Returns whether the request is one to STS, the only service here that is asked by a form.
pub(super) fn is_for_sts(request: &HttpRequest) -> bool {
    let kind = request.headers().get("content-type").unwrap_or_default();
    kind.starts_with("application/x-www-form-urlencoded")
}

/// Returns the tokens in a request to STS, which its answer may repeat.
pub(super) fn secrets_of(request: &HttpRequest) -> Secrets {
    let mut secrets = Secrets::default();
    let form = String::from_utf8_lossy(request.body().bytes().unwrap_or_default());
    let of_identity = form.split('&').find_map(|field| field.strip_prefix("WebIdentityToken="));
    for token in [of_identity, request.headers().get("x-amz-security-token")].into_iter().flatten() {
        secrets.add(token);
    }
    secrets
}

/// Returns an answer with keys, its date in the crates' spelling. Fails if it is a refusal, with its code and message, or
/// anything else.
pub(super) fn normalize(status: StatusCode, body: &[u8], secrets: &Secrets) -> Result<Vec<u8>> {
    let has_keys = String::from_utf8_lossy(body).contains("AccessKeyId>");
    if status.is_success() && has_keys {
        return Ok(normalize_document(body).unwrap_or_else(|| body.to_vec()));
    }
    let document = ErrorDocument::read(body).unwrap_or_default();
    let text =
        |text: Option<String>| Some(printable(&secrets.redact(&text?)?)).filter(|text| !text.is_empty());
    let (code, message) = (text(document.code), text(document.message));
    let is_busy = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let status = status.as_u16();
    let Some(code) = code else {
        let what = format!("the answer is not one of STS (HTTP {status})");
        return Err(Error::new(ErrorKind::Server, what)
            .with_hint("check AWS_ENDPOINT_URL_STS and AWS_ENDPOINT_URL, and any proxy or gateway on the way")
            .retryable(is_busy));
    };
    let is_transient = is_busy
        || code == "IDPCommunicationError"
        || ServiceError { status, code: Some(code.clone()), ..ServiceError::default() }.is_throttling();
    let message = message.map_or_else(String::new, |message| format!(": {message}"));
    Err(Error::new(ErrorKind::Access, format!("{code} (HTTP {status}){message}")).retryable(is_transient))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_keys_is_an_error_in_clean_words() {
        const NONE: &str = "the answer is not one of STS (HTTP 403)";
        let mut secrets = Secrets::default();
        secrets.add("the.token.of.the.pod");
        let refusal = |code: &str, message: &str| {
            format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            )
        };
        for (body, want) in [
            (refusal("AccessDenied", "no"), "AccessDenied (HTTP 403): no"),
            ("{\"Code\": \"AccessDenied\", \"message\": \"no\"}".to_owned(), "AccessDenied (HTTP 403): no"),
            (refusal("A", "it was the.token.of.the.pod"), "A (HTTP 403): it was [hidden]"),
            (refusal("A", "\u{1b}[31mred"), "A (HTTP 403): \\u{1b}[31mred"),
            (refusal("A", ""), "A (HTTP 403)"),
            (refusal("", "no"), NONE),
            ("<html>nothing</html>".to_owned(), NONE),
            (String::new(), NONE),
        ] {
            let error = normalize(StatusCode::FORBIDDEN, body.as_bytes(), &secrets).unwrap_err();
            assert_eq!(error.to_string().lines().next(), Some(want), "{body}");
        }
        for (status, code, is_retryable) in [
            (200, "", false),
            (301, "", false),
            (404, "", false),
            (429, "", true),
            (503, "", true),
            (400, "Throttling", true),
            (400, "IDPCommunicationError", true),
            (400, "ExpiredToken", false),
            (500, "InternalFailure", true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = normalize(status, refusal(code, "").as_bytes(), &secrets).unwrap_err();
            assert_eq!(error.is_retryable(), is_retryable, "{status} {code}");
        }
    }
}
