//! An object's metadata, requested on its own: by HEAD, or by a GET of the first byte.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::client::object_client::ObjectClient;
use crate::client::retry::{Attempt, retry};
use crate::error::{Error, ErrorKind, Result};
use crate::s3::error_response::not_s3;
use crate::s3::header::content_length;
use crate::s3::object::{ObjectInfo, malformed};
use crate::s3::proof::is_strong;
use crate::s3::range::ByteRange;
use crate::s3::request::S3Request;
use crate::s3::response::{ResponseProof, SentGet, is_web_page};

/// A tag that no object has: those of S3 have hexadecimal digits.
const NOBODYS_TAG: &str = "\"s3fcp-asks-whether-if-match-is-honoured\"";

/// An object's metadata, and where they are from.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    pub(crate) info: ObjectInfo,
    /// Set if HEAD showed them: a fact beside those that GETs show.
    pub(crate) is_by_head: bool,
}

/// How long a single byte may take to come after the head of its response.
const BYTE_TIME: Duration = Duration::from_secs(5);

/// Describes the client's object: by HEAD, or, for a URL and where HEAD fails, by a GET of the first byte.
pub(crate) async fn describe(client: &ObjectClient, max_attempts: Option<NonZeroU32>) -> Result<Description> {
    retry(max_attempts, |attempt| describe_once(client, attempt)).await
}

/// Describes the client's object by a GET of the first byte alone.
pub(crate) async fn describe_by_get(
    client: &ObjectClient,
    max_attempts: Option<NonZeroU32>,
) -> Result<Description> {
    retry(max_attempts, |attempt| by_get(client, attempt)).await
}

async fn by_get(client: &ObjectClient, attempt: Attempt) -> Result<Description> {
    first_byte(client, attempt).await.map(|info| Description { info, is_by_head: false })
}

/// The response to a GET of the byte after the supposed end of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterEnd {
    /// There is none: 416, or a part without bytes.
    Nothing,
    /// The whole object again, up to that end and with the same strong tag or none, from a server that knows no ranges.
    SameWhole,
    /// That byte.
    More,
    /// Another one, which shows neither.
    Unclear,
}

/// Asks for the byte at `size` of the version `if_match`.
pub(crate) async fn after_end(
    client: &ObjectClient,
    size: u64,
    if_match: Option<&str>,
    attempt: Attempt,
) -> Result<AfterEnd> {
    let range = ByteRange::new(size, size.saturating_add(1));
    let answer =
        match client.exchange(S3Request::Get { range, if_match, checksums: false }, None, attempt).await {
            Ok(answer) => answer,
            Err(e) => {
                let Some(shown) = e.service().filter(|service| service.status == 416) else { return Err(e) };
                let is_there = shown.object_size.is_none_or(|other| other == size);
                return Ok(if is_there { AfterEnd::Nothing } else { AfterEnd::Unclear });
            }
        };
    let sent = SentGet { range: Some(range), size: None, is_s3: client.is_s3() };
    let proof = match ResponseProof::read(&answer.head, sent) {
        Ok(proof) => proof,
        Err(e) if e.is_retryable() => return Err(e),
        Err(_) => {
            return Err(malformed(
                "the response to a range after the object's end has neither bytes nor a size",
            ));
        }
    };
    if is_other_version(if_match, proof.info()) {
        return Err(Error::new(ErrorKind::Changed, "the object changed while the download began"));
    }
    // A server that knows no ranges sends the whole object once more.
    let is_same = |bytes, info| bytes == size && has_tag(info, if_match);
    Ok(match proof {
        ResponseProof::Bytes(response) if !response.whole => AfterEnd::More,
        // A server that calls a part 200 shows only how long the part is.
        ResponseProof::PartOrWhole(response) if response.info.size <= 1 => {
            let body = answer.body.collect(1, BYTE_TIME).await.ok().flatten();
            match body.as_deref() {
                Some([]) => AfterEnd::Nothing,
                Some(_) => AfterEnd::More,
                None => AfterEnd::Unclear,
            }
        }
        ResponseProof::Bytes(response) | ResponseProof::PartOrWhole(response)
            if is_same(response.info.size, &response.info) =>
        {
            AfterEnd::SameWhole
        }
        ResponseProof::Unsized(info) => match answer.body.count(size, BYTE_TIME).await? {
            Some(0) => AfterEnd::Nothing,
            Some(1) => AfterEnd::More,
            Some(bytes) if is_same(bytes, &info) => AfterEnd::SameWhole,
            _ => AfterEnd::Unclear,
        },
        ResponseProof::Nothing(_) if content_length(&answer.head.headers) == Some(0) => AfterEnd::Nothing,
        _ => AfterEnd::Unclear,
    })
}

/// Returns whether `info` shows the strong tag `if_match`, or shows no more of the version than the response before
/// did.
fn has_tag(info: &ObjectInfo, if_match: Option<&str>) -> bool {
    info.etag.as_deref().filter(|etag| is_strong(etag)) == if_match
}

fn is_other_version(if_match: Option<&str>, info: Option<&ObjectInfo>) -> bool {
    let shown = info.and_then(|info| info.etag.as_deref()).filter(|etag| is_strong(etag));
    if_match.is_some() && shown.is_some() && shown != if_match
}

/// Returns whether the server refuses a GET whose `If-Match` names a tag that the object does not have.
pub(crate) async fn refuses_other_tag(client: &ObjectClient, attempt: Attempt) -> Result<bool> {
    let request =
        S3Request::Get { range: ByteRange::new(0, 1), if_match: Some(NOBODYS_TAG), checksums: false };
    match client.exchange(request, None, attempt).await {
        Ok(_) => Ok(false),
        Err(e) if e.is_retryable() => Err(e),
        Err(e) => Ok(e.service().is_some_and(|service| service.status == 412)),
    }
}

async fn describe_once(client: &ObjectClient, attempt: Attempt) -> Result<Description> {
    if !client.is_s3() {
        return by_get(client, attempt).await;
    }
    match head(client, attempt).await {
        // The response to a refused HEAD has no body that says why. The response to a GET has one, and a GET may be
        // allowed where HEAD is not. Some servers send no length with HEAD, or do not answer it at all.
        Err(e) if e.service().is_some() || matches!(e.kind(), ErrorKind::Server | ErrorKind::Network) => {
            by_get(client, attempt).await
        }
        // A server may send a length of 0 for any HEAD: only after a GET is the object believed to be empty.
        Ok(info) if info.size == 0 => by_get(client, attempt).await,
        head => head.map(|info| Description { info, is_by_head: true }),
    }
}

/// Sends one HEAD, and asks for checksums unless the server refuses a request that does.
pub(crate) async fn head(client: &ObjectClient, attempt: Attempt) -> Result<ObjectInfo> {
    let send = |checksums| client.exchange(S3Request::Head { checksums }, None, attempt);
    let response = match send(true).await {
        Err(e) if e.kind() == ErrorKind::Server && !e.is_retryable() => send(false).await?,
        response => response?,
    };
    let info = if client.is_s3() && is_web_page(&response.head.headers) {
        Err(not_s3())
    } else {
        ObjectInfo::from_head(&response.head)
    };
    response.body.give_back();
    info
}

/// Describes the object by a GET of its first byte, or of all of it where the server does not send that byte alone.
async fn first_byte(client: &ObjectClient, attempt: Attempt) -> Result<ObjectInfo> {
    let range = ByteRange::new(0, 1);
    let response = match client
        .exchange(S3Request::Get { range, if_match: None, checksums: false }, None, attempt)
        .await
    {
        Ok(response) => response,
        // The object exists and is empty, or the server knows no ranges.
        Err(e) if e.service().is_some_and(|s| matches!(s.status, 204 | 416) || s.is_unsupported()) => {
            return whole(client, attempt).await;
        }
        Err(e) => return Err(e),
    };
    let sent = SentGet { range: Some(range), size: None, is_s3: client.is_s3() };
    match ResponseProof::read(&response.head, sent) {
        Ok(ResponseProof::Bytes(response)) => Ok(response.info),
        Ok(ResponseProof::Unsized(info)) => Ok(info),
        Ok(ResponseProof::Nothing(_) | ResponseProof::PartOrWhole(_)) => whole(client, attempt).await,
        Err(e) if e.service().is_some_and(|s| s.status == 416) => whole(client, attempt).await,
        Err(e) => Err(e),
    }
}

/// Describes the object by the head of a GET of all of it.
async fn whole(client: &ObjectClient, attempt: Attempt) -> Result<ObjectInfo> {
    let response = client.exchange(S3Request::GetWhole, None, attempt).await?;
    match ResponseProof::read(&response.head, SentGet { range: None, size: None, is_s3: client.is_s3() })? {
        ResponseProof::Bytes(response) => Ok(response.info),
        ResponseProof::Unsized(info) => Ok(info),
        _ => Err(malformed("the server sent no length")),
    }
}
