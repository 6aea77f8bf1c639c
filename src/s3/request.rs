//! The requests that a download sends, before they are signed: HEAD, GET, and those for the sizes of parts.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HOST, IF_MATCH, RANGE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};
use http_body_util::Empty;

use crate::error::{Error, ErrorKind, Result};
use crate::s3::address::endpoint::Endpoint;
use crate::s3::range::ByteRange;
use crate::s3::sse_c::CustomerKey;

/// `x-amz-checksum-mode: ENABLED` makes responses show the object's checksums (S3 API, `HeadObject` and `GetObject`).
const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

/// The attributes that `GetObjectAttributes` returns, and the size of a page (S3 API).
const OBJECT_ATTRIBUTES: HeaderName = HeaderName::from_static("x-amz-object-attributes");
const MAX_PARTS: HeaderName = HeaderName::from_static("x-amz-max-parts");
const PART_NUMBER_MARKER: HeaderName = HeaderName::from_static("x-amz-part-number-marker");
/// The requester agrees to pay (Amazon S3 User Guide, "Requester Pays buckets").
const REQUEST_PAYER: HeaderName = HeaderName::from_static("x-amz-request-payer");

/// The mode of the session, which may only read (S3 API, `CreateSession`).
const CREATE_SESSION_MODE: HeaderName = HeaderName::from_static("x-amz-create-session-mode");

/// A request for an object or its metadata, or for a session to read them with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum S3Request<'a> {
    /// The object's metadata, with the store's checksums if `checksums` is set.
    Head { checksums: bool },
    /// A range of bytes, of the version whose `ETag` is `if_match` if there is one, with the store's checksums if `checksums`
    /// is set and the range is all of the object.
    Get { range: ByteRange, if_match: Option<&'a str>, checksums: bool },
    /// The whole object.
    GetWhole,
    /// A page of the part list, after part number `after` (`GetObjectAttributes`).
    ListParts { after: u32 },
    /// The metadata of one part, counted from 1.
    HeadPart { number: u32 },
    /// Temporary keys for the bucket, which is a directory bucket.
    CreateSession,
}

impl S3Request<'_> {
    /// Returns the method, `GET` or `HEAD`.
    pub(crate) fn method(self) -> Method {
        match self {
            Self::Head { .. } | Self::HeadPart { .. } => Method::HEAD,
            Self::Get { .. } | Self::GetWhole | Self::ListParts { .. } | Self::CreateSession => Method::GET,
        }
    }

    /// Returns whether the response has no body, and so no document where it is an error.
    pub(crate) fn is_head(self) -> bool {
        self.method() == Method::HEAD
    }

    /// Returns the range, if the request has one.
    pub(crate) fn range(self) -> Option<ByteRange> {
        match self {
            Self::Get { range, .. } => Some(range),
            _ => None,
        }
    }

    /// Returns the query of the request target, without the version.
    pub(crate) fn query(self) -> Option<String> {
        match self {
            Self::ListParts { .. } => Some("attributes".to_owned()),
            Self::HeadPart { number } => Some(format!("partNumber={number}")),
            Self::CreateSession => Some("session".to_owned()),
            Self::Head { .. } | Self::Get { .. } | Self::GetWhole => None,
        }
    }
}

/// Builds the HTTP request for `request`, for the given version if there is one.
pub(crate) fn build(
    endpoint: &Endpoint,
    request: S3Request<'_>,
    version_id: Option<&str>,
) -> Result<Request<Empty<Bytes>>> {
    let target = match request {
        S3Request::CreateSession => endpoint.session_target(),
        _ => endpoint.target(request.query().as_deref(), version_id),
    };
    let mut builder = Request::builder()
        .method(request.method())
        .version(Version::HTTP_11)
        .uri(target)
        // hyper's connection adds no Host. It has the port, since it is signed as sent.
        .header(HOST, endpoint.authority())
        .header(USER_AGENT, concat!("s3fcp/", env!("CARGO_PKG_VERSION")))
        // A body that is re-encoded on the way would have other offsets.
        .header(ACCEPT_ENCODING, "identity");
    builder = match request {
        S3Request::Head { checksums: true } => builder.header(CHECKSUM_MODE, "ENABLED"),
        S3Request::Head { checksums: false } | S3Request::HeadPart { .. } | S3Request::GetWhole => builder,
        S3Request::ListParts { after } => builder
            .header(OBJECT_ATTRIBUTES, "ETag,ObjectSize,ObjectParts")
            .header(MAX_PARTS, "1000")
            .header(PART_NUMBER_MARKER, after.to_string()),
        S3Request::CreateSession => builder.header(CREATE_SESSION_MODE, "ReadOnly"),
        S3Request::Get { range, if_match, checksums } => {
            let builder = builder.header(RANGE, range_header(range));
            let builder = if checksums { builder.header(CHECKSUM_MODE, "ENABLED") } else { builder };
            match if_match {
                Some(etag) => builder.header(IF_MATCH, etag),
                None => builder,
            }
        }
    };
    builder.body(Empty::new()).map_err(|e| {
        Error::new(ErrorKind::Usage, "the endpoint, key or version cannot be sent in an HTTP request")
            .with_source(e)
    })
}

/// Returns the value of `Range`; a range without a known end goes to the end of the object.
fn range_header(range: ByteRange) -> String {
    if range.end() == u64::MAX { format!("bytes={}-", range.start()) } else { range.to_string() }
}

/// Returns the headers that every request carries.
pub(crate) fn common_headers(request_payer: bool, sse_c: Option<&CustomerKey>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if request_payer {
        headers.insert(REQUEST_PAYER, HeaderValue::from_static("requester"));
    }
    if let Some(key) = sse_c {
        key.add_to(&mut headers);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::address::addressing::AddressingStyle;
    use crate::s3::address::region::Region;

    fn endpoint() -> Endpoint {
        let custom = "http://127.0.0.1:9000".parse().unwrap();
        let region = Region::parse("us-east-1").unwrap();
        Endpoint::resolve(
            &"s3://bkt/a b".parse().unwrap(),
            &region,
            Some(&custom),
            AddressingStyle::Auto.into(),
        )
        .unwrap()
    }

    #[test]
    fn a_ranged_get_is_pinned_and_has_the_port_in_host() {
        let get = |checksums| {
            let request = S3Request::Get { range: ByteRange::new(0, 10), if_match: Some("\"e\""), checksums };
            build(&endpoint(), request, None).unwrap()
        };
        let request = get(false);
        assert_eq!(request.method(), Method::GET);
        assert_eq!(request.uri(), "/bkt/a%20b");
        assert_eq!(request.headers()[HOST], "127.0.0.1:9000");
        assert_eq!(request.headers()[RANGE], "bytes=0-9");
        assert_eq!(request.headers()[IF_MATCH], "\"e\"");
        assert!(!request.headers().contains_key(CHECKSUM_MODE));
        assert_eq!(get(true).headers()[CHECKSUM_MODE], "ENABLED");
    }

    #[test]
    fn a_range_without_an_end_is_open() {
        let request = S3Request::Get { range: ByteRange::new(7, u64::MAX), if_match: None, checksums: false };
        assert_eq!(build(&endpoint(), request, None).unwrap().headers()[RANGE], "bytes=7-");
    }

    #[test]
    fn requests_for_parts_have_a_query() {
        let request = build(&endpoint(), S3Request::ListParts { after: 1000 }, None).unwrap();
        assert_eq!(
            (request.method(), request.uri().to_string()),
            (&Method::GET, "/bkt/a%20b?attributes".into())
        );
        assert_eq!(request.headers()[PART_NUMBER_MARKER], "1000");
        assert!(request.headers()[OBJECT_ATTRIBUTES].to_str().unwrap().contains("ObjectParts"));
        let request = build(&endpoint(), S3Request::HeadPart { number: 7 }, Some("v/1")).unwrap();
        assert_eq!(request.method(), Method::HEAD);
        assert_eq!(request.uri(), "/bkt/a%20b?partNumber=7&versionId=v%2F1");
    }

    #[test]
    fn a_session_is_asked_for_at_the_bucket() {
        let region = Region::parse("us-west-2").unwrap();
        let at = |uri: &str, custom: Option<&str>| {
            let custom = custom.map(|url| url.parse().unwrap());
            let style = AddressingStyle::Auto.into();
            let endpoint = Endpoint::resolve(&uri.parse().unwrap(), &region, custom.as_ref(), style).unwrap();
            let request = build(&endpoint, S3Request::CreateSession, Some("v")).unwrap();
            assert_eq!(request.method(), Method::GET);
            assert_eq!(request.headers()[CREATE_SESSION_MODE], "ReadOnly");
            format!("{} {}", request.headers()[HOST].to_str().unwrap(), request.uri())
        };
        let uri = "s3://b--usw2-az1--x-s3/a b";
        assert_eq!(at(uri, None), "b--usw2-az1--x-s3.s3express-usw2-az1.us-west-2.amazonaws.com /?session");
        assert_eq!(at(uri, Some("http://lan:9000/p")), "b--usw2-az1--x-s3.lan:9000 /p/?session");
        assert_eq!(at(uri, Some("http://10.0.0.1/p/")), "10.0.0.1 /p/b--usw2-az1--x-s3?session");
    }

    #[test]
    fn a_version_goes_into_the_query_and_head_asks_for_checksums() {
        let request = build(&endpoint(), S3Request::Head { checksums: true }, Some("v=1")).unwrap();
        assert_eq!(request.method(), Method::HEAD);
        assert_eq!(request.uri(), "/bkt/a%20b?versionId=v%3D1");
        assert_eq!(request.headers()[CHECKSUM_MODE], "ENABLED");
        assert!(!request.headers().contains_key(RANGE));
    }
}
