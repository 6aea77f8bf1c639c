//! Discovery: HEAD and the first ranged GET leave together, and the response to the GET shows the object.
//!
//! Where the store is known to show checksums with a GET too, HEAD is sent only after a first response without one.
//!
//! A HEAD may be refused or slow without harm. An empty object has no first byte to request, nor has a range that
//! begins at the object's end: S3 answers 416, which is confirmed before it is believed. A range counted from the end
//! needs the size first: HEAD is then sent before the GET.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;
use tokio::time::timeout;

use crate::client::metadata::{AfterEnd, Description, after_end, describe, describe_by_get};
use crate::client::object_client::ObjectClient;
use crate::client::origins::Origins;
use crate::client::retry::{Attempt, retry};
use crate::download::concurrency::limit::Permit;
use crate::download::context::DownloadContext;
use crate::download::counters::Counters;
use crate::download::fetch::hedge_budget::HedgeBudget;
use crate::download::fetch::range_task::Discovered;
use crate::download::fetch::side_request::PROOF_TIME;
use crate::download::fetch::stats::RequestStats;
use crate::download::limits::checksum_mode;
use crate::download::options::Options;
use crate::download::ordered::OrderedRanges;
use crate::download::pending_head::PendingHead;
use crate::download::requested::{RequestedBytes, beyond};
use crate::download::start_mode::StartMode;
use crate::download::verdict::Evidence;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::address::source::Source;
use crate::s3::checksum::expected::ExpectedChecksum;
use crate::s3::object::{ObjectInfo, malformed};
use crate::s3::proof::SizeProof;
use crate::s3::range::ByteRange;
use crate::s3::request::S3Request;
use crate::s3::response::{ResponseProof, SentGet};

/// The result of discovery.
pub(super) struct Discovery {
    pub(super) info: ObjectInfo,
    /// The bytes to deliver.
    pub(super) wanted: ByteRange,
    /// The part of them that the first range brings.
    pub(super) first_range: ByteRange,
    pub(super) head: PendingHead,
    /// The object's checksum, if the first response showed it.
    pub(super) checksum: Option<ExpectedChecksum>,
    /// How long the first response took to begin.
    pub(super) latency: Duration,
}

/// Creates the context; sends HEAD first if the range needs the object's size.
pub(super) async fn build_context(
    origins: &Arc<Origins>,
    source: &Source,
    options: &Options,
    mode: &StartMode,
) -> Result<(DownloadContext, Option<Description>)> {
    let client = ObjectClient::new(
        Arc::clone(origins),
        source.clone(),
        options.for_client(mode.group.limits.read_buffer),
    )?;
    let if_match = || options.if_match.clone();
    let max_attempts = options.max_attempts.or(origins.config.max_attempts);
    let (wanted, answer) = if let Some(wanted) = RequestedBytes::new(options.range, if_match()) {
        (wanted, None)
    } else {
        let mut described = describe(&client, max_attempts).await?;
        let mut wanted = RequestedBytes::at_the_end(options.range, if_match(), &described.info)?;
        // No GET follows whose response would show the size, and HEAD alone is no proof of it.
        let size = described.info.size;
        let after = |attempt| after_end(&client, size, None, attempt);
        if wanted.is_nothing() && size > 0 && retry(max_attempts, after).await? != AfterEnd::Nothing {
            described = describe_by_get(&client, max_attempts).await?;
            wanted = RequestedBytes::at_the_end(options.range, if_match(), &described.info)?;
        }
        (wanted, Some(described))
    };
    let evidence = Evidence::new(options.unsafe_ranges, options.version_id.as_deref());
    if mode.already_written > 0 {
        evidence.add_response();
    }
    let context = DownloadContext {
        client,
        wanted,
        checksum_mode: checksum_mode(options, origins.config.checksum_validation),
        object: mode.object,
        permits: Arc::clone(&mode.group.permits),
        group: Arc::clone(&mode.group),
        has_failed: AtomicBool::new(false),
        max_attempts,
        stall_timeout: options.stall_timeout.unwrap_or(Options::STALL_TIMEOUT),
        pin: OnceLock::new(),
        evidence,
        size_at_end: OnceLock::new(),
        is_plain: AtomicBool::new(false),
        without_if_match: AtomicBool::new(false),
        address_by_version_id: AtomicBool::new(false),
        counters: Arc::new(Counters::within(&mode.group.counters)),
        request_stats: RequestStats::new(),
        hedging: HedgeBudget::new(options.hedge),
    };
    Ok((context, answer))
}

/// Sends HEAD, unless it was answered already, and the first GET, with `permit`; returns when the head of its response
/// has arrived.
pub(super) async fn start(
    context: &Arc<DownloadContext>,
    ranges: &mut OrderedRanges,
    chunk: u64,
    permit: Permit,
    answer: Option<Description>,
) -> Result<Discovery> {
    let wanted = &context.wanted;
    let mut head = match &answer {
        // There is nothing to request.
        Some(Description { info, .. }) if wanted.is_nothing() => {
            context.evidence.set_size(SizeProof::TwoResponses);
            let head = PendingHead::done(context, info.clone());
            return Ok(Discovery::nothing(wanted.start(), info.clone(), head));
        }
        Some(Description { info, is_by_head: true }) => PendingHead::done(context, info.clone()),
        None if context.client.is_s3() && context.puts_head_off() => PendingHead::put_off(context),
        None if context.client.is_s3() => PendingHead::spawn(context),
        // HEAD has failed before; and a presigned URL is signed for GET only.
        Some(_) | None => PendingHead::none(context),
    };
    let asked = wanted.first(chunk);
    let error = match ranges.discover(asked, permit).await {
        Ok(Discovered { info, wanted, first, latency, checksum }) => {
            head.settle(checksum.is_none());
            check_size(context, &mut head, &info).await?;
            return Ok(Discovery { info, wanted, first_range: first, head, checksum, latency });
        }
        Err(error) => error,
    };
    // Some servers answer 204 for an empty object.
    let has_none = [StatusCode::RANGE_NOT_SATISFIABLE, StatusCode::NO_CONTENT].map(|s| s.as_u16());
    let Some(refused) = error.service().filter(|s| has_none.contains(&s.status)) else {
        return Err(wanted.refused(error));
    };
    let is_no_content = refused.status == StatusCode::NO_CONTENT.as_u16();
    let info = match wanted.start() {
        0 => match confirm_empty(context, &mut head).await {
            // The object has bytes: a 204 is no statement that it had none.
            Err(other) if is_no_content && other.kind() == ErrorKind::Changed => return Err(error),
            confirmed => confirmed?,
        },
        start => confirm_end(context, &mut head, start, refused.object_size).await?,
    };
    if !wanted.of(&info)?.is_empty() {
        return Err(wanted.refused_range(&info, refused.object_size));
    }
    context.evidence.set_size(SizeProof::TwoResponses);
    Ok(Discovery::nothing(wanted.start(), info, head))
}

impl Discovery {
    /// Creates the result for an object that has no bytes from `start` on.
    fn nothing(start: u64, info: ObjectInfo, head: PendingHead) -> Self {
        let none = ByteRange::new(start, start);
        Self { info, wanted: none, first_range: none, head, checksum: None, latency: Duration::ZERO }
    }
}

/// Fails if only a GET without `Range` shows the size and HEAD contradicts it. Without an answer from HEAD in time, the byte
/// after it is requested at the end: a server whose ranges prove nothing may send parts to such a GET, too.
async fn check_size(context: &DownloadContext, head: &mut PendingHead, info: &ObjectInfo) -> Result<()> {
    let is_plain = context.is_plain.load(Ordering::Relaxed);
    if !is_plain || info.known_size().is_none() || context.evidence.is_size_confirmed() {
        return Ok(());
    }
    let head = timeout(PROOF_TIME, head.answer()).await.ok().flatten();
    context.evidence.check_whole(info.size, head.as_ref())?;
    if head.is_none() {
        context.evidence.set_unconfirmed_size(info.size);
    }
    Ok(())
}

/// Confirms a 416 for a later byte: by HEAD, or else by a GET of the first byte. Without an answer from HEAD it is
/// enough if the 416 itself has `shown` that the object ends before `start`.
async fn confirm_end(
    context: &Arc<DownloadContext>,
    head: &mut PendingHead,
    start: u64,
    shown: Option<u64>,
) -> Result<ObjectInfo> {
    match (head.answer().await, shown) {
        (Some(info), _) => Ok(info),
        (None, Some(size)) if size < start => Err(beyond(start, size)),
        (None, _) => Ok(describe(&context.client, context.max_attempts).await?.info),
    }
}

/// Confirms a 416 for the first byte: the object is empty if HEAD says so too, or if a GET without a range brings no bytes.
async fn confirm_empty(context: &Arc<DownloadContext>, head: &mut PendingHead) -> Result<ObjectInfo> {
    if let Some(info) = head.answer().await.filter(|info| info.size == 0) {
        return Ok(info);
    }
    retry(context.max_attempts, |attempt| ask_whole(context, attempt)).await
}

/// Requests the whole object, which must be empty.
async fn ask_whole(context: &DownloadContext, attempt: Attempt) -> Result<ObjectInfo> {
    let answer =
        context.client.exchange(S3Request::GetWhole, None, attempt).await.map_err(|e| match e.service() {
            Some(service) if service.status == StatusCode::RANGE_NOT_SATISFIABLE.as_u16() => {
                malformed("the server refuses a range, and a GET without one in the same way")
                    .with_service(service.clone())
            }
            _ => e,
        })?;
    let sent = SentGet { range: None, size: None, is_s3: context.client.is_s3() };
    match ResponseProof::read(&answer.head, sent)? {
        ResponseProof::Bytes(response) if response.info.size == 0 => Ok(response.info),
        ResponseProof::Unsized(info) if answer.body.collect(0, context.stall_timeout).await?.is_some() => {
            Ok(ObjectInfo { size: 0, ..info })
        }
        _ => Err(Error::new(ErrorKind::Changed, "the object was empty a moment ago and is no longer")),
    }
}

#[cfg(test)]
mod tests;
