//! The keys of a profile: its own, or those of a role that is assumed with the keys of another profile or source.
//!
//! Sources: AWS SDKs and Tools Reference Guide, "Assume role credential provider"; botocore, `credentials.py`.

use aws_config::login::LoginCredentialsProvider;
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;

use crate::config::aws_files::ParsedFiles;
use crate::config::ini::FileKind;
use crate::config::keys::keys_from_env;
use crate::config::process;
use crate::config::profile::{SettingsLookup, variable};
use crate::config::provider_chain::{ProviderChain, with_time_limit};
use crate::config::sso;
use crate::config::sts::Role;
use crate::config::web_identity::{self, TOKEN_FILE};
use crate::error::{Error, ErrorKind};
use crate::s3::address::endpoint_url;

/// The roles of a profile, and the keys that the first of them is assumed with.
struct RoleChain {
    /// In the order in which they are assumed.
    roles: Vec<Role>,
    base: BaseKeys,
}

/// Where keys are that no role gives.
enum BaseKeys {
    Profile(String),
    Environment,
    Container,
    Instance,
}

/// Returns the error for a profile that cannot be used as it is.
fn unusable(what: impl Into<String>, hint: &str) -> CredentialsError {
    CredentialsError::invalid_configuration(Error::new(ErrorKind::Access, what).with_hint(hint))
}

/// Returns the keys of the selected profile, or `None` if it has nothing to do with keys.
pub(super) async fn load(
    chain: &ProviderChain,
    found: SettingsLookup<'_>,
) -> Result<Option<Keys>, CredentialsError> {
    let RoleChain { roles, base } = RoleChain::of(found)?;
    let keys = with_time_limit(Box::pin(async {
        match &base {
            BaseKeys::Profile(name) => of_profile(chain, found, name).await,
            BaseKeys::Environment => {
                let missing = || unusable("AWS_ACCESS_KEY_ID is not set", "set the keys in the environment");
                let keys = keys_from_env(&chain.env).map_err(CredentialsError::invalid_configuration)?;
                keys.ok_or_else(missing).map(Some)
            }
            BaseKeys::Container => chain.container_keys().await.map(Some),
            BaseKeys::Instance => chain.instance_keys(found.files).await.map(Some),
        }
    }));
    let mut keys = match (keys.await?, base) {
        (None, BaseKeys::Profile(name)) if !roles.is_empty() => {
            return Err(unusable(format!("the source profile {name:?} has no keys"), "complete the profile"));
        }
        (keys, _) => keys,
    };
    for role in &roles {
        let Some(source) = keys.take() else { break };
        let sts = chain.sts(found)?;
        keys = Some(with_time_limit(sts.assume(role, source)).await?);
    }
    Ok(keys)
}

impl RoleChain {
    /// Follows the source profiles from the selected one.
    fn of(found: SettingsLookup) -> Result<Self, CredentialsError> {
        let files = found.files;
        let mut visited = vec![found.profile];
        let mut roles = Vec::new();
        let mut name = found.profile;
        let base = loop {
            let is_selected = roles.is_empty();
            let has_keys = ["aws_access_key_id", "aws_secret_access_key"]
                .iter()
                .any(|key| files.get(name, key).is_some());
            // With a token the role is assumed by that; and the keys of a source are those to use.
            let is_role = files.get(name, "role_arn").is_some() && files.get(name, TOKEN_FILE).is_none();
            if !is_role || (has_keys && !is_selected) {
                break BaseKeys::Profile(name.to_owned());
            }
            roles.push(role(SettingsLookup { profile: name, ..found })?);
            let source = files.reference(name, "source_profile", "profile");
            match (source, files.get(name, "credential_source")) {
                (Some(_), Some(_)) => {
                    let what = format!("the profile {name:?} has a source_profile and a credential_source");
                    return Err(unusable(what, "remove one of them"));
                }
                (None, None) => {
                    let what =
                        format!("the profile {name:?} has a role and no source_profile or credential_source");
                    return Err(unusable(what, "complete the profile"));
                }
                (None, Some(source)) => break BaseKeys::of_source(source)?,
                (Some(source), None) if source == name => break BaseKeys::Profile(name.to_owned()),
                (Some(source), None) => name = next(files, &mut visited, source)?,
            }
        };
        roles.reverse();
        Ok(Self { roles, base })
    }
}

/// Returns the source profile of the last one of `visited`, and adds it there.
fn next<'a>(
    files: &ParsedFiles,
    visited: &mut Vec<&'a str>,
    source: &'a str,
) -> Result<&'a str, CredentialsError> {
    if visited.contains(&source) {
        let what = format!("the source profiles form a loop: {} -> {source}", visited.join(" -> "));
        let hint = "one of these profiles must have keys, a process or a session instead of a source_profile";
        return Err(unusable(what, hint));
    }
    if !files.has_profile(source) {
        let by = visited.last().copied().unwrap_or_default();
        let what = format!("there is no profile {source:?}, which is the source_profile of {by:?}");
        return Err(unusable(what, "check the names of the profiles"));
    }
    visited.push(source);
    Ok(source)
}

/// Returns the role of the profile in `found`.
fn role(found: SettingsLookup) -> Result<Role, CredentialsError> {
    if let Some(device) = found.value(&[], "mfa_serial") {
        let what = format!(
            "the profile {:?} requires a code of the MFA device {device}, which cannot be entered here",
            found.profile
        );
        return Err(unusable(what, NO_MFA));
    }
    let seconds = found.setting(&[], "duration_seconds").map(|setting| setting.parse("a number of seconds"));
    let duration_seconds = seconds.transpose().map_err(CredentialsError::invalid_configuration)?;
    Ok(Role {
        arn: found.value(&[], "role_arn").unwrap_or_default(),
        session_name: found.value(&[], "role_session_name"),
        external_id: found.value(&[], "external_id"),
        duration_seconds,
    })
}

const NO_MFA: &str = "get temporary keys with `aws sts assume-role --serial-number ... --token-code ...`, or let \
                      `aws configure export-credentials` do it, and put them into the environment";

impl BaseKeys {
    fn of_source(name: &str) -> Result<Self, CredentialsError> {
        match name.trim().to_ascii_lowercase().as_str() {
            "environment" => Ok(Self::Environment),
            "ec2instancemetadata" => Ok(Self::Instance),
            "ecscontainer" => Ok(Self::Container),
            _ => Err(unusable(
                format!("unknown credential_source {name:?}"),
                "write Environment, Ec2InstanceMetadata or EcsContainer",
            )),
        }
    }
}

/// Returns the keys that the profile `name` has without a role.
async fn of_profile(
    chain: &ProviderChain,
    found: SettingsLookup<'_>,
    name: &str,
) -> Result<Option<Keys>, CredentialsError> {
    let files = found.files;
    let has = |key: &str| files.get(name, key).is_some();
    let keys_in = |file| {
        files.keys(file, name).map_err(|what| {
            unusable(
                what,
                "complete the pair in that file, or remove it there: keys from two files are not combined",
            )
        })
    };
    if let Some(file) = files.get(name, TOKEN_FILE) {
        return web_identity::keys_of_profile(chain, found, name, file).await.map(Some);
    }
    if has("sso_session") || has("sso_start_url") {
        return sso::load(chain, found, name).await.map(Some);
    }
    if let Some(keys) = keys_in(FileKind::Credentials)? {
        return Ok(Some(keys));
    }
    if let Some(arn) = files.get(name, "login_session") {
        return login(chain, arn).await.map(Some);
    }
    if let Some(command) = files.get(name, "credential_process") {
        return process::run(command).await.map(Some);
    }
    keys_in(FileKind::Config)
}

/// Returns the keys of a session of `aws login`, whose token the AWS crates read and renew.
async fn login(chain: &ProviderChain, arn: &str) -> Result<Keys, CredentialsError> {
    // The crates read these variables themselves, panic at an empty one, and quote a request where one is not a URL.
    for name in ["AWS_ENDPOINT_URL_SIGNIN", "AWS_ENDPOINT_URL"] {
        if let Ok(text) = chain.env.get(name) {
            if variable(&chain.env, name).is_none() {
                return Err(unusable(format!("{name} is empty"), "unset it"));
            }
            endpoint_url::parse(&text, name).map_err(CredentialsError::invalid_configuration)?;
        }
    }
    let provider = LoginCredentialsProvider::builder(arn).configure(&chain.provider_config()).build();
    provider.provide_credentials().await
}
