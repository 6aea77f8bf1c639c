//! One request for some bytes of the object, from sending it to the last byte of its body.
//!
//! [`RangeRequest::next`] returns the next event, may be dropped and called again, and measures the time spent waiting.
//! A server may send fewer bytes in one response than were requested: then the rest is requested immediately, as a part of
//! the same attempt. `checked_get.rs` checks what a response proves. The range task decides what becomes of the bytes, and
//! the hedge whether another request is sent for them.

use std::future::poll_fn;
use std::pin::Pin as StdPin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use crate::client::exchange::{Exchange, ResponseBody};
use crate::client::retry::Attempt;
use crate::download::concurrency::limit::FEW_CONNECTIONS;
use crate::download::context::DownloadContext;
use crate::download::fetch::checked_get::{CheckedResponse, checked_get};
use crate::download::fetch::frame_queue::FrameSender;
use crate::download::fetch::side_request;
use crate::download::fetch::stats::BodyPace;
use crate::download::fetch::straggler::RequestProgress;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::object::malformed;
use crate::s3::range::ByteRange;
use crate::s3::response::RangeResponse;

/// Responses in one attempt that are shorter than requested. An attempt of so many is judged by what it has brought, as any
/// that fails, so that a server which sends a byte at a time does not keep a range for ever.
const SHORT_RESPONSES_MAX: u32 = 1000;

/// A step of a response that is being received.
pub(super) enum RequestEvent {
    /// The response began, this long after the request was sent.
    RangeResponse(Box<RangeResponse>, Duration),
    /// Bytes of the object, from this offset on.
    Data(u64, Bytes),
    /// The last chunk of an object whose size no header showed: this is its size.
    End(u64),
}

/// A request under way.
pub(super) struct RangeRequest {
    context: Arc<DownloadContext>,
    asked: ByteRange,
    attempt: Attempt,
    /// The request that was sent, until its response was checked.
    sending: Option<StdPin<Box<dyn Future<Output = Result<Receiving>> + Send>>>,
    /// Its response, from then on.
    receiving: Option<Box<Receiving>>,
    /// Since when it is being waited for, if it is; and how many bytes of all ranges had come by then.
    waiting: Option<(Instant, u64)>,
    /// When the last bytes of the body came, or its head.
    read_at: Option<Instant>,
    pace: BodyPace,
    /// Responses that were shorter than requested, and read to their ends.
    short_responses: u32,
    /// The bytes of those.
    received_before: u64,
}

/// The body of a response, and the connection that it comes on.
struct Receiving {
    /// `None` once it was returned.
    response: Option<RangeResponse>,
    /// How long the response took to begin.
    latency: Duration,
    body: ResponseBody,
    /// The offset in the object of the body's next byte.
    at: u64,
    received: u64,
    /// How many of the received bytes came with the response head.
    with_head: u64,
    /// Set if only the end of the body shows the size of the object.
    is_unsized: bool,
    /// Where the last chunk has to be, of a body in chunks whose size a header or another response showed.
    ends_at: Option<u64>,
    /// Where the last chunk does not show that the object ends.
    part_end: Option<u64>,
    /// Where the body ends, if that is before the end of what was requested.
    short_end: Option<u64>,
    /// The object's `ETag`.
    tag: Option<String>,
}

impl RangeRequest {
    /// Creates a request for `asked`. Nothing is sent before the first [`RangeRequest::next`].
    pub(super) fn new(context: &Arc<DownloadContext>, asked: ByteRange, attempt: Attempt) -> Self {
        let sending = Box::pin(start_receiving(Arc::clone(context), asked, attempt));
        let (context, pace) = (Arc::clone(context), BodyPace::default());
        Self {
            context,
            asked,
            attempt,
            sending: Some(sending),
            receiving: None,
            waiting: None,
            read_at: None,
            pace,
            short_responses: 0,
            received_before: 0,
        }
    }

    /// Returns the next event; there must be more. Cancel safe.
    pub(super) async fn next(&mut self, queue: &FrameSender) -> Result<RequestEvent> {
        self.ask_for_rest()?;
        let fetched = self.context.counters.fetched();
        let (since, _) = *self.waiting.get_or_insert_with(|| (Instant::now(), fetched));
        if let Some(sending) = &mut self.sending {
            self.receiving = Some(Box::new(sending.await?));
            (self.sending, self.waiting) = (None, None);
            self.read_at = Some(Instant::now());
        }
        // It was there, or has just been set.
        let Some(receiving) = &mut self.receiving else {
            return Err(Error::new(ErrorKind::Other, "a response was lost"));
        };
        if let Some(response) = receiving.response.take() {
            return Ok(RequestEvent::RangeResponse(Box::new(response), receiving.latency));
        }
        let Some(data) = receiving.data(&self.context, queue, since, receiving.end(self.asked)).await? else {
            let (size, part_end, tag) = (receiving.at, receiving.part_end, receiving.tag.as_deref());
            let check = side_request::check_last_chunk(&self.context, size, part_end, tag, self.attempt);
            Box::pin(check).await?;
            return Ok(RequestEvent::End(size));
        };
        let (now, at) = (Instant::now(), receiving.at);
        receiving.at += data.len() as u64;
        if receiving.short_end.is_some_and(|end| receiving.at > end) {
            return Err(malformed("the response has more bytes than it declared"));
        }
        receiving.received += data.len() as u64;
        if receiving.at >= receiving.end(self.asked) {
            self.context.request_stats.ended();
        }
        self.waiting = None;
        let held_up = self.read_at.replace(now).map(|read_at| since.saturating_duration_since(read_at));
        self.pace.held_up(held_up.unwrap_or_default());
        if receiving.received > data.len() as u64 {
            self.pace.waited(now - since);
            self.context.request_stats.received(data.len(), &mut self.pace);
        } else {
            // Bytes that arrive with the response head say nothing about throughput, unless they are the whole body.
            receiving.with_head = receiving.received;
            if data.len() as u64 == self.asked.len() {
                let mut pace = BodyPace::default();
                pace.waited(receiving.latency + (now - since));
                self.context.request_stats.received(data.len(), &mut pace);
            }
        }
        self.context.counters.add_fetched(data.len());
        self.context.group.add_received(data.len());
        Ok(RequestEvent::Data(at, data))
    }

    /// Requests the rest where the response has ended before the last byte that was requested.
    fn ask_for_rest(&mut self) -> Result<()> {
        let has_ended = |receiving: &mut Box<Receiving>| {
            receiving.response.is_none() && receiving.short_end == Some(receiving.at)
        };
        let Some(ended) = self.receiving.take_if(has_ended) else { return Ok(()) };
        if self.short_responses == SHORT_RESPONSES_MAX {
            let what = format!("{SHORT_RESPONSES_MAX} responses were shorter than requested");
            return Err(malformed(what));
        }
        self.short_responses += 1;
        self.received_before += ended.received;
        self.pace = BodyPace::default();
        // The connection has brought a response, whatever became of earlier ones.
        self.attempt.is_fresh = false;
        let rest = ByteRange::new(ended.at, self.asked.end());
        let sending = start_receiving_after(*ended, Arc::clone(&self.context), rest, self.attempt);
        self.sending = Some(Box::pin(sending));
        Ok(())
    }

    /// Stops waiting for a while: bytes that arrive in that time are not late.
    pub(super) fn pause(&mut self) {
        if let Some((since, _)) = self.waiting.take()
            && self.receiving.is_some()
        {
            self.pace.waited(since.elapsed());
            self.read_at = Some(Instant::now());
        }
    }

    /// Creates a second request that races with this one.
    pub(super) fn hedged(&self, asked: ByteRange, is_fresh: bool) -> Self {
        Self::new(&self.context, asked, Attempt { is_hedge: true, is_fresh, ..self.attempt })
    }

    /// Notes that the connection has failed in the middle of the response.
    pub(super) fn note_cut(&self) {
        if let Some(receiving) = &self.receiving {
            receiving.body.note_cut();
        }
    }

    /// Returns whether its response has begun, and more of it is to come.
    pub(super) fn is_open(&self) -> bool {
        self.receiving.as_ref().is_some_and(|receiving| {
            receiving.response.is_none() && receiving.short_end != Some(receiving.at)
        })
    }

    /// Returns how many bytes its bodies have brought.
    pub(super) fn received(&self) -> u64 {
        self.received_before + self.receiving.as_ref().map_or(0, |receiving| receiving.received)
    }

    /// Delivers whatever has been received so far, however little.
    pub(super) fn flush_now(&self) {
        if let Some(receiving) = &self.receiving {
            receiving.body.set_low_water(1);
        }
    }

    /// Returns how far it has got.
    pub(super) fn progress(&self) -> RequestProgress {
        let waiting = self.waiting.map_or(Duration::ZERO, |(since, _)| since.elapsed());
        match &self.receiving {
            None => RequestProgress::Waiting(waiting),
            Some(receiving) => RequestProgress::Reading {
                bytes: receiving.received - receiving.with_head,
                spent: self.pace.waiting() + waiting,
                silent: waiting,
                left: self.asked.end().saturating_sub(receiving.at),
            },
        }
    }

    /// Returns whether bytes of other ranges came while this one was waited for.
    pub(super) fn others_get_on(&self) -> bool {
        self.waiting.is_none_or(|(_, fetched)| self.context.counters.fetched() > fetched)
    }

    /// Checks that the body, all of whose bytes have arrived, has no more of them, where it came in chunks and a header or
    /// another response showed how many there are.
    pub(super) async fn check_end(&mut self) -> Result<()> {
        let Some(receiving) = &mut self.receiving else { return Ok(()) };
        receiving.check_end(self.context.stall_timeout).await.map(drop)
    }

    /// Reads the end of the body: the connection may be used again. Where few connections share a link, one that gets a
    /// smaller share is not replaced.
    pub(super) async fn finish(self) {
        let Some(mut receiving) = self.receiving else { return };
        let is_slow = self.context.permits.target() > FEW_CONNECTIONS
            && self.context.request_stats.expected().is_some_and(|expected| {
                expected.is_slow(receiving.received - receiving.with_head, self.pace.waiting())
            });
        receiving.body.note_speed(is_slow);
        receiving.body.finish(self.context.stall_timeout).await;
    }
}

/// Sends the request and waits for a response that proves what it has.
async fn start_receiving(
    context: Arc<DownloadContext>,
    asked: ByteRange,
    attempt: Attempt,
) -> Result<Receiving> {
    let CheckedResponse { exchange, response, ends_at, part_end } =
        checked_get(&context, asked, attempt).await?;
    let Exchange { body, latency, .. } = exchange;
    context.request_stats.responded(latency);
    context.group.throttle.note_success(Instant::now());
    // The first response had no length, though this one may: then the connection's end is a cut, if it comes early.
    let is_short = !response.whole && response.body.end() < asked.end().min(response.info.size);
    let is_size_unknown = context.pin.get().is_some_and(|pin| pin.known_size().is_none());
    Ok(Receiving {
        latency,
        body,
        at: response.body.start(),
        received: 0,
        with_head: 0,
        is_unsized: response.info.known_size().is_none() || is_size_unknown,
        ends_at,
        part_end,
        short_end: is_short.then_some(response.body.end()),
        tag: response.info.etag.clone(),
        response: Some(response),
    })
}

/// Sends the request after the body of the last response, which was shorter than requested, has ended.
async fn start_receiving_after(
    mut short: Receiving,
    context: Arc<DownloadContext>,
    asked: ByteRange,
    attempt: Attempt,
) -> Result<Receiving> {
    if short.check_end(context.stall_timeout).await? {
        short.body.finish(context.stall_timeout).await;
    }
    start_receiving(context, asked, attempt).await
}

impl Receiving {
    /// Returns where the body ends, or what is read of it for `asked`.
    fn end(&self, asked: ByteRange) -> u64 {
        self.short_end.unwrap_or(asked.end())
    }

    /// Checks that the body has no more bytes, if something else than its last chunk showed where it ends; waits at most
    /// `limit`. Returns whether its end may still come, or has.
    async fn check_end(&mut self, limit: Duration) -> Result<bool> {
        if self.ends_at != Some(self.at) {
            return Ok(true);
        }
        let more = timeout(limit, poll_fn(|cx| self.body.poll_data(cx))).await;
        match more {
            Ok(Some(Ok(data))) if !data.is_empty() => {
                let what =
                    format!("the response has more bytes than the {} that were announced", self.received);
                Err(Error::new(ErrorKind::Server, what))
            }
            // Cut or not, the bytes are as many as were announced.
            end => Ok(matches!(end, Ok(None))),
        }
    }

    /// Returns the next bytes of the body, waited for since `since`; the requested bytes end at `end`. `None` at the end of a
    /// body which alone shows the object's size.
    async fn data(
        &mut self,
        context: &DownloadContext,
        queue: &FrameSender,
        since: Instant,
        end: u64,
    ) -> Result<Option<Bytes>> {
        let left = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        // As many as fill a frame, so that it is passed on as it is; but never more than are certain to come.
        let read_buffer = context.limits().read_buffer;
        let gathering = context.request_stats.expected().and_then(|e| e.gathering_time(read_buffer as u64));
        if let Some(gathering) = gathering.filter(|_| !context.permits.orders.is_observed())
            && left > read_buffer
            && since.elapsed() < gathering
        {
            self.body.set_low_water(read_buffer);
            if let Ok(data) = timeout_at(since + gathering, self.some_data(queue)).await {
                return data;
            }
        }
        self.body.set_low_water(1);
        let data = timeout_at(since + context.stall_timeout, self.some_data(queue)).await;
        data.unwrap_or_else(|_| {
            self.body.note_cut();
            Err(Error::network(format!("the body stalled for {:?}", context.stall_timeout)))
        })
    }

    async fn some_data(&mut self, queue: &FrameSender) -> Result<Option<Bytes>> {
        let data = poll_fn(|cx| {
            // In the front range every byte is passed on as it arrives.
            if queue.poll_is_front(cx) {
                self.body.set_low_water(1);
            }
            self.body.poll_data(cx)
        })
        .await;
        match data {
            Some(data) => data.map(Some),
            None if self.is_unsized => Ok(None),
            // Callers stop reading once they have all the bytes they need.
            None => Err(Error::network("the body ended early")),
        }
    }
}
