//! Signature Version 4 in the header `Authorization`, with S3's settings. The time is a parameter.
//!
//! Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".

use std::time::SystemTime;

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign as sigv4,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use http::Request;

use crate::error::{Error, ErrorKind, Result};
use crate::s3::address::region::Region;

/// Signs `request`, which must have its `Host` header and no body, for `service` (`s3`, or the service of an access
/// point) in `region`.
///
/// Signed are `Host` and the `x-amz-*` headers, as S3 asks; a caching proxy may rewrite any other (`Range` and
/// `If-Match` above all), which would invalidate the signature.
///
/// # Errors
/// If the identity cannot sign, or the request cannot be represented.
pub fn sign<B>(
    request: &mut Request<B>,
    identity: &Identity,
    region: &Region,
    service: &str,
    time: SystemTime,
) -> Result<()> {
    sign_headers(request, &[], identity, region, service, time, settings(), is_signed_header)
}

/// Signs `request`, a form, for a service that is not S3.
pub(crate) fn sign_form(
    request: &mut Request<String>,
    identity: &Identity,
    region: &Region,
    service: &str,
    time: SystemTime,
) -> Result<()> {
    let form = request.body().clone();
    let is_signed = |name: &str| is_signed_header(name) || name == "content-type";
    let settings = SigningSettings::default();
    sign_headers(request, form.as_bytes(), identity, region, service, time, settings, is_signed)
}

/// Signs `request` with the keys of a directory bucket's session, whose token has a header of its own (Amazon S3 API
/// Reference, `CreateSession`).
pub(crate) fn sign_with_session<B>(
    request: &mut Request<B>,
    session: &Identity,
    region: &Region,
    service: &str,
    time: SystemTime,
) -> Result<()> {
    let mut settings = settings();
    settings.session_token_name_override = Some("x-amz-s3session-token");
    sign_headers(request, &[], session, region, service, time, settings, is_signed_header)
}

/// Returns whether a header is signed, by its name in lower case.
pub(super) fn is_signed_header(name: &str) -> bool {
    name == "host" || name.starts_with("x-amz-")
}

/// Signs `request`, including the headers for whose name, in lower case, `is_signed` returns true, and the bytes of its
/// body.
#[expect(clippy::too_many_arguments, reason = "each is one of the things that a signature covers")]
fn sign_headers<B>(
    request: &mut Request<B>,
    body: &[u8],
    identity: &Identity,
    region: &Region,
    service: &str,
    time: SystemTime,
    settings: SigningSettings,
    is_signed: impl Fn(&str) -> bool,
) -> Result<()> {
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(ErrorKind::Other, "cannot sign the request").with_source(e)
    };
    let params = v4::SigningParams::builder()
        .identity(identity)
        .region(region.as_str())
        .name(service)
        .time(time)
        .settings(settings)
        .build()
        .map_err(|e| failed(e.into()))?
        .into();
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()))
        .filter(|(name, _)| is_signed(name));
    let uri = request.uri().to_string();
    let signable = SignableRequest::new(request.method().as_str(), uri, headers, SignableBody::Bytes(body))
        .map_err(|e| failed(e.into()))?;
    let (instructions, _signature) = sigv4(signable, &params).map_err(|e| failed(e.into()))?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

/// Returns the settings in which S3 differs from other services: the path is encoded once, as it is sent, `//` and `..`
/// are part of a key, and the payload's hash is a header.
fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::address::addressing::AddressingStyle;
    use crate::s3::address::endpoint::Endpoint;
    use crate::s3::range::ByteRange;
    use crate::s3::request::{S3Request, build};
    use aws_credential_types::Credentials;
    use http::header::AUTHORIZATION;
    use serde::Deserialize;
    use std::time::{Duration, UNIX_EPOCH};

    /// One folder of fixtures/sigv4: see generate.py there.
    #[derive(Deserialize)]
    struct Vector {
        access_key: String,
        secret_key: String,
        token: Option<String>,
        time: u64,
        region: String,
        bucket: String,
        key: String,
        endpoint: Option<String>,
        #[serde(default, rename = "virtual")]
        virtual_hosted: bool,
        version_id: Option<String>,
        if_match: Option<String>,
        first: u64,
        last: u64,
        target: String,
        authorization: String,
    }

    fn signed(v: &Vector) -> Request<http_body_util::Empty<bytes::Bytes>> {
        let uri = format!("s3://{}/{}", v.bucket, v.key).parse().unwrap();
        let region = Region::parse(&v.region).unwrap();
        let custom = v.endpoint.as_ref().map(|e| e.parse().unwrap());
        let style = if v.virtual_hosted { AddressingStyle::Virtual } else { AddressingStyle::Auto };
        let endpoint = Endpoint::resolve(&uri, &region, custom.as_ref(), style.into()).unwrap();
        let range = ByteRange::new(v.first, v.last + 1);
        let s3_request = S3Request::Get { range, if_match: v.if_match.as_deref(), checksums: false };
        let mut request = build(&endpoint, s3_request, v.version_id.as_deref()).unwrap();
        let identity = Credentials::new(&v.access_key, &v.secret_key, v.token.clone(), None, "test").into();
        let time = UNIX_EPOCH + Duration::from_secs(v.time);
        if v.authorization.contains(";range;") {
            // AWS's published example signs the range too.
            let is_signed = |name: &str| name == "host" || name == "range" || name.starts_with("x-amz-");
            sign_headers(&mut request, &[], &identity, &region, "s3", time, settings(), is_signed).unwrap();
        } else {
            sign(&mut request, &identity, &region, "s3", time).unwrap();
        }
        request
    }

    /// AWS's own example has no space after its commas, botocore has one: both are allowed.
    fn parts(authorization: &str) -> Vec<&str> {
        authorization.split([',', ' ']).filter(|part| !part.is_empty()).collect()
    }

    #[test]
    fn every_vector_of_the_fixtures() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/sigv4");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap().filter_map(|e| e.ok().filter(|e| e.path().is_dir())) {
            let text = std::fs::read_to_string(entry.path().join("vector.json")).unwrap();
            let vector: Vector = serde_json::from_str(&text).unwrap();
            let request = signed(&vector);
            let name = entry.file_name();
            assert_eq!(request.uri().to_string(), vector.target, "{name:?}");
            let authorization = request.headers()[AUTHORIZATION].to_str().unwrap();
            assert_eq!(parts(authorization), parts(&vector.authorization), "{name:?}");
            let token = request.headers().get("x-amz-security-token").map(|t| t.to_str().unwrap());
            assert_eq!(token, vector.token.as_deref(), "{name:?}");
            seen += 1;
        }
        assert!(seen >= 14, "only {seen} vectors in {folder}");
    }

    /// From the URI to the signature: the scope is the access point's, and not the configured region's.
    #[test]
    fn an_access_point_is_signed_for_its_own_region_and_service() {
        for (arn, scope, host) in [
            ("s3:eu-west-1:1:accesspoint/p", "/eu-west-1/s3/", "p-1.s3-accesspoint.eu-west-1.amazonaws.com"),
            (
                "s3-object-lambda:eu-west-1:1:accesspoint/p",
                "/eu-west-1/s3-object-lambda/",
                "p-1.s3-object-lambda.eu-west-1.amazonaws.com",
            ),
            (
                "s3-outposts:eu-west-1:1:outpost/op-2/accesspoint/p",
                "/eu-west-1/s3-outposts/",
                "p-1.op-2.s3-outposts.eu-west-1.amazonaws.com",
            ),
        ] {
            let uri = format!("s3://arn:aws:{arn}/a b").parse().unwrap();
            let style = AddressingStyle::Auto.into();
            let endpoint = Endpoint::resolve(&uri, &Region::default(), None, style).unwrap();
            let mut request = build(&endpoint, S3Request::GetWhole, None).unwrap();
            let identity = Credentials::new("id", "secret", None, None, "test").into();
            let of = endpoint.scope();
            sign(&mut request, &identity, &of.region, of.service, UNIX_EPOCH).unwrap();
            let authorization = request.headers()[AUTHORIZATION].to_str().unwrap();
            assert!(authorization.contains(scope), "{arn}: {authorization}");
            assert_eq!(request.headers()["host"], host);
            assert_eq!(request.uri(), "/a%20b");
        }
    }

    #[test]
    fn a_session_signs_its_token_in_a_header_of_its_own() {
        let region = Region::parse("us-west-2").unwrap();
        let uri = "s3://b--usw2-az1--x-s3/a b+c".parse().unwrap();
        let endpoint = Endpoint::resolve(&uri, &region, None, AddressingStyle::Auto.into()).unwrap();
        let session = Credentials::new("ASIA", "secret", Some("TOKEN".to_owned()), None, "test").into();
        let mut request = build(&endpoint, S3Request::Head { checksums: true }, None).unwrap();
        sign_with_session(&mut request, &session, &region, "s3express", UNIX_EPOCH).unwrap();
        let headers = request.headers();
        let authorization = headers[AUTHORIZATION].to_str().unwrap();
        assert!(authorization.contains("Credential=ASIA/19700101/us-west-2/s3express/aws4_request"));
        assert!(
            authorization.contains(
                "SignedHeaders=host;x-amz-checksum-mode;x-amz-content-sha256;x-amz-date;x-amz-s3session-token"
            ),
            "{authorization}"
        );
        assert_eq!(headers["x-amz-s3session-token"], "TOKEN");
        assert!(headers["x-amz-s3session-token"].is_sensitive());
        assert!(!headers.contains_key("x-amz-security-token"));
        assert_eq!(request.uri(), "/a%20b%2Bc");
    }

    /// Computed by botocore, `SigV4Auth`.
    #[test]
    fn a_form_is_signed_with_its_body() {
        let form = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr";
        let time = UNIX_EPOCH + Duration::from_hours(498_826);
        for (token, signature) in [
            (None, "0253982c917e08742c0157e9ae3feb68fd509707ef13af73a8e8b7a7d09b83cc"),
            (Some("TOKEN"), "432e087e11957cf8835af27c8b8f9ba3cdb1bfa0e7710202b824862ab5d83067"),
        ] {
            let mut request = Request::post("https://sts.eu-west-1.amazonaws.com/")
                .header("host", "sts.eu-west-1.amazonaws.com")
                .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
                .body(form.to_owned())
                .unwrap();
            let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
            let keys = Credentials::new("AKIDEXAMPLE", secret, token.map(str::to_owned), None, "test").into();
            let region = Region::parse("eu-west-1").unwrap();
            sign_form(&mut request, &keys, &region, "sts", time).unwrap();
            let authorization = request.headers()[AUTHORIZATION].to_str().unwrap();
            assert!(authorization.ends_with(&format!("Signature={signature}")), "{authorization}");
        }
    }

    #[test]
    fn secrets_do_not_show_in_the_debug_form_of_a_signed_request() {
        let text = include_str!("../../fixtures/sigv4/session-token/vector.json");
        let vector: Vector = serde_json::from_str(text).unwrap();
        let shown = format!("{:?}", signed(&vector));
        assert!(shown.contains("Sensitive"), "{shown}");
        assert!(!shown.contains(&vector.secret_key) && !shown.contains(&vector.token.unwrap()), "{shown}");
    }
}
