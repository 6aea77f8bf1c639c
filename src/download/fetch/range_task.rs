//! The task that fetches one range: attempts, each for the remainder only, until its last byte has arrived.
//!
//! A byte that was queued is never requested again. The task never looks at other ranges.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::client::retry::{Attempt, RetryPolicy, log_retry};
use crate::download::concurrency::limit::Permit;
use crate::download::context::DownloadContext;
use crate::download::fetch::frame_queue::FrameSender;
use crate::download::fetch::hedged::{HedgedRequest, Remaining};
use crate::download::fetch::range_request::RequestEvent;
use crate::download::memory::frame::Frame;
use crate::download::memory::window::Reservation;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::checksum::expected::ExpectedChecksum;
use crate::s3::object::ObjectInfo;
use crate::s3::pinned::PinnedVersion;
use crate::s3::proof::SizeProof;
use crate::s3::range::ByteRange;
use crate::s3::response::RangeResponse;

/// New bytes of an attempt that are progress: 16 KiB (a TLS record), an eighth of the range, or what a connection may
/// bring in an eighth of a second, whichever is least. Bytes that arrived are not requested again, and each attempt
/// waits for a backoff, so that a server cannot keep a run in attempts for longer than the object is long: of
/// an object of n times 16 KiB, n attempts count as progress.
const PROGRESS_BYTES_MIN: u64 = 16 << 10;
const PROGRESS_RANGE_DIVISOR: u64 = 8;
const PROGRESS_RATE_DIVISOR: u64 = 8;

/// How long a range waits to be cancelled before it tries again by itself: the consumer may be busy, or the download ending.
const REPLACEMENT_TIME: Duration = Duration::from_secs(1);

/// The facts in the first response.
#[derive(Debug)]
pub(crate) struct Discovered {
    pub(crate) info: ObjectInfo,
    /// The bytes of the object to deliver.
    pub(crate) wanted: ByteRange,
    /// The part of them in the first range: all of them if the server knows no ranges.
    pub(crate) first: ByteRange,
    /// How long the response took to begin, once its request was sent.
    pub(crate) latency: Duration,
    /// The object's checksum, if the first range is all of it and the response shows one.
    pub(crate) checksum: Option<ExpectedChecksum>,
}

/// The state of one range's fetch.
pub(super) struct RangeTask {
    context: Arc<DownloadContext>,
    range: ByteRange,
    /// Bytes of the range that were queued.
    done: u64,
    /// Set if the server sends the whole object.
    whole: bool,
    /// Set if the range is requested without `Range`.
    is_plain: bool,
    /// The reservation for bytes that are about to be read.
    room: Reservation,
    queue: FrameSender,
    /// Resolved when the first response was checked.
    checked: Option<oneshot::Sender<Option<Discovered>>>,
    /// Set while the body of a response is being received.
    is_receiving: bool,
}

impl RangeTask {
    /// Creates a task whose frames go to `queue`; `checked` is resolved when the first response was checked.
    pub(super) fn new(
        context: &Arc<DownloadContext>,
        range: ByteRange,
        queue: FrameSender,
        checked: oneshot::Sender<Option<Discovered>>,
    ) -> Self {
        Self {
            context: Arc::clone(context),
            range,
            done: 0,
            whole: false,
            is_plain: context.is_plain.load(Ordering::Relaxed),
            room: Reservation::default(),
            queue,
            checked: Some(checked),
            is_receiving: false,
        }
    }

    /// Fetches the range, for which `permit` is.
    pub(super) async fn run(mut self, permit: Permit) {
        let context = Arc::clone(&self.context);
        let mut retries = RetryPolicy::new(context.max_attempts);
        let mut permit = Some(permit);
        let mut attempt = Attempt::FIRST;
        let mut fetched = context.counters.fetched();
        loop {
            let before = self.done;
            let ended = self.attempt(attempt).await;
            self.set_receiving(false);
            let Err(error) = ended else { return };
            // The ordered stream is about to cancel the range, because a single GET without `Range` brings the rest of the object.
            if !self.is_plain && context.pin.get().is_some() && context.is_plain.load(Ordering::Relaxed) {
                self.is_plain = true;
                sleep(REPLACEMENT_TIME).await;
                continue;
            }
            // If the server returned an S3 error, the connection is healthy; reconnect only after a transport failure. If that did
            // not help, an idle connection may: some hosts serve no more than those.
            let is_fresh = error.service().is_none() && !attempt.is_fresh;
            attempt = Attempt { is_fresh, ..Attempt::after(attempt.number) };
            // A throttled attempt does not count while other ranges make progress, unless the user set --max-attempts, which is
            // per range.
            let since =
                context.counters.fetched() - std::mem::replace(&mut fetched, context.counters.fetched());
            let got = if error.is_throttling() && context.max_attempts.is_none() {
                since
            } else {
                self.done - before
            };
            let made_progress = got >= self.progress_bytes_min();
            let Some(delay) = retries.failed(&error, made_progress, context.arrived()) else {
                self.queue.finish(Err(error.after_attempts(retries.count())));
                // The download ends here, and later ranges need not start. The first one has none after it, and may be
                // requested in another way.
                if context.pin.get().is_some() {
                    context.set_failed();
                }
                return;
            };
            context.counters.add_retry();
            log_retry(Some(self.range.remainder(self.done)), retries.count(), &error, delay);
            if !error.is_throttling() {
                sleep(delay).await;
                continue;
            }
            context.counters.add_throttled();
            context.group.throttle.slow_down(Instant::now(), error.service().and_then(|s| s.retry_after));
            // While it waits, another range may use the permit. Not that of a range which discovers an object: nothing shows
            // it when its turn in the output comes, and ranges after it may hold all permits until it is delivered.
            if context.pin.get().is_none() {
                sleep(delay).await;
                continue;
            }
            drop(permit.take());
            sleep(delay).await;
            permit = self.regain_permit().await;
        }
    }

    /// Returns how many new bytes are progress, so that the attempt which brought them does not count. With fewer, attempt after
    /// attempt, a download would never end. A range may be shorter, and under a rate limit even a connection that lives
    /// for a while brings less.
    fn progress_bytes_min(&self) -> u64 {
        let of_range = self.range.len() / PROGRESS_RANGE_DIVISOR;
        let of_rate = self.context.group.rate_limit.as_ref().map_or(u64::MAX, |limit| {
            limit.bytes_per_second() / self.context.permits.in_use().max(1) as u64 / PROGRESS_RATE_DIVISOR
        });
        PROGRESS_BYTES_MIN.min(of_range).min(of_rate).max(1)
    }

    /// Waits for a permit. The front range does not wait: others that hold permits may be waiting for it.
    async fn regain_permit(&self) -> Option<Permit> {
        let start = self.context.position(self.range.start());
        let mut permit = pin!(self.context.permits.acquire(start));
        poll_fn(|cx| match permit.as_mut().poll(cx) {
            Poll::Ready(permit) => Poll::Ready(Some(permit)),
            Poll::Pending if self.queue.poll_is_front(cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Counts the response that is being received, from its head to its end.
    fn set_receiving(&mut self, is_receiving: bool) {
        match (std::mem::replace(&mut self.is_receiving, is_receiving), is_receiving) {
            (false, true) => self.context.counters.add_opened(),
            (true, false) => self.context.counters.add_ended(),
            _ => {}
        }
    }

    /// Sends one request for the rest of the range and reads its body to the end, or that of a second request if the first one is
    /// late.
    async fn attempt(&mut self, attempt: Attempt) -> Result<()> {
        let context = Arc::clone(&self.context);
        let read_buffer = context.limits().read_buffer;
        context.group.throttle.wait_until_clear().await;
        let mut request = HedgedRequest::new(&context, self.rest().bytes, attempt);
        let mut rate_share = None;
        let mut is_counted = false;
        while self.done < self.range.len() {
            if request.is_open() {
                self.queue.wait_for_consumer().await;
                if let Some(limit) = context.group.rate_limit.as_ref().filter(|_| rate_share.is_none()) {
                    rate_share = Some(limit.share(context.position(self.range.start()), read_buffer).await);
                }
                self.reserve_memory(read_buffer).await;
            }
            match request.next(&self.queue, self.rest()).await? {
                RequestEvent::RangeResponse(response, latency) => {
                    is_counted = false;
                    self.handle_response(&response, latency)?;
                }
                RequestEvent::End(size) => self.ended_at(size)?,
                RequestEvent::Data(at, data) => {
                    match (rate_share.take(), &context.group.rate_limit) {
                        (Some(share), _) => share.received(data.len()),
                        // A hedge won before the first request was open.
                        (None, Some(limit)) => limit.charge(data.len()),
                        (None, None) => {}
                    }
                    let before = self.done;
                    self.queue_bytes(at, data).await?;
                    if self.done > before && !std::mem::replace(&mut is_counted, true) {
                        context.evidence.add_response();
                    }
                }
            }
        }
        request.check_end().await?;
        self.queue.finish(Ok(()));
        request.finish(self.rest()).await;
        Ok(())
    }

    fn rest(&self) -> Remaining {
        let is_plain = self.context.is_plain.load(Ordering::Relaxed);
        let may_hedge = !self.whole
            && !is_plain
            && self.context.pin.get().is_some_and(|pin| self.context.evidence.may_combine(pin));
        Remaining { bytes: self.range.remainder(self.done), start: self.range.start(), may_hedge }
    }

    /// Handles the head of a response. The first one pins the download.
    fn handle_response(&mut self, response: &RangeResponse, latency: Duration) -> Result<()> {
        self.set_receiving(true);
        if self.context.pin.get().is_none() {
            return self.pin_to(response, latency);
        }
        // Without a range this is what was requested: the bytes before the remainder are skipped.
        self.whole |= response.whole && self.context.is_plain.load(Ordering::Relaxed);
        if response.whole && !self.whole {
            let what = "the server sent the whole object for a range";
            return Err(Error::new(ErrorKind::Server, what).retryable(true));
        }
        self.resolve(None);
        Ok(())
    }

    /// Resolves the range's future, once: its first response was checked, and if it is the first of the download, it
    /// `discovered` the object.
    fn resolve(&mut self, discovered: Option<Discovered>) {
        if let Some(waiting) = self.checked.take() {
            // The receiver is gone only if the download was dropped.
            let _ = waiting.send(discovered);
        }
    }

    /// Pins the download to the first response, which may show that the object is shorter than requested, or not the one that was
    /// named.
    fn pin_to(&mut self, response: &RangeResponse, latency: Duration) -> Result<()> {
        let wanted = self.context.wanted.of(&response.info)?;
        // Only the first range runs before the pin is set.
        let _ = self.context.pin.set(PinnedVersion::new(&response.info));
        if response.size_proof != SizeProof::LastChunk {
            self.context.evidence.set_size(response.size_proof);
        }
        // Should it be cut: a 200 in chunks to another range would not show which bytes it has.
        if response.whole && response.is_chunked {
            self.context.is_plain.store(true, Ordering::Relaxed);
        }
        self.is_plain = self.context.is_plain.load(Ordering::Relaxed);
        self.whole = response.whole;
        self.range = if response.whole { wanted } else { response.body };
        let info = response.info.clone();
        let checksum = response.checksum.clone();
        if checksum.is_some() {
            self.context.client.shown_checksums().seen_by_get();
        }
        self.resolve(Some(Discovered { info, wanted, first: self.range, latency, checksum }));
        Ok(())
    }

    /// Notes the size of the object, which the end of its only response showed.
    fn ended_at(&mut self, size: u64) -> Result<()> {
        if self.range.start() > size {
            return Err(self.context.wanted.beyond(size));
        }
        let _ = self.context.size_at_end.set(size);
        self.context.evidence.set_size(SizeProof::LastChunk);
        self.range = self.range.clipped(size);
        Ok(())
    }

    /// Reserves memory for `bytes`, or for the rest of the range; in a small or full window, for some of it. Waits only when it
    /// holds nothing: waiting while holding memory could deadlock.
    async fn reserve_memory(&mut self, bytes: usize) {
        let left = usize::try_from(self.range.len() - self.done).unwrap_or(usize::MAX);
        let more = bytes.min(left).saturating_sub(self.room.bytes());
        if more == 0 {
            return;
        }
        let mut room =
            pin!(self.context.group.window.reserve(self.context.position(self.range.start()), more));
        if self.room.bytes() == 0 {
            self.room = room.await;
        } else if let Some(room) = room.as_mut().now_or_never() {
            self.room.merge(room);
        }
    }

    /// Queues the part of `data`, which begins at this offset of the object, that comes next.
    async fn queue_bytes(&mut self, at: u64, mut data: Bytes) -> Result<()> {
        let next = self.range.start() + self.done;
        if self.whole && at.saturating_add(data.len() as u64) > self.context.size() {
            return Err(
                Error::new(ErrorKind::Server, "the response has more bytes than the object").retryable(true)
            );
        }
        if at > next {
            let what = "the response leaves out bytes that were requested";
            return Err(Error::new(ErrorKind::Server, what).retryable(true));
        }
        // Skip bytes that were queued already, or lie before the range: some servers cannot leave them out.
        let known = usize::try_from(next.saturating_sub(at)).unwrap_or(usize::MAX).min(data.len());
        drop(data.split_to(known));
        let left = self.range.len() - self.done;
        if data.len() as u64 > left {
            if !self.whole {
                let what = "the response has more bytes than it declared";
                return Err(Error::new(ErrorKind::Server, what).retryable(true));
            }
            // Ignore bytes after the range: this server sends the whole object.
            data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        if !data.is_empty() {
            self.context.counters.set_begun();
            // A hedge that wins brings bytes without an event for its response.
            self.resolve(None);
        }
        while !data.is_empty() {
            // Less is granted only in a small or full window.
            self.reserve_memory(data.len()).await;
            let left = self.range.len() - self.done;
            let part = data.split_to(data.len().min(self.room.bytes()));
            self.done += part.len() as u64;
            self.queue.set_received(self.done);
            // A frame that is passed on without a copy pins a whole buffer: it must not be a small part of it, and the
            // buffer must be reserved.
            let limits = self.context.limits();
            let pinned = limits.read_buffer.max(part.len());
            if part.len() >= limits.zero_copy_min && self.room.bytes() >= pinned {
                self.queue.push(Frame::new(part, self.room.split(pinned)));
            } else {
                let room = self.room.split(part.len());
                self.queue.pack(&part, left, room);
            }
        }
        Ok(())
    }
}

impl Drop for RangeTask {
    fn drop(&mut self) {
        self.set_receiving(false);
    }
}
