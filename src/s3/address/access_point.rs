//! ARNs of access points in the place of a bucket: `s3://arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME/key`, and, without
//! a region, `s3://arn:aws:s3::ACCOUNT:accesspoint/NAME.mrap/key`.
//!
//! Parsing only; `host.rs` decides which host serves an access point.
//!
//! Source: Amazon S3 User Guide, "Using Amazon S3 compatible operations with access points"; the AWS CLI's reading of
//! such arguments. Parts may be separated by colons or slashes.

use crate::s3::address::region::Region;

/// The access point that an ARN names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum BucketArn {
    AccessPoint(AccessPoint),
    MultiRegion(MultiRegionAccessPoint),
}

/// A multi-region access point: a name for buckets in several regions, of which the nearest one answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MultiRegionAccessPoint {
    /// The id of the partition, for example `aws-cn`.
    pub(crate) partition: String,
    /// The alias that S3 gave it; ends in `.mrap`.
    pub(crate) alias: String,
}

/// An access point: another name for a bucket, with its own policy and host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AccessPoint {
    /// The id of the partition, for example `aws-cn`.
    pub(crate) partition: String,
    pub(crate) service: SigningService,
    pub(crate) region: Region,
    /// The account id.
    pub(crate) account: String,
    pub(crate) name: String,
}

/// The service that requests to an access point are signed for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum SigningService {
    /// A bucket.
    S3,
    /// A Lambda function in front of a bucket.
    ObjectLambda,
    /// A bucket on the Outpost with this id.
    Outposts(String),
}

/// Returns bucket and key of a bucket's ARN, `arn:PARTITION:s3:::BUCKET/KEY`.
pub(super) fn bucket_arn_resource(text: &str) -> Option<&str> {
    let mut parts = text.splitn(3, ':').skip(2);
    parts.next()?.strip_prefix("s3:::")
}

/// Splits `text`, which follows `s3://`, into an access point and the key. The error completes "invalid URI: ...".
pub(super) fn split(text: &str) -> Result<(BucketArn, &str), String> {
    let mut parts = text.splitn(6, ':');
    let mut part = || parts.next().unwrap_or_default();
    let (_arn, partition, service, region, account, resource) =
        (part(), part(), part(), part(), part(), part());
    if bucket_arn_resource(text).is_some() {
        return Err("this is a bucket's ARN, not an access point's".to_owned());
    }
    let mut rest = resource;
    let service = match service {
        "s3" => SigningService::S3,
        "s3-object-lambda" => SigningService::ObjectLambda,
        "s3-outposts" => {
            if piece(&mut rest) != "outpost" {
                return Err("an Outposts ARN continues with outpost/ID/accesspoint/NAME".to_owned());
            }
            SigningService::Outposts(label(piece(&mut rest), "the Outpost's id")?)
        }
        other => return Err(format!("{other:?} in the ARN is not an S3 service")),
    };
    if piece(&mut rest) != "accesspoint" {
        return Err("only access point ARNs can take the place of a bucket".to_owned());
    }
    let (name, key) = rest.split_once('/').unwrap_or((rest, ""));
    if region.is_empty() {
        if service != SigningService::S3 {
            return Err("only multi-region access points have no region in the ARN".to_owned());
        }
        label(account, "the account")?;
        let point =
            MultiRegionAccessPoint { partition: partition.to_owned(), alias: multi_region_alias(name)? };
        return Ok((BucketArn::MultiRegion(point), key));
    }
    let access_point = AccessPoint {
        partition: partition.to_owned(),
        service,
        region: Region::parse(region).map_err(|_| format!("{region:?} in the ARN is not a region"))?,
        account: label(account, "the account")?,
        name: label(name, "the access point's name")?,
    };
    Ok((BucketArn::AccessPoint(access_point), key))
}

/// Checks the name of a multi-region access point: the alias that S3 chose, not the name that the user did.
fn multi_region_alias(name: &str) -> Result<String, String> {
    let Some(alias) = name.strip_suffix(".mrap") else {
        return Err(format!(
            "an ARN without a region names a multi-region access point by its alias, which ends in .mrap: {name:?}"
        ));
    };
    label(alias, "the access point's name")?;
    Ok(name.to_owned())
}

/// Takes the text before the next colon or slash.
fn piece<'a>(rest: &mut &'a str) -> &'a str {
    let (piece, after) = rest.split_once([':', '/']).unwrap_or((rest, ""));
    *rest = after;
    piece
}

/// Checks that `text` can be part of a host label, so that it cannot change which host is meant.
fn label(text: &str, what: &str) -> Result<String, String> {
    let is_label = (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-');
    if is_label { Ok(text.to_owned()) } else { Err(format!("{what} in the ARN is invalid: {text:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_with_either_separator_and_any_key() {
        for (text, service, name, key) in [
            ("arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/a/b", SigningService::S3, "mine", "a/b"),
            ("arn:aws:s3:eu-west-1:123456789012:accesspoint:mine/a:b", SigningService::S3, "mine", "a:b"),
            ("arn:aws:s3:eu-west-1:123456789012:accesspoint/mine//k", SigningService::S3, "mine", "/k"),
            ("arn:aws:s3:eu-west-1:123456789012:accesspoint/mine", SigningService::S3, "mine", ""),
            (
                "arn:aws:s3-object-lambda:eu-west-1:123456789012:accesspoint/mine/k",
                SigningService::ObjectLambda,
                "mine",
                "k",
            ),
            (
                "arn:aws:s3-outposts:eu-west-1:123456789012:outpost/op-01/accesspoint/mine/k",
                SigningService::Outposts("op-01".into()),
                "mine",
                "k",
            ),
            (
                "arn:aws:s3-outposts:eu-west-1:123456789012:outpost:op-01:accesspoint:mine/k",
                SigningService::Outposts("op-01".into()),
                "mine",
                "k",
            ),
        ] {
            let (arn, rest) = split(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            let BucketArn::AccessPoint(point) = arn else { panic!("{text}: {arn:?}") };
            assert_eq!((&point.service, &*point.name, rest), (&service, name, key), "{text}");
            assert_eq!((&*point.partition, &*point.account), ("aws", "123456789012"), "{text}");
            assert_eq!(point.region.as_str(), "eu-west-1", "{text}");
        }
    }

    #[test]
    fn arns_without_a_region_name_multi_region_access_points() {
        for (text, partition, key) in [
            ("arn:aws:s3::123456789012:accesspoint/m1.mrap/a/b", "aws", "a/b"),
            ("arn:aws:s3::123456789012:accesspoint:m1.mrap/a:b", "aws", "a:b"),
            ("arn:aws-cn:s3::123456789012:accesspoint:m1.mrap//k", "aws-cn", "/k"),
            ("arn:aws:s3::123456789012:accesspoint/m1.mrap", "aws", ""),
        ] {
            let (arn, rest) = split(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            let point = MultiRegionAccessPoint { partition: partition.into(), alias: "m1.mrap".into() };
            assert_eq!((arn, rest), (BucketArn::MultiRegion(point), key), "{text}");
        }
    }

    #[test]
    fn other_arns_are_refused_with_the_reason() {
        for (text, why) in [
            ("arn:aws:s3:::bucket/k", "not an access point's"),
            ("arn:aws:s3::123456789012:accesspoint/mine/k", "ends in .mrap"),
            ("arn:aws:s3::123456789012:accesspoint/.mrap/k", "name in the ARN"),
            ("arn:aws:s3::123456789012:accesspoint/evil.example/.mrap/k", "ends in .mrap"),
            ("arn:aws:s3::123456789012:accesspoint/a.b.mrap/k", "name in the ARN"),
            ("arn:aws:s3::1234.5:accesspoint/m.mrap/k", "account in the ARN"),
            ("arn:aws:s3-object-lambda::123456789012:accesspoint/m.mrap/k", "no region"),
            ("arn:aws:sqs:eu-west-1:123456789012:queue/k", "not an S3 service"),
            ("arn:aws:s3:eu-west-1:123456789012:bucket/b/k", "only access point ARNs"),
            ("arn:aws:s3:eu-west-1:123456789012:accesspoint/a.evil/k", "name in the ARN"),
            ("arn:aws:s3:eu-west-1:1234.5:accesspoint/a/k", "account in the ARN"),
            ("arn:aws:s3:eu.evil:1:accesspoint/a/k", "not a region"),
            ("arn:aws:s3-outposts:eu-west-1:1:outpost/o.evil/accesspoint/a/k", "Outpost's id"),
            ("arn:aws:s3-outposts:eu-west-1:1:accesspoint/a/k", "outpost/ID"),
            ("arn:", "not an S3 service"),
            ("arn:aws:s3", "only access point ARNs"),
        ] {
            let said = split(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
