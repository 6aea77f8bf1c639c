//! The name of a region: the scope of a signature and, on AWS, a part of the host's name.
//!
//! The text may come from a server's header, so only what cannot change the host is accepted. There is no list of
//! regions.

use std::fmt;

use crate::error::{Error, Result};

/// The longest label of a host name (RFC 1035, section 2.3.4).
const CHARS_MAX: usize = 63;

/// A region's name; `us-east-1` by default.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Region(String);

impl Region {
    /// Parses a region: one host label, as in every AWS tool. S3-compatible servers have regions in capitals, so the
    /// case is kept.
    ///
    /// # Errors
    /// An error of usage for any other text.
    pub fn parse(text: &str) -> Result<Self> {
        let is_label = (1..=CHARS_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if is_label {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::usage(format!(
            "invalid region {text:?}: a region consists of letters, digits and inner hyphens"
        ))
        .with_hint("use --region or AWS_REGION, for example eu-west-1"))
    }

    /// Parses the region of a custom endpoint, which is part of signatures only: there it may be any text that the
    /// header `Authorization` can hold.
    ///
    /// # Errors
    /// An error of usage for any other text.
    pub fn opaque(text: &str) -> Result<Self> {
        // A slash and a comma separate the parts of the header.
        let fits = (1..=CHARS_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b',');
        if fits { Ok(Self(text.to_owned())) } else { Self::parse(text) }
    }

    /// Parses a region that is for a custom endpoint, or for AWS's hosts.
    ///
    /// # Errors
    /// An error of usage for a text that cannot be one.
    pub(crate) fn parse_for(text: &str, endpoint_is_custom: bool) -> Result<Self> {
        if endpoint_is_custom { Self::opaque(text) } else { Self::parse(text) }
    }

    /// Returns whether the name is one host label, as AWS's regions are.
    #[must_use]
    pub(crate) fn is_label(&self) -> bool {
        Self::parse(&self.0).is_ok()
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Region {
    fn default() -> Self {
        Self("us-east-1".to_owned())
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_one_host_label() {
        for good in ["us-east-1", "eu-isoe-west-1", "garage", "EU", "1", &"r".repeat(63)] {
            assert_eq!(Region::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            " ",
            "us east",
            "us-east-1.evil.example",
            "a/b",
            "a@b",
            "-a",
            "a-",
            "é",
            "a\n",
            &"r".repeat(64),
        ] {
            assert_eq!(Region::parse(bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }

    #[test]
    fn the_region_of_a_custom_endpoint_is_any_text_that_can_be_signed_for() {
        for good in ["zg_publicru", "us-east-1", "eu.west", "ru:1", "-", "a@b"] {
            let region = Region::opaque(good).unwrap();
            assert_eq!((region.as_str(), region.is_label()), (good, good == "us-east-1"));
        }
        for bad in ["", " ", "a b", "a/b", "a,b", "\u{e9}", "a\n", &"r".repeat(64)] {
            assert_eq!(Region::opaque(bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }
}
