//! Names of directory buckets (S3 Express One Zone) and of their access points, and the host in whose zone they are.
//!
//! Source: Amazon S3 User Guide, "Directory bucket naming rules" and "Regional and Zonal endpoints for directory
//! buckets"; AWS's endpoint rules, which fixtures/endpoints has the published cases of.

use crate::error::{Error, Result};
use crate::s3::address::addressing::EndpointVariant;
use crate::s3::address::partition::Partition;
use crate::s3::address::region::Region;

/// The ends of the names: of a bucket, and of an access point.
const SUFFIXES: [&str; 2] = ["--x-s3", "--xa-s3"];
/// The lengths of zone ids that AWS's endpoint rules know, such as `use1-az4`.
const ZONE_LENGTHS: [usize; 5] = [8, 9, 13, 14, 20];
/// The longest label of a host name (RFC 1035, section 2.3.4).
const LABEL_CHARS_MAX: usize = 63;

/// A bucket, or an access point of one, that is in a single zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DirectoryBucket<'a> {
    name: &'a str,
    /// The id of the zone, which is a part of the name: the text between its last two `--`.
    zone: &'a str,
}

/// Returns whether `bucket` is the name of a directory bucket or of an access point of one.
pub(crate) fn is_directory_bucket(bucket: &str) -> bool {
    SUFFIXES.iter().any(|suffix| bucket.ends_with(suffix))
}

impl<'a> DirectoryBucket<'a> {
    /// Parses the name, for which [`is_directory_bucket`] must hold.
    pub(super) fn parse(bucket: &'a str) -> Result<Self> {
        let invalid = |why: &str| {
            Error::usage(format!("{bucket:?} cannot be the name of a directory bucket: {why}")).with_hint(
                "write it as NAME--ZONE--x-s3 (a bucket) or NAME--ZONE--xa-s3 (an access point), for example \
                            s3://data--use1-az4--x-s3/key",
            )
        };
        let rest = SUFFIXES.iter().find_map(|suffix| bucket.strip_suffix(suffix)).unwrap_or(bucket);
        let (name, zone) = rest.rsplit_once("--").ok_or_else(|| invalid("the zone is missing"))?;
        if !ZONE_LENGTHS.contains(&zone.len()) {
            return Err(invalid("its zone is not a zone ID such as use1-az4"));
        }
        let is_label = !name.is_empty()
            && bucket.len() <= LABEL_CHARS_MAX
            && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !bucket.starts_with('-');
        if !is_label {
            return Err(invalid("it consists of at most 63 lower-case letters, digits and inner hyphens"));
        }
        Ok(Self { name: bucket, zone })
    }

    /// Returns the host on AWS. The zone is part of it, so there is one for each bucket.
    pub(super) fn host_on_aws(&self, region: &Region, variant: EndpointVariant) -> String {
        let Self { name, zone } = self;
        let fips = if variant.fips { "fips-" } else { "" };
        let dualstack = if variant.dualstack { "dualstack." } else { "" };
        let suffix = Partition::of(region).dns_suffix;
        format!("{name}.s3express-{fips}{zone}.{dualstack}{region}.{suffix}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_stands_between_the_last_two_separators_and_has_one_of_five_lengths() {
        for (name, zone) in [
            ("data--use1-az4--x-s3", "use1-az4"),
            ("data--usw2-az12--x-s3", "usw2-az12"),
            ("data--test-zone-ab1--x-s3", "test-zone-ab1"),
            ("data--test1-zone-ab1--xa-s3", "test1-zone-ab1"),
            ("data--test1-long1-zone-ab1--xa-s3", "test1-long1-zone-ab1"),
            ("my--s3--data--use1-az4--x-s3", "use1-az4"),
            ("a---use1-az4--x-s3", "use1-az4"),
            ("a--x-s3--use1-az4--xa-s3", "use1-az4"),
        ] {
            assert!(is_directory_bucket(name));
            assert_eq!(DirectoryBucket::parse(name).unwrap().zone, zone, "{name}");
        }
        for length in (0..30).filter(|length| ![8, 9, 13, 14, 20].contains(length)) {
            let name = format!("data--{}--x-s3", "z".repeat(length));
            assert_eq!(DirectoryBucket::parse(&name).unwrap_err().exit_code(), 2, "{name}");
        }
    }

    #[test]
    fn names_that_cannot_be_a_label_are_refused_with_the_form() {
        let long = format!("{}--use1-az4--x-s3", "b".repeat(48));
        for name in [
            "--x-s3",
            "data--x-s3",
            "use1-az4--x-s3",
            "--use1-az4--x-s3",
            "my.data--use1-az4--x-s3",
            "Data--use1-az4--x-s3",
            "da_ta--use1-az4--x-s3",
            "data--use1.az4--x-s3",
            "-data--use1-az4--x-s3",
            &long,
        ] {
            let error = DirectoryBucket::parse(name).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{name}");
            assert!(error.to_string().contains("NAME--ZONE--x-s3"), "{error}");
        }
        for name in ["data", "x-s3", "data--x-s3x", "data-x-s3", "data--use1-az4--X-S3"] {
            assert!(!is_directory_bucket(name), "{name}");
        }
    }
}
