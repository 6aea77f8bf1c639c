//! Objects one after the other, as `cat` has its files: one stream of frames, in order.
//!
//! A queue of objects, in the order in which a stream names them, each of which resolves when its first response has been
//! checked, to its ordered ranges ([`Download`]). They share connections, one memory window, one rate limit, and one limit of
//! ranges with its controller, so that a boundary between two objects is hardly more than one between two ranges: whenever a
//! permit is free, the first range in the output that may be requested gets it. How many objects are requested ahead follows
//! from that.
//!
//! The stream of names may stall: it is polled with the bytes, and never waited for while there are some.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio_util::task::AbortOnDropHandle;

use crate::download::client::Client;
use crate::download::concurrency::limit::Permit;
use crate::download::group::DownloadGroup;
use crate::download::limits::Limits;
use crate::download::memory::frame::Frame;
use crate::download::object_ahead::{ObjectAhead, ObjectStart, unknown};
use crate::download::object_requests::{ObjectRequest, ObjectRequests, RequestQueue};
use crate::download::options::Options;
use crate::download::ordered::Undelivered;
use crate::download::start_mode::StartMode;
use crate::download::stream::Download;
use crate::download::transfer_stats::TransferStats;
use crate::download::verdict::Verdict;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::address::source::Source;

/// The most ranges that are fetched at the same time because objects are small. Small objects are limited by the
/// latency of their responses: 32 of them at a time bring as much as a link of S3 has, and further ones only by the
/// controller's word.
const SMALL_OBJECTS_MAX: usize = 32;

/// An object ahead takes up to so much memory beside its bytes, for tasks, queues and responses (28 KiB of allocations).
const OBJECT_BYTES: u64 = 32 << 10;
/// The part of the window's size that they take together at the most, and how many small objects are requested ahead. Without a
/// limit, 60,000 objects of 100 bytes of which every 20,000th took a second took 107 MiB in place of 16. As many are
/// received from 32 connections in 400 ms at 30 ms a response, so that few late ones hold up others.
const OBJECTS_WINDOW_DIVISOR: u64 = 4;
const OBJECTS_AHEAD: RangeInclusive<u64> = 64..=512;

/// Downloads in a row.
pub(crate) struct ObjectSequence<T> {
    client: Client,
    group: Arc<DownloadGroup>,
    options: Arc<Options>,
    /// The next objects, not requested yet.
    next: RequestQueue<T>,
    /// The objects after the current one that are requested.
    ahead: VecDeque<ObjectAhead<T>>,
    /// The bytes to deliver of the object that responded last: what the next one may have.
    usual_bytes: u64,
    current: Option<CurrentObject<T>>,
    /// The object that could not be started.
    failed: Option<ObjectRequest<T>>,
    /// How many objects have begun.
    begun: u64,
    /// Bytes of the complete objects.
    before: u64,
    /// Cost of the complete objects.
    spent: TransferStats,
    /// The verdict on the complete objects.
    verdict: Option<Verdict>,
    /// The first complete object that was not compared with a checksum although there may be one, and why.
    unverified: Option<(Source, &'static str)>,
}

struct CurrentObject<T> {
    download: Download,
    request: ObjectRequest<T>,
}

impl<T: Send + 'static> ObjectSequence<T> {
    /// Creates a sequence of the objects in `requests`; those without options of their own use `options`.
    pub(crate) fn new(client: &Client, options: &Options, requests: ObjectRequests<T>) -> Self {
        Self {
            client: client.clone(),
            group: DownloadGroup::new(&Limits::of(options, &client.origins().config.profile_limits), options),
            options: Arc::new(options.clone()),
            next: RequestQueue::new(requests),
            ahead: VecDeque::new(),
            usual_bytes: 0,
            current: None,
            failed: None,
            begun: 0,
            before: 0,
            spent: TransferStats::default(),
            verdict: None,
            unverified: None,
        }
    }

    /// Returns the current download, or the last one.
    pub(crate) fn current(&self) -> Option<&Download> {
        self.current.as_ref().map(|current| &current.download)
    }

    /// Returns the current download, to pass it the bytes before its range.
    pub(crate) fn current_mut(&mut self) -> Option<&mut Download> {
        self.current.as_mut().map(|current| &mut current.download)
    }

    /// Returns the request for the current object.
    pub(crate) fn request(&self) -> Option<&ObjectRequest<T>> {
        self.current.as_ref().map(|current| &current.request)
    }

    /// Returns the request for the object that could not be started, or for the current one.
    pub(crate) fn request_mut(&mut self) -> Option<&mut ObjectRequest<T>> {
        let current = self.current.as_mut().map(|current| &mut current.request);
        self.failed.as_mut().or(current)
    }

    /// Returns the request for the object that could not be started.
    pub(crate) fn failed(&self) -> Option<&ObjectRequest<T>> {
        self.failed.as_ref()
    }

    /// Returns how many objects there are, those that have begun included; `None` until that is known.
    pub(crate) fn objects(&self) -> Option<usize> {
        let begun = usize::try_from(self.begun).unwrap_or(usize::MAX);
        Some(begun + self.ahead.len() + self.next.len()?)
    }

    /// Returns whether no object follows the current one; `false` until that is known.
    pub(crate) fn is_last(&self) -> bool {
        self.next.is_done() && self.ahead.is_empty() && self.failed.is_none()
    }

    /// Returns how many bytes the complete objects had.
    pub(crate) fn complete_bytes(&self) -> u64 {
        self.before
    }

    /// Returns how many bytes the complete objects and the current one have.
    pub(crate) fn bytes(&self) -> u64 {
        let range = self.current().map_or(0..0, Download::range);
        self.before.saturating_add(range.end - range.start)
    }

    /// Returns what all objects cost so far.
    pub(crate) fn traffic(&self) -> TransferStats {
        self.spent + self.current().map_or_else(TransferStats::default, Download::traffic)
    }

    /// Returns how many threads fetched ranges at the most.
    pub(crate) fn threads(&self) -> usize {
        self.group.threads_used()
    }

    /// Returns the most body bytes that are ever held.
    pub(crate) fn window(&self) -> u64 {
        self.group.window_max()
    }

    /// Returns the verdict on the objects up to the current one, if that is complete.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let current = self.current()?.verdict()?;
        Some(self.verdict.map_or(current, |before| before.and(current)))
    }

    /// Returns the first object that was not compared with a checksum although there may be one, and why.
    pub(crate) fn unverified(&self) -> Option<(Source, &'static str)> {
        let current = || self.current().and_then(|last| Some((last.source().clone(), last.unverified()?)));
        self.unverified.clone().or_else(current)
    }

    /// Returns the next bytes of the current object; `None` after its last one. Cancel safe.
    pub(crate) async fn next_frame(&mut self) -> Option<Result<Frame>> {
        poll_fn(|cx| {
            loop {
                self.retreat();
                let frame = match &mut self.current {
                    Some(current) => current.download.poll_frame(cx),
                    None => Poll::Ready(None),
                };
                let has_started = self.look_ahead(cx);
                if frame.is_ready() || !has_started {
                    return frame;
                }
            }
        })
        .await
    }

    /// Makes the next object the current one; `None` where there is none. Cancel safe.
    pub(crate) async fn next_object(&mut self) -> Option<Result<()>> {
        poll_fn(|cx| {
            self.group.permits.register_consumer(cx.waker());
            loop {
                while self.look_ahead(cx) {}
                // A name may have come just now.
                if !self.ahead.is_empty() {
                    break;
                }
                let Some(request) = self.next.pop_object() else { break };
                self.start(request, self.begun > 0, self.group.permits.take());
            }
            match self.ahead.front() {
                Some(ObjectAhead { start: ObjectStart::Pending(_), .. }) => Poll::Pending,
                None if self.next.is_waiting() => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .await;
        let Some(first) = self.ahead.pop_front() else {
            // The list has failed, or ended.
            return self.next.pop().map(|next| next.and(Err(Error::ended_early())));
        };
        Some(match first.start {
            ObjectStart::Responded(download) => self.advance(first.request, *download),
            ObjectStart::Failed(error) => {
                self.failed = Some(first.request);
                Err(error.unwrap_or_else(Error::ended_early))
            }
            ObjectStart::Pending(_) => Err(Error::ended_early()),
        })
    }

    /// Makes `download` the current one, after the object before it.
    fn advance(&mut self, request: ObjectRequest<T>, download: Download) -> Result<()> {
        if self.begun > 0 {
            let unfinished = || Error::new(ErrorKind::Other, "an object was left before it was complete");
            (self.verdict, self.unverified) =
                (Some(self.verdict().ok_or_else(unfinished)?), self.unverified());
            self.before = self.bytes();
            self.spent = self.traffic();
        }
        self.begun += 1;
        self.current = Some(CurrentObject { download, request });
        Ok(())
    }

    /// Starts the object that could not be started, or the current one, from its beginning: what an earlier run has of it is
    /// of no use.
    pub(crate) async fn start_over(&mut self) -> Result<()> {
        let is_current = self.failed.is_none();
        let Some(request) = self.request_mut() else { return Ok(()) };
        (request.options, request.already_written) = (None, 0);
        let Some(request) = self.failed.as_ref().or(self.request()) else { return Ok(()) };
        let object = if is_current { self.begun.saturating_sub(1) } else { self.begun };
        let mode = self.mode(request, object, object > 0, self.group.permits.take());
        let download = Download::begin(self.client.origins(), &request.source, &self.options, mode).await?;
        if let Some(request) = self.failed.take() {
            return self.advance(request, download);
        }
        self.spent = self.traffic();
        if let Some(current) = &mut self.current {
            current.download = download;
        }
        Ok(())
    }

    /// Reads the next names, and requests what of the next objects may be requested, in order. Returns whether it started
    /// what the caller may have to wait for: that was not polled yet, so that it would wake nobody.
    fn look_ahead(&mut self, cx: &mut Context<'_>) -> bool {
        self.next.poll_read(cx);
        let (mut undelivered, mut is_all_requested) = (Undelivered::default(), true);
        let mut has_started = false;
        if let Some(CurrentObject { download: current, .. }) = &mut self.current {
            if !self.ahead.is_empty() {
                // Ranges of later objects may hold all permits, and wait for memory.
                has_started = current.start_front();
            }
            (undelivered, is_all_requested) = (current.undelivered(), current.is_all_requested());
        }
        for object in &mut self.ahead {
            object.poll_start(cx);
            undelivered = undelivered
                + match &mut object.start {
                    ObjectStart::Responded(download) => {
                        let range = download.range();
                        self.usual_bytes = range.end - range.start;
                        download.start_ranges(&undelivered);
                        if download.has_failed() {
                            return has_started;
                        }
                        is_all_requested &= download.is_all_requested();
                        download.undelivered()
                    }
                    ObjectStart::Pending(_) => unknown(self.usual_bytes),
                    // The output ends there.
                    ObjectStart::Failed(_) => return has_started,
                };
        }
        self.request_next(cx, undelivered, is_all_requested) || has_started
    }

    /// Requests the next objects, after what is `undelivered` of those before them; returns whether it requested one.
    fn request_next(
        &mut self,
        cx: &mut Context<'_>,
        mut undelivered: Undelivered,
        is_all_requested: bool,
    ) -> bool {
        let mut has_started = false;
        while let Some((request, permit)) = self.take_due(cx, &undelivered, is_all_requested) {
            self.start(request, true, permit);
            has_started = true;
            undelivered = undelivered + unknown(self.usual_bytes);
        }
        has_started
    }

    /// Takes the next object, with a permit, if it may be requested now.
    fn take_due(
        &mut self,
        cx: &mut Context<'_>,
        undelivered: &Undelivered,
        is_all_requested: bool,
    ) -> Option<(ObjectRequest<T>, Permit)> {
        self.next.poll_read(cx);
        let has_more = self.next.has_object();
        self.group.set_has_more(has_more);
        let CurrentObject { download: current, .. } = self.current.as_ref()?;
        if !has_more || current.has_failed() {
            return None;
        }
        self.group.steer(current.latency());
        if self.ahead.is_empty() {
            self.usual_bytes = current.range().end - current.range().start;
        } else if undelivered.bytes.saturating_add(self.usual_bytes) > self.bytes_ahead_max() {
            return None;
        }
        let permits = &self.group.permits;
        let is_due = permits.orders.is_steered()
            && undelivered.outstanding <= permits.orders.next_object_bytes()
            && (self.ahead.len() as u64) < self.small_objects_ahead_max();
        let extra = if is_due { SMALL_OBJECTS_MAX.saturating_sub(permits.target()).max(1) } else { 0 };
        if !is_due && (!is_all_requested || current.is_far_enough_ahead(undelivered)) {
            return None;
        }
        let permit = permits.try_acquire(extra)?;
        Some((self.next.pop_object()?, permit))
    }

    /// Returns how many bytes before an object may be undelivered when it is requested, unless it is the next one: as many as the
    /// ranges may have that are requested ahead within one object.
    fn bytes_ahead_max(&self) -> u64 {
        let ranges = self.group.max_undelivered(self.group.permits.target());
        self.group.window.bytes().max(self.group.limits.chunk.saturating_mul(ranges as u64))
    }

    /// Returns how many objects may be requested ahead because they are small; otherwise ranges are counted.
    fn small_objects_ahead_max(&self) -> u64 {
        let in_window = self.group.window.bytes() / OBJECTS_WINDOW_DIVISOR / OBJECT_BYTES;
        in_window.clamp(*OBJECTS_AHEAD.start(), *OBJECTS_AHEAD.end())
    }

    fn start(&mut self, request: ObjectRequest<T>, is_ahead: bool, permit: Permit) {
        let mode = self.mode(&request, self.begun + self.ahead.len() as u64, is_ahead, permit);
        let (client, options) = (self.client.clone(), Arc::clone(&self.options));
        let (source, own) = (request.source.clone(), request.options.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            let options = own.as_ref().unwrap_or(&options);
            Download::begin(client.origins(), &source, options, mode).await
        }));
        self.ahead.push_back(ObjectAhead { request, start: ObjectStart::Pending(task) });
    }

    /// Cancels objects and ranges from the back where the controller found that they only share the link with the front range.
    fn retreat(&mut self) {
        // The ordered stream takes such an order too, for a download that is in no sequence. Here it never comes first: it is
        // polled right after this, and as the program's runtime has one thread, the task that steers cannot run between the
        // two. Otherwise an order could reach the current object alone, and those ahead would keep their connections.
        let Some(keep) = self.group.permits.orders.take_retreat() else { return };
        let mut ahead: usize = self.ahead.iter().map(ObjectAhead::fetching).sum();
        let Some(current) = self.current.as_mut().map(|current| &mut current.download) else { return };
        while current.fetching() + ahead > keep.max(1)
            && let Some(last) = self.ahead.pop_back_if(|last| last.fetching() > 0)
        {
            ahead -= last.fetching();
            self.next.push_front(last.request);
        }
        current.retreat(keep.saturating_sub(ahead));
    }

    fn mode(&self, request: &ObjectRequest<T>, object: u64, is_ahead: bool, permit: Permit) -> StartMode {
        let already_written = request.already_written;
        StartMode { already_written, is_ahead, object, group: Arc::clone(&self.group), permit }
    }
}

#[cfg(test)]
mod tests;
