//! The sources of credentials and the order in which they are asked.
//!
//! Nothing is cached here: each search reads the files again, so that keys rotated on disk are found. For caching, see
//! `credentials.rs`.

use std::error::Error as _;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::Env;

use crate::config::chain_error::ProviderTrace;
use crate::config::profile::variable;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::address::addressing::EndpointVariant;
use crate::s3::address::region::Region;

/// Time limit for one attempt at STS or SSO.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// Time limit for connecting to them.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

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
    pub(super) files: EnvConfigFiles,
    pub(super) profile: String,
    /// The region of STS, for assumed roles.
    pub(super) region: Region,
    /// The variant of the STS and SSO hosts; acceleration does not apply to them.
    pub(super) variant: EndpointVariant,
    pub(super) retries: RetryConfig,
    pub(super) http: SharedHttpClient,
}

/// Returns the keys in `env`. An incomplete pair is an error, not a reason to ask the next source.
pub(super) fn keys_from_env(env: &Env) -> Result<Option<Keys>> {
    match (variable(env, "AWS_ACCESS_KEY_ID"), variable(env, "AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => {
            Ok(Some(Keys::new(id, secret, variable(env, "AWS_SESSION_TOKEN"), None, "Environment")))
        }
        (Some(_), None) => {
            Err(Error::new(ErrorKind::Access, "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not")
                .with_hint("set both, or neither to use a profile"))
        }
        (None, _) => Ok(None),
    }
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
        for (origin, provider) in self.chain() {
            let e = match provider.provide_credentials().await {
                Ok(keys) => return Ok((origin, keys)),
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
        }
        Err(trace.into_error())
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
        let region =
            ImdsRegionProvider::builder().configure(&self.provider_config()).build().region().await?;
        Region::parse(region.as_ref()).ok()
    }

    fn chain(&self) -> [(CredentialSource, Box<dyn ProvideCredentials>); 4] {
        let config = self.provider_config();
        let profile = ProfileFileCredentialsProvider::builder()
            .configure(&config)
            .profile_files(self.files.clone())
            .profile_name(self.profile.clone())
            .build();
        let web_identity = WebIdentityTokenCredentialsProvider::builder().configure(&config).build();
        let container = EcsCredentialsProvider::builder().configure(&config).build();
        let instance = ImdsCredentialsProvider::builder().configure(&config).build();
        [
            (CredentialSource::Profile, Box::new(profile)),
            (CredentialSource::WebIdentity, Box::new(web_identity)),
            (CredentialSource::Container, Box::new(container)),
            (CredentialSource::Instance, Box::new(instance)),
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
