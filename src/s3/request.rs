//! The requests that a download sends, unsigned: HEAD and ranged GET, and those for the sizes of parts.
//!
//! It gets an endpoint and what is asked for, and hands on an `http::Request` for `sign.rs`. Pure.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HOST, IF_MATCH, RANGE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};
use http_body_util::Empty;

use crate::error::{Error, ErrorKind, Result};
use crate::s3::address::endpoint::Endpoint;
use crate::s3::range::ByteRange;
use crate::s3::sse_c::CustomerKey;

/// `x-amz-checksum-mode: ENABLED` makes HEAD show the object's checksums (S3 API, `HeadObject`).
const CHECKSUM_MODE: HeaderName = HeaderName::from_static("x-amz-checksum-mode");

/// What `GetObjectAttributes` is to tell, and how much at once (S3 API).
const OBJECT_ATTRIBUTES: HeaderName = HeaderName::from_static("x-amz-object-attributes");
const MAX_PARTS: HeaderName = HeaderName::from_static("x-amz-max-parts");
const PART_NUMBER_MARKER: HeaderName = HeaderName::from_static("x-amz-part-number-marker");
/// Who asks agrees to pay (Amazon S3 User Guide, "Requester Pays buckets").
const REQUEST_PAYER: HeaderName = HeaderName::from_static("x-amz-request-payer");

/// What one request asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum S3Request<'a> {
    /// What the object is, with the checksums that the store keeps where `checksums` is set.
    Head { checksums: bool },
    /// Some bytes, of the version whose `ETag` is `if_match` where one is pinned.
    Get { range: ByteRange, if_match: Option<&'a str> },
    /// The whole object as it is now: how an empty one is told from a missing one.
    GetWhole,
    /// The sizes of the parts it was uploaded in, behind part number `after` (`GetObjectAttributes`).
    Parts { after: u32 },
    /// The size of one of them, counted from 1.
    HeadPart { number: u32 },
}

impl S3Request<'_> {
    /// `GET` or `HEAD`.
    pub(crate) fn method(self) -> Method {
        match self {
            Self::Head { .. } | Self::HeadPart { .. } => Method::HEAD,
            Self::Get { .. } | Self::GetWhole | Self::Parts { .. } => Method::GET,
        }
    }

    /// The bytes, where it is for some.
    pub(crate) fn range(self) -> Option<ByteRange> {
        match self {
            Self::Get { range, .. } => Some(range),
            _ => None,
        }
    }

    /// What the target's query says, but for the version.
    pub(crate) fn query(self) -> Option<String> {
        match self {
            Self::Parts { .. } => Some("attributes".to_owned()),
            Self::HeadPart { number } => Some(format!("partNumber={number}")),
            Self::Head { .. } | Self::Get { .. } | Self::GetWhole => None,
        }
    }
}

/// Builds the request for `ask`, for the given version where there is one.
pub(crate) fn build(
    endpoint: &Endpoint,
    ask: S3Request<'_>,
    version_id: Option<&str>,
) -> Result<Request<Empty<Bytes>>> {
    let mut request = Request::builder()
        .method(ask.method())
        .version(Version::HTTP_11)
        .uri(endpoint.target(ask.query().as_deref(), version_id))
        // hyper's connection adds no Host of its own; with the port, since it is signed as sent.
        .header(HOST, endpoint.authority())
        .header(USER_AGENT, concat!("s3fcp/", env!("CARGO_PKG_VERSION")))
        // A body re-coded on the way would have other offsets.
        .header(ACCEPT_ENCODING, "identity");
    request = match ask {
        S3Request::Head { checksums: true } => request.header(CHECKSUM_MODE, "ENABLED"),
        S3Request::Head { checksums: false } | S3Request::HeadPart { .. } | S3Request::GetWhole => request,
        S3Request::Parts { after } => request
            .header(OBJECT_ATTRIBUTES, "ETag,ObjectSize,ObjectParts")
            .header(MAX_PARTS, "1000")
            .header(PART_NUMBER_MARKER, after.to_string()),
        S3Request::Get { range, if_match } => {
            let request = request.header(RANGE, range.to_string());
            match if_match {
                Some(etag) => request.header(IF_MATCH, etag),
                None => request,
            }
        }
    };
    request.body(Empty::new()).map_err(|e| {
        Error::new(ErrorKind::Usage, "the endpoint, key or version cannot be put in an HTTP request")
            .with_source(e)
    })
}

/// The headers that every request carries, whatever it asks for; they are signed with it.
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
        let ask = S3Request::Get { range: ByteRange::new(0, 10), if_match: Some("\"e\"") };
        let request = build(&endpoint(), ask, None).unwrap();
        assert_eq!(request.method(), Method::GET);
        assert_eq!(request.uri(), "/bkt/a%20b");
        assert_eq!(request.headers()[HOST], "127.0.0.1:9000");
        assert_eq!(request.headers()[RANGE], "bytes=0-9");
        assert_eq!(request.headers()[IF_MATCH], "\"e\"");
    }

    #[test]
    fn what_is_asked_of_parts_goes_into_the_query_too() {
        let request = build(&endpoint(), S3Request::Parts { after: 1000 }, None).unwrap();
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
    fn a_version_goes_into_the_query_and_head_asks_for_checksums() {
        let request = build(&endpoint(), S3Request::Head { checksums: true }, Some("v=1")).unwrap();
        assert_eq!(request.method(), Method::HEAD);
        assert_eq!(request.uri(), "/bkt/a%20b?versionId=v%3D1");
        assert_eq!(request.headers()[CHECKSUM_MODE], "ENABLED");
        assert!(!request.headers().contains_key(RANGE));
    }
}
