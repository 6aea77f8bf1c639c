//! Signature Version 4 in the header `Authorization`, with S3's settings.
//!
//! (request, identity, region, time) to the same request, signed. Time is a parameter and nothing is
//! read or sent here. Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature
//! Version 4)".

use std::borrow::Cow;
use std::time::SystemTime;

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign as sigv4,
};
use aws_sigv4::sign::v4;
use http::Request;

use crate::config::{Identity, Region};
use crate::error::{Error, ErrorKind, Result};

/// Signs `request`, which must already hold its `Host` and has no body, for S3 in `region`.
pub(crate) fn sign<B>(
    request: &mut Request<B>,
    identity: &Identity,
    region: &Region,
    time: SystemTime,
) -> Result<()> {
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(ErrorKind::Other, "the request could not be signed").with_source(e)
    };
    let params = v4::SigningParams::builder()
        .identity(identity)
        .region(region.as_str())
        .name("s3")
        .time(time)
        .settings(settings())
        .build()
        .map_err(|e| failed(e.into()))?
        .into();
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
    let uri = request.uri().to_string();
    let signable = SignableRequest::new(request.method().as_str(), uri, headers, SignableBody::Bytes(&[]))
        .map_err(|e| failed(e.into()))?;
    let (instructions, _signature) = sigv4(signable, &params).map_err(|e| failed(e.into()))?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

/// S3 differs from every other service: the path is encoded once, as it is sent, `//` and `..` are
/// part of a key, and the payload's hash is a header.
fn settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    // What a proxy or gateway may rewrite on the way must stay out of the signature.
    settings.excluded_headers =
        Some(["authorization", "user-agent", "accept-encoding"].map(Cow::Borrowed).to_vec());
    settings
}
