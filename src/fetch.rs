//! One range, fetched: attempts, each for the remainder only, until its last byte is in.
//!
//! It gets a range with room reserved for it, runs as a task of its own (so that its socket is read
//! while the consumer is busy) and hands on frames through a lane. A byte that was handed on is never
//! asked for again. It never looks at other ranges.

use std::future::poll_fn;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
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
use crate::transport::Lease;
use crate::wanted::Wanted;
use crate::window::{Room, Window};

/// How long bytes may gather in the kernel before they are handed on though they are few.
const GATHERING: Duration = Duration::from_millis(200);

/// What all fetches of one download share.
pub(crate) struct Shared {
    pub(crate) client: Client,
    /// The bytes to deliver, and of which version.
    pub(crate) wanted: Wanted,
    /// Ranges fetched at once; closed when one has failed for good.
    pub(crate) slots: Arc<Slots>,
    /// Ranges begun and not yet delivered, so that a slow consumer does not fill the window for nothing.
    pub(crate) places: Arc<Slots>,
    pub(crate) window: Window,
    pub(crate) slabs: Arc<Slabs>,
    /// The user's own limit of tries.
    pub(crate) max_attempts: Option<NonZeroU32>,
    /// What a connection reads at once, in bytes.
    pub(crate) read_buffer: usize,
    /// How long a body may bring no byte while it is being read.
    pub(crate) stall_timeout: Duration,
    /// The least bytes of a frame that may go on without a copy: see `Budget`.
    pub(crate) zero_copy_min: usize,
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
    /// The bytes that are to be delivered of the object.
    pub(crate) wanted: ByteRange,
    /// Those of the first range: all of them where the server knows no ranges.
    pub(crate) first: ByteRange,
    /// How long the response took to begin, once its request was sent.
    pub(crate) latency: Duration,
}

/// The frames of one range, in order. Dropping it ends the fetch.
#[derive(Debug)]
pub(crate) struct RangeFrames {
    lane: LaneReceiver,
    window: Window,
    start: u64,
    is_head: bool,
    _task: AbortOnDropHandle<()>,
    _place: Slot,
}

impl RangeFrames {
    /// The next frame; `None` when the range is complete. Being polled makes the range the head of the line.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        if !std::mem::replace(&mut self.is_head, true) {
            self.window.head_is(self.start);
        }
        self.lane.poll_frame(cx)
    }
}

/// What a range needs to begin, in the order in which it is waited for.
pub(crate) struct Leave {
    pub(crate) place: Slot,
    pub(crate) slot: Slot,
}

/// Starts to fetch `range`. `found` is told what the first response shows.
pub(crate) fn spawn(
    shared: Arc<Shared>,
    range: ByteRange,
    leave: Leave,
    found: Option<oneshot::Sender<Found>>,
) -> RangeFrames {
    let Leave { place, slot } = leave;
    let (sender, receiver) = lane(Arc::clone(&shared.slabs));
    let (window, start) = (shared.window.clone(), range.start());
    let fetch = Fetch { shared, range, done: 0, whole: false, room: Room::default(), lane: sender, found };
    let task = AbortOnDropHandle::new(tokio::spawn(fetch.run(slot)));
    RangeFrames { lane: receiver, window, start, is_head: false, _task: task, _place: place }
}

struct Fetch {
    shared: Arc<Shared>,
    range: ByteRange,
    /// How many bytes of the range were handed on.
    done: u64,
    /// The server knows no ranges and sends the whole object.
    whole: bool,
    /// For bytes that are about to be read.
    room: Room,
    lane: LaneSender,
    found: Option<oneshot::Sender<Found>>,
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
        let ask = Ask::Get { range: asked, if_match: pin.map_or(shared.wanted.if_match(), Pin::if_match) };
        let version = pin.and_then(Pin::version_id).filter(|_| shared.by_version.load(Ordering::Relaxed));
        let exchanged = shared.client.exchange(ask, version, fresh).await;
        let Exchange { head, mut body, lease, latency } =
            exchanged.map_err(|e| self.changed(e, version.is_some()))?;
        let opened = Opened::check(&head, asked, pin.map(Pin::size))?;
        match pin {
            Some(pin) => pin.check(&opened.info)?,
            None => self.found(&opened, latency)?,
        }
        let mut skip = self.skip(&opened)?;
        while self.done < self.range.len() {
            self.lane.keep_pace().await;
            self.make_room(self.shared.read_buffer).await;
            let mut data = self.next_data(&mut body, &lease).await?;
            shared.fetched.fetch_add(data.len() as u64, Ordering::Relaxed);
            let skipped = skip.min(data.len() as u64);
            skip -= skipped;
            // No more than data.len(), which is a usize.
            data = data.slice(usize::try_from(skipped).unwrap_or(data.len())..);
            if opened.whole {
                // What lies behind the range comes unasked.
                let left = self.range.len() - self.done;
                data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            }
            self.hand_on(data).await?;
        }
        self.lane.finish(Ok(()));
        // A chunked body has its end still to come; a connection is only used again behind it.
        if body.is_end_stream() || matches!(timeout(shared.stall_timeout, body.frame()).await, Ok(None)) {
            lease.give_back();
        }
        Ok(())
    }

    /// The first response pins the download and may show that the object is shorter than asked, or not the
    /// one that was asked for.
    fn found(&mut self, opened: &Opened, latency: Duration) -> Result<()> {
        let wanted = self.shared.wanted.of(&opened.info)?;
        // Only the first range runs before the pin is set.
        let _ = self.shared.pin.set(Pin::new(&opened.info));
        self.whole = opened.whole;
        self.range = if opened.whole { wanted } else { opened.body };
        if let Some(found) = self.found.take() {
            // Nobody waits any more only when the download was dropped.
            let info = opened.info.clone();
            let _ = found.send(Found { info, wanted, first: self.range, latency });
        }
        Ok(())
    }

    /// How many bytes of the body are not wanted, or were handed on already: none, but where the server
    /// knows no ranges and sends the whole object, again and again.
    fn skip(&self, opened: &Opened) -> Result<u64> {
        match (self.whole, opened.whole) {
            (_, false) => Ok(0),
            (true, true) => Ok(self.range.start() + self.done),
            (false, true) => {
                Err(Error::new(ErrorKind::Server, "the server sent the whole object for a range")
                    .retryable(true))
            }
        }
    }

    /// Room for `bytes`, or for all that is left of the range; in a small or full window, for some of it. Waits
    /// only while there is none: who waited for more with some in hand could wait for himself.
    async fn make_room(&mut self, bytes: usize) {
        let left = usize::try_from(self.range.len() - self.done).unwrap_or(usize::MAX);
        let more = bytes.min(left).saturating_sub(self.room.bytes());
        if more == 0 {
            return;
        }
        let mut room = std::pin::pin!(self.shared.window.reserve(self.range.start(), more));
        if self.room.bytes() == 0 {
            self.room = room.await;
        } else if let Some(room) = room.as_mut().now_or_never() {
            self.room.merge(room);
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
            // Only in a small window is there less.
            self.make_room(1).await;
            let left = self.range.len() - self.done;
            let part = data.split_to(data.len().min(self.room.bytes()));
            self.done += part.len() as u64;
            // What a frame pins that goes on without a copy is a buffer: it must not be a small part of it, and
            // must have its room.
            let pinned = self.shared.read_buffer.max(part.len());
            if part.len() >= self.shared.zero_copy_min && self.room.bytes() >= pinned {
                self.lane.push(Frame::new(part, self.room.split(pinned)));
            } else {
                let room = self.room.split(part.len());
                self.lane.pack(&part, left, room);
            }
        }
        Ok(())
    }

    /// The next bytes of the body, which must have more.
    async fn next_data(&self, body: &mut Incoming, lease: &Lease) -> Result<Bytes> {
        let left = usize::try_from(self.range.len() - self.done).unwrap_or(usize::MAX);
        // As many as fill a frame, so that it goes on as it is; but never more than are certain to come, and
        // those of a slow connection not for long.
        lease.gather(if left > self.shared.read_buffer { self.shared.read_buffer } else { 1 });
        if let Ok(data) = timeout(GATHERING, self.some_data(body, lease)).await {
            return data;
        }
        lease.gather(1);
        let patience = self.shared.stall_timeout.saturating_sub(GATHERING);
        timeout(patience, self.some_data(body, lease)).await.unwrap_or_else(|_| {
            Err(Error::network(format!("the body stalled for {:?}", self.shared.stall_timeout)))
        })
    }

    async fn some_data(&self, body: &mut Incoming, lease: &Lease) -> Result<Bytes> {
        loop {
            let mut frame = body.frame();
            let frame = poll_fn(|cx| {
                // At the head of the line every byte goes on as it comes.
                if self.lane.poll_is_head(cx) {
                    lease.gather(1);
                }
                frame.poll_unpin(cx)
            });
            let frame = frame
                .await
                .ok_or_else(|| Error::network("the body ended early"))?
                .map_err(|e| Error::network("the body was cut").with_source(e))?;
            // Trailers carry no bytes of the object.
            if let Ok(data) = frame.into_data() {
                return Ok(data);
            }
        }
    }
}
