//! The sources of credentials and the order in which they are asked.
//!
//! Nothing is cached here: each search reads the files again, so that keys rotated on disk are found. For caching, see
//! `credentials.rs`.

use std::error::Error as _;
use std::future::Future;
use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::Env;
use tokio::time::timeout;

use crate::config::aws_files::{AwsFiles, ParsedFiles};
use crate::config::chain_error::ProviderTrace;
use crate::config::container;
use crate::config::ini::encode_name;
use crate::config::instance::InstanceMetadata;
use crate::config::keys::check_keys;
use crate::config::process;
use crate::config::profile::variable;
use crate::config::provider_http::{CONNECT_TIMEOUT, ProviderClient};
use crate::config::sso::{self, SsoSession};
use crate::config::web_identity::TokenFile;
use crate::error::Result;
use crate::s3::address::addressing::EndpointVariant;
use crate::s3::address::endpoint_url;
use crate::s3::address::region::Region;

/// Time limit for one attempt at STS or SSO.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// Time limit for a source as a whole, including its retries.
const SOURCE_TIMEOUT: Duration = Duration::from_mins(1);

/// The setting of a profile with a web identity.
const TOKEN_FILE: &str = "web_identity_token_file";

/// A source of credentials, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CredentialSource {
    /// `AWS_ACCESS_KEY_ID` and its companions.
    Environment,
    /// The profile: static keys, a process, SSO, a login session or an assumed role.
    Profile,
    /// `AWS_WEB_IDENTITY_TOKEN_FILE`, exchanged at STS.
    WebIdentity,
    /// ECS or EKS: `AWS_CONTAINER_CREDENTIALS_*`.
    Container,
    /// EC2 instance metadata: asked only if no other source is configured.
    Instance,
}

/// The sources of credentials, asked one after another.
#[derive(Debug)]
pub(super) struct ProviderChain {
    /// Keys in the environment; if present, no other source is asked.
    pub(super) keys: Option<Keys>,
    pub(super) files: AwsFiles,
    pub(super) profile: String,
    /// The region of STS, for assumed roles.
    pub(super) region: Region,
    /// The variant of the STS and SSO hosts; acceleration does not apply to them.
    pub(super) variant: EndpointVariant,
    pub(super) retries: RetryConfig,
    /// Where the variables of containers and of SSO are read.
    pub(super) env: Env,
    pub(super) client: ProviderClient,
    /// These connections for the AWS crates.
    pub(super) http: SharedHttpClient,
    pub(super) sso: SsoSession,
}

/// Fails if `source` does not answer in time: the download would wait for a process that waits for a person.
async fn with_time_limit(
    source: impl Future<Output = Result<Keys, CredentialsError>>,
) -> Result<Keys, CredentialsError> {
    timeout(SOURCE_TIMEOUT, source).await.unwrap_or_else(|_| {
        Err(CredentialsError::provider_error(format!("no answer within {} s", SOURCE_TIMEOUT.as_secs())))
    })
}

/// Reads the token that the profile `base` names, and makes the profile name a pipe that contains it.
async fn token_of_profile(
    files: &mut ParsedFiles,
    base: &str,
) -> Result<Option<TokenFile>, CredentialsError> {
    let Some(file) = files.get(base, TOKEN_FILE) else { return Ok(None) };
    let token = TokenFile::read(file).await?;
    files.replace(base, TOKEN_FILE, token.path());
    Ok(Some(token))
}

/// Returns the name of a session whose user set none.
fn default_session_name() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("web-identity-token-{}", now.as_millis())
}

impl ProviderChain {
    /// Returns the first keys found and their source. A source that is configured but fails ends the search, because
    /// the next one might provide a different identity.
    pub(super) async fn resolve(&self) -> Result<(CredentialSource, Keys), CredentialsError> {
        if let Some(keys) = &self.keys {
            return Ok((CredentialSource::Environment, keys.clone()));
        }
        let mut trace = ProviderTrace::new();
        trace.add(self.name(CredentialSource::Environment), &CredentialsError::not_loaded("not set"));
        let profile = self.name(CredentialSource::Profile);
        let failed = |e: CredentialsError| ProviderTrace::failed(profile.clone(), &e);
        // The files are read again each time, so that keys rotated on disk are found.
        let mut files =
            self.files.read().await.map_err(|e| failed(CredentialsError::invalid_configuration(e)))?;
        let base = self.base_profile(&files).map_err(failed)?;
        if files.get(&self.profile, "role_arn").is_some() {
            self.check_sts_endpoint().map_err(failed)?;
        }
        // It is read while the profile's keys are loaded.
        let _token = token_of_profile(&mut files, &base).await.map_err(failed)?;
        if let Some(keys) = self.own_source(&mut files, &base).await.map_err(failed)? {
            return Ok((CredentialSource::Profile, keys));
        }
        for (origin, provider) in self.chain(&files) {
            let loaded = with_time_limit(async {
                match &provider {
                    Some(provider) => provider.provide_credentials().await,
                    None if origin == CredentialSource::WebIdentity => self.web_identity_keys().await,
                    None if origin == CredentialSource::Container => self.container_keys().await,
                    None => Box::pin(self.instance_keys(&files)).await,
                }
            });
            let e = match loaded.await {
                Ok(keys) => match check_keys(&keys) {
                    Ok(()) => return Ok((origin, keys)),
                    Err(e) => return Err(ProviderTrace::failed(self.name(origin), &e)),
                },
                Err(e) => e,
            };
            let has_nothing = matches!(&e, CredentialsError::CredentialsNotLoaded(_));
            // An empty profile gives no reason; one with a dangling reference does. Instance metadata is not configured
            // by the user, so its failure ends nothing.
            let may_continue = match origin {
                CredentialSource::Profile => has_nothing && e.source().is_none(),
                CredentialSource::Instance => true,
                _ => has_nothing,
            };
            if !may_continue {
                return Err(ProviderTrace::failed(self.name(origin), &e));
            }
            trace.add(self.name(origin), &e);
            if let Some(problem) = files.unreadable().filter(|_| origin == CredentialSource::Profile) {
                trace.add("the AWS configuration", &CredentialsError::not_loaded(problem));
            }
        }
        Err(trace.into_error())
    }

    /// Returns the profile whose keys are used in the end: the selected one, or the last of its source profiles.
    fn base_profile(&self, files: &ParsedFiles) -> Result<String, CredentialsError> {
        let mut visited = vec![self.profile.clone()];
        let mut name = self.profile.clone();
        while files.get(&name, "role_arn").is_some() {
            if let Some(device) = files.get(&name, "mfa_serial") {
                return Err(CredentialsError::invalid_configuration(format!(
                    "the profile {name:?} requires a code of the MFA device {device}, which cannot be entered here"
                )));
            }
            let Some(source) = files.get(&name, "source_profile").filter(|source| *source != name) else {
                break;
            };
            if visited.iter().any(|earlier| earlier == source) {
                let way = visited.join(" -> ");
                return Err(CredentialsError::invalid_configuration(format!(
                    "the source profiles form a loop: {way} -> {source}"
                )));
            }
            name = source.to_owned();
            visited.push(name.clone());
        }
        Ok(name)
    }

    /// Gets the keys of the profile `base` by SSO or from its process, if that is where they are. Returns them if they
    /// are those of the selected profile; otherwise puts them in place of the source, for the roles that are assumed
    /// with them.
    async fn own_source(
        &self,
        files: &mut ParsedFiles,
        base: &str,
    ) -> Result<Option<Keys>, CredentialsError> {
        let has = |keys: &[&str]| keys.iter().any(|key| files.get(base, key).is_some());
        let keys = if has(&[TOKEN_FILE]) {
            return Ok(None);
        } else if let Some(source) = files.get(base, "credential_source") {
            match source.to_ascii_lowercase().as_str() {
                "ec2instancemetadata" => with_time_limit(Box::pin(self.instance_keys(files))).await?,
                "ecscontainer" => with_time_limit(self.container_keys()).await?,
                _ => return Ok(None),
            }
        } else if has(&["sso_session", "sso_start_url"]) {
            with_time_limit(Box::pin(sso::load(self, files, base))).await?
        } else if has(&["login_session"]) {
            return Ok(None);
        } else if let Some(command) = files.process_before_keys(base) {
            with_time_limit(process::run(command)).await?
        } else {
            files.keep_one_key_pair(base).map_err(CredentialsError::invalid_configuration)?;
            return Ok(None);
        };
        check_keys(&keys)?;
        // A profile that names its source has a role to be assumed with the source's keys, which get a profile of their
        // own.
        let names_source = files.get(base, "credential_source").is_some();
        if base == self.profile && !names_source {
            return Ok(Some(keys));
        }
        let of_source = format!("{base} (source)");
        if names_source {
            files.name_source_profile(base, &of_source);
        }
        let profile = files.profile_mut(if names_source { &of_source } else { base });
        profile.retain(|key, _| !key.starts_with("sso_"));
        profile.insert("aws_access_key_id".to_owned(), keys.access_key_id().to_owned());
        profile.insert("aws_secret_access_key".to_owned(), keys.secret_access_key().to_owned());
        if let Some(token) = keys.session_token() {
            profile.insert("aws_session_token".to_owned(), token.to_owned());
        }
        Ok(None)
    }

    /// Returns the name of a source for error messages.
    pub(super) fn name(&self, origin: CredentialSource) -> String {
        match origin {
            CredentialSource::Environment => "the environment (AWS_ACCESS_KEY_ID)".to_owned(),
            CredentialSource::Profile => format!("the profile {:?}", self.profile),
            CredentialSource::WebIdentity => "web identity".to_owned(),
            CredentialSource::Container => "ECS or EKS".to_owned(),
            CredentialSource::Instance => "EC2 instance metadata".to_owned(),
        }
    }

    /// Returns the region of the instance that the program runs on.
    pub(super) async fn instance_region(&self) -> Option<Region> {
        self.instance(&self.files.read().await.ok()?).region().await
    }

    async fn instance_keys(&self, files: &ParsedFiles) -> Result<Keys, CredentialsError> {
        self.instance(files).keys().await
    }

    async fn web_identity_keys(&self) -> Result<Keys, CredentialsError> {
        let mut provider = WebIdentityTokenCredentialsProvider::builder().configure(&self.provider_config());
        let names = ["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME"];
        let mut token = None;
        // Otherwise the provider says what is missing.
        if let [Some(file), Some(role_arn), session_name] = names.map(|name| variable(&self.env, name)) {
            self.check_sts_endpoint()?;
            let pipe = token.insert(TokenFile::read(&file).await?);
            provider = provider.static_configuration(StaticConfiguration {
                web_identity_token_file: pipe.path().into(),
                role_arn,
                session_name: session_name.unwrap_or_else(default_session_name),
            });
        }
        provider.build().provide_credentials().await
    }

    /// Fails if the environment names no usable endpoint of STS. The AWS crates panic at an empty one, and their message
    /// about any other quotes the request, with the token.
    fn check_sts_endpoint(&self) -> Result<(), CredentialsError> {
        let names = ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"];
        let set = names.into_iter().find_map(|name| Some((name, self.env.get(name).ok()?)));
        let Some((name, text)) = set else { return Ok(()) };
        let parsed = endpoint_url::parse(&text, name).map(drop);
        // An empty one counts as not set everywhere else, but the AWS crates read the variables themselves.
        let hint = text.trim().is_empty().then(|| format!("unset {name}: it must not be empty"));
        let parsed = parsed.map_err(|e| if let Some(hint) = hint { e.with_better_hint(hint) } else { e });
        parsed.map_err(CredentialsError::invalid_configuration)
    }

    async fn container_keys(&self) -> Result<Keys, CredentialsError> {
        Box::pin(container::load(&self.env, &self.client)).await
    }

    fn instance(&self, files: &ParsedFiles) -> InstanceMetadata<'_> {
        InstanceMetadata::configured(&self.client, |name, key| {
            variable(&self.env, name).or_else(|| files.get(&self.profile, key).map(str::to_owned))
        })
    }

    /// Returns the sources after the environment, in their order; `None` for those that are not the AWS crates'.
    fn chain(&self, files: &ParsedFiles) -> [(CredentialSource, Option<Box<dyn ProvideCredentials>>); 4] {
        let config = self.provider_config();
        let profile = ProfileFileCredentialsProvider::builder()
            .configure(&config)
            .profile_files(files.render())
            .profile_name(encode_name(&self.profile))
            .build();
        [
            (CredentialSource::Profile, Some(Box::new(profile))),
            (CredentialSource::WebIdentity, None),
            (CredentialSource::Container, None),
            (CredentialSource::Instance, None),
        ]
    }

    fn provider_config(&self) -> ProviderConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        ProviderConfig::without_region()
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_region(Some(aws_config::Region::new(self.region.to_string())))
            .with_use_fips(Some(self.variant.fips))
            .with_use_dual_stack(Some(self.variant.dualstack))
            .with_retry_config(self.retries.clone())
            .with_timeout_config(timeouts)
            .with_http_client(self.http.clone())
    }
}

impl ProvideCredentials for ProviderChain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async { self.resolve().await.map(|(_, keys)| keys) })
    }
}
