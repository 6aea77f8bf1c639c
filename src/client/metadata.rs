//! An object's metadata, requested on its own: by HEAD, or by a GET of the first byte.

use std::num::NonZeroU32;

use http::StatusCode;

use crate::client::object_client::ObjectClient;
use crate::client::retry::{Attempt, retry};
use crate::error::{ErrorKind, Result};
use crate::s3::object::ObjectInfo;
use crate::s3::range::ByteRange;
use crate::s3::request::S3Request;
use crate::s3::response::RangeResponse;

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
        // where HEAD is not.
        Err(refused) if refused.service().is_some() => first_byte(client, attempt).await,
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
    let info = ObjectInfo::from_head(&response.head)?;
    response.body.give_back();
    Ok(info)
}

/// Describes the object by a GET of its first byte, or of all of it where it has no first byte.
async fn first_byte(client: &ObjectClient, attempt: Attempt) -> Result<ObjectInfo> {
    let range = ByteRange::new(0, 1);
    match client.exchange(S3Request::Get { range, if_match: None }, None, attempt).await {
        Ok(response) => Ok(RangeResponse::check(&response.head, range, None)?.info),
        // The object exists and is empty.
        Err(e) if e.service().is_some_and(|s| s.status == StatusCode::RANGE_NOT_SATISFIABLE.as_u16()) => {
            let response = client.exchange(S3Request::GetWhole, None, attempt).await?;
            Ok(RangeResponse::check(&response.head, range, None)?.info)
        }
        Err(e) => Err(e),
    }
}
