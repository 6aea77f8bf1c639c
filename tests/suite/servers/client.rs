//! Uploads the objects that s3fcp is to find, by signed requests of the tests' own client.
//!
//! Each request has its own connection. Nothing of the program under test is used, neither to build nor to sign a
//! request, so that a mistake of the program cannot cancel itself out.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::net::TcpStream;

use super::Keys;

/// `UriEncode` of the Amazon S3 API Reference: all but the unreserved characters and the slash.
const KEY: &AsciiSet = &VALUE.remove(b'/');
/// Characters that stay as they are in the value of a query parameter.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A server's refusal: the status and the document that says so.
#[derive(Debug)]
pub(super) struct Refused(pub(super) String);

/// Speaks to one server as one user.
#[derive(Clone)]
pub(super) struct Client {
    /// Host and port.
    pub(super) authority: String,
    pub(super) keys: Keys,
    pub(super) region: &'static str,
}

impl Client {
    /// Makes a bucket.
    pub(super) fn make_bucket(&self, bucket: &str) -> Result<(), Refused> {
        self.s3(Method::PUT, &format!("/{bucket}"), Bytes::new()).map(drop)
    }

    /// Stores an object; the answer's headers show its `ETag` and version.
    pub(super) fn put(&self, bucket: &str, key: &str, body: Bytes) -> Result<Response<Bytes>, Refused> {
        self.s3(Method::PUT, &path(bucket, key), body)
    }

    /// Stores an object with these headers.
    pub(super) fn put_with(
        &self,
        bucket: &str,
        key: &str,
        body: Bytes,
        headers: &[(String, String)],
    ) -> Result<Response<Bytes>, Refused> {
        let mut request = Request::put(path(bucket, key));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        self.send(request.body(body).expect("a request"), "s3")
    }

    /// Deletes an object, or hides its versions by a marker.
    pub(super) fn delete(&self, bucket: &str, key: &str) -> Result<(), Refused> {
        self.s3(Method::DELETE, &path(bucket, key), Bytes::new()).map(drop)
    }

    /// Returns the server's description of an object.
    pub(super) fn head(&self, bucket: &str, key: &str) -> Result<Response<Bytes>, Refused> {
        self.s3(Method::HEAD, &path(bucket, key), Bytes::new())
    }

    /// Keeps the versions of a bucket's objects from now on.
    pub(super) fn keep_versions(&self, bucket: &str) -> Result<(), Refused> {
        let wanted = r#"<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>"#;
        self.s3(Method::PUT, &format!("/{bucket}?versioning="), Bytes::from(wanted)).map(drop)
    }

    /// Stores an object as an upload of parts.
    pub(super) fn put_parts(&self, bucket: &str, key: &str, parts: &[Bytes]) -> Result<(), Refused> {
        let path = path(bucket, key);
        let begun = self.s3(Method::POST, &format!("{path}?uploads="), Bytes::new())?;
        let upload = element(begun.body(), "UploadId");
        let upload = utf8_percent_encode(&upload, VALUE);
        let mut list = String::from("<CompleteMultipartUpload>");
        for (part, number) in parts.iter().zip(1..) {
            let target = format!("{path}?partNumber={number}&uploadId={upload}");
            let stored = self.s3(Method::PUT, &target, part.clone())?;
            let etag = stored.headers()["etag"].to_str().expect("an ETag in ASCII");
            list.extend([
                "<Part><PartNumber>",
                &number.to_string(),
                "</PartNumber><ETag>",
                etag,
                "</ETag></Part>",
            ]);
        }
        list += "</CompleteMultipartUpload>";
        self.s3(Method::POST, &format!("{path}?uploadId={upload}"), list.into()).map(drop)
    }

    /// Sends a request to S3.
    pub(super) fn s3(&self, method: Method, target: &str, body: Bytes) -> Result<Response<Bytes>, Refused> {
        let request = Request::builder().method(method).uri(target).body(body);
        self.send(request.expect("a request"), "s3")
    }

    /// Signs a request for a service of AWS's, sends it and waits for all of the answer.
    pub(super) fn send(&self, request: Request<Bytes>, service: &str) -> Result<Response<Bytes>, Refused> {
        self.send_as_it_is(self.signed(request, service))
    }

    /// Sends a request that is signed, or needs no signature, and waits for all of the answer.
    pub(super) fn send_as_it_is(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, Refused> {
        let what = format!("{} {}", request.method(), request.uri());
        let host = self.authority.parse().expect("a host and a port");
        request.headers_mut().insert("host", host);
        // hyper sends no length for an empty body, and some servers require it with every PUT.
        let length = request.body().len().into();
        request.headers_mut().insert("content-length", length);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let answer = runtime.expect("a runtime").block_on(self.exchange(request));
        let answer = answer.map_err(|e| Refused(format!("{what}: {e}")))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let document = String::from_utf8_lossy(answer.body());
        Err(Refused(format!("{what}: {}: {document}", answer.status())))
    }

    fn signed(&self, mut request: Request<Bytes>, service: &str) -> Request<Bytes> {
        let host = self.authority.parse().expect("a host and a port");
        request.headers_mut().insert("host", host);
        let Keys { id, secret } = &self.keys;
        let identity = Credentials::new(id.as_str(), secret.as_str(), None, None, "tests").into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(service)
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .expect("all that a signature needs")
            .into();
        let headers: Vec<_> = request.headers().iter().collect();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("ASCII")));
        let (uri, body) = (request.uri().to_string(), SignableBody::Bytes(request.body()));
        let signable =
            SignableRequest::new(request.method().as_str(), uri, headers, body).expect("a request");
        let (instructions, _) = sign(signable, &params).expect("a signature").into_parts();
        instructions.apply_to_request_http1x(&mut request);
        request
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Box<dyn std::error::Error>> {
        let socket = TcpStream::connect(&self.authority).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        tokio::spawn(async { drop(connection.await) });
        let (head, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }
}

/// Path style, the key encoded once.
fn path(bucket: &str, key: &str) -> String {
    format!("/{bucket}/{}", utf8_percent_encode(key, KEY))
}

/// The text of an XML document's first element of this name.
pub(super) fn element(document: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(document);
    let inner = text.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once("</"));
    inner.unwrap_or_else(|| panic!("no <{name}> in {text}")).0.to_owned()
}
