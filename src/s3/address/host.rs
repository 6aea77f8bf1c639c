//! The host name that serves a bucket or access point: by AWS's rules, or on a custom endpoint.
//!
//! Names only: scheme, port and path are up to `endpoint.rs`.

use crate::error::{Error, Result};
use crate::s3::address::access_point::{AccessPoint, BucketArn, MultiRegionAccessPoint, SigningService};
use crate::s3::address::addressing::{Addressing, AddressingStyle};
use crate::s3::address::directory_bucket::{DirectoryBucket, is_directory_bucket};
use crate::s3::address::outposts_alias::{self, is_outposts_alias};
use crate::s3::address::partition::{Partition, same_partition};
use crate::s3::address::region::Region;
use crate::s3::address::s3_uri::S3Uri;
use crate::s3::address::signing_scope::{AuthScheme, SigningScope};

/// A host's name, whether it includes the bucket, and the scope of signatures for it.
pub(super) struct Host {
    pub(super) name: String,
    /// Set if the bucket is part of the name, and so not of the path.
    pub(super) has_bucket: bool,
    pub(super) scope: SigningScope,
}

/// The pseudo-region of the first partition: signatures and regional hosts are those of us-east-1.
const GLOBAL: &str = "aws-global";

/// Chooses the host that serves `uri`.
pub(super) fn choose(
    uri: &S3Uri,
    region: &Region,
    custom: Option<&http::Uri>,
    addressing: Addressing,
) -> Result<Host> {
    let variant = addressing.variant;
    let custom = custom.map(|base| base.host().unwrap_or_default());
    for (set, what) in [
        (variant.fips, "FIPS endpoints (--fips)"),
        (variant.dualstack, "dual-stack endpoints (--dualstack)"),
        (variant.accelerate, "S3 Transfer Acceleration (--accelerate)"),
    ] {
        if set && custom.is_some() {
            return Err(conflict(what, "a custom endpoint"));
        }
    }
    if variant.fips && variant.accelerate {
        return Err(conflict("FIPS endpoints (--fips)", "S3 Transfer Acceleration (--accelerate)"));
    }
    if variant.fips && Partition::of(region).id == "aws-cn" {
        return Err(Error::usage("the partition aws-cn has no FIPS endpoints").with_hint("omit --fips"));
    }
    if custom.is_none() {
        // The region becomes a part of the host: at a custom endpoint it may be any text.
        Region::parse(region.as_str())?;
    }
    let bucket = uri.bucket();
    match uri.arn() {
        Some(BucketArn::AccessPoint(point)) => of_access_point(point, region, custom, addressing),
        Some(BucketArn::MultiRegion(point)) => of_multi_region(point, region, custom, addressing),
        None if is_directory_bucket(bucket) => of_directory_bucket(bucket, region, custom, addressing),
        None if is_outposts_alias(bucket) => of_outposts_alias(bucket, region, custom, addressing),
        None => of_bucket(bucket, region, custom, addressing),
    }
}

fn of_bucket(bucket: &str, region: &Region, custom: Option<&str>, addressing: Addressing) -> Result<Host> {
    if custom.is_none() && bucket.contains(':') {
        return Err(Error::usage(format!("{bucket:?} names a tenant, which AWS does not have"))
            .with_hint("TENANT:BUCKET is for servers such as Ceph: use --endpoint"));
    }
    let Addressing { style, variant, .. } = addressing;
    let is_global = region.as_str() == GLOBAL;
    let region = if is_global { Region::default() } else { region.clone() };
    let host = match custom {
        Some(host) => host.to_owned(),
        None if variant.accelerate => accelerated(bucket, &region, addressing)?,
        None if is_global && !variant.fips && !variant.dualstack => "s3.amazonaws.com".to_owned(),
        None => on_aws("s3", &region, addressing),
    };
    let in_host = match style {
        AddressingStyle::Path => false,
        AddressingStyle::Virtual if is_ip(&host) => {
            return Err(Error::usage(format!("virtual-hosted addressing needs a host name, not {host}"))
                .with_hint("use --addressing-style path"));
        }
        AddressingStyle::Virtual => is_host_name(bucket),
        AddressingStyle::Auto => custom.is_none() && is_host_name(bucket) && !bucket.contains('.'),
    };
    let name = if in_host { format!("{bucket}.{host}") } else { host };
    let scope = SigningScope { region, service: "s3", scheme: AuthScheme::SigV4 };
    Ok(Host { name, has_bucket: in_host, scope })
}

/// Returns the host of a directory bucket. It has the bucket in its name, whatever the addressing style, unless it is
/// an address, below which there are no names. A custom endpoint may ask for the path.
fn of_directory_bucket(
    bucket: &str,
    region: &Region,
    custom: Option<&str>,
    addressing: Addressing,
) -> Result<Host> {
    let Addressing { style, variant, .. } = addressing;
    if variant.accelerate {
        return Err(conflict("S3 Transfer Acceleration (--accelerate)", "directory buckets"));
    }
    let directory = DirectoryBucket::parse(bucket)?;
    let has_bucket = custom.is_none_or(|host| !is_ip(host) && style != AddressingStyle::Path);
    let name = match custom {
        None => directory.host_on_aws(region, variant),
        Some(host) if has_bucket => format!("{bucket}.{host}"),
        Some(host) => host.to_owned(),
    };
    let scheme =
        if addressing.disable_express_session_auth { AuthScheme::SigV4 } else { AuthScheme::Session };
    Ok(Host {
        name,
        has_bucket,
        scope: SigningScope { region: region.clone(), service: "s3express", scheme },
    })
}

fn of_outposts_alias(
    alias: &str,
    region: &Region,
    custom: Option<&str>,
    addressing: Addressing,
) -> Result<Host> {
    const WHAT: &str = "aliases of access points on Outposts";
    let Addressing { style, variant, .. } = addressing;
    for (set, what) in [
        (style == AddressingStyle::Path, "path-style addressing"),
        (variant.accelerate, "S3 Transfer Acceleration (--accelerate)"),
        (variant.dualstack, "dual-stack endpoints (--dualstack)"),
        (variant.fips, "FIPS endpoints (--fips)"),
    ] {
        if set {
            return Err(conflict(what, WHAT));
        }
    }
    let host = match custom {
        Some(host) if is_ip(host) => return Err(needs_a_name(WHAT, host)),
        Some(host) => host.to_owned(),
        None => on_aws("s3-outposts", region, addressing),
    };
    let name = format!("{}{host}", outposts_alias::host_prefix(alias, custom.is_some())?);
    let scope = SigningScope { region: region.clone(), service: "s3-outposts", scheme: AuthScheme::SigV4 };
    Ok(Host { name, has_bucket: true, scope })
}

/// Returns the one host for all regions, which finds a bucket only by its name in the host.
fn accelerated(bucket: &str, region: &Region, addressing: Addressing) -> Result<String> {
    if addressing.style == AddressingStyle::Path || !is_host_name(bucket) || bucket.contains('.') {
        return Err(conflict("S3 Transfer Acceleration (--accelerate)", "path-style addressing")
            .with_hint("it needs a bucket name without dots, as part of the host name"));
    }
    let partition = Partition::of(region);
    if partition.id == "aws-cn" {
        return Err(Error::usage(format!("there is no S3 Transfer Acceleration in {region}"))
            .with_hint("try it without --accelerate"));
    }
    let dualstack = if addressing.variant.dualstack { ".dualstack" } else { "" };
    Ok(format!("s3-accelerate{dualstack}.{}", partition.dns_suffix))
}

fn of_access_point(
    point: &AccessPoint,
    region: &Region,
    custom: Option<&str>,
    addressing: Addressing,
) -> Result<Host> {
    let Addressing { style, variant, arn_region_must_match, .. } = addressing;
    let (what, kind, service) = match &point.service {
        SigningService::S3 => ("access points", "s3-accesspoint", "s3"),
        SigningService::ObjectLambda => {
            ("Object Lambda access points", "s3-object-lambda", "s3-object-lambda")
        }
        SigningService::Outposts(_) => ("access points on Outposts", "s3-outposts", "s3-outposts"),
    };
    if style == AddressingStyle::Path {
        return Err(conflict("path-style addressing", what));
    }
    if variant.accelerate {
        return Err(conflict("S3 Transfer Acceleration (--accelerate)", what));
    }
    if variant.dualstack && point.service != SigningService::S3 {
        return Err(conflict("dual-stack endpoints (--dualstack)", what));
    }
    if variant.fips && matches!(point.service, SigningService::Outposts(_)) {
        return Err(conflict("FIPS endpoints (--fips)", what));
    }
    if arn_region_must_match && point.region != *region {
        return Err(Error::usage(format!("the access point is in {}, not in {region}", point.region))
            .with_hint(format!("use --region {}, or set AWS_S3_USE_ARN_REGION to true", point.region)));
    }
    let partition = Partition::of(&point.region).id;
    if point.partition != partition || !same_partition(&point.region, region) {
        let here = Partition::of(region).id;
        return Err(Error::usage(format!(
            "the access point's ARN names {} and {}, which is in {partition}; {region} is in {here}",
            point.partition, point.region
        ))
        .with_hint("the ARN, its region and the configured region must belong to one AWS partition"));
    }
    let host = match custom {
        Some(host) if is_ip(host) => return Err(needs_a_name("access points", host)),
        Some(host) => host.to_owned(),
        None => on_aws(kind, &point.region, addressing),
    };
    let outpost =
        if let SigningService::Outposts(id) = &point.service { format!("{id}.") } else { String::new() };
    let name = format!("{}-{}.{outpost}{host}", point.name, point.account);
    let scope = SigningScope { region: point.region.clone(), service, scheme: AuthScheme::SigV4 };
    Ok(Host { name, has_bucket: true, scope })
}

/// Returns the one host for all regions; the configured region says only which partition the keys are for.
fn of_multi_region(
    point: &MultiRegionAccessPoint,
    region: &Region,
    custom: Option<&str>,
    addressing: Addressing,
) -> Result<Host> {
    const WHAT: &str = "multi-region access points";
    let Addressing { style, variant, .. } = addressing;
    if addressing.disable_multiregion_access_points {
        return Err(Error::usage("multi-region access points are disabled by the configuration").with_hint(
            "unset AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS, or s3_disable_multiregion_access_points of the profile",
        ));
    }
    for (set, what) in [
        (custom.is_some(), "a custom endpoint"),
        (style == AddressingStyle::Path, "path-style addressing"),
        (variant.fips, "FIPS endpoints (--fips)"),
        (variant.dualstack, "dual-stack endpoints (--dualstack)"),
        (variant.accelerate, "S3 Transfer Acceleration (--accelerate)"),
    ] {
        if set {
            return Err(conflict(what, WHAT));
        }
    }
    let partition = Partition::of(region);
    if point.partition != partition.id {
        return Err(Error::usage(format!(
            "the access point's ARN names {}; {region} is in {}",
            point.partition, partition.id
        ))
        .with_hint("the ARN and the configured region must belong to one AWS partition"));
    }
    let name = format!("{}.accesspoint.s3-global.{}", point.alias, partition.dns_suffix);
    let scope = SigningScope { region: region.clone(), service: "s3", scheme: AuthScheme::SigV4a };
    Ok(Host { name, has_bucket: true, scope })
}

fn on_aws(kind: &str, region: &Region, addressing: Addressing) -> String {
    let fips = if addressing.variant.fips { "-fips" } else { "" };
    let dualstack = if addressing.variant.dualstack { ".dualstack" } else { "" };
    format!("{kind}{fips}{dualstack}.{region}.{}", Partition::of(region).dns_suffix)
}

fn conflict(one: &str, other: &str) -> Error {
    Error::usage(format!("{one} cannot be combined with {other}"))
}

fn needs_a_name(what: &str, address: &str) -> Error {
    Error::usage(format!("{what} need a host name, not {address}"))
}

fn is_ip(host: &str) -> bool {
    host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok()
}

/// Returns whether DNS allows the bucket's name in front of a host's. A name with dots is several labels, which a
/// wildcard certificate does not cover.
fn is_host_name(bucket: &str) -> bool {
    (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
        && bucket
            .split('.')
            .all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
}
