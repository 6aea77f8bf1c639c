//! What the environment and the profile say of S3 alone: hosts, checksums, and the block `s3 =` of the AWS CLI.
//!
//! It gets what was found and hands on checked values. The block's numbers are those of another program, made for
//! another way to download: here they are profile_limits, and never as good as a flag.
//!
//! ProviderChain: AWS SDKs and Tools Reference Guide, "Settings reference"; AWS CLI, "S3 configuration" (topic s3-config).

use std::num::NonZeroU64;

use bytesize::ByteSize;

use crate::config::profile::{Setting, SettingsLookup};
use crate::config::settings::{ChecksumValidation, ProfileLimits, Settings};
use crate::error::Result;
use crate::s3::address::addressing::{Addressing, AddressingStyle, EndpointVariant};

/// Which hosts are asked, and how.
pub(super) fn addressing(found: &SettingsLookup, settings: &Settings) -> Result<Addressing> {
    let block = S3Block::of(found);
    let style = match settings.addressing_style {
        Some(style) => style,
        None => block.get("addressing_style").map(|s| style(&s)).transpose()?.unwrap_or_default(),
    };
    let fips = found.parse_bool(&["AWS_USE_FIPS_ENDPOINT"], "use_fips_endpoint");
    let dualstack = match found.parse_bool(&["AWS_USE_DUALSTACK_ENDPOINT"], "use_dualstack_endpoint")? {
        None => block.parse_bool("use_dualstack_endpoint")?,
        said => said,
    };
    let accelerate = block.parse_bool("use_accelerate_endpoint")?;
    let any_region = found.parse_bool(&["AWS_S3_USE_ARN_REGION"], "s3_use_arn_region")?;
    let variant = EndpointVariant {
        fips: settings.fips.or(fips?).unwrap_or(false),
        dualstack: settings.dualstack.or(dualstack).unwrap_or(false),
        accelerate: settings.accelerate.or(accelerate).unwrap_or(false),
    };
    Ok(Addressing { style, variant, arn_region_must_match: any_region == Some(false) })
}

/// `AWS_RESPONSE_CHECKSUM_VALIDATION`.
pub(super) fn checksum_validation(found: &SettingsLookup) -> Result<ChecksumValidation> {
    let said = found.setting(&["AWS_RESPONSE_CHECKSUM_VALIDATION"], "response_checksum_validation");
    let Some(said) = said else { return Ok(ChecksumValidation::default()) };
    match said.value.to_ascii_lowercase().as_str() {
        "when_supported" => Ok(ChecksumValidation::WhenSupported),
        "when_required" => Ok(ChecksumValidation::WhenRequired),
        _ => Err(said.bad("write when_supported or when_required")),
    }
}

/// The numbers of the block.
pub(super) fn profile_limits(found: &SettingsLookup) -> Result<ProfileLimits> {
    let block = S3Block::of(found);
    Ok(ProfileLimits {
        concurrency: block
            .get("max_concurrent_requests")
            .map(|said| said.parse("write a number from 1 on"))
            .transpose()?,
        chunk_size: block.get("multipart_chunksize").map(|said| size(&said)).transpose()?,
        bytes_per_second: block.get("max_bandwidth").map(|said| rate(&said)).transpose()?,
    })
}

fn style(said: &Setting) -> Result<AddressingStyle> {
    match said.value.to_ascii_lowercase().as_str() {
        "auto" => Ok(AddressingStyle::Auto),
        "path" => Ok(AddressingStyle::Path),
        "virtual" => Ok(AddressingStyle::Virtual),
        _ => Err(said.bad("write auto, path or virtual")),
    }
}

/// Bytes, as the AWS CLI reads them: all its units are binary, `MB` as well as `MiB`.
fn size(said: &Setting) -> Result<NonZeroU64> {
    binary(&said.value).ok_or_else(|| said.bad("write bytes, or a number with a unit, such as 8MB"))
}

/// `MB/s` are bytes in a second and `Mb/s` bits.
fn rate(said: &Setting) -> Result<NonZeroU64> {
    let bad = || said.bad("write it as 50MB/s (bytes) or 400Mb/s (bits)");
    let (text, bits) = match said.value.strip_suffix("/s") {
        Some(text) => (text, text.ends_with('b')),
        None => (said.value.as_str(), false),
    };
    let number = binary(text).ok_or_else(bad)?;
    if bits { NonZeroU64::new(number.get() / 8).ok_or_else(bad) } else { Ok(number) }
}

fn binary(text: &str) -> Option<NonZeroU64> {
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

/// The profile's `s3 =`, which is one text of many lines.
struct S3Block<'a> {
    text: &'a str,
    found: &'a SettingsLookup<'a>,
}

impl<'a> S3Block<'a> {
    fn of(found: &'a SettingsLookup) -> Self {
        Self { text: found.profiles.get("s3").unwrap_or_default(), found }
    }

    fn get(&self, key: &str) -> Option<Setting> {
        let pairs = self.text.lines().filter_map(|line| line.split_once('='));
        let (_, value) =
            pairs.map(|(k, v)| (k.trim(), v.trim())).find(|(k, v)| *k == key && !v.is_empty())?;
        Some(Setting { origin: self.found.in_profile(&format!("s3.{key}")), value: value.to_owned() })
    }

    fn parse_bool(&self, key: &str) -> Result<Option<bool>> {
        self.get(key).map(|setting| setting.parse_bool()).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_rates_are_read_as_the_aws_cli_reads_them() {
        let said = |value: &str| Setting { origin: "here".into(), value: value.into() };
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
            assert_eq!(size(&said(text)).ok().map(NonZeroU64::get), bytes, "{text}");
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
            let error = rate(&said(text));
            assert_eq!(error.as_ref().ok().map(|n| n.get()), bytes, "{text}");
            if let Err(e) = error {
                assert!(e.to_string().contains("bad value of here"), "{e}");
            }
        }
    }
}
