//! Discovery: HEAD and the first ranged GET leave together, and the response to the GET shows the object.
//!
//! Where the store is known to show checksums with a GET too, HEAD is sent only after a first response without one.
//!
//! A HEAD may be refused or slow without harm. An empty object has no first byte to request, nor has a range that
//! begins at the object's end: S3 answers 416, which is confirmed before it is believed, and otherwise followed by one GET
//! without `Range`. A range counted from the end needs the size first: HEAD is then sent before the GET.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::timeout;
use tracing::info;

use crate::client::metadata::{AfterEnd, Description, after_end, describe, describe_by_get};
use crate::client::object_client::ObjectClient;
use crate::client::origins::Origins;
use crate::client::retry::retry;
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
use crate::download::requested::RequestedBytes;
use crate::download::start_mode::StartMode;
use crate::download::verdict::Evidence;
use crate::error::{Error, Result, ServiceError};
use crate::events::{CORRECTION, first_line};
use crate::s3::address::source::Source;
use crate::s3::checksum::expected::ExpectedChecksum;
use crate::s3::object::{ObjectInfo, malformed};
use crate::s3::proof::SizeProof;
use crate::s3::range::ByteRange;

/// The status of a range that is beyond the end of the object.
const NOT_SATISFIABLE: u16 = 416;
/// The status by which some servers answer for an empty object.
const NO_CONTENT: u16 = 204;

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
    let mut permit = Some(permit);
    let mut is_refused = false;
    loop {
        let permit = permit.take().unwrap_or_else(|| context.permits.take());
        let error = match ranges.discover(asked, permit).await {
            Ok(Discovered { info, wanted, first, latency, checksum }) => {
                head.settle(checksum.is_none());
                check_size(context, &mut head, &info, is_refused).await?;
                return Ok(Discovery { info, wanted, first_range: first, head, checksum, latency });
            }
            Err(error) => error,
        };
        let has_none = |service: &&ServiceError| matches!(service.status, NOT_SATISFIABLE | NO_CONTENT);
        let Some(refused) = error.service().filter(has_none) else {
            return Err(wanted.refused(error));
        };
        if let Some(info) = confirm_end(context, &mut head, refused).await? {
            context.evidence.set_size(SizeProof::TwoResponses);
            return Ok(Discovery::nothing(wanted.start(), info, head));
        }
        if context.is_plain.swap(true, Ordering::Relaxed) {
            return Err(refused_twice(error));
        }
        // Whatever the response says, there may be such bytes, and all of the object shows them.
        info!(target: CORRECTION, what = "plain GET", to = first_line(&error), "retrying immediately");
        ranges.clear();
        is_refused = true;
    }
}

impl Discovery {
    /// Creates the result for an object that has no bytes from `start` on.
    fn nothing(start: u64, info: ObjectInfo, head: PendingHead) -> Self {
        let none = ByteRange::new(start, start);
        Self { info, wanted: none, first_range: none, head, checksum: None, latency: Duration::ZERO }
    }
}

/// Fails if only a GET without `Range` shows the size and HEAD contradicts it. Without an answer from HEAD in time, the byte
/// after it is requested at the end: a server whose ranges prove nothing may send parts to such a GET, too. One that
/// refuses any range does not (`is_refused`).
async fn check_size(
    context: &DownloadContext,
    head: &mut PendingHead,
    info: &ObjectInfo,
    is_refused: bool,
) -> Result<()> {
    let is_plain = context.is_plain.load(Ordering::Relaxed);
    if !is_plain || info.known_size().is_none() || context.evidence.is_size_confirmed() {
        return Ok(());
    }
    let head = timeout(PROOF_TIME, head.answer()).await.ok().flatten();
    context.evidence.check_whole(info.size, head.as_ref())?;
    if head.is_none() && !is_refused {
        context.evidence.set_unconfirmed_size(info.size);
    }
    Ok(())
}

/// Confirms that the object ends before the first byte that is wanted, which was `refused`: by HEAD, or for a later byte by
/// a GET of the first one. Without an answer from HEAD it is enough if the 416 itself shows that. `None` if the object may
/// have that byte.
async fn confirm_end(
    context: &Arc<DownloadContext>,
    head: &mut PendingHead,
    refused: &ServiceError,
) -> Result<Option<ObjectInfo>> {
    let start = context.wanted.start();
    let may_be_there = match refused.object_size {
        Some(size) => start < size,
        // Some refuse any range of an object without a length, and an empty object's 416 names its size.
        None => start == 0 && refused.status == NOT_SATISFIABLE && !context.is_plain.load(Ordering::Relaxed),
    };
    if may_be_there {
        return Ok(None);
    }
    let info = match (head.answer().await, refused.object_size) {
        (Some(info), _) => info,
        (None, _) if start == 0 => return Ok(None),
        (None, Some(size)) if size < start => return Err(context.wanted.beyond(size)),
        (None, _) => describe(&context.client, context.max_attempts).await?.info,
    };
    let is_nothing = context.wanted.of(&info)?.is_empty();
    Ok(is_nothing.then_some(info))
}

/// Returns the error for an object of which neither a range nor all of it is sent.
fn refused_twice(error: Error) -> Error {
    match error.service() {
        Some(service) if service.status == NOT_SATISFIABLE => {
            malformed("the server refuses a range, and a GET without one in the same way")
                .with_service(service.clone())
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests;
