//! Lookup of single settings: in the environment, otherwise in the selected profile.
//!
//! Empty values count as unset. Others are checked here, because aws-config panics on some invalid ones and silently
//! ignores others.

use std::num::NonZeroU32;
use std::str::FromStr;

use aws_config::retry::{RetryConfig, RetryMode};
use aws_types::os_shim_internal::Env;

use crate::config::aws_files::ParsedFiles;
use crate::config::ini::setting_in_block;
use crate::error::{Error, Result};
use crate::s3::address::endpoint_url;

/// Returns the profile to use, `name` or `default`. It must exist in `files`, unless it is `default`.
pub(super) fn selected_profile(files: &ParsedFiles, name: Option<String>) -> Result<String> {
    let name = name.unwrap_or_else(|| "default".to_owned());
    if name != "default" && !files.has_profile(&name) {
        let hint = files.misnamed(&name);
        return Err(Error::usage(format!(
            "no profile {name:?} in the AWS configuration: {}",
            files.describe()
        ))
        .with_hint(
            hint.unwrap_or_else(|| "list the existing ones with `aws configure list-profiles`".to_owned()),
        ));
    }
    Ok(name)
}

/// The environment and the selected profile.
#[derive(Clone, Copy)]
pub(super) struct SettingsLookup<'a> {
    pub(super) env: &'a Env,
    pub(super) files: &'a ParsedFiles,
    pub(super) profile: &'a str,
}

impl SettingsLookup<'_> {
    /// Returns the first of `variables` that is set, otherwise `key` of the profile. Empty values count as unset.
    pub(super) fn value(&self, variables: &[&str], key: &str) -> Option<String> {
        self.setting(variables, key).map(|setting| setting.value)
    }

    /// Returns what [`value`](Self::value) does, with its origin.
    pub(super) fn setting(&self, variables: &[&str], key: &str) -> Option<Setting> {
        let from_environment = |name: &&str| Some(Setting::of_variable(name, variable(self.env, name)?));
        let from_profile = || {
            let value = self.files.get(self.profile, key).map(str::trim).filter(|value| !value.is_empty())?;
            Some(self.of_profile(key, value))
        };
        variables.iter().find_map(from_environment).or_else(from_profile)
    }

    /// Returns the first of `variables` that is set, otherwise `key` of the profile, as a boolean.
    pub(super) fn parse_bool(&self, variables: &[&str], key: &str) -> Result<Option<bool>> {
        self.setting(variables, key).map(|setting| setting.parse_bool()).transpose()
    }

    /// Returns the `value` that `key` has in the selected profile.
    pub(super) fn of_profile(&self, key: &str, value: &str) -> Setting {
        Setting { name: key.to_owned(), profile: Some(self.profile.to_owned()), value: value.to_owned() }
    }

    /// Returns the custom endpoint of a service, such as `s3` or `sso_oidc`: its own before that of all services, the
    /// environment before the profile (AWS SDKs and Tools Reference Guide, "Service-specific endpoints").
    pub(super) fn endpoint(&self, service: &str) -> Result<Option<http::Uri>> {
        let ignored =
            self.parse_bool(&["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"], "ignore_configured_endpoint_urls");
        if ignored? == Some(true) {
            return Ok(None);
        }
        let of_service = format!("AWS_ENDPOINT_URL_{}", service.to_ascii_uppercase());
        for name in [&*of_service, "AWS_ENDPOINT_URL"] {
            if let Some(url) = variable(self.env, name) {
                return endpoint_url::parse(&url, name).map(Some);
            }
        }
        if let Some(section) = self.files.reference(self.profile, "services", "services") {
            if !self.files.has_section("services", section) {
                let origin = self.of_profile("services", section).origin();
                let what = format!("no section [services {section}], which {origin} names");
                return Err(Error::usage(what).with_hint("write the section, or remove the setting"));
            }
            let block = self.files.config.get("services", section, service).unwrap_or_default();
            if let Some(url) = setting_in_block(block, "endpoint_url") {
                let origin = format!("endpoint_url of {service} in [services {section}]");
                return endpoint_url::parse(url, &origin).map(Some);
            }
        }
        let setting = self.setting(&[], "endpoint_url");
        setting.map(|setting| endpoint_url::parse(&setting.value, &setting.origin())).transpose()
    }

    /// Returns the number of consecutive attempts without progress before giving up.
    pub(super) fn max_attempts(&self) -> Result<Option<NonZeroU32>> {
        let setting = self.setting(&["AWS_MAX_ATTEMPTS"], "max_attempts");
        setting.map(|setting| setting.parse("a number ≥ 1")).transpose()
    }

    /// Returns how the credential sources retry. aws-config panics when it reads invalid values of these itself.
    pub(super) fn retries(&self) -> Result<RetryConfig> {
        let mut retries = RetryConfig::standard();
        if let Some(attempts) = self.max_attempts()? {
            retries = retries.with_max_attempts(attempts.get());
        }
        match self.setting(&["AWS_RETRY_MODE"], "retry_mode") {
            // The AWS CLI's name for its behaviour before retry modes existed.
            Some(mode) if mode.value.eq_ignore_ascii_case("legacy") => {}
            Some(mode) => {
                let mode = mode.parse::<RetryMode>("standard, adaptive or legacy")?;
                retries = retries.with_retry_mode(mode);
            }
            None => {}
        }
        Ok(retries)
    }
}

/// A value and where it was found.
pub(super) struct Setting {
    /// The name of the variable, or the key in the profile.
    name: String,
    profile: Option<String>,
    pub(super) value: String,
}

impl Setting {
    /// Creates the setting of the environment variable `name`.
    pub(super) fn of_variable(name: &str, value: String) -> Self {
        Self { name: name.to_owned(), profile: None, value }
    }

    /// Names the variable, or the key and its profile.
    pub(super) fn origin(&self) -> String {
        let profile = self.profile.as_ref().map(|profile| format!(" of the profile {profile:?}"));
        self.name.clone() + &profile.unwrap_or_default()
    }

    /// Parses the value; the error names its origin and what was `expected`.
    pub(super) fn parse<T: FromStr>(&self, expected: &str) -> Result<T> {
        self.value.parse().map_err(|_| self.invalid(expected))
    }

    pub(super) fn parse_bool(&self) -> Result<bool> {
        match self.value.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            // The AWS CLI takes anything but "true" for false; these can be read one way only.
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err(self.invalid("true or false")),
        }
    }

    /// Returns the error for an invalid value.
    pub(super) fn invalid(&self, expected: &str) -> Error {
        let Self { name, profile, value } = self;
        let place = profile.as_ref().map(|profile| format!(" in the profile {profile:?}"));
        Error::usage(format!("invalid {name} {value:?}{}: expected {expected}", place.unwrap_or_default()))
    }
}

/// Returns the value of an environment variable without surrounding white space; empty counts as unset.
pub(super) fn variable(env: &Env, name: &str) -> Option<String> {
    env.get(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}
