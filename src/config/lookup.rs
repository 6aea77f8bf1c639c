//! One setting at a time, from the environment or else from the selected profile.
//!
//! It gets both and hands on checked values: aws-config panics on some bad ones and passes over others
//! in silence. It knows nothing of the command line, and asks nobody.

use std::borrow::Cow;
use std::num::NonZeroU32;

use aws_config::profile::{self, ProfileSet};
use aws_config::retry::{RetryConfig, RetryMode};
use aws_runtime::env_config::EnvConfigValue;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use super::endpoint_url;
use crate::error::{Error, Result};

/// The profiles in `files`, with the one called `name` selected, which must be there; `default` always
/// is, if only empty.
pub(super) async fn profiles(env: &Env, files: &EnvConfigFiles, name: Option<String>) -> Result<ProfileSet> {
    let name = name.map_or(Cow::Borrowed("default"), Cow::Owned);
    let profiles = profile::load(&Fs::real(), env, files, Some(name))
        .await
        .map_err(|e| Error::usage("the AWS configuration cannot be read").with_source(e))?;
    let name = profiles.selected_profile();
    if name == "default" || profiles.get_profile(name).is_some() {
        return Ok(profiles);
    }
    Err(Error::usage(format!("there is no profile {name:?} in the AWS configuration"))
        .with_hint("`aws configure list-profiles` shows those that exist"))
}

/// The environment and the selected profile: what the command line did not say is looked up here.
pub(super) struct Found<'a> {
    pub(super) env: &'a Env,
    pub(super) profiles: &'a ProfileSet,
}

impl Found<'_> {
    /// The first of `variables` that is set, else `key` of the profile. Empty means not set.
    pub(super) fn value(&self, variables: &[&str], key: &str) -> Option<String> {
        let of_profile = || self.profiles.get(key).filter(|value| !value.is_empty()).map(str::to_owned);
        variables.iter().find_map(|name| variable(self.env, name)).or_else(of_profile)
    }

    /// The custom endpoint: of S3 before that of all services, the environment before the profile
    /// (AWS SDKs and Tools Reference Guide, "Service-specific endpoints").
    pub(super) fn endpoint(&self) -> Result<Option<http::Uri>> {
        let ignored = self.value(&["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"], "ignore_configured_endpoint_urls");
        if ignored.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        for name in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"] {
            if let Some(url) = variable(self.env, name) {
                return endpoint_url::parse(&url, name).map(Some);
            }
        }
        let of_profile = EnvConfigValue::new().profile("endpoint_url").service_id("s3");
        match of_profile.load(self.env, Some(self.profiles)) {
            Some((url, _)) => endpoint_url::parse(&url, "endpoint_url of the profile").map(Some),
            None => Ok(None),
        }
    }

    /// How often the credential sources try; aws-config's own reading of these values panics.
    pub(super) fn retries(&self) -> Result<RetryConfig> {
        let bad = |variable: &str, key: &str, value: &str| {
            Error::usage(format!("bad value of {variable}, or of {key} in the profile: {value:?}"))
        };
        let mut retries = RetryConfig::standard();
        if let Some(value) = self.value(&["AWS_MAX_ATTEMPTS"], "max_attempts") {
            let attempts = value
                .parse::<NonZeroU32>()
                .map_err(|e| bad("AWS_MAX_ATTEMPTS", "max_attempts", &value).with_source(e))?;
            retries = retries.with_max_attempts(attempts.get());
        }
        match self.value(&["AWS_RETRY_MODE"], "retry_mode") {
            // The AWS CLI's word for what it did before there were modes.
            Some(value) if value.eq_ignore_ascii_case("legacy") => {}
            Some(value) => {
                let mode = value
                    .parse::<RetryMode>()
                    .map_err(|e| bad("AWS_RETRY_MODE", "retry_mode", &value).with_source(e))?;
                retries = retries.with_retry_mode(mode);
            }
            None => {}
        }
        Ok(retries)
    }
}

/// The value of an environment variable, without the space around it; empty means not set.
pub(super) fn variable(env: &Env, name: &str) -> Option<String> {
    env.get(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}
