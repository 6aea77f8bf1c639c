//! Builds the [`Config`] from the command line, the environment and the profile, once per run.
//!
//! Instance metadata is asked only if no other source of credentials is configured, because off EC2 it costs seconds.
//! Root certificates are not read here.

use std::ffi::OsString;
use std::time::Instant;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::Env;

use crate::config::aws_files::AwsFiles;
use crate::config::chain_error::credentials_error;
use crate::config::credentials::{Credentials, log_credentials};
use crate::config::keys::{KEY_VARIABLES, keys_from_env};
use crate::config::profile::{SettingsLookup, selected_profile, variable};
use crate::config::provider_chain::{CredentialSource, ProviderChain};
use crate::config::provider_http::ProviderClient;
use crate::config::s3_block;
use crate::config::settings::{Config, Settings};
use crate::config::sso::SsoSession;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::address::endpoint_url;
use crate::s3::address::region::Region;
use crate::s3::sse_c::{CustomerKey, KeyText};
use crate::transport::bounded_file::read_bounded_soon;
use crate::transport::proxy::Proxies;
use crate::transport::tls::{CaBundle, Tls};

/// Completes `settings` from the environment and the profile, and loads the first credentials.
///
/// Source: AWS SDKs and Tools Reference Guide, "Settings reference".
pub async fn load(settings: &Settings) -> Result<Config> {
    check_environment(settings, std::env::vars_os())?;
    let env = Env::real();
    load_from(settings, &env, AwsFiles::locate(&env), ProviderClient::shared).await
}

/// Does what [`load`] does, with the given environment, files and HTTP client for the credential sources.
async fn load_from(
    settings: &Settings,
    env: &Env,
    files: AwsFiles,
    http_client: impl FnOnce(&ProviderClient) -> SharedHttpClient,
) -> Result<Config> {
    let name = settings.profile.clone().or_else(|| profile_variable(env));
    let parsed = files.read().await?;
    let profile = selected_profile(&parsed, name)?;
    let found = SettingsLookup { env, files: &parsed, profile: &profile };

    let region =
        settings.region.clone().or_else(|| found.value(&["AWS_REGION", "AWS_DEFAULT_REGION"], "region"));
    let endpoint = match &settings.endpoint {
        Some(url) => Some(endpoint_url::parse(url, "--endpoint")?),
        None => found.endpoint("s3")?,
    };
    let region = region.as_deref().map(|name| Region::parse_for(name, endpoint.is_some())).transpose()?;
    let region_is_configured = region.is_some();
    let tls = Tls::new(ca_bundle(&found, settings), settings.client_certificate.clone());
    tls.read_pipes().await;
    let retries = found.retries()?;
    let mut config = Config {
        region: region.unwrap_or_default(),
        endpoint,
        addressing: s3_block::addressing(&found, settings)?,
        tls,
        proxies: Proxies::new(|name| variable(env, name)),
        max_attempts: found.max_attempts()?,
        checksum_validation: s3_block::checksum_validation(&found)?,
        profile_limits: s3_block::profile_limits(&found)?,
        request_payer: settings.request_payer,
        sse_c: customer_key(settings.sse_c_key.as_ref()).await?,
        credentials: Credentials::anonymous(),
    };
    if settings.no_sign_request {
        log_credentials("none: requests are not signed", None, None);
        return Ok(config);
    }

    let client = ProviderClient { tls: config.tls.clone(), proxies: config.proxies.clone() };
    let sources = ProviderChain {
        // As in the AWS CLI, a profile named on the command line takes precedence over keys in the environment.
        keys: if settings.profile.is_some() { None } else { keys_from_env(env)? },
        files,
        profile,
        // The sources of credentials are AWS's, whose hosts have the region in their names.
        region: Some(&config.region).filter(|region| has_hosts(region)).cloned().unwrap_or_default(),
        variant: config.addressing.variant,
        retries,
        env: env.clone(),
        http: http_client(&client),
        client,
        sso: SsoSession::default(),
    };
    let started = Instant::now();
    let (origin, keys) = sources.resolve().await.map_err(|e| credentials_error(&e))?;
    let load_time = started.elapsed();
    log_credentials(&sources.name(origin), Some(load_time), keys.expiry());
    if origin == CredentialSource::Instance && !region_is_configured {
        // Only now is it known that there is a metadata service and that it answers quickly.
        if let Some(region) = sources.instance_region().await {
            config.region = region;
        }
    }
    config.credentials = Credentials::with_cached(keys, load_time, sources);
    Ok(config)
}

/// Fails if a variable that is read here, and is set, is not valid UTF-8: it would count as unset, and another source or none
/// would take its place.
fn check_environment(
    settings: &Settings,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<()> {
    let unreadable = variables.filter(|(_, value)| value.to_str().is_none());
    for name in unreadable.filter_map(|(name, _)| name.into_string().ok()) {
        let is_key = KEY_VARIABLES.contains(&name.as_str());
        let is_proxy = ["_proxy", "_PROXY"].iter().any(|end| name.ends_with(end));
        if is_key && (settings.no_sign_request || settings.profile.is_some()) {
            continue;
        }
        if is_key || is_proxy || name.starts_with("AWS_") {
            let kind = if is_key { ErrorKind::Access } else { ErrorKind::Usage };
            return Err(Error::new(kind, format!("{name} is not valid UTF-8"))
                .with_hint(format!("unset {name}, or set it again")));
        }
    }
    Ok(())
}

/// Returns whether hosts may have the region in their names. S3 alone knows the pseudo-region.
fn has_hosts(region: &Region) -> bool {
    region.is_label() && region.as_str() != "aws-global"
}

/// Returns the profile that the environment selects, also by its older variable.
fn profile_variable(env: &Env) -> Option<String> {
    variable(env, "AWS_PROFILE").or_else(|| variable(env, "AWS_DEFAULT_PROFILE"))
}

async fn customer_key(text: Option<&KeyText>) -> Result<Option<CustomerKey>> {
    let Some(text) = text else { return Ok(None) };
    let read = match text.path() {
        Some(path) => read_bounded_soon(path.to_owned()).await,
        None => Ok(Vec::new()),
    };
    CustomerKey::read_by(text, |_| read).map(Some)
}

fn ca_bundle(found: &SettingsLookup, settings: &Settings) -> Option<CaBundle> {
    if let Some(path) = &settings.ca_bundle {
        return Some(CaBundle::new(path, "--ca-bundle"));
    }
    let setting = found.setting(&["AWS_CA_BUNDLE"], "ca_bundle")?;
    let origin = setting.origin();
    Some(CaBundle::new(setting.value, origin))
}

#[cfg(test)]
mod tests;
