//! Requests that show what the response to a GET left open: whether it is the whole object, its size, its tag, whether the
//! object still has that tag, and whether the server honours `If-Match`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::client::metadata::{self, AfterEnd};
use crate::client::object_client::ObjectClient;
use crate::client::retry::{Attempt, retry};
use crate::download::context::DownloadContext;
use crate::download::verdict::maybe_more;
use crate::error::printable::printable;
use crate::error::{Error, ErrorKind, Result, ServiceError};
use crate::s3::object::ObjectInfo;
use crate::s3::pinned::PinnedVersion;
use crate::s3::proof::is_strong;

/// How long a response is held while other requests find out what it has: they may need its connection.
pub(crate) const PROOF_TIME: Duration = Duration::from_secs(5);

/// Asks a question about a response that is held meanwhile. `None` without an answer in time, or where the answer would
/// need the connection that this response is on.
pub(super) async fn ask_aside<T>(context: &DownloadContext, ask: impl Future<Output = T>) -> Option<T> {
    if !context.client.has_spare_connection() {
        return None;
    }
    timeout(PROOF_TIME, Box::pin(ask)).await.ok()
}

/// Returns whether the server is known to refuse a request that names another tag; it is asked once.
pub(super) async fn honours_if_match(context: &DownloadContext, attempt: Attempt) -> Result<bool> {
    let honours = &context.evidence.honours_if_match;
    if let Some(known) = honours.get() {
        return Ok(*known);
    }
    let ask = honours.get_or_try_init(|| metadata::refuses_other_tag(&context.client, attempt.aside()));
    let answer = ask_aside(context, ask).await.transpose()?;
    Ok(answer.copied().unwrap_or(false))
}

/// Returns whether the 200 that `info` was read from, which may be a part, is the whole object: if HEAD shows the same tag
/// and size, or, without an answer from HEAD, if there is no byte after it in that version.
pub(super) async fn is_whole(context: &DownloadContext, info: &ObjectInfo, attempt: Attempt) -> Result<bool> {
    let client = &context.client;
    let head = if client.is_s3() { metadata::head(client, attempt).await.ok() } else { None };
    let tag = info.etag.as_deref().filter(|etag| is_strong(etag));
    // Some servers send a length of 0 with every HEAD. Without a strong tag it may describe another version.
    if let Some(head) = head.filter(|head| head.size > 0) {
        return Ok(head.size == info.size && tag.is_some() && head.etag == info.etag);
    }
    // A 200 of one byte to a request for the second one would show nothing either.
    if info.size == 1 || !client.has_spare_connection() {
        return Ok(false);
    }
    // Without a strong tag, what shows the end may be another version, which has that size by chance.
    Ok(has_end(context, info.size, tag, attempt).await? && tag.is_some())
}

/// Returns whether the version with `tag` ends after `size` bytes, as a request for the byte after them shows. Where it
/// does not, the evidence has it.
async fn has_end(context: &DownloadContext, size: u64, tag: Option<&str>, attempt: Attempt) -> Result<bool> {
    match metadata::after_end(&context.client, size, tag, attempt).await? {
        AfterEnd::SameWhole => Ok(true),
        // Of that version only if a server that has another one would have refused its tag.
        AfterEnd::Nothing => Ok(tag.is_some() && honours_if_match(context, attempt).await?),
        AfterEnd::More | AfterEnd::Unclear => {
            context.evidence.set_larger_than(size);
            Ok(false)
        }
    }
}

/// Fails if the object, of which `size` bytes came and then the last chunk of a 200, may have more: `part_end` is where
/// a part would end that the server calls 200. The object can then be requested without `Range`, if its tag shows that
/// it is the same one.
pub(super) async fn check_last_chunk(
    context: &DownloadContext,
    size: u64,
    part_end: Option<u64>,
    etag: Option<&str>,
    attempt: Attempt,
) -> Result<()> {
    let tag = etag.filter(|etag| is_strong(etag));
    if part_end != Some(size) {
        // The last chunk is a fact of its own: only a byte after it contradicts it, from a server that has sent parts so.
        if !context.evidence.has_seen_part() || !context.client.has_spare_connection() {
            return Ok(());
        }
        let attempt = attempt.aside();
        return match metadata::after_end(&context.client, size, tag, attempt).await {
            Ok(AfterEnd::More) => Err(maybe_more(size)),
            _ => Ok(()),
        };
    }
    let unclear = || maybe_more(size).retryable(tag.is_some());
    if !context.client.has_spare_connection() {
        return Err(unclear());
    }
    let attempt = attempt.aside();
    if has_end(context, size, tag, attempt).await? { Ok(()) } else { Err(unclear()) }
}

/// Returns the strong tag that HEAD shows of the object, of which `info`, from a response to a GET, shows none.
pub(super) async fn tag_by_head(
    client: &ObjectClient,
    info: &ObjectInfo,
    attempt: Attempt,
) -> Option<String> {
    if !client.is_s3() || info.etag.is_some() {
        return None;
    }
    let head = metadata::head(client, attempt).await.ok()?;
    let is_same =
        head.size == info.size && (info.last_modified.is_none() || head.last_modified == info.last_modified);
    head.etag.filter(|etag| is_same && is_strong(etag))
}

/// Fails unless HEAD shows, after a response that does not show its tag has begun, that the object still has the tag.
pub(super) async fn check_tag(context: &DownloadContext, tag: &str, attempt: Attempt) -> Result<()> {
    let head = metadata::head(&context.client, attempt).await;
    still_has(tag, head).map_err(|e| {
        // A response that cannot be confirmed now may be requested again.
        if e.kind() == ErrorKind::Changed { e } else { e.retryable(true) }
    })
}

/// Returns whether [`confirm`] has anything to ask.
pub(crate) fn must_confirm(context: &DownloadContext) -> bool {
    context.evidence.expected_tag().is_some() || context.evidence.unconfirmed_size().is_some()
}

/// Fails unless what the responses have left open is confirmed after the last byte.
pub(crate) async fn confirm(context: Arc<DownloadContext>) -> Result<()> {
    confirm_tag(&context).await?;
    confirm_size(&context).await
}

/// Fails unless the object has no byte after the size that the length of a 200 alone has shown.
async fn confirm_size(context: &DownloadContext) -> Result<()> {
    let Some(size) = context.evidence.unconfirmed_size() else { return Ok(()) };
    let tag = context.pin.get().and_then(PinnedVersion::if_match);
    let after = |attempt| metadata::after_end(&context.client, size, tag, attempt);
    match retry(context.max_attempts, after).await {
        Ok(AfterEnd::Nothing | AfterEnd::SameWhole) => Ok(()),
        // A server without ranges sends no parts.
        Err(e) if e.service().is_some_and(ServiceError::is_unsupported) => Ok(()),
        Ok(AfterEnd::More | AfterEnd::Unclear) | Err(_) => Err(maybe_more(size)),
    }
}

/// Fails unless HEAD shows that the object still has the tag which responses to GETs did not show.
async fn confirm_tag(context: &DownloadContext) -> Result<()> {
    let Some(tag) = context.evidence.expected_tag() else { return Ok(()) };
    let head = retry(context.max_attempts, |attempt| metadata::head(&context.client, attempt)).await;
    still_has(tag, head)
}

/// Fails unless `head`, HEAD's answer, shows that the object still has the tag.
fn still_has(tag: &str, head: Result<ObjectInfo>) -> Result<()> {
    match head {
        Ok(info) if info.etag.as_deref() == Some(tag) => Ok(()),
        Ok(info) => {
            let (was, is) = (printable(tag), printable(info.etag.as_deref().unwrap_or("absent")));
            let what = format!("the object changed during the download: its ETag was {was} and is {is}");
            Err(Error::new(ErrorKind::Changed, what))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let error = Error::new(ErrorKind::Changed, "the object was deleted during the download");
            Err(error.with_hint("run the command again to see whether there is a new one"))
        }
        Err(e) => {
            Err(e.with_hint("only HEAD shows the ETag at this server, and so whether the object changed"))
        }
    }
}

/// Returns the size that HEAD shows of the object that `info` describes. Under a weak `ETag` a server may send the object in
/// another encoding, of another length, and an object that a function makes has a size only when it is made.
pub(super) async fn size_by_head(context: &DownloadContext, info: &ObjectInfo, attempt: Attempt) -> u64 {
    let client = &context.client;
    let is_weak = info.etag.as_deref().is_some_and(|etag| !is_strong(etag));
    // A range that is counted from the end of the object begins where HEAD has said already.
    if !client.is_s3() || is_weak || context.wanted.is_from_end() {
        return ObjectInfo::SIZE_UNKNOWN;
    }
    let head = ask_aside(context, metadata::head(client, attempt)).await.and_then(Result::ok);
    // Some servers send a length of 0 with every HEAD.
    let head = head.filter(|head| head.etag == info.etag && head.size > 0);
    head.map_or(ObjectInfo::SIZE_UNKNOWN, |head| head.size)
}
