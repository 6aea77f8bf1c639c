//! ARNs of access points as they stand where a bucket does: `s3://arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME/key`.
//!
//! It gets what follows `s3://` and hands on the [`AccessPoint`] and the key behind it, or the reason why this is none.
//! It never decides which host serves an access point (that is `endpoint.rs`).
//!
//! Source: Amazon S3 User Guide, "Using Amazon S3 compatible operations with access points"; the AWS CLI's reading of
//! such arguments. Each part may be separated by a colon or a slash.

use crate::s3::address::region::Region;

/// An access point: a name that stands for a bucket, with a policy and a host of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AccessPoint {
    /// The id of the partition, as `aws-cn`.
    pub(crate) partition: String,
    pub(crate) service: SigningService,
    pub(crate) region: Region,
    /// The account's number.
    pub(crate) account: String,
    pub(crate) name: String,
}

/// What answers at an access point.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum SigningService {
    /// A bucket.
    S3,
    /// A function in front of one.
    ObjectLambda,
    /// A bucket on the Outpost with this id.
    Outposts(String),
}

/// Why a text is no access point that can be used; it completes "bad URI: ...".
type Why = String;

/// Splits an ARN with a key behind it; both are as long as they were, so that the caller can show the ARN.
pub(super) fn split(text: &str) -> Result<(AccessPoint, &str), Why> {
    let mut parts = text.splitn(6, ':');
    let mut part = || parts.next().unwrap_or_default();
    let (_arn, partition, service, region, account, resource) =
        (part(), part(), part(), part(), part(), part());
    if service == "s3" && region.is_empty() && account.is_empty() {
        return Err(format!("this is a bucket's ARN: write s3://{resource}"));
    }
    let mut rest = resource;
    let service = match service {
        "s3" => SigningService::S3,
        "s3-object-lambda" => SigningService::ObjectLambda,
        "s3-outposts" => {
            if piece(&mut rest) != "outpost" {
                return Err("an ARN of Outposts goes on with outpost/ID/accesspoint/NAME".to_owned());
            }
            SigningService::Outposts(label(piece(&mut rest), "the Outpost's id")?)
        }
        other => return Err(format!("an ARN of {other:?} is none of S3")),
    };
    if piece(&mut rest) != "accesspoint" {
        return Err("only ARNs of access points stand for a bucket".to_owned());
    }
    let (name, key) = rest.split_once('/').unwrap_or((rest, ""));
    if region.is_empty() {
        return Err("multi-region access points need another signature (SigV4A), which is not supported: \
                    name the bucket, or an access point in one region"
            .to_owned());
    }
    let access_point = AccessPoint {
        partition: partition.to_owned(),
        service,
        region: Region::parse(region).map_err(|_| format!("{region:?} in the ARN is no region"))?,
        account: label(account, "the account")?,
        name: label(name, "the access point's name")?,
    };
    Ok((access_point, key))
}

/// Takes what stands before the next colon or slash.
fn piece<'a>(rest: &mut &'a str) -> &'a str {
    let (piece, after) = rest.split_once([':', '/']).unwrap_or((rest, ""));
    *rest = after;
    piece
}

/// `text` as a part of a host's label: nothing in it can change which host that is.
fn label(text: &str, what: &str) -> Result<String, Why> {
    let is_label = (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-');
    if is_label { Ok(text.to_owned()) } else { Err(format!("{what} in the ARN is {text:?}")) }
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
            let (point, rest) = split(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((&point.service, &*point.name, rest), (&service, name, key), "{text}");
            assert_eq!((&*point.partition, &*point.account), ("aws", "123456789012"), "{text}");
            assert_eq!(point.region.as_str(), "eu-west-1", "{text}");
        }
    }

    #[test]
    fn others_are_refused_and_the_reason_is_told() {
        for (text, why) in [
            ("arn:aws:s3:::bucket/k", "write s3://bucket/k"),
            ("arn:aws:s3::123456789012:accesspoint/m.mrap/k", "SigV4A"),
            ("arn:aws:sqs:eu-west-1:123456789012:queue/k", "none of S3"),
            ("arn:aws:s3:eu-west-1:123456789012:bucket/b/k", "only ARNs of access points"),
            ("arn:aws:s3:eu-west-1:123456789012:accesspoint/a.evil/k", "name in the ARN"),
            ("arn:aws:s3:eu-west-1:1234.5:accesspoint/a/k", "account in the ARN"),
            ("arn:aws:s3:eu.evil:1:accesspoint/a/k", "no region"),
            ("arn:aws:s3-outposts:eu-west-1:1:outpost/o.evil/accesspoint/a/k", "Outpost's id"),
            ("arn:aws:s3-outposts:eu-west-1:1:accesspoint/a/k", "outpost/ID"),
            ("arn:", "none of S3"),
            ("arn:aws:s3", "write s3://"),
        ] {
            let said = split(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
