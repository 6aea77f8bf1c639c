//! Where an object's requests go: scheme, host, port and the path, percent-encoded once; and the scope of their
//! signatures. Pure: no host name is resolved.
//!
//! Source: AWS's endpoint rules for S3; fixtures/endpoints has the published cases.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{Error, ErrorKind, Result};
use crate::s3::address::addressing::Addressing;
use crate::s3::address::host;
use crate::s3::address::http_url::{HttpUrl, UrlQuery};
use crate::s3::address::region::Region;
use crate::s3::address::s3_uri::S3Uri;
use crate::s3::address::signing_scope::{AuthScheme, SigningScope};

/// The host that serves one bucket, and the path of one object on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    https: bool,
    /// The value of `Host`: the host, with the port unless it is the scheme's default.
    authority: String,
    /// The bucket's path, percent-encoded: `/` where the host has its name. Empty for a URL.
    bucket_path: String,
    /// The object's path, percent-encoded; starts with `/`.
    path: String,
    /// The query of a URL; signed requests have none but the version.
    query: Option<UrlQuery>,
    scope: SigningScope,
    /// The custom endpoint's own path ends in the bucket's name.
    has_bucket_in_prefix: bool,
}

/// Everything but the unreserved characters and the slash is encoded (Amazon S3 API Reference,
/// "Signature calculations", `UriEncode`); the same text is signed and sent.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// The characters encoded in the value of a query parameter: those of a key, and the slash.
const VALUE: &AsciiSet = &KEY.add(b'/');

impl Endpoint {
    /// Resolves the endpoint of `uri`: `custom` if one is configured, else AWS's host in `region`.
    pub(crate) fn resolve(
        uri: &S3Uri,
        region: &Region,
        custom: Option<&http::Uri>,
        addressing: Addressing,
    ) -> Result<Self> {
        let host = host::choose(uri, region, custom, addressing)?;
        let https = custom.is_none_or(|base| base.scheme_str() != Some("http"));
        let port = custom.and_then(http::Uri::port_u16);
        let prefix = custom.map_or("", |base| base.path().trim_end_matches('/'));
        let key = utf8_percent_encode(uri.key(), KEY);
        let bucket = utf8_percent_encode(uri.bucket(), VALUE);
        let (bucket_path, path) = if host.has_bucket {
            (format!("{prefix}/"), format!("{prefix}/{key}"))
        } else {
            (format!("{prefix}/{bucket}"), format!("{prefix}/{bucket}/{key}"))
        };
        let default_port = if https { 443 } else { 80 };
        let authority = match port {
            Some(port) if port != default_port => format!("{}:{port}", host.name),
            _ => host.name,
        };
        let has_bucket_in_prefix = prefix.rsplit('/').next() == Some(uri.bucket());
        Ok(Self { https, authority, bucket_path, path, query: None, scope: host.scope, has_bucket_in_prefix })
    }

    /// Returns the endpoint of `url`, which is used exactly as given. Requests to it are not signed.
    pub(crate) fn for_url(url: &HttpUrl) -> Self {
        Self {
            https: url.is_https(),
            authority: url.authority().to_owned(),
            bucket_path: String::new(),
            path: url.path().to_owned(),
            query: url.query().cloned(),
            scope: SigningScope { region: Region::default(), service: "", scheme: AuthScheme::SigV4 },
            has_bucket_in_prefix: false,
        }
    }

    /// Adds a hint to `error` if nothing was found because the bucket's name is there twice.
    pub(crate) fn explain(&self, error: Error) -> Error {
        if error.kind() == ErrorKind::NotFound && self.has_bucket_in_prefix {
            return error.with_better_hint(
                "the endpoint's path ends in the bucket's name, which s3fcp adds itself: leave it out there",
            );
        }
        error
    }

    /// Returns the scope of signatures for this endpoint.
    pub(crate) fn scope(&self) -> &SigningScope {
        &self.scope
    }

    /// Returns the value of the header `Host`.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns scheme and authority, for the connector.
    pub(crate) fn base(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }

    /// Returns whether the host is this machine: a loopback address, or `localhost`.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback_authority(&self.authority)
    }

    /// Returns whether requests are sent over TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.https
    }

    /// Returns the request target of `CreateSession`.
    pub(crate) fn session_target(&self) -> String {
        format!("{}?session", self.bucket_path)
    }

    /// Returns the request target: the path, and a query of `subresource` and the version. For a URL the query is its
    /// own and nothing is added.
    pub(crate) fn target(&self, subresource: Option<&str>, version_id: Option<&str>) -> String {
        if let Some(query) = &self.query {
            return query.append_to(&self.path);
        }
        let version = version_id.map(|id| format!("versionId={}", utf8_percent_encode(id, VALUE)));
        let query: Vec<&str> = subresource.into_iter().chain(version.as_deref()).collect();
        if query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, query.join("&")) }
    }
}

/// Returns whether `authority`, a host and perhaps a port, is this machine.
pub(crate) fn is_loopback_authority(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    address.map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::address::addressing::AddressingStyle;

    fn resolve(uri: &str, region: &str, custom: Option<&str>, style: AddressingStyle) -> Result<Endpoint> {
        let custom = custom.map(|c| c.parse().unwrap());
        let region = Region::parse(region).unwrap();
        Endpoint::resolve(&uri.parse().unwrap(), &region, custom.as_ref(), style.into())
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
            ("s3://Old_Bucket/k", "us-east-1", minio, Virtual, "http://minio.lan:9000 /Old_Bucket/k"),
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
    fn this_machine_is_known_by_its_addresses_and_its_name() {
        for (custom, loopback) in [
            ("http://127.0.0.1:9000", true),
            ("http://127.1.2.3", true),
            ("http://[::1]:9000", true),
            ("http://[::1]", true),
            ("http://LOCALHOST:9000", true),
            ("http://localhost", true),
            ("http://localhost.evil.example", false),
            ("http://127.0.0.1.evil.example:9000", false),
            ("http://10.0.0.1:9000", false),
            ("http://[fe80::1]:9000", false),
        ] {
            let endpoint = resolve("s3://bucket/k", "any", Some(custom), AddressingStyle::Path).unwrap();
            assert_eq!(endpoint.is_loopback(), loopback, "{custom}");
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
    fn a_bucket_that_is_named_twice_is_explained() {
        let error = |kind| Error::new(kind, "no such bucket").with_hint("another");
        for (custom, kind, is_explained) in [
            ("http://h/bucket", ErrorKind::NotFound, true),
            ("http://h/bucket/", ErrorKind::NotFound, true),
            ("http://h/s3/bucket", ErrorKind::NotFound, true),
            ("http://h/bucket", ErrorKind::Access, false),
            ("http://h/bucket/s3", ErrorKind::NotFound, false),
            ("http://h/my-bucket", ErrorKind::NotFound, false),
            ("http://h", ErrorKind::NotFound, false),
        ] {
            let endpoint = resolve("s3://bucket/k", "any", Some(custom), AddressingStyle::Path).unwrap();
            let hint = endpoint.explain(error(kind)).hint().map(str::to_owned).unwrap_or_default();
            assert_eq!(hint.contains("leave it out there"), is_explained, "{custom}: {hint}");
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
