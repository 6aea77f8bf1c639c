//! The URLs of the services that give credentials: STS and IAM Identity Center.
//!
//! Source: the endpoint rules of `sts`, `sso` and `sso-oidc` in botocore's data.

use crate::config::profile::SettingsLookup;
use crate::error::Result;
use crate::s3::address::addressing::EndpointVariant;
use crate::s3::address::partition::Partition;
use crate::s3::address::region::Region;

/// A service that gives credentials.
#[derive(Debug, Clone, Copy)]
pub(super) struct CredentialService {
    /// Its name in settings.
    setting: &'static str,
    /// The beginning of its hosts' names.
    host: &'static str,
}

/// The Security Token Service.
pub(super) const STS: CredentialService = CredentialService { setting: "sts", host: "sts" };
/// The portal of IAM Identity Center.
pub(super) const SSO: CredentialService = CredentialService { setting: "sso", host: "portal.sso" };
/// The token service of IAM Identity Center.
pub(super) const SSO_OIDC: CredentialService = CredentialService { setting: "sso_oidc", host: "oidc" };

impl CredentialService {
    /// Returns its URL, without a slash at the end: the configured one, otherwise AWS's in `region`.
    pub(super) fn url(
        self,
        found: SettingsLookup,
        region: &Region,
        variant: EndpointVariant,
    ) -> Result<String> {
        let configured = found.endpoint(self.setting)?;
        let url = configured.map_or_else(|| self.url_at_aws(region, variant), |url| url.to_string());
        Ok(url.trim_end_matches('/').to_owned())
    }

    fn url_at_aws(self, region: &Region, variant: EndpointVariant) -> String {
        let partition = Partition::of(region);
        // The hosts of the government's regions are all validated.
        let fips = if variant.fips && partition.id != "aws-us-gov" { "-fips" } else { "" };
        let domain = match (variant.dualstack, partition.id) {
            (true, "aws" | "aws-us-gov") => "api.aws",
            (true, "aws-cn") => "api.amazonwebservices.com.cn",
            (true, "aws-eusc") => "api.amazonwebservices.eu",
            _ => partition.dns_suffix,
        };
        format!("https://{}{fips}.{region}.{domain}", self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_those_of_the_endpoint_rules() {
        for (service, region, fips, dualstack, url) in [
            (STS, "us-east-1", false, false, "https://sts.us-east-1.amazonaws.com"),
            (STS, "eu-west-1", true, false, "https://sts-fips.eu-west-1.amazonaws.com"),
            (STS, "eu-west-1", false, true, "https://sts.eu-west-1.api.aws"),
            (STS, "us-gov-west-1", true, false, "https://sts.us-gov-west-1.amazonaws.com"),
            (STS, "cn-north-1", false, false, "https://sts.cn-north-1.amazonaws.com.cn"),
            (STS, "us-iso-east-1", false, false, "https://sts.us-iso-east-1.c2s.ic.gov"),
            (SSO, "us-east-1", true, true, "https://portal.sso-fips.us-east-1.api.aws"),
            (SSO, "us-gov-west-1", true, false, "https://portal.sso.us-gov-west-1.amazonaws.com"),
            (SSO_OIDC, "cn-north-1", false, true, "https://oidc.cn-north-1.api.amazonwebservices.com.cn"),
        ] {
            let variant = EndpointVariant { fips, dualstack, accelerate: false };
            assert_eq!(service.url_at_aws(&Region::parse(region).unwrap(), variant), url);
        }
    }
}
