//! The name of a region: what a signature is scoped to and, on AWS, a part of the host's name.
//!
//! It gets text from the user or from a server's header, and lets through only what can stand in a
//! host name without changing which host that is. It knows no list of regions.

use std::fmt;

use crate::error::{Error, Result};

/// The longest label of a host name (RFC 1035, section 2.3.4).
const CHARS_MAX: usize = 63;

/// A region's name; us-east-1 where nobody says another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Region(String);

impl Region {
    /// `text` as a region: one host label, which is what every AWS tool asks of it. S3-compatible
    /// servers have regions in capitals, so the case is kept.
    pub fn parse(text: &str) -> Result<Self> {
        let is_label = (1..=CHARS_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if is_label {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::usage(format!("bad region {text:?}: it has only letters, digits and inner hyphens"))
            .with_hint("use --region or AWS_REGION, for example eu-west-1"))
    }

    /// The name.
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
}
