//! An object's metadata, requested on its own: by HEAD, or by a GET of the first byte.

use std::num::NonZeroU32;

use crate::client::object_client::ObjectClient;
use crate::client::retry::{Attempt, retry};
use crate::error::{ErrorKind, Result};
use crate::s3::error_response::not_s3;
use crate::s3::object::{ObjectInfo, malformed};
use crate::s3::range::ByteRange;
use crate::s3::request::S3Request;
use crate::s3::response::{ResponseProof, SentGet, is_web_page};

/// Describes the client's object: by HEAD, or, for a URL and where HEAD fails, by a GET of the first byte.
pub(crate) async fn describe(client: &ObjectClient, max_attempts: Option<NonZeroU32>) -> Result<ObjectInfo> {
    retry(max_attempts, |attempt| describe_once(client, attempt)).await
}

async fn describe_once(client: &ObjectClient, attempt: Attempt) -> Result<ObjectInfo> {
    if !client.is_s3() {
        return first_byte(client, attempt).await;
    }
    match head(client, attempt).await {
        // The response to a refused HEAD has no body that says why. The response to a GET has, and a GET may be allowed
        // where HEAD is not. Some servers send no length with HEAD, or do not answer it at all.
        Err(e) if e.service().is_some() || matches!(e.kind(), ErrorKind::Server | ErrorKind::Network) => {
            first_byte(client, attempt).await
        }
        // A server may send a length of 0 for any HEAD: that there is nothing is believed after a GET only.
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

/// Describes the object by a GET of its first byte, or of all of it where it has no first byte.
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
