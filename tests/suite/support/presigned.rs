//! URLs presigned by AWS's own signer, and runs without any keys.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use s3server::Server;

use super::run::{ACCESS_KEY, S3fcp, SECRET_KEY};

/// The value of a query, which no message may contain.
pub(crate) const SECRET: &str = "f00dfeedf00dfeed";

/// Prepares a run without any keys, since a URL needs none, and without hedges, so that each range is requested once
/// however slow the machine is.
pub(crate) fn run() -> S3fcp {
    let run = S3fcp::new().args(["--hedge", "off"]).logged();
    run.without_env("AWS_ACCESS_KEY_ID").without_env("AWS_SECRET_ACCESS_KEY")
}

/// Returns a URL for a GET of `path` on the store, signed at `time` for five minutes by AWS's own signer.
pub(crate) fn presigned(store: &Server, path: &str, time: SystemTime) -> String {
    let identity = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_mins(5));
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(time)
        .settings(settings)
        .build()
        .expect("parameters");
    let url = format!("{}{path}", store.endpoint());
    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::UnsignedPayload)
        .expect("a request");
    let mut signed = http::Request::get(&url).body(()).expect("a URL");
    sign(request, &params.into()).expect("a signature").into_parts().0.apply_to_request_http1x(&mut signed);
    signed.uri().to_string()
}
