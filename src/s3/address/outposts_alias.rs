//! Aliases of access points on Outposts, which stand in a bucket's place: `NAME-...--op-s3`.
//!
//! Source: AWS's endpoint rules for S3; they read the alias by the distance of its parts from its end.

use std::ops::Range;

use crate::error::{Error, Result};

const SUFFIX: &str = "--op-s3";
/// The places of the parts, counted from the end of the alias.
const OUTPOST: Range<usize> = 32..49;
const HARDWARE: Range<usize> = 49..50;
const REGION: Range<usize> = 8..12;

/// Returns whether `bucket` is an alias of an access point on an Outpost.
pub(super) fn is_outposts_alias(bucket: &str) -> bool {
    bucket.ends_with(SUFFIX)
}

/// Returns the host of `alias` without what follows the Outpost: the alias and the Outpost, each with a dot after it.
/// `is_custom` says whether that is a custom endpoint.
pub(super) fn host_prefix(alias: &str, is_custom: bool) -> Result<String> {
    let invalid = |why: &str| Error::usage(format!("{alias:?} is not an alias on Outposts: {why}"));
    let is_label = alias.len() <= 63
        && !alias.starts_with('-')
        && alias.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !is_label {
        return Err(invalid("it consists of at most 63 lower-case letters, digits and hyphens"));
    }
    let part = |place: Range<usize>| {
        let (start, end) = (alias.len().checked_sub(place.end)?, alias.len().checked_sub(place.start)?);
        alias.get(start..end)
    };
    let (Some(hardware), Some(outpost)) = (part(HARDWARE), part(OUTPOST)) else {
        return Err(invalid("it is too short"));
    };
    if part(REGION) == Some("beta") && !is_custom {
        return Err(invalid("one of a test region needs an endpoint").with_hint("use --endpoint"));
    }
    match hardware {
        "e" => Ok(format!("{alias}.ec2.")),
        "o" => Ok(format!("{alias}.op-{outpost}.")),
        _ => Err(invalid("its kind of Outpost is not known")),
    }
}
