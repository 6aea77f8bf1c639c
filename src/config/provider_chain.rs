//! Whom to ask for credentials, and in which order.
//!
//! It gets the keys in the environment, the selected profile and an HTTP client, and hands on keys
//! with the name of their origin. It keeps nothing: each question reads the files anew, so keys that
//! were rotated on disk are found. Caching is `credentials.rs`'s.

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

/// How long STS or SSO may take for one try; a download stands still meanwhile.
const TRY_TIMEOUT: Duration = Duration::from_secs(15);
/// How long they may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where keys came from, in the order of refresh_lock.
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
    /// EC2 instance metadata: never asked unless all others have nothing.
    Instance,
}

/// All that the sources need to know.
#[derive(Debug)]
pub(super) struct ProviderChain {
    /// The environment's keys: where there are some, nobody else is asked.
    pub(super) keys: Option<Keys>,
    pub(super) files: EnvConfigFiles,
    pub(super) profile: String,
    /// The region of STS, for roles.
    pub(super) region: Region,
    /// Which hosts of STS and SSO are asked; there is no acceleration for them.
    pub(super) variant: EndpointVariant,
    pub(super) retries: RetryConfig,
    pub(super) http: SharedHttpClient,
}

/// The keys in `env`; half a pair is an error rather than a reason to look elsewhere.
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
    /// The first keys that a source has. A source that is set up but fails ends the search: refresh_lock on
    /// might find somebody else's.
    pub(super) async fn ask(&self) -> Result<(CredentialSource, Keys), CredentialsError> {
        if let Some(keys) = &self.keys {
            return Ok((CredentialSource::Environment, keys.clone()));
        }
        let mut asked = ProviderTrace::nobody();
        asked.add(self.name(CredentialSource::Environment), &CredentialsError::not_loaded("not set"));
        for (origin, provider) in self.chain() {
            let e = match provider.provide_credentials().await {
                Ok(keys) => return Ok((origin, keys)),
                Err(e) => e,
            };
            let has_nothing = matches!(&e, CredentialsError::CredentialsNotLoaded(_));
            // A profile that has nothing gives no reason; one that refers to nothing does. Nobody set up the
            // instance's metadata: it only happened to be there.
            let may_go_on = match origin {
                CredentialSource::Profile => has_nothing && e.source().is_none(),
                CredentialSource::Instance => true,
                _ => has_nothing,
            };
            if !may_go_on {
                return Err(ProviderTrace::failed(self.name(origin), &e));
            }
            asked.add(self.name(origin), &e);
        }
        Err(asked.in_vain())
    }

    /// What errors call a source.
    pub(super) fn name(&self, origin: CredentialSource) -> String {
        match origin {
            CredentialSource::Environment => "the environment (AWS_ACCESS_KEY_ID)".to_owned(),
            CredentialSource::Profile => format!("the profile {:?}", self.profile),
            CredentialSource::WebIdentity => "web identity".to_owned(),
            CredentialSource::Container => "ECS or EKS".to_owned(),
            CredentialSource::Instance => "EC2 instance metadata".to_owned(),
        }
    }

    /// The region of the instance that we run on.
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
            .operation_attempt_timeout(TRY_TIMEOUT)
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
        future::ProvideCredentials::new(async { self.ask().await.map(|(_, keys)| keys) })
    }
}
