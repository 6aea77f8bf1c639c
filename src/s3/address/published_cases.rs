//! The hosts that are built here beside those that AWS publishes: every line of fixtures/endpoints/cases.jsonl.

use serde::Deserialize;

use crate::error::Result;
use crate::s3::address::addressing::{Addressing, AddressingStyle, EndpointVariant};
use crate::s3::address::endpoint::Endpoint;
use crate::s3::address::endpoint_url;
use crate::s3::address::region::Region;
use crate::s3::address::s3_uri::S3Uri;
use crate::s3::address::signing_scope::AuthScheme;

/// A line of the table: see generate.py there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "columns of a table")]
struct Case {
    name: String,
    region: String,
    bucket: String,
    endpoint: Option<String>,
    #[serde(default)]
    fips: bool,
    #[serde(default)]
    dualstack: bool,
    #[serde(default)]
    accelerate: bool,
    #[serde(default)]
    path_style: bool,
    use_arn_region: Option<bool>,
    #[serde(default)]
    without_sessions: bool,
    #[serde(default)]
    without_multi_region: bool,
    url: Option<String>,
    /// Where we mean another host than the rules.
    ours: Option<String>,
    /// `sigv4` where there is none.
    scheme: Option<String>,
    signing_region: Option<String>,
    signing_name: Option<String>,
    /// AWS refuses it: so do we.
    error: Option<String>,
    /// We refuse it.
    unsupported: Option<String>,
}

impl Case {
    fn resolve(&self) -> Result<Endpoint> {
        let uri: S3Uri = format!("s3://{}/key", self.bucket).parse()?;
        let region = Region::parse(&self.region)?;
        let custom = self.endpoint.as_ref().map(|url| endpoint_url::parse(url, "the table")).transpose()?;
        let named = |uri: &http::Uri| uri.host().is_some_and(|h| h.parse::<std::net::IpAddr>().is_err());
        let style = match &custom {
            _ if self.path_style => AddressingStyle::Path,
            // AWS has the bucket in the host of custom endpoints too, where this program requires the option.
            Some(uri) if named(uri) => AddressingStyle::Virtual,
            _ => AddressingStyle::Auto,
        };
        let variant =
            EndpointVariant { fips: self.fips, dualstack: self.dualstack, accelerate: self.accelerate };
        let addressing = Addressing {
            style,
            variant,
            arn_region_must_match: self.use_arn_region == Some(false),
            disable_express_session_auth: self.without_sessions,
            disable_multiregion_access_points: self.without_multi_region,
        };
        Endpoint::resolve(&uri, &region, custom.as_ref(), addressing)
    }
}

#[test]
fn every_published_case() {
    let table = include_str!("../../../fixtures/endpoints/cases.jsonl");
    let (mut same, mut refused, mut unsupported) = (0, 0, 0);
    for line in table.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        let resolved = case.resolve();
        match (&case.error, &case.unsupported) {
            (Some(error), None) => {
                let ours = resolved.map(|e| e.base()).expect_err(&format!("{}: {error}", case.name));
                assert_eq!(ours.exit_code(), 2, "{}: {ours}", case.name);
                refused += 1;
            }
            (None, Some(what)) => {
                let ours = resolved.map(|e| e.base()).expect_err(&format!("{}: {what}", case.name));
                let said = ours.to_string();
                assert!(
                    said.contains("not supported") || said.contains("consists of letters"),
                    "{}: {said}",
                    case.name
                );
                unsupported += 1;
            }
            _ => {
                let ours = resolved.unwrap_or_else(|e| panic!("{}: {e}", case.name));
                let url = format!("{}{}", ours.base(), ours.target(None, None));
                assert_eq!(url, format!("{}/key", case.ours.or(case.url).unwrap()), "{}", case.name);
                let scope = ours.scope();
                let scheme = match scope.scheme {
                    AuthScheme::SigV4 => None,
                    AuthScheme::Session => Some("sigv4-s3express"),
                    AuthScheme::SigV4a => Some("sigv4a"),
                };
                assert_eq!(scheme, case.scheme.as_deref(), "{}", case.name);
                // The signature of a multi-region access point has no region.
                assert!(
                    case.signing_region.is_none_or(|region| region == scope.region.as_str()),
                    "{}",
                    case.name
                );
                assert_eq!(scope.service, case.signing_name.unwrap(), "{}", case.name);
                same += 1;
            }
        }
    }
    // A table that lost its lines must not pass.
    assert_eq!((same, refused, unsupported), (188, 103, 10));
}
