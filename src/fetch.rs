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
use crate::frame::{Frame, Slabs};
use crate::lane::{LaneReceiver, LaneSender, lane};
use crate::range::ByteRange;
use crate::request::Ask;
use crate::response::{ObjectInfo, Opened, Pin};
use crate::retry::Tries;
use crate::slots::{Slot, Slots};
use crate::window::{Room, Window};

/// How long a body may bring no byte while it is being read.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What all fetches of one download share.
pub(crate) struct Shared {
    pub(crate) client: Client,
    /// Ranges fetched at once; closed when one has failed for good.
    pub(crate) slots: Arc<Slots>,
    /// Ranges begun and not yet delivered, so that a slow consumer does not fill the window for nothing.
    pub(crate) places: Arc<Slots>,
    pub(crate) window: Window,
    pub(crate) slabs: Arc<Slabs>,
    /// The user's own limit of tries.
    pub(crate) max_attempts: Option<NonZeroU32>,
    /// The least bytes of a frame that may go on without a copy: see `Budget`.
    pub(crate) zero_copy_min: usize,
    /// The least bytes of its range that are still to come behind such a frame.
    pub(crate) zero_copy_spare: u64,
    /// Set by the first response; every later one is checked against it.
    pub(crate) pin: OnceLock<Pin>,
    /// Set after a 412: from then on requests name the version that is pinned.
    pub(crate) by_version: AtomicBool,
    /// Whether any byte of the object has come.
    pub(crate) begun: AtomicBool,
    /// Body bytes received, those that a retry brings again included.
    pub(crate) fetched: AtomicU64,
    /// Tries that failed and were made again.
    pub(crate) retries: AtomicU64,
    /// Bytes that the consumer took.
    pub(crate) yielded: AtomicU64,
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
    _place: Slot,
}

impl RangeFrames {
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        self.lane.poll_frame(cx)
    }
}

/// What a range needs to begin, in the order in which it is waited for.
pub(crate) struct Leave {
    pub(crate) place: Slot,
    pub(crate) slot: Slot,
    pub(crate) room: Room,
}

/// Starts to fetch `range`. `found` is told what the first response shows.
pub(crate) fn spawn(
    shared: Arc<Shared>,
    range: ByteRange,
    leave: Leave,
    found: Option<oneshot::Sender<Found>>,
) -> RangeFrames {
    let Leave { place, slot, room } = leave;
    let (sender, receiver) = lane(Arc::clone(&shared.slabs));
    let fetch = Fetch { shared, range, done: 0, room: Held::Range(room), lane: sender, found };
    let task = AbortOnDropHandle::new(tokio::spawn(fetch.run(slot)));
    RangeFrames { lane: receiver, _task: task, _place: place }
}

struct Fetch {
    shared: Arc<Shared>,
    range: ByteRange,
    /// How many bytes of the range were handed on.
    done: u64,
    room: Held,
    lane: LaneSender,
    found: Option<oneshot::Sender<Found>>,
}

/// The room of the bytes that are still to come.
enum Held {
    /// All of it, reserved before the range was asked for.
    Range(Room),
    /// None: the server knows no ranges and sends an object of any length; room is reserved on the way,
    /// and no other range competes for it.
    Whole,
}

impl Fetch {
    async fn run(mut self, _slot: Slot) {
        let shared = Arc::clone(&self.shared);
        let mut tries = Tries::new(shared.max_attempts);
        let mut fresh = false;
        loop {
            let before = self.done;
            let Err(error) = self.attempt(fresh).await else { return };
            // Who answers in S3's terms is well: only a connection that failed is not used again.
            fresh = error.service().is_none();
            let begun = shared.begun.load(Ordering::Relaxed);
            let Some(delay) = tries.failed(&error, self.done - before, begun) else {
                self.lane.finish(Err(error.after_attempts(tries.count())));
                // The download ends here: what has not begun, and lies behind, need not begin.
                return shared.slots.close();
            };
            shared.retries.fetch_add(1, Ordering::Relaxed);
            sleep(delay).await;
        }
    }

    /// One request for what is left of the range, and its body to the end; on a `fresh` connection after
    /// one that failed.
    async fn attempt(&mut self, fresh: bool) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let pin = shared.pin.get();
        let asked = self.range.remainder(self.done);
        let ask = Ask::Get { range: asked, if_match: pin.and_then(Pin::if_match) };
        let version = pin.and_then(Pin::version_id).filter(|_| shared.by_version.load(Ordering::Relaxed));
        let exchanged = shared.client.exchange(ask, version, fresh).await;
        let Exchange { head, mut body, lease, latency } =
            exchanged.map_err(|e| self.changed(e, version.is_some()))?;
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
        self.range = opened.body;
        if opened.whole {
            self.room = Held::Whole;
        }
        if let Some(found) = self.found.take() {
            // Nobody waits any more only when the download was dropped.
            let _ = found.send(Found { info: opened.info.clone(), whole: opened.whole, latency });
        }
    }

    /// How many bytes of the body were handed on already: none, but where the server knows no ranges
    /// and sends the whole object again.
    fn skip(&self, opened: &Opened) -> Result<u64> {
        match (&self.room, opened.whole) {
            (_, false) => Ok(0),
            (Held::Whole, true) => Ok(self.done),
            (Held::Range(_), true) => {
                Err(Error::new(ErrorKind::Server, "the server sent the whole object for a range")
                    .retryable(true))
            }
        }
    }

    /// A refused `If-Match` is the object having changed, and so is a range that is no longer there. The
    /// old version can still be had by its id, where the store showed one and gives leave; `named` says that
    /// the request did so already.
    fn changed(&self, error: Error, named: bool) -> Error {
        let (Some(pin), Some(service)) = (self.shared.pin.get(), error.service()) else { return error };
        let status = StatusCode::from_u16(service.status);
        let may_name = pin.version_id().is_some() && self.shared.client.version_id().is_none();
        if named && !error.is_retryable() {
            let what = "the object changed during the download, and its old version is refused";
            return Error::new(ErrorKind::Changed, what).with_service(service.clone());
        }
        match status {
            Ok(StatusCode::PRECONDITION_FAILED) if may_name => {
                self.shared.by_version.store(true, Ordering::Relaxed);
                error.retryable(true)
            }
            Ok(StatusCode::RANGE_NOT_SATISFIABLE) => {
                let what = "the object changed during the download: it has become shorter";
                Error::new(ErrorKind::Changed, what).with_service(service.clone())
            }
            _ => error,
        }
    }

    async fn hand_on(&mut self, mut data: Bytes) -> Result<()> {
        if data.len() as u64 > self.range.len() - self.done {
            return Err(
                Error::new(ErrorKind::Server, "the response has more bytes than it said").retryable(true)
            );
        }
        self.shared.begun.store(true, Ordering::Relaxed);
        while !data.is_empty() {
            let (part, room) = match &mut self.room {
                Held::Range(room) => {
                    let part = std::mem::take(&mut data);
                    let room = room.split(part.len());
                    (part, room)
                }
                Held::Whole => {
                    let room = self.shared.window.reserve(data.len() as u64).await;
                    (data.split_to(room.bytes()), room)
                }
            };
            let left = self.range.len() - self.done;
            self.done += part.len() as u64;
            // A small frame would pin a large buffer.
            let may_pin = part.len() >= self.shared.zero_copy_min
                && left - part.len() as u64 >= self.shared.zero_copy_spare;
            if may_pin && self.lane.is_hungry() {
                self.lane.push(Frame::new(part, room));
            } else {
                self.lane.pack(&part, left, room);
            }
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
