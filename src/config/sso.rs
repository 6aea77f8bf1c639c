//! Keys by IAM Identity Center (SSO): the token that `aws sso login` left, renewed if need be, and exchanged for the
//! keys of a role.
//!
//! The AWS crates read one spelling of dates in the token's file, and fail if they cannot write a renewed token back.
//! This reads what the AWS CLI reads, and keeps a token in memory where its folder is read-only.
//!
//! Sources: AWS SDKs and Tools Reference Guide, "IAM Identity Center credential provider"; IAM Identity Center Portal
//! API Reference, `GetRoleCredentials`; IAM Identity Center OIDC API Reference, `CreateToken`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use http::{HeaderValue, Request, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tracing::warn;

use crate::config::aws_files::home_folder;
use crate::config::profile::SettingsLookup;
use crate::config::provider_answer::KeyDocument;
use crate::config::provider_chain::ProviderChain;
use crate::config::provider_http::SourcePatience;
use crate::config::provider_refusal::{refusal, secrets_of};
use crate::config::service_url::{CredentialService, SSO, SSO_OIDC};
use crate::error::{Error, ErrorKind};
use crate::events::CREDENTIALS;
use crate::s3::address::region::Region;
use crate::s3::date::format_date;
use crate::transport::bounded_file::read_bounded_soon;

/// A token is renewed this long before it expires, as by the AWS CLI.
const RENEWAL_MARGIN: Duration = Duration::from_mins(5);

/// The token that was renewed last, if it could not be written back.
#[derive(Debug, Default)]
pub(super) struct SsoSession {
    renewed: Mutex<Option<SsoToken>>,
}

/// The settings of a profile that gets its keys by SSO.
struct SsoProfile<'a> {
    /// For the URLs.
    found: SettingsLookup<'a>,
    region: Region,
    start_url: String,
    account_id: String,
    role_name: String,
    /// The name of the `[sso-session]`; `None` for a profile of the older form, whose token cannot be renewed.
    session: Option<String>,
}

/// A token's file.
#[derive(Clone)]
struct SsoToken {
    access_token: String,
    expires_at: SystemTime,
    /// The secrets that renew it: refresh token, client id and client secret.
    renewal: Option<[String; 3]>,
    /// The whole file, to be written back with what it holds beside these.
    document: Value,
}

impl std::fmt::Debug for SsoToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SsoToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Returns the keys of the role that the profile `name` selects.
pub(super) async fn load(
    chain: &ProviderChain,
    found: SettingsLookup<'_>,
    name: &str,
) -> Result<Keys, CredentialsError> {
    let invalid = |what: String| {
        let error = Error::new(ErrorKind::Access, what);
        CredentialsError::invalid_configuration(
            error.with_hint("complete the profile, or run `aws configure sso`"),
        )
    };
    let profile = SsoProfile::read(found, name).map_err(invalid)?;
    let Some(path) = home_folder(&chain.env).map(|home| profile.token_file(&home)) else {
        return Err(invalid("cannot look for the SSO token: this user has no home folder".to_owned()));
    };
    let token = current_token(chain, &profile, &path).await?;
    role_keys(chain, &profile, &token).await
}

impl<'a> SsoProfile<'a> {
    fn read(found: SettingsLookup<'a>, name: &str) -> Result<Self, String> {
        let files = found.files;
        let session = files.reference(name, "sso_session", "sso-session");
        if let Some(session) = session.filter(|session| !files.has_section("sso-session", session)) {
            return Err(format!("no section [sso-session {session}], which the profile names"));
        }
        let setting = |key: &str| {
            let of_session = session.and_then(|session| files.config.get("sso-session", session, key));
            of_session.or_else(|| files.get(name, key)).map(str::trim)
        };
        let required = |key: &str| {
            setting(key).map(str::to_owned).ok_or_else(|| match session {
                Some(session) => format!("{key} is missing in the profile and in [sso-session {session}]"),
                None => format!("{key} is missing"),
            })
        };
        let region = required("sso_region")?;
        Ok(Self {
            found,
            region: Region::parse(&region).map_err(|e| format!("sso_region: {e}"))?,
            start_url: required("sso_start_url")?,
            account_id: required("sso_account_id")?,
            role_name: required("sso_role_name")?,
            session: session.map(str::to_owned),
        })
    }

    /// Returns the file of the token, which is named after the session or the start URL.
    fn token_file(&self, home: &Path) -> PathBuf {
        let name = self.session.as_ref().unwrap_or(&self.start_url);
        let file = format!("{}.json", hex::encode(Sha1::digest(name)));
        home.join(".aws/sso/cache").join(file)
    }

    /// Returns the URL of a service of this session's region.
    fn url(&self, chain: &ProviderChain, service: CredentialService) -> Result<String, CredentialsError> {
        let url = service.url(self.found, &self.region, chain.variant);
        url.map_err(CredentialsError::invalid_configuration)
    }
}

impl SsoToken {
    fn parse(text: &[u8]) -> Result<Self, String> {
        let document = KeyDocument::parse(text)?;
        let text_of = |name: &str| document.text(name).map(str::to_owned);
        // A registration without an end date is taken to be valid: the server decides.
        let registration = document.date("registrationExpiresAt").unwrap_or_default();
        let is_registered = registration.is_none_or(|end| end > SystemTime::now());
        let renewal = (|| Some([text_of("refreshToken")?, text_of("clientId")?, text_of("clientSecret")?]))();
        Ok(Self {
            access_token: text_of("accessToken").ok_or("accessToken is missing")?,
            expires_at: document.date("expiresAt")?.ok_or("expiresAt is missing")?,
            renewal: renewal.filter(|_| is_registered),
            document: document.into_value(),
        })
    }

    fn is_valid_for(&self, time: Duration) -> bool {
        self.expires_at > SystemTime::now() + time
    }
}

/// Returns a token that is valid: that of the file, or a renewed one.
async fn current_token(
    chain: &ProviderChain,
    profile: &SsoProfile<'_>,
    path: &Path,
) -> Result<SsoToken, CredentialsError> {
    let failed = |reason: String| CredentialsError::provider_error(reason);
    let expired = || failed("the SSO session has expired".to_owned());
    let of_file = match read_bounded_soon(path.to_owned()).await {
        Ok(text) => SsoToken::parse(&text).map_err(|e| format!("{} cannot be used: {e}", path.display())),
        Err(e) => Err(format!("no login to the SSO session: {}: {e}", path.display())),
    };
    let renewed = chain.sso.renewed.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // The later one: somebody may have logged in again meanwhile.
    let token = match (of_file, renewed) {
        (Ok(file), Some(renewed)) if renewed.expires_at > file.expires_at => renewed,
        (Ok(file), _) => file,
        (Err(_), Some(renewed)) => renewed,
        (Err(reason), None) => return Err(failed(reason)),
    };
    if token.is_valid_for(RENEWAL_MARGIN) {
        return Ok(token);
    }
    let may_renew = profile.session.is_some() && token.renewal.is_some();
    let renewed = if may_renew { renew(chain, profile, &token).await } else { Ok(None) };
    match renewed {
        Ok(Some(renewed)) => {
            if let Err(e) = write(path, &renewed) {
                let reason = format!("{}: {e}", path.display());
                warn!(target: CREDENTIALS, reason, "the renewed SSO token could not be saved and is kept in memory");
            }
            *chain.sso.renewed.lock().unwrap_or_else(PoisonError::into_inner) = Some(renewed.clone());
            Ok(renewed)
        }
        // It could not be renewed, and is still valid.
        _ if token.is_valid_for(Duration::ZERO) => Ok(token),
        Ok(None) => Err(expired()),
        Err(e) => Err(e),
    }
}

/// Renews `token`; `None` if the server refuses that.
async fn renew(
    chain: &ProviderChain,
    profile: &SsoProfile<'_>,
    token: &SsoToken,
) -> Result<Option<SsoToken>, CredentialsError> {
    let Some([refresh_token, client_id, client_secret]) = &token.renewal else { return Ok(None) };
    let url = profile.url(chain, SSO_OIDC)?;
    let body = json!({
        "grantType": "refresh_token", "clientId": client_id, "clientSecret": client_secret,
        "refreshToken": refresh_token,
    });
    let request = Request::post(format!("{url}/token"))
        .header("content-type", "application/json")
        .body(body.to_string())
        .map_err(CredentialsError::invalid_configuration)?;
    let (status, body) = chain
        .client
        .send(&request, SourcePatience::default())
        .await
        .map_err(CredentialsError::provider_error)?;
    let Some(answer) = KeyDocument::parse(&body).ok().filter(|_| status.is_success()) else {
        return Ok(None);
    };
    let (Some(access_token), Some(seconds)) =
        (answer.text("accessToken"), answer.field("expiresIn").and_then(Value::as_u64))
    else {
        return Ok(None);
    };
    let expires_at = SystemTime::now().checked_add(Duration::from_secs(seconds));
    let Some((expires_at, end)) = expires_at.and_then(|at| Some((at, format_date(at)?))) else {
        return Ok(None);
    };
    let refresh_token = answer.text("refreshToken").unwrap_or(refresh_token).to_owned();
    let mut document = token.document.clone();
    document["accessToken"] = access_token.into();
    document["refreshToken"] = refresh_token.clone().into();
    document["expiresAt"] = end.into();
    Ok(Some(SsoToken {
        access_token: access_token.to_owned(),
        expires_at,
        renewal: Some([refresh_token, client_id.clone(), client_secret.clone()]),
        document,
    }))
}

/// Writes the token's file, which is never half written and readable by its owner only.
fn write(path: &Path, token: &SsoToken) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let beside = path.with_extension(format!("json.{}", fastrand::u32(..)));
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&beside)?;
    let written =
        file.write_all(token.document.to_string().as_bytes()).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// Exchanges the token for the role's keys.
async fn role_keys(
    chain: &ProviderChain,
    profile: &SsoProfile<'_>,
    token: &SsoToken,
) -> Result<Keys, CredentialsError> {
    let failed = |reason: String| CredentialsError::provider_error(reason);
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let url = format!(
        "{}/federation/credentials?role_name={}&account_id={}",
        profile.url(chain, SSO)?,
        encoded(&profile.role_name),
        encoded(&profile.account_id)
    );
    let mut bearer = HeaderValue::from_str(&token.access_token)
        .map_err(|_| failed("the SSO token contains a line break or a control character".to_owned()))?;
    bearer.set_sensitive(true);
    let request = Request::get(url)
        .header("x-amz-sso_bearer_token", bearer)
        .body(String::new())
        .map_err(CredentialsError::invalid_configuration)?;
    let (status, body) = chain
        .client
        .send(&request, SourcePatience::default())
        .await
        .map_err(CredentialsError::provider_error)?;
    if status == StatusCode::UNAUTHORIZED {
        return Err(failed("the SSO session has expired or was ended (HTTP 401)".to_owned()));
    }
    if !status.is_success() {
        let (account, role) = (&profile.account_id, &profile.role_name);
        let error = refusal(&secrets_of(&request), status, &body)
            .in_operation(&format!("SSO returned no keys for the role {role} in account {account}"));
        return Err(CredentialsError::provider_error(if error.kind() == ErrorKind::Access {
            error.with_hint("check sso_account_id and sso_role_name, and that the role is assigned to you")
        } else {
            error
        }));
    }
    let answer: Value =
        serde_json::from_slice(&body).map_err(|_| failed("the response of SSO is not JSON".to_owned()))?;
    let keys = &answer["roleCredentials"];
    let text = |name: &str| {
        let text = keys[name].as_str().filter(|text| !text.is_empty());
        text.ok_or_else(|| failed(format!("the response of SSO has no {name}")))
    };
    let expires =
        keys["expiration"].as_u64().and_then(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms)));
    Ok(Keys::new(
        text("accessKeyId")?,
        text("secretAccessKey")?,
        Some(text("sessionToken")?.to_owned()),
        expires,
        "SSO",
    ))
}
