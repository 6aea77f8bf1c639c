//! One request for some bytes of the object, from sending it to the last byte of its body.
//!
//! [`RangeRequest::next`] returns what comes next, may be dropped and called again, and measures how long it was waited for. Each
//! response is checked against the pinned version. What becomes of the bytes, and whether another request is sent for them,
//! is decided above.

use std::future::poll_fn;
use std::pin::Pin as StdPin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::ETAG;
use tokio::time::{Instant, timeout_at};
use tracing::info;

use crate::client::exchange::{Exchange, ResponseBody};
use crate::client::metadata;
use crate::client::object_client::ObjectClient;
use crate::client::retry::Attempt;
use crate::download::context::DownloadContext;
use crate::download::fetch::frame_queue::FrameSender;
use crate::download::fetch::straggler::RequestProgress;
use crate::error::{Error, ErrorKind, Result};
use crate::events::CORRECTION;
use crate::s3::header::header_text;
use crate::s3::object::{ObjectInfo, malformed};
use crate::s3::pinned::{PinnedVersion, is_strong};
use crate::s3::range::ByteRange;
use crate::s3::request::S3Request;
use crate::s3::response::{RangeResponse, ResponseProof, SentGet};

/// How long small reads may be delayed so that the kernel can accumulate a full buffer: twice as long as a buffer takes to
/// fill, between these limits.
const GATHERING_MIN: Duration = Duration::from_millis(5);
const GATHERING_MAX: Duration = Duration::from_millis(200);

/// A response that is being received.
pub(super) enum RequestEvent {
    /// The response began, this long after the request was sent.
    RangeResponse(RangeResponse, Duration),
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
    stage: RequestStage,
    /// Since when it is being waited for, if it is; and how many bytes of all ranges had come by then.
    waiting: Option<(Instant, u64)>,
    /// Time spent waiting for the bytes of the body that came.
    spent: Duration,
}

enum RequestStage {
    Sending(StdPin<Box<dyn Future<Output = Result<Receiving>> + Send>>),
    Receiving(Box<Receiving>),
}

/// The body of a response, and the connection that it comes on.
struct Receiving {
    /// `None` once it was returned.
    opened: Option<RangeResponse>,
    /// How long the response took to begin.
    latency: Duration,
    body: ResponseBody,
    /// The offset in the object of the body's next byte.
    at: u64,
    received: u64,
    /// The first of the received bytes, which came with the response head.
    at_once: u64,
    /// Set if only the end of the body shows the size of the object.
    is_unsized: bool,
}

impl RangeRequest {
    /// Creates a request for `asked`. Nothing is sent before the first [`RangeRequest::next`].
    pub(super) fn depart(context: &Arc<DownloadContext>, asked: ByteRange, attempt: Attempt) -> Self {
        let departure = Box::pin(depart(Arc::clone(context), asked, attempt));
        let stage = RequestStage::Sending(departure);
        Self { context: Arc::clone(context), asked, attempt, stage, waiting: None, spent: Duration::ZERO }
    }

    /// Returns what comes next; there must be more. Cancel safe.
    pub(super) async fn next(&mut self, queue: &FrameSender) -> Result<RequestEvent> {
        let fetched = self.context.counters.fetched();
        let (since, _) = *self.waiting.get_or_insert_with(|| (Instant::now(), fetched));
        if let RequestStage::Sending(departure) = &mut self.stage {
            let landed = departure.await?;
            self.stage = RequestStage::Receiving(Box::new(landed));
            self.waiting = None;
        }
        // It has just become that.
        let RequestStage::Receiving(landed) = &mut self.stage else {
            return Err(Error::new(ErrorKind::Other, "a response was lost"));
        };
        if let Some(opened) = landed.opened.take() {
            return Ok(RequestEvent::RangeResponse(opened, landed.latency));
        }
        let Some(data) = landed.data(&self.context, queue, since, self.asked.end()).await? else {
            return Ok(RequestEvent::End(landed.at));
        };
        let (now, at) = (Instant::now(), landed.at);
        landed.at += data.len() as u64;
        landed.received += data.len() as u64;
        if landed.at >= self.asked.end() {
            self.context.request_stats.ended();
        }
        self.waiting = None;
        if landed.received > data.len() as u64 {
            self.spent += now - since;
            self.context.request_stats.received(data.len(), now - since);
        } else {
            // Bytes that arrive with the response head say nothing about throughput, unless they are the whole body.
            landed.at_once = landed.received;
            if data.len() as u64 == self.asked.len() {
                self.context.request_stats.received(data.len(), landed.latency + (now - since));
            }
        }
        self.context.counters.add_fetched(data.len());
        Ok(RequestEvent::Data(at, data))
    }

    /// Stops waiting for a while: what arrives in that time is not late.
    pub(super) fn pause(&mut self) {
        if let Some((since, _)) = self.waiting.take()
            && matches!(self.stage, RequestStage::Receiving(_))
        {
            self.spent += since.elapsed();
        }
    }

    /// Creates a second request that races with this one.
    pub(super) fn hedged(&self, context: &Arc<DownloadContext>, asked: ByteRange, is_fresh: bool) -> Self {
        Self::depart(context, asked, Attempt { is_hedge: true, is_fresh, ..self.attempt })
    }

    /// Returns whether its response has begun.
    pub(super) fn is_open(&self) -> bool {
        matches!(&self.stage, RequestStage::Receiving(landed) if landed.opened.is_none())
    }

    /// Returns how many bytes its body has brought.
    pub(super) fn received(&self) -> u64 {
        match &self.stage {
            RequestStage::Sending(_) => 0,
            RequestStage::Receiving(landed) => landed.received,
        }
    }

    /// Delivers whatever has been received so far, however little.
    pub(super) fn flush_now(&self) {
        if let RequestStage::Receiving(landed) = &self.stage {
            landed.body.set_low_water(1);
        }
    }

    /// Returns how far it has got.
    pub(super) fn progress(&self) -> RequestProgress {
        let waiting = self.waiting.map_or(Duration::ZERO, |(since, _)| since.elapsed());
        match &self.stage {
            RequestStage::Sending(_) => RequestProgress::Waiting(waiting),
            RequestStage::Receiving(landed) => RequestProgress::Reading {
                bytes: landed.received - landed.at_once,
                spent: self.spent + waiting,
                silent: waiting,
                left: self.asked.end().saturating_sub(landed.at),
            },
        }
    }

    /// Returns whether bytes of other ranges came while this one was waited for.
    pub(super) fn others_get_on(&self) -> bool {
        self.waiting.is_none_or(|(_, fetched)| self.context.counters.fetched() > fetched)
    }

    /// Reads the end of the body: the connection may be used again.
    pub(super) async fn land(self) {
        let RequestStage::Receiving(landed) = self.stage else { return };
        landed.body.finish(self.context.stall_timeout).await;
    }
}

/// Sends the request and checks the head of its response. Where the response does not prove which bytes it has, or under
/// which version, one request more may.
async fn depart(context: Arc<DownloadContext>, asked: ByteRange, attempt: Attempt) -> Result<Receiving> {
    if let Some(pin) = context.pin.get()
        && pin.if_match().is_none()
        && context.client.version_id().is_none()
        && asked.start() > context.wanted.start()
    {
        // Bytes of two responses may be combined under a strong validator only (RFC 9110, section 15.3.7.3).
        return Err(Error::new(
            ErrorKind::Server,
            "the response ended early, and no strong ETag shows which bytes would follow",
        )
        .with_hint("the object has to be downloaded again from its first byte"));
    }
    let mut asked = asked;
    loop {
        let (exchange, opened) = match request(&context, asked, attempt).await? {
            Reply::Proven(proven) => *proven,
            Reply::AskPlainly(why) => {
                info!(target: CORRECTION, what = "plain GET", to = why, "retrying immediately");
                context.is_plain.store(true, Ordering::Relaxed);
                continue;
            }
        };
        let pin = context.pin.get();
        if let Some(pin) = pin {
            pin.check(&opened.info)?;
        } else {
            let is_strong = PinnedVersion::new(&opened.info).if_match().is_some()
                || context.client.version_id().is_some();
            let open_ended = context.wanted.open_ended();
            let is_all = opened.whole || opened.body.end() >= context.wanted.of(&opened.info)?.end();
            if !is_strong && !is_all && asked != open_ended {
                info!(target: CORRECTION, what = "one response", "retrying immediately");
                asked = open_ended;
                continue;
            }
        }
        let Exchange { body, latency, .. } = exchange;
        context.request_stats.responded(latency);
        context.throttle.all_is_well(Instant::now());
        let at = opened.body.start();
        let is_unsized = opened.info.known_size().is_none();
        return Ok(Receiving {
            opened: Some(opened),
            latency,
            body,
            at,
            received: 0,
            at_once: 0,
            is_unsized,
        });
    }
}

/// The end of one request.
enum Reply {
    /// A response that shows which bytes follow.
    Proven(Box<(Exchange, RangeResponse)>),
    /// None, for this reason: a GET without `Range` may.
    AskPlainly(&'static str),
}

/// Sends one request for `asked`, and another one without `If-Match` where that header alone is refused.
async fn request(context: &DownloadContext, asked: ByteRange, attempt: Attempt) -> Result<Reply> {
    let pin = context.pin.get();
    let client = &context.client;
    let if_match = pin
        .map_or(context.wanted.if_match(), PinnedVersion::if_match)
        .filter(|_| !context.without_if_match.load(Ordering::Relaxed));
    let version = pin
        .and_then(PinnedVersion::version_id)
        .filter(|_| context.address_by_version_id.load(Ordering::Relaxed));
    let is_plain = context.is_plain.load(Ordering::Relaxed);
    let get = |if_match| {
        if is_plain { S3Request::GetWhole } else { S3Request::Get { range: asked, if_match } }
    };
    let status = |e: &Error| e.service().map_or(0, |s| s.status);
    let exchanged = match client.exchange(get(if_match), version, attempt).await {
        Err(e) if status(&e) == 501 && pin.is_none() && !is_plain => {
            return Ok(Reply::AskPlainly("the server does not implement ranges"));
        }
        Err(e) if matches!(status(&e), 412 | 501) && if_match.is_some() && version.is_none() => {
            match client.exchange(get(None), version, attempt).await {
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
    let exchange = exchanged.map_err(|e| changed(context, e, version.is_some()))?;
    let range = (!is_plain).then_some(asked);
    let sent = SentGet { range, size: pin.and_then(PinnedVersion::known_size), is_s3: client.is_s3() };
    match ResponseProof::read(&exchange.head, sent)? {
        ResponseProof::Bytes(opened) => Ok(Reply::Proven(Box::new((exchange, opened)))),
        ResponseProof::PartOrWhole(opened) if pin.is_none() && !is_plain => {
            let head = if client.is_s3() { metadata::head(client, attempt).await.ok() } else { None };
            match head {
                Some(head) if head.size == opened.info.size && head.etag == opened.info.etag => {
                    Ok(Reply::Proven(Box::new((exchange, opened))))
                }
                _ => Ok(Reply::AskPlainly("the response does not show whether it is a part")),
            }
        }
        ResponseProof::PartOrWhole(_) => Err(malformed("the response does not show which bytes it has")),
        ResponseProof::Nothing(why) if pin.is_none() && !is_plain => Ok(Reply::AskPlainly(why)),
        ResponseProof::Nothing(why) => Err(malformed(why)),
        ResponseProof::Unsized(info) => {
            // If the size is known, that the body has neither less nor more is checked as it comes.
            let size = match pin {
                Some(pin) => pin.size(),
                None => size_by_head(client, &info, attempt).await,
            };
            let body = ByteRange::new(0, size);
            let opened = RangeResponse { info: ObjectInfo { size, ..info }, body, whole: true };
            Ok(Reply::Proven(Box::new((exchange, opened))))
        }
    }
}

/// Returns the size that HEAD shows of the object that `info` describes. Under a weak `ETag` a server may send the object in
/// another encoding, of another length, and an object that a function makes has a size only when it is made.
async fn size_by_head(client: &ObjectClient, info: &ObjectInfo, attempt: Attempt) -> u64 {
    let is_weak = info.etag.as_deref().is_some_and(|etag| !is_strong(etag));
    if !client.is_s3() || is_weak {
        return ObjectInfo::SIZE_UNKNOWN;
    }
    let head = metadata::head(client, attempt).await.ok();
    // Some servers send a length of 0 with every HEAD.
    let head = head.filter(|head| head.etag == info.etag && head.size > 0);
    head.map_or(ObjectInfo::SIZE_UNKNOWN, |head| head.size)
}

/// Returns whether the response carries the strong tag that `If-Match` named.
fn has_tag(exchange: &Exchange, if_match: Option<&str>) -> bool {
    header_text(&exchange.head.headers, ETAG.as_str()) == if_match
}

/// Explains a refused `If-Match`, or a range that is no longer there: the object has changed. The old version can still be
/// read by its id, if the store showed one and permits it; `named` says that the request did so already.
fn changed(context: &DownloadContext, error: Error, named: bool) -> Error {
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
            let what = "the object changed during the download: it has become shorter";
            Error::new(ErrorKind::Changed, what).with_service(service.clone())
        }
        _ => error,
    }
}

impl Receiving {
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
        // As many as fill a frame, so that it is passed on as it is; but never more than are certain to come, and those of
        // a slow connection not for long.
        let gathering = context.request_stats.expected().map_or(GATHERING_MAX, |expected| {
            (2 * expected.reading(context.read_buffer as u64)).clamp(GATHERING_MIN, GATHERING_MAX)
        });
        if left > context.read_buffer && since.elapsed() < gathering && !context.limit.is_observed() {
            self.body.set_low_water(context.read_buffer);
            if let Ok(data) = timeout_at(since + gathering, self.some_data(queue)).await {
                return data;
            }
        }
        self.body.set_low_water(1);
        let stalled = || Err(Error::network(format!("the body stalled for {:?}", context.stall_timeout)));
        timeout_at(since + context.stall_timeout, self.some_data(queue)).await.unwrap_or_else(|_| stalled())
    }

    async fn some_data(&mut self, queue: &FrameSender) -> Result<Option<Bytes>> {
        let data = poll_fn(|cx| {
            // In the front range every byte is passed on as it comes.
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
