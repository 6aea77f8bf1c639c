//! How a download begins: the HEAD and the first ranged GET leave together, and the GET's response
//! tells what there is.
//!
//! A HEAD may be refused or slow without harm. An empty object has no first byte to ask for: S3 answers
//! 416, which is confirmed before it is believed.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::Options;
use super::head::HeadTask;
use crate::budget::Budget;
use crate::client::Client;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::{self, Found, Leave, RangeFrames, Shared};
use crate::frame::Slabs;
use crate::range::ByteRange;
use crate::request::Ask;
use crate::response::{ObjectInfo, Opened};
use crate::retry::Tries;
use crate::slots::Slots;
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
    /// How long the first response took to begin.
    pub(super) latency: Duration,
}

/// The parts that all fetches share; nothing is sent yet.
pub(super) fn shared(config: &Config, uri: &S3Uri, options: &Options, budget: &Budget) -> Result<Shared> {
    let connections = if budget.adaptive { 1 } else { budget.connections };
    Ok(Shared {
        client: Client::new(config.clone(), uri.clone(), options, budget.read_buffer)?,
        slots: Slots::new(connections),
        // All ranges of an explicit number have room at once: no more is asked for than can be held.
        places: Slots::new(if budget.adaptive { places(connections) } else { connections }),
        window: Window::new(budget.window),
        slabs: Arc::new(Slabs::default()),
        max_attempts: options.max_attempts,
        read_buffer: budget.read_buffer,
        zero_copy_min: budget.zero_copy_min,
        pin: OnceLock::new(),
        by_version: AtomicBool::new(false),
        begun: AtomicBool::new(false),
        fetched: AtomicU64::new(0),
        retries: AtomicU64::new(0),
        yielded: AtomicU64::new(0),
    })
}

/// How many ranges may be under way, those that wait to be delivered included, with so many connections:
/// enough that none idles behind a head of the line that is a little slow.
pub(super) fn places(connections: usize) -> usize {
    connections + connections / 4 + 1
}

/// Sends HEAD and the first GET, and waits for the head of the latter's response.
pub(super) async fn start(shared: &Arc<Shared>, chunk: u64) -> Result<Started> {
    let (found_in, found) = oneshot::channel();
    let ended = || Error::new(ErrorKind::Other, "the download ended before it began");
    let leave = Leave {
        place: shared.places.acquire().await.ok_or_else(ended)?,
        slot: shared.slots.acquire().await.ok_or_else(ended)?,
    };
    let mut first = fetch::spawn(Arc::clone(shared), ByteRange::new(0, chunk), leave, Some(found_in));
    let mut head = HeadTask::spawn(shared);
    if let Ok(Found { info, whole, latency }) = found.await {
        let first_end = if whole { info.size } else { chunk.min(info.size) };
        return Ok(Started { info, first: Some(first), first_end, head, latency });
    }
    let error = match poll_fn(|cx| first.poll_frame(cx)).await {
        Some(Err(e)) => e,
        _ => ended(),
    };
    if error.service().is_some_and(|s| s.status == StatusCode::RANGE_NOT_SATISFIABLE.as_u16()) {
        let info = confirm_empty(shared, &mut head).await?;
        return Ok(Started { info, first: None, first_end: 0, head, latency: Duration::ZERO });
    }
    Err(error)
}

/// A 416 for the first byte: the object is empty, if HEAD says so too, or a GET without a range brings
/// no bytes.
async fn confirm_empty(shared: &Arc<Shared>, head: &mut HeadTask) -> Result<ObjectInfo> {
    if let Some(info) = head.result(shared).await.filter(|info| info.size == 0) {
        return Ok(info);
    }
    let mut tries = Tries::new(shared.max_attempts);
    loop {
        let error = match shared.client.exchange(Ask::GetWhole, None, false).await {
            Ok(answer) => {
                let info = Opened::check(&answer.head, ByteRange::new(0, 1), None)?.info;
                if info.size == 0 {
                    return Ok(info);
                }
                Error::new(ErrorKind::Changed, "the object was empty a moment ago and is no longer")
            }
            Err(e) => e,
        };
        let Some(delay) = tries.failed(&error, 0, false) else {
            return Err(error.after_attempts(tries.count()));
        };
        sleep(delay).await;
    }
}
