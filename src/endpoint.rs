//! Where an object's requests go: scheme, host, port and the path, percent-encoded once.
//!
//! It gets the URI, the region and the configured endpoint, and hands on an [`Endpoint`]. Pure: no
//! name is resolved here.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::Region;
use crate::error::{Error, Result};
use crate::uri::S3Uri;

/// How the bucket is addressed (Amazon S3 User Guide, "Virtual hosting of buckets").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AddressingStyle {
    /// Path style for custom endpoints, IP addresses and bucket names that are no host label;
    /// virtual-hosted for AWS.
    #[default]
    Auto,
    /// `https://host/bucket/key`.
    Path,
    /// `https://bucket.host/key`.
    Virtual,
}

/// The host that serves one bucket, and the path of one object on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    https: bool,
    /// What `Host` says and what is resolved: with the port only where it is not the scheme's own.
    authority: String,
    /// The object's path, encoded; it starts with `/`.
    path: String,
}

/// Everything but the unreserved characters and the slash is encoded (Amazon S3 API Reference,
/// "Signature calculations", `UriEncode`); the same text is signed and sent.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// The same for the value of a query parameter, where the slash is encoded too.
const VALUE: &AsciiSet = &KEY.add(b'/');

/// The DNS suffix of each AWS partition, by the prefix of its regions' names.
const PARTITIONS: [(&str, &str); 6] = [
    ("cn-", "amazonaws.com.cn"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("eusc-", "amazonaws.eu"),
];

impl Endpoint {
    /// The endpoint of `uri`: on `custom` where one is configured, else on AWS in `region`.
    pub(crate) fn resolve(
        uri: &S3Uri,
        region: &Region,
        custom: Option<&http::Uri>,
        style: AddressingStyle,
    ) -> Result<Self> {
        let (https, host, port, prefix) = match custom {
            Some(base) => (
                base.scheme_str() != Some("http"),
                base.host().unwrap_or_default().to_owned(),
                base.port_u16(),
                base.path().trim_end_matches('/'),
            ),
            None => (true, format!("s3.{region}.{}", dns_suffix(region.as_str())), None, ""),
        };
        let key = utf8_percent_encode(uri.key(), KEY);
        let bucket = uri.bucket();
        let in_host = match style {
            AddressingStyle::Path => false,
            AddressingStyle::Virtual if is_ip(&host) => {
                return Err(Error::usage(format!("virtual-hosted addressing needs a host name, not {host}"))
                    .with_hint("use --addressing-style path"));
            }
            AddressingStyle::Virtual => true,
            AddressingStyle::Auto => custom.is_none() && is_host_label(bucket),
        };
        let (host, path) = if in_host {
            (format!("{bucket}.{host}"), format!("{prefix}/{key}"))
        } else {
            (host, format!("{prefix}/{bucket}/{key}"))
        };
        let own = if https { 443 } else { 80 };
        let authority = match port {
            Some(port) if port != own => format!("{host}:{port}"),
            _ => host,
        };
        Ok(Self { https, authority, path })
    }

    /// The value of the header `Host`.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Scheme and host, for the connector.
    pub(crate) fn base(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }

    /// Whether requests travel inside TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.https
    }

    /// The request target: the object's path and the query: `about`, where it is asked for something of the object
    /// and not for the object, and its version.
    pub(crate) fn target(&self, about: Option<&str>, version_id: Option<&str>) -> String {
        let version = version_id.map(|id| format!("versionId={}", utf8_percent_encode(id, VALUE)));
        let query: Vec<&str> = about.into_iter().chain(version.as_deref()).collect();
        if query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, query.join("&")) }
    }
}

/// Whether two regions belong to the same partition of AWS, and so to the same owner of hosts.
pub(crate) fn same_partition(a: &Region, b: &Region) -> bool {
    dns_suffix(a.as_str()) == dns_suffix(b.as_str())
}

fn dns_suffix(region: &str) -> &'static str {
    PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("amazonaws.com", |(_, dns)| dns)
}

fn is_ip(host: &str) -> bool {
    host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok()
}

/// Whether the bucket can stand as one label before a host covered by a wildcard certificate: no
/// dots, and what DNS allows.
fn is_host_label(bucket: &str) -> bool {
    (3..=63).contains(&bucket.len())
        && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !bucket.starts_with('-')
        && !bucket.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(uri: &str, region: &str, custom: Option<&str>, style: AddressingStyle) -> Result<Endpoint> {
        let custom = custom.map(|c| c.parse().unwrap());
        Endpoint::resolve(&uri.parse().unwrap(), &Region::parse(region).unwrap(), custom.as_ref(), style)
    }

    #[test]
    fn hosts_and_paths() {
        use AddressingStyle::{Auto, Path, Virtual};
        let minio = Some("http://minio.lan:9000");
        for (uri, region, custom, style, want) in [
            ("s3://bucket/k", "us-east-1", None, Auto, "https://bucket.s3.us-east-1.amazonaws.com /k"),
            ("s3://bucket/k", "us-east-1", None, Path, "https://s3.us-east-1.amazonaws.com /bucket/k"),
            ("s3://my.bucket/k", "eu-west-1", None, Auto, "https://s3.eu-west-1.amazonaws.com /my.bucket/k"),
            (
                "s3://my.bucket/k",
                "eu-west-1",
                None,
                Virtual,
                "https://my.bucket.s3.eu-west-1.amazonaws.com /k",
            ),
            (
                "s3://Old_Bucket/k",
                "us-east-1",
                None,
                Auto,
                "https://s3.us-east-1.amazonaws.com /Old_Bucket/k",
            ),
            ("s3://bucket/k", "cn-north-1", None, Auto, "https://bucket.s3.cn-north-1.amazonaws.com.cn /k"),
            (
                "s3://bucket/k",
                "us-gov-west-1",
                None,
                Auto,
                "https://bucket.s3.us-gov-west-1.amazonaws.com /k",
            ),
            ("s3://bucket/k", "us-iso-east-1", None, Auto, "https://bucket.s3.us-iso-east-1.c2s.ic.gov /k"),
            (
                "s3://bucket/k",
                "us-isob-east-1",
                None,
                Auto,
                "https://bucket.s3.us-isob-east-1.sc2s.sgov.gov /k",
            ),
            ("s3://bucket/k", "any", minio, Auto, "http://minio.lan:9000 /bucket/k"),
            ("s3://bucket/k", "any", minio, Virtual, "http://bucket.minio.lan:9000 /k"),
            ("s3://bucket/k", "any", Some("http://[::1]:9000/"), Auto, "http://[::1]:9000 /bucket/k"),
            ("s3://bucket/k", "any", Some("https://gw.lan:443/s3/"), Auto, "https://gw.lan /s3/bucket/k"),
            ("s3://bucket/k", "any", Some("http://gw.lan:443"), Path, "http://gw.lan:443 /bucket/k"),
        ] {
            let endpoint = resolve(uri, region, custom, style).unwrap();
            assert_eq!(
                format!("{} {}", endpoint.base(), endpoint.target(None, None)),
                want,
                "{uri} {custom:?}"
            );
        }
    }

    #[test]
    fn an_ip_address_has_no_virtual_hosts() {
        for ip in ["http://127.0.0.1:9000", "http://[::1]:9000"] {
            let error = resolve("s3://bucket/k", "any", Some(ip), AddressingStyle::Virtual).unwrap_err();
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn keys_are_encoded_once_and_never_normalised() {
        for (key, want) in [
            ("a b", "a%20b"),
            ("+=&%", "%2B%3D%26%25"),
            ("%2F", "%252F"),
            ("/a//b/../c/./d/", "/a//b/../c/./d/"),
            ("~-._", "~-._"),
            ("é☃", "%C3%A9%E2%98%83"),
            (
                "?#[]@!$'()*,;:\"<>\\^`{|}",
                "%3F%23%5B%5D%40%21%24%27%28%29%2A%2C%3B%3A%22%3C%3E%5C%5E%60%7B%7C%7D",
            ),
        ] {
            let endpoint =
                resolve(&format!("s3://bucket/{key}"), "us-east-1", None, AddressingStyle::Auto).unwrap();
            assert_eq!(endpoint.target(None, None), format!("/{want}"), "{key}");
        }
    }

    #[test]
    fn version_ids_are_encoded_as_a_query() {
        let endpoint = resolve("s3://bucket/k", "us-east-1", None, AddressingStyle::Auto).unwrap();
        assert_eq!(endpoint.target(None, Some("a+/b=")), "/k?versionId=a%2B%2Fb%3D");
        assert_eq!(endpoint.target(Some("partNumber=1"), Some("v")), "/k?partNumber=1&versionId=v");
        assert_eq!(endpoint.target(Some("attributes"), None), "/k?attributes");
    }
}
