//! AWS's partitions: which one a region's name belongs to, and the DNS suffix of its hosts.
//!
//! Regions that match no rule, such as those of S3-compatible servers, belong to the partition `aws`, as in every AWS
//! SDK.
//!
//! Source: the partitions of AWS's endpoint rules, as fixtures/endpoints has them.

use crate::s3::address::region::Region;

/// A part of AWS with its own accounts, credentials and hosts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    /// The partition as ARNs write it.
    pub(crate) id: &'static str,
    /// The prefixes of its regions' names; a word and a number follow.
    prefixes: &'static [&'static str],
    /// The suffix of its host names.
    pub(crate) dns_suffix: &'static str,
}

const PARTITIONS: [Partition; 8] = [
    Partition {
        id: "aws",
        prefixes: &["us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx"],
        dns_suffix: "amazonaws.com",
    },
    Partition { id: "aws-cn", prefixes: &["cn"], dns_suffix: "amazonaws.com.cn" },
    Partition { id: "aws-eusc", prefixes: &["eusc-de"], dns_suffix: "amazonaws.eu" },
    Partition { id: "aws-iso", prefixes: &["us-iso"], dns_suffix: "c2s.ic.gov" },
    Partition { id: "aws-iso-b", prefixes: &["us-isob"], dns_suffix: "sc2s.sgov.gov" },
    Partition { id: "aws-iso-e", prefixes: &["eu-isoe"], dns_suffix: "cloud.adc-e.uk" },
    Partition { id: "aws-iso-f", prefixes: &["us-isof"], dns_suffix: "csp.hci.ic.gov" },
    Partition { id: "aws-us-gov", prefixes: &["us-gov"], dns_suffix: "amazonaws.com" },
];

impl Partition {
    /// Returns the partition of `region`.
    pub(crate) fn of(region: &Region) -> &'static Self {
        let name = region.as_str();
        PARTITIONS.iter().find(|p| p.has(name)).unwrap_or(&PARTITIONS[0])
    }

    /// Returns whether `region` is one of the partition's, or its pseudo-region.
    fn has(&self, region: &str) -> bool {
        let rests = self.prefixes.iter().filter_map(|p| region.strip_prefix(p)?.strip_prefix('-'));
        rests.into_iter().any(is_word_and_number) || region.strip_suffix("-global") == Some(self.id)
    }
}

/// Returns whether two regions belong to the same partition, and so share accounts and hosts.
pub(crate) fn same_partition(a: &Region, b: &Region) -> bool {
    Partition::of(a) == Partition::of(b)
}

/// Matches `\w+-\d+`, without a further hyphen: `us-gov-west-1` is not a `us` region.
fn is_word_and_number(text: &str) -> bool {
    text.split_once('-').is_some_and(|(word, number)| {
        !word.is_empty()
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Published {
        id: String,
        regions: String,
        dns_suffix: String,
        names: Vec<String>,
    }

    fn region(name: &str) -> Region {
        Region::parse(name).unwrap()
    }

    #[test]
    fn they_are_those_that_aws_publishes() {
        let text = include_str!("../../../fixtures/endpoints/partitions.json");
        let published: Vec<Published> = serde_json::from_str(text).unwrap();
        assert_eq!(published.len(), PARTITIONS.len());
        for (ours, theirs) in PARTITIONS.iter().zip(&published) {
            let (first, several) = (ours.prefixes[0], ours.prefixes.join("|"));
            let pattern = match ours.id {
                "aws" => format!("({several})"),
                "aws-eusc" => "eusc-(de)".to_owned(),
                _ => first.to_owned(),
            };
            let pattern = format!("^{pattern}-\\w+-\\d+$").replace('-', "\\-");
            assert_eq!(
                (ours.id, &pattern, ours.dns_suffix),
                (&*theirs.id, &theirs.regions, &*theirs.dns_suffix)
            );
            for name in &theirs.names {
                assert_eq!(Partition::of(&region(name)).id, theirs.id, "{name}");
            }
        }
    }

    #[test]
    fn regions_belong_where_their_names_say() {
        for (name, id) in [
            ("us-east-1", "aws"),
            ("us-east-99", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("us-gov-north-7", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("cn-north-1", "aws-cn"),
            ("eusc-de-east-1", "aws-eusc"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("aws-cn-global", "aws-cn"),
            ("garage", "aws"),
            ("cn-north", "aws"),
            ("cn-north-x", "aws"),
            ("us-gov-1", "aws"),
        ] {
            assert_eq!(Partition::of(&region(name)).id, id, "{name}");
        }
    }

    #[test]
    fn government_and_commercial_regions_are_not_the_same_although_their_hosts_end_alike() {
        for (a, b, same) in [
            ("us-east-1", "eu-west-1", true),
            ("us-east-1", "us-gov-west-1", false),
            ("us-gov-east-1", "us-gov-west-1", true),
            ("us-iso-east-1", "us-isob-east-1", false),
            ("us-east-1", "garage", true),
        ] {
            assert_eq!(same_partition(&region(a), &region(b)), same, "{a} {b}");
        }
    }
}
