//! `s3://bucket/key` as the user types it, parsed once into an [`S3Uri`].
//!
//! The key is taken literally, as in the AWS CLI: nothing is percent-decoded, `?` and `#` are ordinary characters,
//! `//` and `..` are kept. How the key is written on the wire is decided in `endpoint.rs`.

use std::fmt;
use std::str::FromStr;

use crate::error::printable::Visible;
use crate::error::{Error, ErrorKind};
use crate::s3::address::access_point::{self, BucketArn, bucket_arn_resource};
use crate::s3::address::missing_key;
use crate::s3::address::typed_text::without_secrets;

/// The longest key that S3 allows, in bytes of UTF-8 (Amazon S3 User Guide, "Naming objects").
const KEY_BYTES_MAX: usize = 1024;

/// A bucket, or an access point that stands for one, and a key, both not empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct S3Uri {
    bucket: String,
    /// Parsed from an ARN in the bucket's place.
    arn: Option<BucketArn>,
    key: String,
}

impl S3Uri {
    /// Returns the bucket's name, which consists of ASCII letters, digits, `.`, `-` and `_`, perhaps after a tenant and
    /// a colon, or the ARN of an access point.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Returns the access point that an ARN in the bucket's place names.
    pub(crate) fn arn(&self) -> Option<&BucketArn> {
        self.arn.as_ref()
    }

    /// Returns the object's key, not encoded.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl S3Uri {
    /// Adds this object to `error`, and a hint if there is no such object and the key looks as if something else was
    /// meant.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let error = error.on(self);
        let is_key = error.service().is_none_or(|service| service.code() != "NoSuchBucket");
        match missing_key::hint(self.key()).filter(|_| is_key && error.kind() == ErrorKind::NotFound) {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

impl FromStr for S3Uri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why: &str| {
            Error::usage(format!("invalid URI {:?}: {why}", without_secrets(text)))
                .with_hint("write it as s3://bucket/key")
        };
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("s3") => rest,
            Some(_) => return Err(bad("the scheme is not s3")),
            None => return Err(bad("it does not start with s3://")),
        };
        let (bucket, key, arn) = if rest.starts_with("arn:") {
            let (arn, key) = access_point::split(rest).map_err(|why| match bucket_arn_resource(rest) {
                Some(object) => {
                    bad(&why).with_better_hint(format!("write it as s3://{}", without_secrets(object)))
                }
                None => bad(&why),
            })?;
            let bucket = rest.strip_suffix(key).unwrap_or(rest).trim_end_matches('/');
            (bucket, key, Some(arn))
        } else {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            check_bucket(bucket).map_err(bad)?;
            (bucket, key, None)
        };
        if key.is_empty() {
            return Err(bad("the key is missing"));
        }
        if key.len() > KEY_BYTES_MAX {
            return Err(bad("the key is longer than 1024 bytes"));
        }
        Ok(Self { bucket: bucket.to_owned(), arn, key: key.to_owned() })
    }
}

/// Checks a bucket's name. Wider than today's rules for new buckets (old ones have capitals and underscores), yet
/// nothing that could change the meaning of a host name or a path. Ceph's buckets may be a tenant's, `TENANT:BUCKET`
/// (Ceph Object Gateway, "Multi-tenancy"): those are always in the path.
fn check_bucket(name: &str) -> Result<(), &'static str> {
    let (tenant, name) = name.split_once(':').unwrap_or(("", name));
    if !tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        return Err("a tenant's name consists of letters, digits, '-' and '_'");
    }
    if name.is_empty() {
        return Err("the bucket is missing");
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        return Err("a bucket's name consists of letters, digits, '.', '-' and '_'");
    }
    if name.len() > 255 || name.contains("..") {
        return Err("this is not a valid bucket name");
    }
    Ok(())
}

impl fmt::Display for S3Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A key may hold newlines and escape sequences, which must not reach a terminal raw.
        write!(f, "s3://{}/{}", self.bucket, Visible(&self.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_uris() {
        for (text, bucket, key) in [
            ("s3://b/k", "b", "k"),
            ("S3://bucket/key", "bucket", "key"),
            ("s3://my.bucket-1/a/b/c.tar.zst", "my.bucket-1", "a/b/c.tar.zst"),
            ("s3://Old_Bucket/k", "Old_Bucket", "k"),
            ("s3://bucket//k", "bucket", "/k"),
            ("s3://bucket/a//b/../c/", "bucket", "a//b/../c/"),
            ("s3://bucket/a b+c=d%2Fe&f?g#h", "bucket", "a b+c=d%2Fe&f?g#h"),
            ("s3://bucket/é☃~", "bucket", "é☃~"),
            ("s3://bucket/s3://x", "bucket", "s3://x"),
            (
                "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/mine//a/b",
                "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine",
                "/a/b",
            ),
        ] {
            let uri: S3Uri = text.parse().unwrap();
            assert_eq!((uri.bucket(), uri.key()), (bucket, key), "{text}");
        }
    }

    #[test]
    fn bad_uris_are_usage_errors_that_say_why() {
        let long = format!("s3://bucket/{}", "k".repeat(1025));
        for (text, why) in [
            ("", "does not start with s3://"),
            ("bucket/key", "does not start with s3://"),
            ("https://bucket/key", "scheme is not s3"),
            ("s3://", "bucket is missing"),
            ("s3:///key", "bucket is missing"),
            ("s3://bucket", "key is missing"),
            ("s3://bucket/", "key is missing"),
            ("s3://bu cket/key", "consists of letters"),
            ("s3://user@host/key", "consists of letters"),
            ("s3://host.lan:80/key", "a tenant's name consists of letters"),
            ("s3://a:b:c/key", "a bucket's name consists of letters"),
            ("s3://tenant:/key", "bucket is missing"),
            ("s3://../key", "not a valid bucket name"),
            ("s3://arn:aws:s3:::a/b?c", "not an access point's\n  hint: write it as s3://a/b?..."),
            ("s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/mine", "key is missing"),
            (&long, "longer than 1024"),
        ] {
            let error = text.parse::<S3Uri>().unwrap_err();
            assert_eq!(error.exit_code(), 2, "{text}");
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn control_characters_are_shown_escaped() {
        let uri: S3Uri = "s3://bucket/a\nb\u{1b}[2J".parse().unwrap();
        assert_eq!(uri.to_string(), "s3://bucket/a\\nb\\u{1b}[2J");
    }
}
