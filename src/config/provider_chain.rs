//! The sources of credentials and the order in which they are asked.
//!
//! Nothing is cached here: each search reads the files again, so that keys rotated on disk are found. For caching, see
//! `credentials.rs`.

use std::future::Future;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::Env;
use tokio::time::timeout;

use crate::config::aws_files::{AwsFiles, ParsedFiles};
use crate::config::chain_error::ProviderTrace;
use crate::config::container;
use crate::config::instance::InstanceMetadata;
use crate::config::keys::check_keys;
use crate::config::profile::{SettingsLookup, variable};
use crate::config::profile_keys;
use crate::config::provider_http::{CONNECT_TIMEOUT, ProviderClient};
use crate::config::service_url::STS;
use crate::config::sso::SsoSession;
use crate::config::sts::Sts;
use crate::config::web_identity;
use crate::error::Result;
use crate::s3::address::addressing::EndpointVariant;
use crate::s3::address::region::Region;

/// Time limit for one attempt at a service of AWS.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// Time limit for a source as a whole, including its retries.
const SOURCE_TIMEOUT: Duration = Duration::from_mins(1);

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
pub(super) async fn with_time_limit<T>(
    source: impl Future<Output = Result<T, CredentialsError>>,
) -> Result<T, CredentialsError> {
    timeout(SOURCE_TIMEOUT, source).await.unwrap_or_else(|_| {
        Err(CredentialsError::provider_error(format!("no answer within {} s", SOURCE_TIMEOUT.as_secs())))
    })
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
        let failed = |origin, e| ProviderTrace::failed(self.name(origin), &e);
        // The files are read again each time, so that keys rotated on disk are found.
        let files = self.files.read().await.map_err(CredentialsError::invalid_configuration);
        let files = files.map_err(|e| failed(CredentialSource::Profile, e))?;
        let found = SettingsLookup { env: &self.env, files: &files, profile: &self.profile };
        for origin in [
            CredentialSource::Profile,
            CredentialSource::WebIdentity,
            CredentialSource::Container,
            CredentialSource::Instance,
        ] {
            let loaded = match origin {
                CredentialSource::Environment => continue,
                // Each of its steps has a time limit of its own.
                CredentialSource::Profile => Box::pin(profile_keys::load(self, found)).await,
                CredentialSource::WebIdentity => {
                    with_time_limit(web_identity::keys_of_environment(self, found)).await.map(Some)
                }
                CredentialSource::Container => with_time_limit(self.container_keys()).await.map(Some),
                CredentialSource::Instance => {
                    with_time_limit(Box::pin(self.instance_keys(&files))).await.map(Some)
                }
            };
            let (e, may_continue) = match loaded {
                Ok(Some(keys)) => {
                    check_keys(&keys).map_err(|e| failed(origin, e))?;
                    return Ok((origin, keys));
                }
                Ok(None) => (CredentialsError::not_loaded("no keys"), true),
                Err(e) => {
                    let may_continue = match origin {
                        // It leads to another source, which has nothing.
                        CredentialSource::Profile => false,
                        // It is not configured by the user, so its failure ends nothing.
                        CredentialSource::Instance => true,
                        _ => matches!(&e, CredentialsError::CredentialsNotLoaded(_)),
                    };
                    (e, may_continue)
                }
            };
            if !may_continue {
                return Err(failed(origin, e));
            }
            trace.add(self.name(origin), &e);
            if let Some(problem) = files.unreadable().filter(|_| origin == CredentialSource::Profile) {
                trace.add("the AWS configuration", &CredentialsError::not_loaded(problem));
            }
        }
        Err(trace.into_error())
    }

    /// Returns STS, as it is configured for the selected profile.
    pub(super) fn sts(&self, found: SettingsLookup) -> Result<Sts<'_>, CredentialsError> {
        let url = STS.url(found, &self.region, self.variant);
        Ok(Sts {
            client: &self.client,
            url: url.map_err(CredentialsError::invalid_configuration)?,
            region: &self.region,
            attempts: self.retries.max_attempts(),
        })
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

    pub(super) async fn instance_keys(&self, files: &ParsedFiles) -> Result<Keys, CredentialsError> {
        self.instance(files).keys().await
    }

    pub(super) async fn container_keys(&self) -> Result<Keys, CredentialsError> {
        Box::pin(container::load(&self.env, &self.client)).await
    }

    fn instance(&self, files: &ParsedFiles) -> InstanceMetadata<'_> {
        InstanceMetadata::configured(&self.client, |name, key| {
            variable(&self.env, name).or_else(|| files.get(&self.profile, key).map(str::to_owned))
        })
    }

    /// Returns the configuration for the AWS crates.
    pub(super) fn provider_config(&self) -> ProviderConfig {
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
