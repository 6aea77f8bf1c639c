//! What S3 itself says: that it is busy, that something must be corrected first, that it refuses, or that the object
//! has changed.

use std::time::{Duration, SystemTime};

use super::super::case::{ATTEMPTS, At, Case, Fault, LATER, PLACES, Place};
use super::{Named, Row, always, each, once};
use crate::support::fault_server::Reply;
use crate::support::object::SIZE;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new("the service is busy: `SlowDown`, throttling, 429, 503", patience(&busy())),
        Row::new("the service fails for a moment: 408, 500, 502, 504", patience(&failing())),
        Row::new("the clock of this machine is wrong", corrected(&[("skewed", skewed())], 4)),
        Row::new("credentials have expired", corrected(&expired(), 4)),
        Row::new("the bucket is in another region", corrected(&elsewhere(), 2)),
        Row::new(
            "a redirect of a request for `s3://` to anywhere else, which is never followed",
            [answered(&redirects(), 5)],
        ),
        Row::new(
            "before the first byte, access is denied, keys are unknown, a signature is refused, or the object is archived",
            [first(&denied(), 4), first(&archived(), 4)],
        ),
        Row::new(
            "access is denied, keys are unknown, a signature is refused, or the object is archived, in the middle of a download that went well",
            later(&denied(), &archived(), 4),
        ),
        Row::new(
            "before the first byte, no such bucket, key or version; a delete marker",
            [first(&not_found(), 3)],
        ),
        Row::new(
            "the bucket, key or version is gone in the middle of a download that went well",
            later(&not_found(), &[], 3),
        ),
        Row::new("any other refusal", [answered(&refused(), 5)]),
        Row::new("`If-Match` is refused for an unchanged object", refused_tag()),
        Row::new("a range that an unchanged object has is refused: 416", refused_range()),
        Row::new("the `ETag` of an unchanged object is missing", missing_tag()),
        Row::new(
            "the object is replaced or becomes shorter, whether or not `If-Match` is honoured",
            changed(),
        ),
    ]
}

fn busy() -> Vec<Named> {
    vec![
        ("429", Reply::status(429)),
        ("503", Reply::status(503)),
        ("503 ServiceUnavailable", Reply::status(503).code("ServiceUnavailable")),
        ("503 SlowDown", Reply::status(503).code("SlowDown")),
        ("503 in HTML", Reply::status(503).header("content-type", "text/html").body("<html>busy")),
        ("503 for a second", Reply::status(503).retry_after(1)),
        ("400 ThrottlingException", Reply::status(400).code("ThrottlingException")),
        ("400 Throttling", Reply::status(400).code("Throttling")),
    ]
}

fn failing() -> Vec<Named> {
    vec![
        ("408", Reply::status(408)),
        ("500", Reply::status(500)),
        ("500 InternalError", Reply::status(500).code("InternalError")),
        ("500 without end", Reply::endless("HTTP/1.1 500 Oh\r\n\r\n", "<Error>0123456789abcdef")),
        ("502", Reply::status(502)),
        ("504", Reply::status(504)),
        ("400 RequestTimeout", Reply::status(400).code("RequestTimeout")),
    ]
}

fn skewed() -> Reply {
    // As good as any: the server here checks no signature.
    let an_hour_ago = SystemTime::now() - Duration::from_hours(1);
    Reply::status(403).code("RequestTimeTooSkewed").header("date", httpdate::fmt_http_date(an_hour_ago))
}

fn expired() -> Vec<Named> {
    let of = |code| (code, Reply::status(400).code(code));
    let in_json = Reply::status(400).body(r#"{"__type": "com.amazonaws.s3#ExpiredToken"}"#);
    vec![
        of("ExpiredToken"),
        of("TokenRefreshRequired"),
        ("ExpiredToken in a document that is cut", cut(400, "ExpiredToken")),
        ("ExpiredToken in a document without end", Reply::endless(ENDLESS_DOCUMENT, "0123456789abcdef")),
        ("ExpiredToken in JSON", in_json),
        ("ExpiredToken in a header", Reply::status(400).header("x-amzn-errortype", "ExpiredToken")),
    ]
}

const ENDLESS_DOCUMENT: &str =
    "HTTP/1.1 400 Bad Request\r\n\r\n<Error><Code>ExpiredToken</Code><Message>It goes on: ";

/// The whole document, of which more was announced, and the end of the connection. Nothing else shows that it is S3's.
fn cut(status: u16, code: &str) -> Reply {
    let reply = Reply::status(status).code(code).without("x-amz-request-id");
    reply.header("content-length", "5000").cut_after(5000)
}

fn elsewhere() -> [Named; 3] {
    let of = |status, code: &'static str| {
        (code, Reply::status(status).code(code).header("x-amz-bucket-region", "eu-west-1"))
    };
    [of(301, "PermanentRedirect"), of(307, "TemporaryRedirect"), of(400, "AuthorizationHeaderMalformed")]
}

fn redirects() -> Vec<Named> {
    let to = |status| Reply::status(status).header("location", "http://127.0.0.1:1/bucket/key");
    vec![("301", to(301)), ("307", to(307)), ("308", to(308))]
}

/// S3 repeats in full what it was asked to believe; it must go no further.
const SIGNED: &str = "<Error><Code>SignatureDoesNotMatch</Code><Message>It does not match.</Message>\
    <StringToSign>AWS4-HMAC-SHA256 20260101T000000Z</StringToSign><SignatureProvided>Signature=00</SignatureProvided>\
    </Error>";

fn denied() -> Vec<Named> {
    vec![
        ("AccessDenied", Reply::status(403).code("AccessDenied")),
        ("AccessDenied in a document that is cut", cut(403, "AccessDenied")),
        ("SignatureDoesNotMatch", Reply::status(403).code("SignatureDoesNotMatch")),
        ("SignatureDoesNotMatch with what was signed", Reply::status(403).body(SIGNED)),
        ("InvalidAccessKeyId", Reply::status(403).code("InvalidAccessKeyId")),
        ("another 403", Reply::status(403).code("AllAccessDisabled")),
        ("a bare 403", Reply::status(403)),
        ("401", Reply::status(401)),
    ]
}

fn archived() -> Vec<Named> {
    vec![("InvalidObjectState", Reply::status(403).code("InvalidObjectState"))]
}

/// S3's document for a version that is a delete marker.
const DELETE_MARKER: &str = "<Error><Code>MethodNotAllowed</Code><Message>The specified method is not allowed against \
    this resource.</Message><Method>GET</Method><ResourceType>DeleteMarker</ResourceType></Error>";

fn not_found() -> Vec<Named> {
    vec![
        ("NoSuchKey", Reply::status(404).code("NoSuchKey")),
        ("NoSuchBucket", Reply::status(404).code("NoSuchBucket")),
        ("NoSuchVersion", Reply::status(404).code("NoSuchVersion")),
        ("NoSuchKey in a document that is cut", cut(404, "NoSuchKey")),
        ("a bare 404", Reply::status(404)),
        (
            "a delete marker",
            Reply::status(405).code("MethodNotAllowed").header("x-amz-delete-marker", "true"),
        ),
        ("a delete marker by its document", Reply::status(405).body(DELETE_MARKER)),
    ]
}

fn refused() -> Vec<Named> {
    vec![("400", Reply::status(400).code("InvalidRequest")), ("a status nobody knows", Reply::status(499))]
}

/// One server may refuse `If-Match` although the object is the same.
fn refused_tag() -> [Vec<Case>; 3] {
    let replies = [("412", Reply::status(412).code("PreconditionFailed"))];
    [
        each(&replies, &LATER, |at, name, reply| wasting(once(at, name, reply))),
        each(&replies, &PLACES, |at, name, reply| wasting(rest(at, name, reply))),
        each(&replies, &LATER, |at, name, reply| wasting(always(at, name, reply).exit(6, ATTEMPTS))),
    ]
}

/// One server may lose the `ETag`. If it does so again, `If-Match` is tried with another tag, and HEAD shows at the end
/// that the object is still the same.
fn missing_tag() -> [Vec<Case>; 3] {
    let replies = [("no ETag", Reply::ok().without("etag"))];
    [
        each(&replies, &LATER, |at, name, reply| wasting(once(at, name, reply))),
        each(&replies, &PLACES, |at, name, reply| wasting(rest(at, name, reply))),
        each(&replies, &LATER, |at, name, reply| {
            wasting(always(at, name, reply).whole(ATTEMPTS).with_more_gets(1))
        }),
    ]
}

/// A server that has another version refuses the tag of the request first. The first range has none, and one GET without
/// `Range` brings the object.
fn refused_range() -> [Vec<Case>; 4] {
    let bare = ("bare", Reply::status(416).without("content-range"));
    let sized = ("with the object's size", Reply::status(416).content_range(format!("bytes */{SIZE}")));
    let empty = ("with another size", Reply::status(416).content_range("bytes */0"));
    let first = [bare.clone(), sized.clone(), empty];
    let later = [bare, sized];
    [
        each(&first, &[Place::First], |at, name, reply| once(at, name, reply).seen(2, SIZE)),
        each(&later, &LATER, once),
        each(&later, &PLACES, rest),
        each(&later, &LATER, always),
    ]
}

fn wasting(case: Case) -> Case {
    let length = case.at.place.length();
    case.wasting(length)
}

fn patience(replies: &[Named]) -> [Vec<Case>; 2] {
    [each(replies, &PLACES, once), each(replies, &[Place::Middle], always)]
}

/// A request that can be corrected is corrected once, immediately, at the start of a range as well as in the middle.
fn corrected(replies: &[Named], code: i32) -> [Vec<Case>; 3] {
    [
        each(replies, &PLACES, once),
        each(replies, &PLACES, rest),
        each(replies, &PLACES, |at, name, reply| always(at, name, reply).exit(code, ATTEMPTS)),
    ]
}

fn rest(at: At, name: &'static str, reply: Reply) -> Case {
    at.once(name, Fault::Rest(reply))
}

/// A refusal is believed immediately before the first byte.
fn first(replies: &[Named], code: i32) -> Vec<Case> {
    each(replies, &[Place::First], |at, name, reply| once(at, name, reply).exit_immediately(code))
}

/// A refusal is believed after a few attempts in the middle of a download.
fn later(replies: &[Named], more: &[Named], code: i32) -> [Vec<Case>; 2] {
    let replies = [replies, more].concat();
    [
        each(&replies, &LATER, once),
        each(&replies, &LATER, |at, name, reply| always(at, name, reply).exit(code, ATTEMPTS)),
    ]
}

fn answered(replies: &[Named], code: i32) -> Vec<Case> {
    each(replies, &PLACES, |at, name, reply| once(at, name, reply).exit_immediately(code))
}

/// The first response alone may show what it likes: it says which version is downloaded.
fn changed() -> [Vec<Case>; 2] {
    let gone = || Reply::status(416).code("InvalidRange").content_range("bytes */100");
    let replies = [
        ("another ETag", Reply::ok().etag("\"other\"")),
        ("another size", Reply::ok().content_range("bytes 131072-196607/328915")),
        ("416", gone()),
    ];
    let ended = |case: Case| {
        let length = case.at.place.length();
        case.exit_immediately(6).wasting(length)
    };
    [
        each(&replies, &LATER, |at, name, reply| ended(once(at, name, reply))),
        each(&replies, &PLACES, |at, name, reply| ended(rest(at, name, reply))),
    ]
}
