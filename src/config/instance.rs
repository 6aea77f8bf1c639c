//! Keys and the region of an EC2 instance, from its metadata service, or from what stands in for it (kube2iam and
//! others).
//!
//! The AWS crates panic on a role whose name is no path, and fail where the service has no tokens, as older ones and
//! many substitutes have none. The AWS CLI then asks without one, and so does this.
//!
//! Source: Amazon EC2 User Guide, "Use the Instance Metadata Service"; botocore, `utils.py`, `IMDSFetcher`.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::provider_answer::{KeyDocument, first_line};
use crate::config::provider_http::{ProviderClient, SourcePatience};
use crate::config::provider_refusal::refusal;
use crate::error::printable::printable_within;
use crate::error::{Error, ErrorKind};
use crate::events;
use crate::s3::address::endpoint_url;
use crate::s3::address::region::Region;
use crate::s3::secrets::Secrets;
use crate::transport::one_request::NoAnswer;

/// The service's addresses, by IPv4 and IPv6.
const ENDPOINTS: [&str; 2] = ["http://169.254.169.254", "http://[fd00:ec2::254]"];
const TOKEN: &str = "/latest/api/token";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const REGION: &str = "/latest/meta-data/placement/region";
/// The longest lifetime that a token may have, in seconds.
const TOKEN_SECONDS: &str = "21600";
/// The characters of a role's name that stay as they are in a path.
const NOT_IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Off EC2 nobody answers; an instance does within milliseconds.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How long keys that have expired are used before the service is asked for others.
const MORE_TIME: Duration = Duration::from_mins(10);

/// The metadata service of the instance that the program runs on.
#[derive(Debug)]
pub(super) struct InstanceMetadata<'a> {
    client: &'a ProviderClient,
    endpoint: String,
    is_disabled: bool,
    /// Unset if the user forbids requests without a token (version 1 of the service).
    may_ask_without_token: bool,
    patience: SourcePatience,
}

/// The token that requests carry, or the reason why there is none.
type Token = Result<HeaderValue, String>;

impl<'a> InstanceMetadata<'a> {
    /// Returns the service that `setting` configures, a lookup by the names of a variable and of a key in the profile.
    pub(super) fn configured(
        client: &'a ProviderClient,
        setting: impl Fn(&str, &str) -> Option<String>,
    ) -> Self {
        let is_true = |variable, key| setting(variable, key).is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let of_mode = || {
            let mode =
                setting("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");
            ENDPOINTS[usize::from(mode.is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6")))].to_owned()
        };
        let endpoint = setting("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
        let seconds = setting("AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout");
        let attempts = setting("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts");
        let timeout =
            seconds.and_then(|s| Duration::try_from_secs_f64(s.parse().ok()?).ok()).unwrap_or(TIMEOUT);
        Self {
            client,
            endpoint: endpoint.unwrap_or_else(of_mode).trim_end_matches('/').to_owned(),
            is_disabled: is_true("AWS_EC2_METADATA_DISABLED", ""),
            may_ask_without_token: !is_true("AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled"),
            patience: SourcePatience {
                connect: timeout,
                read: timeout,
                attempts: attempts.and_then(|n| n.parse().ok()).unwrap_or(1),
            },
        }
    }

    /// Returns the keys of the instance's role.
    pub(super) async fn keys(&self) -> Result<Keys, CredentialsError> {
        if self.is_disabled {
            return Err(CredentialsError::not_loaded("IMDS disabled by AWS_EC2_METADATA_DISABLED"));
        }
        let token = self.token().await?;
        let (status, list) = self.get(ROLES, &token).await?;
        let role = String::from_utf8_lossy(&first_line(&list)).into_owned();
        match status {
            StatusCode::NOT_FOUND => return Err(CredentialsError::not_loaded("the instance has no role")),
            _ if !status.is_success() => {
                let error = refusal(&secrets(&token), status, &list);
                let (kind, what) = (error.kind(), without_token(events::first_line(&error), &token));
                return Err(with_hint(error.reworded(kind, what)));
            }
            _ if role.is_empty() => return Err(CredentialsError::not_loaded("the instance has no role")),
            _ if role.contains(['<', '{']) => {
                let start = printable_within(&role, 40);
                return Err(failed(format!(
                    "{} did not answer with the name of a role: {start}",
                    self.endpoint
                )));
            }
            _ => {}
        }
        let path = format!("{ROLES}{}", utf8_percent_encode(&role, NOT_IN_PATH));
        let (status, body) = self.get(&path, &token).await?;
        if !status.is_success() {
            let operation = format!("no keys for the role {}", printable_within(&role, 64));
            return Err(with_hint(refusal(&secrets(&token), status, &body).in_operation(&operation)));
        }
        let unusable = |reason| failed(format!("the response contains no valid keys: {reason}"));
        let answer = KeyDocument::parse(&body).map_err(unusable)?;
        match answer.text("Code") {
            Some(code) if !code.eq_ignore_ascii_case("Success") => {
                let message = answer.text("Message").and_then(|message| secrets(&token).redact(message));
                let message = printable_within(&message.unwrap_or_default(), 200);
                Err(failed(format!("{}: {message}", printable_within(code, 64))))
            }
            _ => answer.keys("Token", "Instance").map(still_valid).map_err(unusable),
        }
    }

    /// Returns the region of the instance.
    pub(super) async fn region(&self) -> Option<Region> {
        let (status, name) = self.get(REGION, &self.token().await.ok()?).await.ok()?;
        let name = status.is_success().then(|| first_line(&name))?;
        Region::parse(std::str::from_utf8(&name).ok()?).ok()
    }

    /// Gets a token. A service that is reached and gives none may answer without one: older services, substitutes, and
    /// the service itself to a container, which its answer reaches only within the hop limit.
    async fn token(&self) -> Result<Token, CredentialsError> {
        let request = self.request(Method::PUT, TOKEN)?;
        let request = request.header("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS);
        let reason = match self.send(request).await {
            Ok((status, token)) if status.is_success() => match HeaderValue::from_bytes(token.trim_ascii()) {
                Ok(mut token) if !token.is_empty() => {
                    token.set_sensitive(true);
                    return Ok(Ok(token));
                }
                _ => "it is empty, or not a valid header".to_owned(),
            },
            Ok((status, body)) => events::first_line(&refusal(&Secrets::default(), status, &body)),
            Err(error) if error.source().is_some_and(is_no_answer) => "no answer".to_owned(),
            Err(error) => return Err(error),
        };
        if self.may_ask_without_token {
            return Ok(Err(reason));
        }
        Err(failed(format!("no token: {reason}; AWS_EC2_METADATA_V1_DISABLED forbids requests without one")))
    }

    async fn get(&self, path: &str, token: &Token) -> Result<(StatusCode, Bytes), CredentialsError> {
        let mut request = self.request(Method::GET, path)?;
        if let Ok(token) = token {
            request = request.header("x-aws-ec2-metadata-token", token);
        }
        self.send(request).await
    }

    fn request(&self, method: Method, path: &str) -> Result<http::request::Builder, CredentialsError> {
        let parsed = endpoint_url::parse(&self.endpoint, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
        parsed.map_err(CredentialsError::invalid_configuration)?;
        Ok(Request::builder().method(method).uri(format!("{}{path}", self.endpoint)))
    }

    async fn send(&self, request: http::request::Builder) -> Result<(StatusCode, Bytes), CredentialsError> {
        let request = request.body(String::new()).map_err(CredentialsError::invalid_configuration)?;
        self.client.send(&request, self.patience).await.map_err(CredentialsError::provider_error)
    }
}

fn failed(reason: String) -> CredentialsError {
    with_hint(Error::new(ErrorKind::Access, reason))
}

fn with_hint(error: Error) -> CredentialsError {
    const HINT: &str = "check the role of the instance and its metadata options";
    let is_busy = error.kind() == ErrorKind::Server;
    CredentialsError::provider_error(if is_busy { error } else { error.with_hint(HINT) })
}

/// Returns the token as a secret, which the service may echo.
fn secrets(token: &Token) -> Secrets {
    let mut secrets = Secrets::default();
    token.iter().filter_map(|token| token.to_str().ok()).for_each(|token| secrets.add(token));
    secrets
}

/// Gives keys that have expired a little more time: the service may be unable to renew them, and S3 decides (AWS SDKs
/// and Tools Reference Guide, "IMDS credential provider", static stability).
fn still_valid(keys: Keys) -> Keys {
    let now = SystemTime::now();
    if keys.expiry().is_none_or(|end| end > now) {
        return keys;
    }
    let (id, secret) = (keys.access_key_id(), keys.secret_access_key());
    Keys::new(id, secret, keys.session_token().map(str::to_owned), Some(now + MORE_TIME), "Instance")
}

/// Returns whether the service was reached and did not answer in time.
fn is_no_answer(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |&e| e.source()).any(<dyn std::error::Error>::is::<NoAnswer>)
}

/// Adds the reason why there was no token to one why a request without it was refused.
fn without_token(reason: String, token: &Token) -> String {
    match token {
        Ok(_) => reason,
        Err(why) => {
            format!(
                "{reason}, also without a token ({why}); inside a container, set the hop limit in the instance's \
                 metadata options to 2"
            )
        }
    }
}
