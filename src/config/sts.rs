//! Roles that are assumed at STS, with keys or with the token of a web identity.
//!
//! The AWS crates' client reads its endpoint from the environment and panics at an empty one, shows the whole request in
//! some of its errors, sends no `DurationSeconds`, and accepts one spelling of a date.
//!
//! Source: AWS STS API Reference, `AssumeRole` and `AssumeRoleWithWebIdentity`.

use std::time::SystemTime;

use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::config::keys::check_keys;
use crate::config::provider_http::{ProviderClient, SourcePatience};
use crate::config::provider_refusal::{kind_of_refusal, secrets_of};
use crate::error::printable::printable;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::address::region::Region;
use crate::s3::date::parse_date;
use crate::s3::error_document::ErrorDocument;
use crate::s3::secrets::Secrets;
use crate::s3::sign::sign_form;

/// The characters of a form's values that stay as they are.
const NOT_IN_FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// STS at one URL.
#[derive(Debug)]
pub(super) struct Sts<'a> {
    pub(super) client: &'a ProviderClient,
    pub(super) url: String,
    pub(super) region: &'a Region,
    pub(super) attempts: u32,
}

/// A role and how it is assumed.
#[derive(Debug, Default)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) session_name: Option<String>,
    pub(super) external_id: Option<String>,
    /// How long the keys are to be valid.
    pub(super) duration_seconds: Option<u32>,
}

impl Role {
    /// Returns the form that asks for the role's keys.
    fn form(&self, action: &str, token: Option<&str>) -> String {
        let seconds = self.duration_seconds.map(|seconds| seconds.to_string());
        let session_name = self.session_name.clone().unwrap_or_else(default_session_name);
        let fields = [
            ("Action", Some(action)),
            ("Version", Some("2011-06-15")),
            ("RoleArn", Some(self.arn.as_str())),
            ("RoleSessionName", Some(session_name.as_str())),
            ("ExternalId", self.external_id.as_deref()),
            ("DurationSeconds", seconds.as_deref()),
            ("WebIdentityToken", token),
        ];
        let encoded = |value| utf8_percent_encode(value, NOT_IN_FORM);
        let fields =
            fields.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))));
        fields.collect::<Vec<_>>().join("&")
    }
}

/// Returns the name of a session whose user set none.
fn default_session_name() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("s3fcp-{}", now.as_millis())
}

impl Sts<'_> {
    /// Returns the keys of `role`, assumed with `keys`.
    pub(super) async fn assume(&self, role: &Role, keys: Keys) -> Result<Keys, CredentialsError> {
        check_keys(&keys)?;
        let mut request = self.request(role.form("AssumeRole", None))?;
        sign_form(&mut request, &keys.into(), self.region, "sts", SystemTime::now())
            .map_err(CredentialsError::provider_error)?;
        self.send(&request, secrets_of(&request)).await
    }

    /// Returns the keys of `role`, assumed with the token of a web identity.
    pub(super) async fn assume_with_token(&self, role: &Role, token: &str) -> Result<Keys, CredentialsError> {
        let mut secrets = Secrets::default();
        secrets.add(token);
        self.send(&self.request(role.form("AssumeRoleWithWebIdentity", Some(token)))?, secrets).await
    }

    fn request(&self, form: String) -> Result<Request<String>, CredentialsError> {
        let request = Request::post(format!("{}/", self.url))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8");
        let host = request.uri_ref().and_then(|uri| uri.authority()).map(|host| host.as_str().to_owned());
        request
            .header(HOST, host.unwrap_or_default())
            .body(form)
            .map_err(CredentialsError::invalid_configuration)
    }

    async fn send(&self, request: &Request<String>, secrets: Secrets) -> Result<Keys, CredentialsError> {
        let patience = SourcePatience { attempts: self.attempts, ..SourcePatience::default() };
        let answer = self.client.send(request, patience).await;
        let (status, body) = answer.map_err(CredentialsError::provider_error)?;
        keys_in(status, &body, &secrets).map_err(CredentialsError::provider_error)
    }
}

#[derive(Deserialize)]
struct RoleAnswer {
    #[serde(alias = "AssumeRoleResult", alias = "AssumeRoleWithWebIdentityResult")]
    result: RoleResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleResult {
    credentials: RoleKeys,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleKeys {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: Option<String>,
}

/// Returns the keys in an answer. Fails if it is a refusal, with its code and message without the secrets of the request,
/// or anything else.
fn keys_in(status: StatusCode, body: &[u8], secrets: &Secrets) -> Result<Keys> {
    let text = String::from_utf8_lossy(body);
    let answer = quick_xml::de::from_str(text.trim_start_matches('\u{feff}'));
    if let Some(RoleAnswer { result }) = answer.ok().filter(|_| status.is_success()) {
        let keys = result.credentials;
        let end = keys.expiration.filter(|date| !date.trim().is_empty());
        let expires = end.as_ref().map(|date| {
            // It is not quoted: another service may take one field for another.
            let what = "the Expiration in the answer of STS is not a date";
            parse_date(date).ok_or_else(|| Error::new(ErrorKind::Access, what))
        });
        let [id, secret, token] = [keys.access_key_id, keys.secret_access_key, keys.session_token]
            .map(|text| text.trim().to_owned());
        return Ok(Keys::new(id, secret, Some(token), expires.transpose()?, "STS"));
    }
    let document = ErrorDocument::read(body).unwrap_or_default();
    let text =
        |text: Option<String>| Some(printable(&secrets.redact(&text?)?)).filter(|text| !text.is_empty());
    let (kind, number) = (kind_of_refusal(status, body), status.as_u16());
    let Some(code) = text(document.code) else {
        let what = format!("the answer is not one of STS (HTTP {number})");
        return Err(Error::new(kind, what).with_hint(
            "check AWS_ENDPOINT_URL_STS and AWS_ENDPOINT_URL, and any proxy or gateway on the way",
        ));
    };
    let message = text(document.message).map_or_else(String::new, |message| format!(": {message}"));
    Err(Error::new(kind, format!("{code} (HTTP {number}){message}")))
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
            let error = keys_in(StatusCode::FORBIDDEN, body.as_bytes(), &secrets).unwrap_err();
            assert_eq!(error.to_string().lines().next(), Some(want), "{body}");
        }
        for (status, code, kind) in [
            (200, "", ErrorKind::Access),
            (301, "", ErrorKind::Access),
            (404, "", ErrorKind::Access),
            (429, "", ErrorKind::Server),
            (503, "", ErrorKind::Server),
            (400, "Throttling", ErrorKind::Server),
            (400, "IDPCommunicationError", ErrorKind::Server),
            (400, "ExpiredToken", ErrorKind::Access),
            (500, "InternalFailure", ErrorKind::Server),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = keys_in(status, refusal(code, "").as_bytes(), &secrets).unwrap_err();
            assert_eq!(error.kind(), kind, "{status} {code}");
        }
    }

    #[test]
    fn the_keys_of_either_action_are_read_with_a_date_in_any_spelling() {
        for action in ["AssumeRole", "AssumeRoleWithWebIdentity"] {
            let answer = |date: &str| {
                format!(
                    "\u{feff}<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
                     <Audience>a</Audience><Credentials><AccessKeyId>id\n</AccessKeyId><SecretAccessKey>s&amp;t\
                     </SecretAccessKey><SessionToken>t</SessionToken>{date}</Credentials></{action}Result>\
                     <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
                )
            };
            let read = |date: &str| keys_in(StatusCode::OK, answer(date).as_bytes(), &Secrets::default());
            for (date, ends) in [
                ("<Expiration>2999-01-01T00:00:00Z</Expiration>", true),
                ("<Expiration> 2999-01-01T01:00:00+0100\n</Expiration>", true),
                ("<Expiration></Expiration>", false),
                ("", false),
            ] {
                let keys = read(date).unwrap();
                let parts = (keys.access_key_id(), keys.secret_access_key(), keys.session_token());
                assert_eq!(parts, ("id", "s&t", Some("t")));
                assert_eq!(keys.expiry().is_some(), ends, "{date}");
            }
            let error = read("<Expiration>hunter2</Expiration>").unwrap_err().to_string();
            assert_eq!(error, "the Expiration in the answer of STS is not a date");
        }
    }

    #[test]
    fn a_form_has_what_is_set() {
        let role = Role {
            arn: "arn:aws:iam::1:role/r".to_owned(),
            session_name: Some("a b".to_owned()),
            external_id: Some("x&y".to_owned()),
            duration_seconds: Some(900),
        };
        assert_eq!(
            role.form("AssumeRole", None),
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=a%20b\
             &ExternalId=x%26y&DurationSeconds=900"
        );
        let plain = Role { arn: "r".to_owned(), ..Role::default() }.form("A", Some("a.b-c_d="));
        assert!(
            plain.contains("&RoleSessionName=s3fcp-") && plain.ends_with("&WebIdentityToken=a.b-c_d%3D"),
            "{plain}"
        );
        assert!(!plain.contains("ExternalId") && !plain.contains("DurationSeconds"), "{plain}");
    }
}
