//! How a download begins: the HEAD and the first ranged GET leave together, and the GET's response
//! tells what there is.
//!
//! A HEAD may be refused or slow without harm. An empty object has no first byte to ask for: S3 answers
//! 416, which is confirmed before it is believed.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};

use http::StatusCode;
use tokio::sync::{Semaphore, oneshot};

use super::head::HeadTask;
use super::{Options, PINNED};
use crate::client::Client;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::{self, Found, RangeFrames, Shared};
use crate::frame::Slabs;
use crate::range::ByteRange;
use crate::request::Ask;
use crate::response::{ObjectInfo, Opened};
use crate::uri::S3Uri;
use crate::window::Window;

/// What discovery found.
pub(super) struct Started {
    pub(super) info: ObjectInfo,
    /// The first range, under way; none in an empty object.
    pub(super) first: Option<RangeFrames>,
    /// Where the second range begins.
    pub(super) first_end: u64,
    pub(super) head: HeadTask,
}

/// The parts that all fetches share; nothing is sent yet.
pub(super) fn shared(config: &Config, uri: &S3Uri, options: &Options, chunk: u64) -> Result<Shared> {
    let client =
        Client::new(config.clone(), uri.clone(), options.addressing_style, options.version_id.clone())?;
    let concurrency = options.concurrency.get();
    let bytes = chunk.saturating_mul(concurrency as u64);
    // What is pinned beyond the frames' own bytes fits inside the window too, or there is no such thing.
    let counted = bytes.saturating_sub(PINNED);
    let zero_copy = counted >= chunk;
    Ok(Shared {
        client,
        slots: Semaphore::new(concurrency.min(Semaphore::MAX_PERMITS)),
        window: Window::new(if zero_copy { counted } else { bytes }),
        slabs: Arc::new(Slabs::default()),
        max_attempts: options.max_attempts,
        zero_copy,
        pin: OnceLock::new(),
        begun: AtomicBool::new(false),
        fetched: AtomicU64::new(0),
    })
}

/// Sends HEAD and the first GET, and waits for the head of the latter's response.
pub(super) async fn start(shared: &Arc<Shared>, chunk: u64) -> Result<Started> {
    let mut head = HeadTask::spawn(shared);
    let (found_in, found) = oneshot::channel();
    let room = shared.window.reserve(u32::try_from(chunk).unwrap_or(u32::MAX)).await;
    let mut first = fetch::spawn(shared, ByteRange::new(0, chunk), room, Some(found_in));
    if let Ok(Found { info, whole }) = found.await {
        let first_end = if whole { info.size } else { chunk.min(info.size) };
        return Ok(Started { info, first: Some(first), first_end, head });
    }
    let error = match poll_fn(|cx| first.poll_frame(cx)).await {
        Some(Err(e)) => e,
        _ => Error::new(ErrorKind::Other, "the download ended before it began"),
    };
    if error.service().is_some_and(|s| s.status == StatusCode::RANGE_NOT_SATISFIABLE.as_u16()) {
        let info = confirm_empty(shared, &mut head, error).await?;
        return Ok(Started { info, first: None, first_end: 0, head });
    }
    Err(error)
}

/// A 416 for the first byte: the object is empty, if HEAD says so too, or a GET without a range brings
/// no bytes.
async fn confirm_empty(shared: &Shared, head: &mut HeadTask, refused: Error) -> Result<ObjectInfo> {
    if let Some(info) = head.result().await.filter(|info| info.size == 0) {
        return Ok(info);
    }
    let answer = shared.client.exchange(Ask::GetWhole, None, false).await?;
    let opened = Opened::check(&answer.head, ByteRange::new(0, 1), None)?;
    if opened.info.size == 0 { Ok(opened.info) } else { Err(refused) }
}
