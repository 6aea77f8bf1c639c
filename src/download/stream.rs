//! A download: discovery, the plan of ranges, and one ordered stream of bytes.
//!
//! HEAD and the first ranged GET leave together. The response to the GET shows the size and pins the version, and its body is
//! the first range. Memory stays inside the window whatever the consumer does.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use crate::client::origins::Origins;
use crate::config::settings::Config;
use crate::download::client::Client;
use crate::download::context::DownloadContext;
use crate::download::discovery::{self, Discovery};
use crate::download::fetch::side_request;
use crate::download::limits::Limits;
use crate::download::memory::frame::Frame;
use crate::download::meter::Meter;
use crate::download::options::{ChecksumMode, Options};
use crate::download::ordered::{OrderedRanges, Undelivered};
use crate::download::pending_head::PendingHead;
use crate::download::plan::Plan;
use crate::download::start_mode::StartMode;
use crate::download::transfer_stats::TransferStats;
use crate::download::verdict::{EndState, Verdict};
use crate::download::verify::ChecksumCheck;
use crate::error::{Error, Result};
use crate::events::DOWNLOAD;
use crate::s3::address::source::Source;
use crate::s3::object::ObjectInfo;
use crate::s3::range::ByteRange;

/// A download under way, in order: frames that count against the window ([`Download::next_frame`]), or a plain [`Stream`] of
/// bytes. Dropping it ends all its requests.
pub struct Download {
    context: Arc<DownloadContext>,
    info: ObjectInfo,
    /// The bytes to deliver.
    wanted: ByteRange,
    /// The ranges that are under way and still to come.
    ranges: OrderedRanges,
    failed: bool,
    head: PendingHead,
    verify: ChecksumCheck,
    /// How long the first response took.
    latency: Duration,
    /// Set until the turn comes of a download that started before it.
    is_ahead: bool,
    /// The HEAD that confirms the version at the end, once it is needed.
    confirmation: Option<AbortOnDropHandle<Result<()>>>,
    verdict: Option<Verdict>,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("source", self.source())
            .field("info", &self.info)
            .field("range", &self.range())
            .finish_non_exhaustive()
    }
}

impl Download {
    /// Requests `source`, an [`S3Uri`](crate::S3Uri) or an [`HttpUrl`](crate::HttpUrl), and returns when the first response
    /// shows what the object is and, with [`ChecksumMode::Require`], when it is known what to compare it with. A download must be
    /// started and used in a tokio runtime with I/O and time enabled.
    pub async fn start(config: &Config, source: impl Into<Source>, options: &Options) -> Result<Self> {
        Client::new(config.clone()).download(source, options).await
    }

    /// Starts a download in the way that `mode` says.
    pub(crate) async fn begin(
        origins: &Arc<Origins>,
        source: &Source,
        options: &Options,
        mode: StartMode,
    ) -> Result<Self> {
        let limits = mode.group.limits;
        let context = discovery::build_context(origins, source, options, &mode).await;
        let (context, answer) = context.map_err(|e| source.explain(e))?;
        let context = Arc::new(context);
        let mut ranges = OrderedRanges::new(&context);
        let first_bytes = mode.first_bytes();
        let StartMode { already_written, is_ahead, permit, .. } = mode;
        let started = discovery::start(&context, &mut ranges, first_bytes, permit, answer).await;
        let started = started.map_err(|e| source.explain(e))?;
        let wanted = started.wanted;
        log_start(source, &started.info, wanted, &limits);
        let rest = wanted.remainder(started.first_range.len());
        ranges.follow(Plan::new(rest, limits.chunk, limits.large));
        let Discovery { info, mut head, checksum, latency, .. } = started;
        let whole = wanted == ByteRange::new(already_written, info.size);
        let verify = ChecksumCheck::new(&context, &info, whole, checksum, &mut head).await;
        let verify = verify.map_err(|e| e.on(source))?;
        context.counters.set_expected(if wanted.end() == u64::MAX { u64::MAX } else { wanted.len() });
        let (failed, confirmation, verdict) = (false, None, None);
        let mut download = Self {
            context,
            info,
            wanted,
            ranges,
            failed,
            head,
            verify,
            latency,
            is_ahead,
            confirmation,
            verdict,
        };
        if !is_ahead {
            download.set_front();
        }
        Ok(download)
    }

    /// Returns what the first response showed of the object. If it did not show the size, that is known after the last
    /// byte.
    #[must_use]
    pub fn info(&self) -> &ObjectInfo {
        &self.info
    }

    /// Returns the bytes that are delivered, by their offsets in the object: all of it, or the part of it that
    /// [`Options::range`] names. A checksum of the object says something of them only if they are all.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.wanted.start()..self.wanted.end()
    }

    /// Returns whether the object was replaced during the download, which continues with the version id that the first response
    /// showed ([`ObjectInfo::version_id`]).
    #[must_use]
    pub fn is_by_version(&self) -> bool {
        self.context.address_by_version_id.load(Ordering::Relaxed)
    }

    /// Returns what is downloaded.
    #[must_use]
    pub fn source(&self) -> &Source {
        self.context.client.source()
    }

    /// Returns the next bytes of the object, in order; `None` after the last one. After an error no more bytes come. An
    /// error of kind [`Integrity`](crate::ErrorKind::Integrity) comes after the last byte, in the place of `None`: all
    /// bytes were yielded, and they are not those that were stored. Cancel safe.
    pub async fn next_frame(&mut self) -> Option<Result<Frame>> {
        std::future::poll_fn(|cx| self.poll_frame(cx)).await
    }

    /// Returns the checksum that the delivered bytes were found equal to: `crc64nvme`, `crc32c`, `crc32`, `sha256`, `sha1` or
    /// `md5`, with the suffix `-composite` for a checksum of the parts' checksums. `None` before the end of the object, and if
    /// nothing was compared.
    #[must_use]
    pub fn verified(&self) -> Option<&'static str> {
        self.verify.verified()
    }

    /// Returns, after the last byte, what proves that these are the bytes of the object. `None` before, and after an
    /// error.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// Returns whether all bytes come in one response, because the server shows no strong `ETag` under which several could
    /// be combined: see [`Options::unsafe_ranges`].
    #[must_use]
    pub fn is_one_response(&self) -> bool {
        self.context.evidence.is_one_response()
    }

    /// Returns why the bytes were not compared with a checksum although there may be one.
    pub(crate) fn unverified(&self) -> Option<&'static str> {
        self.verify.unverified().filter(|_| !self.wanted.is_empty())
    }

    /// Returns whether the bytes before the range must be passed to [`Download::earlier`] before the first frame is requested,
    /// because there is a checksum to compare with. Waits for HEAD, no longer than the end of a download does.
    pub(crate) async fn wants_earlier(&mut self) -> bool {
        if self.verify.is_due() {
            // Without an answer they are needed: it may still come.
            let _ = tokio::time::timeout(ChecksumMode::LATE, self.head.answer()).await;
            self.earlier(&[]).await;
        }
        self.verify.is_due()
    }

    /// Adds the next bytes before the range, from the object's first byte on.
    pub(crate) async fn earlier(&mut self, bytes: &[u8]) {
        std::future::poll_fn(|cx| {
            self.verify.update(bytes, &mut self.head, &self.info, cx);
            Poll::Ready(())
        })
        .await;
    }

    /// Returns how many connections it may use at present.
    pub(crate) fn connections_allowed(&self) -> usize {
        self.context.permits.target()
    }

    /// Returns how long the first response took to begin.
    pub(crate) fn latency(&self) -> Duration {
        self.latency
    }

    /// Returns what is requested and not delivered.
    pub(crate) fn undelivered(&self) -> Undelivered {
        self.ranges.undelivered()
    }

    /// Returns whether every range has been requested.
    pub(crate) fn is_all_requested(&self) -> bool {
        self.ranges.is_all_requested()
    }

    /// Returns whether a range of it has failed for good.
    pub(crate) fn has_failed(&self) -> bool {
        self.context.has_failed()
    }

    /// Returns whether nothing further is to be requested while so much is `undelivered`.
    pub(crate) fn is_far_enough_ahead(&self, undelivered: &Undelivered) -> bool {
        undelivered.is_far_enough_ahead(&self.context, 0)
    }

    /// Requests further ranges before its turn, after what is undelivered of the objects `before` it.
    pub(crate) fn start_ranges(&mut self, before: &Undelivered) {
        self.ranges.start_ranges(before);
    }

    /// Requests its next range now, if none is under way; returns whether it did.
    pub(crate) fn start_front(&mut self) -> bool {
        self.ranges.start_front()
    }

    /// Returns how many of its ranges are requested and not received.
    pub(crate) fn fetching(&self) -> usize {
        self.ranges.fetching()
    }

    /// Cancels ranges from the back until `keep` are fetched.
    pub(crate) fn retreat(&mut self, keep: usize) {
        self.ranges.retreat(keep);
    }

    /// Gives it priority: its turn has come.
    fn set_front(&mut self) {
        self.is_ahead = false;
        self.ranges.set_front();
        self.context.group.set_front(&self.context);
        if !self.ranges.is_all_requested() {
            self.context.group.steer(self.latency);
        }
    }

    /// Returns the requests sent, connections opened and body bytes received so far.
    #[must_use]
    pub fn traffic(&self) -> TransferStats {
        TransferStats {
            requests: self.context.client.requests(),
            connections: self.context.client.connections_opened(),
            fetched: self.context.counters.fetched(),
            retries: self.context.counters.retries(),
            hedges: self.context.counters.hedges(),
            hedges_won: self.context.counters.hedges_won(),
            throttled: self.context.counters.throttled(),
            concurrency: self.context.permits.most(),
        }
    }

    /// Returns a view of the progress, which outlives the download.
    #[must_use]
    pub fn meter(&self) -> Meter {
        Meter::new(Arc::clone(&self.context.counters))
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        if self.failed || self.verdict.is_some() {
            return Poll::Ready(None);
        }
        if self.is_ahead {
            self.set_front();
        }
        match ready!(self.ranges.poll_frame(cx)) {
            Some(Ok(frame)) => {
                self.context.counters.add_yielded(frame.len());
                self.verify.update(&frame, &mut self.head, &self.info, cx);
                return Poll::Ready(Some(Ok(frame)));
            }
            Some(Err(e)) => return Poll::Ready(Some(Err(self.fail(e)))),
            None => {}
        }
        self.note_size();
        match ready!(self.poll_verdict(cx)) {
            Ok(verdict) => {
                self.verdict = Some(verdict);
                Poll::Ready(None)
            }
            Err(e) => Poll::Ready(Some(Err(self.fail(e)))),
        }
    }

    /// Resolves, after the last byte, to the verdict.
    fn poll_verdict(&mut self, cx: &mut Context<'_>) -> Poll<Result<Verdict>> {
        let delivered = self.context.counters.yielded();
        if delivered == self.wanted.len() {
            if let Err(e) = ready!(self.verify.poll_end(&mut self.head, &self.info, cx)) {
                return Poll::Ready(Err(e));
            }
            if let Err(e) = ready!(self.poll_confirmation(cx)) {
                return Poll::Ready(Err(e));
            }
        }
        let head = match self.head.poll(cx) {
            Poll::Ready(head) => head,
            Poll::Pending => None,
        };
        let (info, pin, checksum) = (&self.info, self.context.pin.get(), self.verify.verified());
        let end = EndState { info, pin, wanted: self.wanted, delivered, head, checksum };
        Poll::Ready(self.context.evidence.reach(&end))
    }

    /// Resolves to whether what the responses left open was confirmed: their version, or the object's size.
    fn poll_confirmation(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if !side_request::must_confirm(&self.context) {
            return Poll::Ready(Ok(()));
        }
        let task = self.confirmation.get_or_insert_with(|| {
            AbortOnDropHandle::new(tokio::spawn(side_request::confirm(Arc::clone(&self.context))))
        });
        let ended = ready!(Pin::new(task).poll(cx));
        Poll::Ready(ended.unwrap_or_else(|_| Err(Error::ended_early())))
    }

    /// Takes the size of the object from the end of its response, if nothing else has shown it.
    fn note_size(&mut self) {
        if let Some(size) = self.context.size_at_end.get() {
            self.info.size = *size;
            self.wanted = self.wanted.clipped(*size);
            self.context.counters.set_expected(self.wanted.len());
        }
    }

    /// Ends all requests.
    fn fail(&mut self, error: Error) -> Error {
        self.failed = true;
        self.ranges.clear();
        error.on(self.source())
    }
}

/// Reports the object, the requested part of it, and how it is requested; `concurrency` if it is explicit.
fn log_start(source: &Source, info: &ObjectInfo, wanted: ByteRange, limits: &Limits) {
    info!(
        target: DOWNLOAD,
        size = info.known_size(),
        etag = info.etag,
        version_id = info.version_id,
        range = (!wanted.is_empty()).then(|| wanted.to_string()),
        chunk = limits.chunk,
        window = limits.window_max,
        concurrency = (!limits.adaptive).then_some(limits.connections),
        object = source.to_string(),
        "the download begins"
    );
}

/// Yields the bytes alone: each item belongs to the consumer and no longer counts against the window.
impl Stream for Download {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        self.poll_frame(cx).map(|next| next.map(|frame| frame.map(Frame::into_bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::address::s3_uri::S3Uri;

    #[test]
    fn a_download_may_begin_and_go_on_in_a_task_of_its_own() {
        fn is_send<T: Send>(_: impl FnOnce(&'static Config, &'static S3Uri, &'static Options) -> T) {}
        fn can_be_sent<T: Send>() {}
        is_send(Download::start);
        can_be_sent::<Download>();
    }
}
