//! S3's own settings: addressing, checksums, and the profile's `s3 =` block of the AWS CLI.
//!
//! The block's numbers were chosen for another program, so they are upper limits here, and flags override them.
//!
//! Source: AWS SDKs and Tools Reference Guide, "Settings reference"; AWS CLI, "S3 configuration" (topic s3-config).

use std::num::NonZeroU64;

use bytesize::ByteSize;
#[cfg(any(test, fuzzing))]
use futures_util::FutureExt as _;

#[cfg(any(test, fuzzing))]
use crate::config::aws_files::{AwsFile, AwsFiles};
use crate::config::ini::setting_in_block;
#[cfg(any(test, fuzzing))]
use crate::config::profile::selected_profile;
use crate::config::profile::{Setting, SettingsLookup};
use crate::config::settings::{ChecksumValidation, ProfileLimits, Settings};
use crate::error::Result;
use crate::s3::address::addressing::{Addressing, AddressingStyle, EndpointVariant};

/// Returns how hosts are chosen.
pub(super) fn addressing(found: &SettingsLookup, settings: &Settings) -> Result<Addressing> {
    let block = S3Block::of(found);
    let style = match settings.addressing_style {
        Some(style) => style,
        None => block.get("addressing_style").map(|s| parse_style(&s)).transpose()?.unwrap_or_default(),
    };
    let fips = found.parse_bool(&["AWS_USE_FIPS_ENDPOINT"], "use_fips_endpoint");
    let dualstack = match found.parse_bool(&["AWS_USE_DUALSTACK_ENDPOINT"], "use_dualstack_endpoint")? {
        None => block.parse_bool("use_dualstack_endpoint")?,
        value => value,
    };
    let accelerate = block.parse_bool("use_accelerate_endpoint")?;
    let any_region = block.switch("AWS_S3_USE_ARN_REGION", "use_arn_region")?;
    let variant = EndpointVariant {
        fips: settings.fips.or(fips?).unwrap_or(false),
        dualstack: settings.dualstack.or(dualstack).unwrap_or(false),
        accelerate: settings.accelerate.or(accelerate).unwrap_or(false),
    };
    Ok(Addressing {
        style,
        variant,
        arn_region_must_match: any_region == Some(false),
        disable_express_session_auth: block
            .switch("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "disable_express_session_auth")?
            .unwrap_or(false),
        disable_multiregion_access_points: block
            .switch("AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS", "disable_multiregion_access_points")?
            .unwrap_or(false),
    })
}

/// Returns the value of `AWS_RESPONSE_CHECKSUM_VALIDATION`.
pub(super) fn checksum_validation(found: &SettingsLookup) -> Result<ChecksumValidation> {
    let setting = found.setting(&["AWS_RESPONSE_CHECKSUM_VALIDATION"], "response_checksum_validation");
    let Some(setting) = setting else { return Ok(ChecksumValidation::default()) };
    match setting.value.to_ascii_lowercase().as_str() {
        "when_supported" => Ok(ChecksumValidation::WhenSupported),
        "when_required" => Ok(ChecksumValidation::WhenRequired),
        _ => Err(setting.invalid("when_supported or when_required")),
    }
}

/// Returns the limits in the block.
pub(super) fn profile_limits(found: &SettingsLookup) -> Result<ProfileLimits> {
    let block = S3Block::of(found);
    Ok(ProfileLimits {
        concurrency: block
            .get("max_concurrent_requests")
            .map(|setting| setting.parse("a number ≥ 1"))
            .transpose()?,
        chunk_size: block.get("multipart_chunksize").map(|setting| parse_size(&setting)).transpose()?,
        bytes_per_second: block.get("max_bandwidth").map(|setting| parse_rate(&setting)).transpose()?,
    })
}

fn parse_style(setting: &Setting) -> Result<AddressingStyle> {
    match setting.value.to_ascii_lowercase().as_str() {
        "auto" => Ok(AddressingStyle::Auto),
        "path" => Ok(AddressingStyle::Path),
        "virtual" => Ok(AddressingStyle::Virtual),
        _ => Err(setting.invalid("auto, path or virtual")),
    }
}

/// Parses a size as the AWS CLI does: all units are binary, `MB` as well as `MiB`.
fn parse_size(setting: &Setting) -> Result<NonZeroU64> {
    parse_binary(&setting.value)
        .ok_or_else(|| setting.invalid("a number of bytes, or one with a unit, such as 8MB"))
}

/// Parses a rate: `MB/s` means bytes per second and `Mb/s` bits per second.
fn parse_rate(setting: &Setting) -> Result<NonZeroU64> {
    let invalid = || setting.invalid("a rate such as 50MB/s (bytes) or 400Mb/s (bits)");
    let (text, bits) = match setting.value.strip_suffix("/s") {
        Some(text) => (text, text.ends_with('b')),
        None => (setting.value.as_str(), false),
    };
    let number = parse_binary(text).ok_or_else(invalid)?;
    if bits { NonZeroU64::new(number.get() / 8).ok_or_else(invalid) } else { Ok(number) }
}

fn parse_binary(text: &str) -> Option<NonZeroU64> {
    let lower = text.to_ascii_lowercase();
    let number = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let binary = if number.ends_with(|c: char| c.is_ascii_digit()) {
        number.to_owned()
    } else {
        format!("{number}ib")
    };
    let ByteSize(bytes) = binary.parse().ok()?;
    NonZeroU64::new(bytes)
}

/// The profile's `s3 =`, a single value of several lines.
struct S3Block<'a> {
    text: &'a str,
    found: &'a SettingsLookup<'a>,
}

impl<'a> S3Block<'a> {
    fn of(found: &'a SettingsLookup) -> Self {
        Self { text: found.files.get(found.profile, "s3").unwrap_or_default(), found }
    }

    fn get(&self, key: &str) -> Option<Setting> {
        let value = setting_in_block(self.text, key)?;
        Some(self.found.of_profile(&format!("s3.{key}"), value))
    }

    /// Returns a switch that has three places: the environment, the profile as `s3_KEY`, and this block, where it is
    /// written with the prefix or without.
    fn switch(&self, variable: &str, key: &str) -> Result<Option<bool>> {
        let prefixed = format!("s3_{key}");
        match self.found.parse_bool(&[variable], &prefixed)? {
            Some(value) => Ok(Some(value)),
            None => {
                self.get(&prefixed).or_else(|| self.get(key)).map(|setting| setting.parse_bool()).transpose()
            }
        }
    }

    fn parse_bool(&self, key: &str) -> Result<Option<bool>> {
        self.get(key).map(|setting| setting.parse_bool()).transpose()
    }
}

/// Reads the settings in a configuration file of these bytes.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_config_file(bytes: &[u8]) -> Result<ProfileLimits> {
    let (config, credentials) = (AwsFile::Bytes(bytes.to_vec()), AwsFile::Bytes(Vec::new()));
    let files = AwsFiles { config, credentials };
    let env = aws_types::os_shim_internal::Env::from_slice(&[]);
    let unready = || crate::error::Error::usage("the files were not read immediately");
    let files = files.read().now_or_never().ok_or_else(unready)??;
    let profile = selected_profile(&files, None)?;
    let found = SettingsLookup { env: &env, files: &files, profile: &profile };
    addressing(&found, &Settings::default())?;
    checksum_validation(&found)?;
    profile_limits(&found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_rates_are_read_as_the_aws_cli_reads_them() {
        let setting = |value: &str| Setting::of_variable("here", value.into());
        for (text, bytes) in [
            ("8388608", Some(8 << 20)),
            ("8MB", Some(8 << 20)),
            ("8MiB", Some(8 << 20)),
            ("16KB", Some(16 << 10)),
            ("1gb", Some(1 << 30)),
            ("512B", Some(512)),
            ("0", None),
            ("", None),
            ("MB", None),
            ("8ibib", None),
            ("8 parsecs", None),
            ("-1", None),
        ] {
            assert_eq!(parse_size(&setting(text)).ok().map(NonZeroU64::get), bytes, "{text}");
        }
        for (text, bytes) in [
            ("50MB/s", Some(50 << 20)),
            ("8Mb/s", Some(1 << 20)),
            ("1024b/s", Some(128)),
            ("1048576", Some(1 << 20)),
            ("1b/s", None),
            ("fast", None),
            ("/s", None),
        ] {
            let error = parse_rate(&setting(text));
            assert_eq!(error.as_ref().ok().map(|n| n.get()), bytes, "{text}");
            if let Err(e) = error {
                assert!(e.to_string().contains("invalid here"), "{e}");
            }
        }
    }
}
