//! What an object is, asked for by itself: HEAD, or a GET of the first byte.

use std::num::NonZeroU32;

use http::StatusCode;

use crate::client::object_client::ObjectClient;
use crate::client::retry::{Attempt, retry};
use crate::error::{ErrorKind, Result};
use crate::s3::object::ObjectInfo;
use crate::s3::range::ByteRange;
use crate::s3::request::S3Request;
use crate::s3::response::RangeResponse;

/// What the store says of the client's object, by HEAD or else, and for a URL at once, by a GET of its first byte.
pub(crate) async fn describe(client: &ObjectClient, max_attempts: Option<NonZeroU32>) -> Result<ObjectInfo> {
    retry(max_attempts, |attempt| ask_once(client, attempt)).await
}

async fn ask_once(client: &ObjectClient, attempt: Attempt) -> Result<ObjectInfo> {
    if !client.is_s3() {
        return first_byte(client, attempt).await;
    }
    match head(client, attempt).await {
        // A refused HEAD has no body to say why; the same GET has one, or is allowed where HEAD is not.
        Err(refused) if refused.service().is_some() => first_byte(client, attempt).await,
        asked => asked,
    }
}

/// One HEAD, with checksums where the server knows of them.
pub(crate) async fn head(client: &ObjectClient, attempt: Attempt) -> Result<ObjectInfo> {
    let ask = |checksums| client.exchange(S3Request::Head { checksums }, None, attempt);
    let answer = match ask(true).await {
        Err(e) if e.kind() == ErrorKind::Server && !e.is_retryable() => ask(false).await?,
        answer => answer?,
    };
    let info = ObjectInfo::from_head(&answer.head)?;
    // A response to HEAD ends with its head.
    answer.body.give_back();
    Ok(info)
}

/// What a GET of the first byte says, or one of all there is where there is no first byte.
async fn first_byte(client: &ObjectClient, attempt: Attempt) -> Result<ObjectInfo> {
    let range = ByteRange::new(0, 1);
    match client.exchange(S3Request::Get { range, if_match: None }, None, attempt).await {
        Ok(answer) => Ok(RangeResponse::check(&answer.head, range, None)?.info),
        // It is there, and empty.
        Err(e) if e.service().is_some_and(|s| s.status == StatusCode::RANGE_NOT_SATISFIABLE.as_u16()) => {
            let answer = client.exchange(S3Request::GetWhole, None, attempt).await?;
            Ok(RangeResponse::check(&answer.head, range, None)?.info)
        }
        Err(e) => Err(e),
    }
}
