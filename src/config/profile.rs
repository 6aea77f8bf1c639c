//! One setting at a time, from the environment or else from the selected profile.
//!
//! It gets both and hands on checked values: aws-config panics on some bad ones and passes over others
//! in silence. It knows nothing of the command line, and asks nobody.

use std::borrow::Cow;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::str::FromStr;

use aws_config::profile::{self, ProfileSet};
use aws_config::retry::{RetryConfig, RetryMode};
use aws_runtime::env_config::EnvConfigValue;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use crate::error::{Error, Result};
use crate::s3::address::endpoint_url;

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
pub(super) struct SettingsLookup<'a> {
    pub(super) env: &'a Env,
    pub(super) profiles: &'a ProfileSet,
}

impl SettingsLookup<'_> {
    /// The first of `variables` that is set, else `key` of the profile. Empty means not set.
    pub(super) fn value(&self, variables: &[&str], key: &str) -> Option<String> {
        self.setting(variables, key).map(|setting| setting.value)
    }

    /// The same with the name of its origin.
    pub(super) fn setting(&self, variables: &[&str], key: &str) -> Option<Setting> {
        let of_environment =
            |name: &&str| Some(Setting { origin: (*name).to_owned(), value: variable(self.env, name)? });
        let of_profile = || {
            let value = self.profiles.get(key).map(str::trim).filter(|value| !value.is_empty())?;
            Some(Setting { origin: self.in_profile(key), value: value.to_owned() })
        };
        variables.iter().find_map(of_environment).or_else(of_profile)
    }

    /// The first of `variables` that is set, else `key` of the profile: true or false.
    pub(super) fn parse_bool(&self, variables: &[&str], key: &str) -> Result<Option<bool>> {
        self.setting(variables, key).map(|setting| setting.parse_bool()).transpose()
    }

    /// How errors call `key` of the selected profile.
    pub(super) fn in_profile(&self, key: &str) -> String {
        format!("{key} of the profile {:?}", self.profiles.selected_profile())
    }

    /// The custom endpoint: of S3 before that of all services, the environment before the profile
    /// (AWS SDKs and Tools Reference Guide, "Service-specific endpoints").
    pub(super) fn endpoint(&self) -> Result<Option<http::Uri>> {
        let ignored =
            self.parse_bool(&["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"], "ignore_configured_endpoint_urls");
        if ignored? == Some(true) {
            return Ok(None);
        }
        for name in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"] {
            if let Some(url) = variable(self.env, name) {
                return endpoint_url::parse(&url, name).map(Some);
            }
        }
        let of_profile = EnvConfigValue::new().profile("endpoint_url").service_id("s3");
        match of_profile.load(self.env, Some(self.profiles)) {
            Some((url, _)) => endpoint_url::parse(&url, &self.in_profile("endpoint_url")).map(Some),
            None => Ok(None),
        }
    }

    /// How often a request is tried that brings nothing new.
    pub(super) fn max_attempts(&self) -> Result<Option<NonZeroU32>> {
        let said = self.setting(&["AWS_MAX_ATTEMPTS"], "max_attempts");
        said.map(|setting| setting.parse("write a number from 1 on")).transpose()
    }

    /// How the credential sources try; aws-config's own reading of these values panics.
    pub(super) fn retries(&self) -> Result<RetryConfig> {
        let mut retries = RetryConfig::standard();
        if let Some(attempts) = self.max_attempts()? {
            retries = retries.with_max_attempts(attempts.get());
        }
        match self.setting(&["AWS_RETRY_MODE"], "retry_mode") {
            // The AWS CLI's word for what it did before there were modes.
            Some(mode) if mode.value.eq_ignore_ascii_case("legacy") => {}
            Some(mode) => {
                let mode = mode.parse::<RetryMode>("write standard, adaptive or legacy")?;
                retries = retries.with_retry_mode(mode);
            }
            None => {}
        }
        Ok(retries)
    }
}

/// A value as it was found, and where.
pub(super) struct Setting {
    /// The variable, or the key and its profile.
    pub(super) origin: String,
    pub(super) value: String,
}

impl Setting {
    /// The value, or an error that says where it stands and what is right.
    pub(super) fn parse<T: FromStr<Err: Display>>(&self, right: &str) -> Result<T> {
        self.value.parse().map_err(|e| self.bad(&format!("{e}; {right}")))
    }

    pub(super) fn parse_bool(&self) -> Result<bool> {
        match self.value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.bad("write true or false")),
        }
    }

    pub(super) fn bad(&self, why: &str) -> Error {
        Error::usage(format!("bad value of {}: {:?}: {why}", self.origin, self.value))
    }
}

/// The value of an environment variable, without the space around it; empty means not set.
pub(super) fn variable(env: &Env, name: &str) -> Option<String> {
    env.get(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}
