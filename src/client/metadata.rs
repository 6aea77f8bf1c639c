//! An object's metadata, requested on its own: by HEAD, or by a GET of the first byte.

use std::num::NonZeroU32;

use crate::client::object_client::ObjectClient;
use crate::client::retry::{Attempt, retry};
use crate::error::{Error, ErrorKind, Result};
use crate::s3::error_response::not_s3;
use crate::s3::object::{ObjectInfo, malformed};
use crate::s3::proof::is_strong;
use crate::s3::range::ByteRange;
use crate::s3::request::S3Request;
use crate::s3::response::{ResponseProof, SentGet, is_web_page};

/// A tag that no object has: those of S3 have hexadecimal digits.
const NOBODYS_TAG: &str = "\"s3fcp-asks-whether-if-match-is-honoured\"";

/// Describes the client's object: by HEAD, or, for a URL and where HEAD fails, by a GET of the first byte.
pub(crate) async fn describe(client: &ObjectClient, max_attempts: Option<NonZeroU32>) -> Result<ObjectInfo> {
    retry(max_attempts, |attempt| describe_once(client, attempt)).await
}

/// Describes the client's object by a GET of the first byte alone.
pub(crate) async fn describe_by_get(
    client: &ObjectClient,
    max_attempts: Option<NonZeroU32>,
) -> Result<ObjectInfo> {
    retry(max_attempts, |attempt| first_byte(client, attempt)).await
}

/// The response to a GET of the byte after the supposed end of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterEnd {
    /// There is none: 416.
    Nothing,
    /// The whole object again, up to that end and with the same strong tag, from a server that knows no ranges.
    SameWhole,
    /// Another one, which may be that byte.
    Other,
}

/// Asks for the byte at `size` of the version `if_match`.
pub(crate) async fn after_end(
    client: &ObjectClient,
    size: u64,
    if_match: Option<&str>,
    attempt: Attempt,
) -> Result<AfterEnd> {
    let range = ByteRange::new(size, size.saturating_add(1));
    let answer = match client.exchange(S3Request::Get { range, if_match }, None, attempt).await {
        Ok(answer) => answer,
        Err(e) => {
            let Some(shown) = e.service().filter(|service| service.status == 416) else { return Err(e) };
            let is_there = shown.object_size.is_none_or(|other| other == size);
            return Ok(if is_there { AfterEnd::Nothing } else { AfterEnd::Other });
        }
    };
    let sent = SentGet { range: Some(range), size: None, is_s3: client.is_s3() };
    match ResponseProof::read(&answer.head, sent) {
        // A server that knows no ranges sends the whole object once more.
        Ok(ResponseProof::Bytes(response)) if is_other_version(if_match, &response.info) => {
            Err(Error::new(ErrorKind::Changed, "the object changed when the download began"))
        }
        Ok(ResponseProof::Bytes(response))
            if response.whole && response.info.size == size && if_match == response.info.etag.as_deref() =>
        {
            Ok(if if_match.is_some() { AfterEnd::SameWhole } else { AfterEnd::Other })
        }
        Ok(_) => Ok(AfterEnd::Other),
        Err(e) if e.is_retryable() => Err(e),
        Err(_) => Err(malformed("the response to a range after the end has neither bytes nor a size")),
    }
}

fn is_other_version(if_match: Option<&str>, info: &ObjectInfo) -> bool {
    let shown = info.etag.as_deref().filter(|etag| is_strong(etag));
    if_match.is_some() && shown.is_some() && shown != if_match
}

/// Returns whether the server refuses a GET whose `If-Match` names a tag that the object does not have.
pub(crate) async fn honours_if_match(client: &ObjectClient, attempt: Attempt) -> Result<bool> {
    let request = S3Request::Get { range: ByteRange::new(0, 1), if_match: Some(NOBODYS_TAG) };
    match client.exchange(request, None, attempt).await {
        Ok(_) => Ok(false),
        Err(e) if e.is_retryable() => Err(e),
        Err(e) => Ok(e.service().is_some_and(|service| service.status == 412)),
    }
}

async fn describe_once(client: &ObjectClient, attempt: Attempt) -> Result<ObjectInfo> {
    if !client.is_s3() {
        return first_byte(client, attempt).await;
    }
    match head(client, attempt).await {
        // The response to a refused HEAD has no body that says why. The response to a GET has one, and a GET may be
        // allowed where HEAD is not. Some servers send no length with HEAD, or do not answer it at all.
        Err(e) if e.service().is_some() || matches!(e.kind(), ErrorKind::Server | ErrorKind::Network) => {
            first_byte(client, attempt).await
        }
        // A server may send a length of 0 for any HEAD: only after a GET is the object believed to be empty.
        Ok(info) if info.size == 0 => first_byte(client, attempt).await,
        response => response,
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
    let response = match client.exchange(S3Request::Get { range, if_match: None }, None, attempt).await {
        Ok(response) => response,
        // The object exists and is empty, or the server knows no ranges.
        Err(e) if e.service().is_some_and(|s| matches!(s.status, 416 | 501)) => {
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
