//! One range, fetched: attempts, each for the remainder only, until its last byte is in.
//!
//! It gets a range with room reserved for it, runs as a task of its own (so that its socket is read
//! while the consumer is busy) and hands on frames through a lane. A byte that was handed on is never
//! asked for again. It never looks at other ranges.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::client::{Client, Exchange};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::{Frame, Packer, Slabs};
use crate::lane::{LaneReceiver, LaneSender, lane};
use crate::range::ByteRange;
use crate::request::Ask;
use crate::response::{ObjectInfo, Opened, Pin};
use crate::retry::Tries;
use crate::slots::{Slot, Slots};
use crate::transport::READ_BUFFER;
use crate::window::{Room, Window};

/// How long a body may bring no byte while it is being read.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What all fetches of one download share.
pub(crate) struct Shared {
    pub(crate) client: Client,
    /// Ranges fetched at once; closed when one has failed for good.
    pub(crate) slots: Arc<Slots>,
    pub(crate) window: Window,
    pub(crate) slabs: Arc<Slabs>,
    /// The user's own limit of tries.
    pub(crate) max_attempts: Option<NonZeroU32>,
    /// Whether the window leaves room for frames that pin hyper's buffers.
    pub(crate) zero_copy: bool,
    /// Set by the first response; every later one is checked against it.
    pub(crate) pin: OnceLock<Pin>,
    /// Whether any byte of the object has come.
    pub(crate) begun: AtomicBool,
    /// Body bytes received, those that a retry brings again included.
    pub(crate) fetched: AtomicU64,
}

/// What the first response shows.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) info: ObjectInfo,
    /// The server knows no ranges: the first range is the whole object.
    pub(crate) whole: bool,
    /// How long the response took to begin, once its request was sent.
    pub(crate) latency: Duration,
}

/// The frames of one range, in order. Dropping it ends the fetch.
#[derive(Debug)]
pub(crate) struct RangeFrames {
    lane: LaneReceiver,
    _task: AbortOnDropHandle<()>,
}

impl RangeFrames {
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        self.lane.poll_frame(cx)
    }
}

/// Waits for the room of `range`, in its turn, and starts to fetch it in `slot`. `found` is told what the
/// first response shows.
pub(crate) async fn start(
    shared: Arc<Shared>,
    range: ByteRange,
    slot: Slot,
    found: Option<oneshot::Sender<Found>>,
) -> RangeFrames {
    // No chunk is larger than half as much again as `Options::CHUNK_SIZE_MAX`.
    let room = shared.window.reserve(u32::try_from(range.len()).unwrap_or(u32::MAX)).await;
    let (sender, receiver) = lane();
    let packer = Packer::new(Arc::clone(&shared.slabs));
    let fetch = Fetch { shared, range, done: 0, room, packer, lane: sender, found, whole: false };
    RangeFrames { lane: receiver, _task: AbortOnDropHandle::new(tokio::spawn(fetch.run(slot))) }
}

struct Fetch {
    shared: Arc<Shared>,
    range: ByteRange,
    /// How many bytes of the range were handed on.
    done: u64,
    room: Room,
    packer: Packer,
    lane: LaneSender,
    found: Option<oneshot::Sender<Found>>,
    whole: bool,
}

impl Fetch {
    async fn run(mut self, _slot: Slot) {
        let shared = Arc::clone(&self.shared);
        let mut tries = Tries::new(shared.max_attempts);
        loop {
            let before = self.done;
            let Err(error) = self.attempt(tries.count() > 0).await else { return };
            let begun = shared.begun.load(Ordering::Relaxed);
            let Some(delay) = tries.failed(&error, self.done - before, begun) else {
                self.lane.finish(Err(error.after_attempts(tries.count())));
                // The download ends here: what has not begun, and lies behind, need not begin.
                return shared.slots.close();
            };
            sleep(delay).await;
        }
    }

    /// One request for what is left of the range, and its body to the end. `again` after a failure:
    /// then on another connection.
    async fn attempt(&mut self, again: bool) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let pin = shared.pin.get();
        let asked = self.range.remainder(self.done);
        let ask = Ask::Get { range: asked, if_match: pin.and_then(Pin::if_match) };
        let named = shared.client.names_version();
        let exchanged = shared.client.exchange(ask, pin.and_then(Pin::version_id), again).await;
        let Exchange { head, mut body, lease, latency } = exchanged.map_err(|e| self.changed(e, named))?;
        let opened = Opened::check(&head, asked, pin.map(Pin::size))?;
        match pin {
            Some(pin) => pin.check(&opened.info)?,
            None => self.found(&opened, latency),
        }
        let mut skip = self.skip(&opened)?;
        while self.done < self.range.len() {
            self.lane.keep_pace().await;
            let mut data = next_data(&mut body).await?;
            shared.fetched.fetch_add(data.len() as u64, Ordering::Relaxed);
            let skipped = skip.min(data.len() as u64);
            skip -= skipped;
            // No more than data.len(), which is a usize.
            data = data.slice(usize::try_from(skipped).unwrap_or(data.len())..);
            self.hand_on(data).await?;
        }
        self.lane.finish(Ok(()));
        // A chunked body has its end still to come; a connection is only used again behind it.
        if body.is_end_stream() || matches!(timeout(STALL_TIMEOUT, body.frame()).await, Ok(None)) {
            lease.give_back();
        }
        Ok(())
    }

    /// The first response pins the download and may show that the object is shorter than asked.
    fn found(&mut self, opened: &Opened, latency: Duration) {
        // Only the first range runs before the pin is set.
        let _ = self.shared.pin.set(Pin::new(&opened.info));
        self.whole = opened.whole;
        self.range = opened.body;
        if self.whole {
            // Of any length: room is reserved frame by frame.
            drop(self.room.split(usize::MAX));
        }
        if let Some(found) = self.found.take() {
            // Nobody waits any more only when the download was dropped.
            let _ = found.send(Found { info: opened.info.clone(), whole: opened.whole, latency });
        }
    }

    /// How many bytes of the body were handed on already: none, but where the server knows no ranges
    /// and sends the whole object again.
    fn skip(&self, opened: &Opened) -> Result<u64> {
        match (opened.whole, self.whole) {
            (true, true) => Ok(self.done),
            (true, false) => {
                Err(Error::new(ErrorKind::Server, "the server sent the whole object for a range")
                    .retryable(true))
            }
            (false, _) => Ok(0),
        }
    }

    /// A refused `If-Match` is the object having changed. Its old version can still be had by its id,
    /// where the store showed one and gives leave; `named` says that the request did so already.
    fn changed(&self, error: Error, named: bool) -> Error {
        let client = &self.shared.client;
        let by_id =
            client.version_id().is_none() && self.shared.pin.get().and_then(Pin::version_id).is_some();
        match error.service() {
            Some(service) if by_id && named && !error.is_retryable() => Error::new(
                ErrorKind::Changed,
                "the object changed during the download, its old version is refused",
            )
            .with_service(service.clone()),
            Some(service) if by_id && service.status == StatusCode::PRECONDITION_FAILED => {
                client.name_version();
                error.retryable(true)
            }
            _ => error,
        }
    }

    async fn hand_on(&mut self, mut data: Bytes) -> Result<()> {
        let left = self.range.len() - self.done;
        if data.len() as u64 > left {
            return Err(
                Error::new(ErrorKind::Server, "the response has more bytes than it said").retryable(true)
            );
        }
        self.shared.begun.store(true, Ordering::Relaxed);
        // A small frame would pin a large buffer.
        let at_once = self.shared.zero_copy && data.len() >= READ_BUFFER / 2 && self.lane.is_hungry();
        while !data.is_empty() {
            let bytes = if at_once {
                std::mem::take(&mut data)
            } else {
                let packed = self.packer.pack(&data, self.range.len() - self.done);
                data = data.slice(packed.len()..);
                packed
            };
            let len = bytes.len();
            let room = if self.whole {
                self.shared.window.reserve(u32::try_from(len).unwrap_or(u32::MAX)).await
            } else {
                self.room.split(len)
            };
            self.lane.push(Frame::new(bytes, room));
            self.done += len as u64;
        }
        Ok(())
    }
}

/// The next bytes of a body that must have more.
async fn next_data(body: &mut Incoming) -> Result<Bytes> {
    loop {
        let frame = timeout(STALL_TIMEOUT, body.frame())
            .await
            .map_err(|_| Error::network(format!("the body stalled for {} s", STALL_TIMEOUT.as_secs())))?
            .ok_or_else(|| Error::network("the body ended early"))?
            .map_err(|e| Error::network("the body was cut").with_source(e))?;
        // Trailers carry no bytes of the object.
        if let Ok(data) = frame.into_data() {
            return Ok(data);
        }
    }
}
