//! A GET whose response proves which bytes it has, and that they are of the pinned version.
//!
//! Where one response does not prove that, another request may: a GET without `Range`, one that asks for all bytes in one
//! response, or a [`side_request`]. These are rare, and boxed so that ranges stay small. [`Evidence`] decides what may be
//! combined.
//!
//! [`Evidence`]: crate::download::verdict::Evidence

use std::sync::atomic::Ordering;

use http::StatusCode;
use http::header::ETAG;
use tokio::time::timeout;
use tracing::info;

use crate::client::exchange::Exchange;
use crate::client::retry::Attempt;
use crate::download::context::DownloadContext;
use crate::download::fetch::side_request::{self, PROOF_TIME, ask_aside, honours_if_match};
use crate::error::printable::printable;
use crate::error::{Error, ErrorKind, Result, ServiceError};
use crate::events::CORRECTION;
use crate::s3::header::header_text;
use crate::s3::object::{ObjectInfo, malformed};
use crate::s3::pinned::PinnedVersion;
use crate::s3::proof::{SizeProof, is_strong};
use crate::s3::range::ByteRange;
use crate::s3::request::S3Request;
use crate::s3::response::{RangeResponse, ResponseProof, SentGet};

/// The most that is read of a response which is not used.
const DRAINED_BYTES_MAX: u64 = 16 << 20;

const IS_UNCLEAR: &str = "the response does not say which bytes it contains";

/// A response that was checked.
pub(super) struct CheckedResponse {
    pub(super) exchange: Exchange,
    pub(super) response: RangeResponse,
    /// The offset at which the last chunk has to be, of a body in chunks whose size something else shows.
    pub(super) ends_at: Option<u64>,
    /// The offset at which the last chunk does not show the object's size, because a part would end there too.
    pub(super) part_end: Option<u64>,
}

/// The end of one request.
enum Reply {
    /// A response that shows which bytes follow.
    Proven(Box<CheckedResponse>),
    /// The response proves nothing, for this reason; one to a GET without `Range` may.
    AskPlainly(&'static str),
}

/// Sends a GET of `asked`, and perhaps others, until a response proves what it has.
pub(super) async fn checked_get(
    context: &DownloadContext,
    asked: ByteRange,
    attempt: Attempt,
) -> Result<CheckedResponse> {
    if let Some(pin) = context.pin.get()
        && asked.start() > context.wanted.start()
    {
        check_continues(context, pin)?;
    }
    let mut asked = asked;
    let mut is_repeated = false;
    loop {
        let mut reply = match send_get(context, asked, attempt).await {
            Ok(Reply::Proven(reply)) => *reply,
            Ok(Reply::AskPlainly(why)) if context.pin.get().is_none() => {
                info!(target: CORRECTION, what = "plain GET", to = why, "retrying immediately");
                context.is_plain.store(true, Ordering::Relaxed);
                continue;
            }
            // The first range was answered well: this may be a single broken response.
            Ok(Reply::AskPlainly(why))
                if attempt.number == 1 && !std::mem::replace(&mut is_repeated, true) =>
            {
                info!(target: CORRECTION, what = "range", to = why, "retrying immediately");
                continue;
            }
            Ok(Reply::AskPlainly(why)) => {
                info!(target: CORRECTION, what = "plain GET", to = why, "for the rest of the object");
                context.ask_plainly();
                return Err(malformed(why));
            }
            // Only HEAD shows this tag, and the server does not accept it: all bytes have to come in one response.
            Err(e) if is_refused_tag(context, &e) => {
                context.evidence.refuse_head_tag();
                continue;
            }
            Err(e) => return Err(e),
        };
        check_version(context, &reply.response.info)?;
        complete_tag(context, &mut reply.response.info, attempt).await?;
        let Some(pin) = context.pin.get() else {
            match replan(context, asked, &reply, attempt).await? {
                None => return Ok(reply),
                Some(next) => {
                    asked = next;
                    // Where the host allows no other connection, this one has to live: a host that is told of its end
                    // late would refuse the next one.
                    if !context.client.has_spare_connection() {
                        let _ = reply.exchange.body.count(DRAINED_BYTES_MAX, PROOF_TIME).await;
                    }
                }
            }
            continue;
        };
        pin.check(&reply.response.info)?;
        pin.check_encoding(&reply.response.info)?;
        return Ok(reply);
    }
}

/// Fails if nothing would show that the bytes which a request brings are of the version of those before them.
fn check_continues(context: &DownloadContext, pin: &PinnedVersion) -> Result<()> {
    if context.evidence.may_combine(pin) {
        return Ok(());
    }
    if let Some(id) = pin.version_id().filter(|_| context.client.is_s3()) {
        context.evidence.set_named_version(id);
        context.address_by_version_id.store(true, Ordering::Relaxed);
        return Ok(());
    }
    let what = "the response ended early, and no strong ETag shows which bytes would follow";
    Err(Error::new(ErrorKind::Server, what)
        .with_hint("the object has to be downloaded again from its first byte"))
}

/// Decides after the first response, to `asked`, how the object is requested: under the tag that HEAD shows, or in one
/// response, where this one does not show how several could be recognised as those of one version. Returns the range to
/// request in its place; `None` where this one will do.
async fn replan(
    context: &DownloadContext,
    asked: ByteRange,
    reply: &CheckedResponse,
    attempt: Attempt,
) -> Result<Option<ByteRange>> {
    let response = &reply.response;
    let open_ended = context.wanted.open_ended();
    let is_named = context.wanted.if_match().is_some();
    let is_enough =
        context.wanted.is_last(response) || context.evidence.may_combine(&PinnedVersion::new(&response.info));
    if is_enough && !(is_named && response.info.etag.is_none()) {
        return Ok(None);
    }
    if context.evidence.should_ask_head()
        && let by_head = side_request::tag_by_head(&context.client, &response.info, attempt.aside())
        && let Some(tag) = ask_aside(context, by_head).await.flatten()
    {
        context.evidence.expect_tag(&tag);
        if honours_if_match(context, attempt).await? {
            // Requested again: only what was sent after HEAD's answer is certain to be of that version.
            info!(target: CORRECTION, what = "If-Match", to = tag, "retrying immediately");
            context.evidence.set_head_tag(&tag);
            return Ok(Some(asked));
        }
    }
    if is_enough {
        return Ok(None);
    }
    // A server that sends fewer bytes than requested may send all of them where no range is.
    if asked == open_ended {
        info!(target: CORRECTION, what = "plain GET", "retrying immediately");
        context.is_plain.store(true, Ordering::Relaxed);
    } else {
        info!(target: CORRECTION, what = "one response", "retrying immediately");
    }
    context.evidence.set_one_response();
    Ok(Some(open_ended))
}

/// Fails if the response shows another version than the one that the user named: not every server knows `versionId`.
fn check_version(context: &DownloadContext, info: &ObjectInfo) -> Result<()> {
    match (context.client.version_id(), info.version_id.as_deref()) {
        (Some(named), Some(shown)) if named != shown => {
            let what = format!(
                "the server sent another version than the one named by --version-id: {}",
                printable(shown)
            );
            Err(Error::new(ErrorKind::Changed, what))
        }
        _ => Ok(()),
    }
}

/// Completes `info`, from a response without a tag, with the one that its request named, if the server refuses any other
/// and HEAD can confirm it at the end: where no response shows a tag, or where one that is asked for again has none.
async fn complete_tag(context: &DownloadContext, info: &mut ObjectInfo, attempt: Attempt) -> Result<()> {
    if info.etag.is_some()
        || context.without_if_match.load(Ordering::Relaxed)
        || context.is_plain.load(Ordering::Relaxed)
        || !context.client.is_s3()
    {
        return Ok(());
    }
    let pinned = context.pin.get().and_then(PinnedVersion::if_match);
    let tag = context.evidence.head_tag().or(pinned.filter(|_| attempt.number > 1));
    if let Some(tag) = tag
        && honours_if_match(context, attempt).await?
    {
        context.evidence.expect_tag(tag);
        // A server may refuse one tag and ignore the next: bytes are combined with others only if nothing had changed
        // when their response began. Where all connections that the host allows hold such a response, HEAD says so at the
        // end alone.
        if context.pin.get().is_some() && context.client.has_spare_connection() {
            let check = Box::pin(side_request::check_tag(context, tag, attempt.aside()));
            timeout(PROOF_TIME, check).await.unwrap_or_else(|_| Err(unconfirmed()))?;
        }
        info.etag = Some(tag.to_owned());
    }
    Ok(())
}

fn unconfirmed() -> Error {
    let what = "HEAD, which alone shows the ETag at this server, was not answered in time";
    Error::new(ErrorKind::Network, what).retryable(true)
}

/// Returns whether `error` refuses an `If-Match` of HEAD's tag before any response was taken.
fn is_refused_tag(context: &DownloadContext, error: &Error) -> bool {
    context.pin.get().is_none()
        && context.wanted.if_match().is_none()
        && context.evidence.head_tag().is_some()
        && error.service().is_some_and(refuses_if_match)
}

/// Returns whether the service refuses `If-Match`, perhaps of an object that has not changed.
fn refuses_if_match(service: &ServiceError) -> bool {
    service.status == 412 || service.is_unsupported()
}

/// Sends one request for `asked`, and another one without `If-Match` where that header alone is refused.
async fn send_get(context: &DownloadContext, asked: ByteRange, attempt: Attempt) -> Result<Reply> {
    let pin = context.pin.get();
    let client = &context.client;
    let if_match = match pin {
        Some(pin) => pin.if_match(),
        None => context.wanted.if_match().or(context.evidence.head_tag()),
    };
    let if_match = if_match.filter(|_| !context.without_if_match.load(Ordering::Relaxed));
    let version = pin
        .and_then(PinnedVersion::version_id)
        .filter(|_| context.address_by_version_id.load(Ordering::Relaxed));
    let is_plain = context.is_plain.load(Ordering::Relaxed);
    let is_first = pin.is_none() && !is_plain;
    let get = |if_match, checksums| {
        if is_plain { S3Request::GetWhole } else { S3Request::Get { range: asked, if_match, checksums } }
    };
    let checksums = is_first && context.asks_get_for_checksum();
    let mut exchanged = client.exchange(get(if_match, checksums), version, attempt).await;
    if let Err(e) = &exchanged
        && checksums
        && e.kind() == ErrorKind::Server
        && !e.is_retryable()
    {
        client.shown_checksums().refused_by_get();
        exchanged = client.exchange(get(if_match, false), version, attempt).await;
    }
    let exchanged = match exchanged {
        Err(e) if e.service().is_some_and(ServiceError::is_unsupported) && pin.is_none() && !is_plain => {
            return Ok(Reply::AskPlainly("the server does not implement ranges"));
        }
        Err(e) if e.service().is_some_and(refuses_if_match) && if_match.is_some() && version.is_none() => {
            match client.exchange(get(None, false), version, attempt).await {
                Ok(exchange) if has_tag(&exchange, if_match) => {
                    // From here on every response must carry the tag.
                    context.without_if_match.store(true, Ordering::Relaxed);
                    Ok(exchange)
                }
                _ => Err(e),
            }
        }
        exchanged => exchanged,
    };
    let named_tag = if_match.is_some() && !is_plain;
    let exchange = exchanged.map_err(|e| changed(context, e, version.is_some(), named_tag, asked.start()))?;
    let range = (!is_plain).then_some(asked);
    let sent = SentGet { range, size: pin.and_then(PinnedVersion::known_size), is_s3: client.is_s3() };
    // In the middle of a download all depends on the tag: the response will have no Content-Range.
    let may_ask_plainly = !is_plain && pin.is_none_or(|pin| pin.if_match().is_some());
    let proven = |exchange, response: RangeResponse| {
        let ends_at =
            Some(response.body.end()).filter(|end| response.is_chunked && *end != ObjectInfo::SIZE_UNKNOWN);
        let part_end = range.filter(|_| response.size_proof == SizeProof::LastChunk).map(ByteRange::end);
        Ok(Reply::Proven(Box::new(CheckedResponse { exchange, response, ends_at, part_end })))
    };
    match ResponseProof::read(&exchange.head, sent)? {
        ResponseProof::Bytes(response) => proven(exchange, response),
        ResponseProof::PartOrWhole(response) if is_first => {
            let proof = side_request::is_whole(context, &response.info, attempt.aside());
            if ask_aside(context, proof).await.unwrap_or(Ok(false))? {
                return proven(exchange, response);
            }
            Ok(Reply::AskPlainly("the response does not show whether it is a part"))
        }
        ResponseProof::PartOrWhole(_) => Err(malformed(IS_UNCLEAR)),
        ResponseProof::Nothing(why) if may_ask_plainly => Ok(Reply::AskPlainly(why)),
        ResponseProof::Nothing(why) => Err(malformed(why)),
        ResponseProof::Unsized(info) => {
            if range.is_some_and(|range| range.start() > 0) {
                let unclear = || malformed(IS_UNCLEAR).retryable(true);
                return may_ask_plainly.then_some(Reply::AskPlainly(IS_UNCLEAR)).ok_or_else(unclear);
            }
            // If the size is known, the body is checked against it as it comes: it must have neither less nor more.
            let size = match pin {
                Some(pin) => pin.size(),
                None => side_request::size_by_head(context, &info, attempt.aside()).await,
            };
            // HEAD shows more bytes than a part would have, or perhaps those of another version.
            let is_strong = info.etag.as_deref().is_some_and(is_strong);
            let may_be_part = |range: ByteRange| size > range.len() || (size == range.len() && !is_strong);
            if is_first && size != ObjectInfo::SIZE_UNKNOWN && range.is_some_and(may_be_part) {
                return Ok(Reply::AskPlainly(IS_UNCLEAR));
            }
            let (body, info) = (ByteRange::new(0, size), ObjectInfo { size, ..info });
            let is_sized = info.known_size().is_some();
            let size_proof = if is_sized { SizeProof::TwoResponses } else { SizeProof::LastChunk };
            proven(
                exchange,
                RangeResponse { info, body, whole: true, size_proof, is_chunked: true, checksum: None },
            )
        }
    }
}

/// Returns whether the response carries the strong tag that `If-Match` named.
fn has_tag(exchange: &Exchange, if_match: Option<&str>) -> bool {
    header_text(&exchange.head.headers, ETAG.as_str()) == if_match
}

/// Explains a refused `If-Match`, or a range that is no longer there: the object has changed. The old version can still be
/// read by its id, if the store showed one and permits it; `named` says that the request, for the bytes from `start` on, did
/// so already, and `named_tag` that it carried `If-Match`.
fn changed(context: &DownloadContext, error: Error, named: bool, named_tag: bool, start: u64) -> Error {
    let (Some(pin), Some(service)) = (context.pin.get(), error.service()) else { return error };
    let status = StatusCode::from_u16(service.status);
    let client = &context.client;
    let may_name = pin.version_id().is_some() && client.version_id().is_none() && client.is_s3();
    if named && !error.is_retryable() {
        let what = "the object changed during the download, and its old version is refused";
        return Error::new(ErrorKind::Changed, what).with_service(service.clone());
    }
    match status {
        Ok(StatusCode::PRECONDITION_FAILED) if may_name => {
            info!(target: CORRECTION, what = "version", to = pin.version_id(), "retrying immediately");
            context.address_by_version_id.store(true, Ordering::Relaxed);
            error.retryable(true)
        }
        Ok(StatusCode::RANGE_NOT_SATISFIABLE) => {
            pin.refused_range(start, service.object_size, named_tag).with_service(service.clone())
        }
        _ => error,
    }
}
