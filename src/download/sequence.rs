//! Objects one after the other, as `cat` has its files: one stream of frames, in order.
//!
//! A `FuturesOrdered` of objects, in the order in which a stream names them, each of which resolves when its first response
//! has been checked, to its ordered ranges ([`Download`]). While the last bytes of one object are on their way, the first
//! ranges of the next ones are requested. How many is found from what it brings ([`Lookahead`]). Connections, the rate
//! limit and one memory window are shared by all, and memory is given by order in the output, so that later objects never
//! hold up earlier ones.
//!
//! The stream of names may stall: it is polled with the bytes, and never waited for while there are some.

use std::future::poll_fn;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::stream::{FuturesOrdered, Stream, StreamExt};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::download::client::Client;
use crate::download::group::DownloadGroup;
use crate::download::lookahead::Lookahead;
use crate::download::memory::frame::Frame;
use crate::download::options::Options;
use crate::download::stream::{Download, StartMode, TransferStats};
use crate::download::verdict::Verdict;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::address::source::Source;

/// An object to download, with a `note` that comes back when its turn has come.
pub(crate) struct ObjectRequest<T> {
    pub(crate) source: Source,
    /// Its own options, if they are not those of the run.
    pub(crate) options: Option<Options>,
    /// Bytes before the requested range that an earlier run has written.
    pub(crate) already_written: u64,
    pub(crate) note: T,
}

/// The objects of a run, as they become known. After an error it is not polled.
pub(crate) type ObjectRequests<T> = Pin<Box<dyn Stream<Item = Result<ObjectRequest<T>>> + Send>>;

/// An object that was requested before its turn; `None` where the stream failed in its place.
type Started<T> = (Option<ObjectRequest<T>>, Result<Download>);
type StartingObject<T> = Pin<Box<dyn Future<Output = Started<T>> + Send>>;

/// Downloads in a row.
pub(crate) struct ObjectSequence<T> {
    client: Client,
    group: Arc<DownloadGroup>,
    options: Arc<Options>,
    lookahead: Lookahead,
    began: Instant,
    requests: ObjectRequests<T>,
    /// The next object, not requested yet. It is read early, so that the end of the stream is known.
    next: Option<Result<ObjectRequest<T>>>,
    has_ended: bool,
    /// Set if the stream ended with an error.
    has_broken: bool,
    /// The objects after the current one that are requested.
    ahead: FuturesOrdered<StartingObject<T>>,
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
            group: StartMode::alone(options, &client.origins().config).group,
            options: Arc::new(options.clone()),
            lookahead: Lookahead::new(options.concurrency.map(NonZero::get)),
            began: Instant::now(),
            requests,
            next: None,
            has_ended: false,
            has_broken: false,
            ahead: FuturesOrdered::new(),
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
        let unread = match self.requests.size_hint() {
            _ if self.has_ended => 0,
            (least, most) => most.filter(|most| *most == least)?,
        };
        let begun = usize::try_from(self.begun).unwrap_or(usize::MAX);
        Some(begun + self.ahead.len() + usize::from(self.next.is_some()) + unread)
    }

    /// Returns whether no object follows the current one; `false` until that is known.
    pub(crate) fn is_last(&self) -> bool {
        let has_more = self.next.is_some() || !self.ahead.is_empty() || self.failed.is_some();
        self.has_ended && !self.has_broken && !has_more
    }

    /// Returns how many bytes the complete objects had.
    pub(crate) fn before(&self) -> u64 {
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
            let frame = match &mut self.current {
                Some(current) => current.download.poll_frame(cx),
                None => Poll::Ready(None),
            };
            self.look_ahead(cx);
            frame
        })
        .await
    }

    /// Makes the next object the current one; `None` where there is none.
    pub(crate) async fn next_object(&mut self) -> Option<Result<()>> {
        poll_fn(|cx| {
            self.look_ahead(cx);
            if self.ahead.is_empty() && self.next.is_none() && !self.has_ended {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
        let is_ahead = self.begun > 0;
        let mut is_responded = false;
        let (request, started) = if self.ahead.is_empty() {
            match self.next.take()? {
                Ok(request) => {
                    let start = start(
                        &self.client,
                        &self.options,
                        &request,
                        self.mode(&request, self.begun, is_ahead),
                    );
                    let started = start.await;
                    (Some(request), started)
                }
                Err(error) => (None, Err(error)),
            }
        } else {
            let mut first_poll = true;
            poll_fn(|cx| {
                let next = self.ahead.poll_next_unpin(cx);
                is_responded = first_poll && next.is_ready();
                first_poll = false;
                next
            })
            .await?
        };
        let Some(request) = request else { return Some(started.map(drop)) };
        Some(match started {
            Ok(download) => self.advance(request, download, is_responded),
            Err(error) => {
                self.failed = Some(request);
                Err(error)
            }
        })
    }

    /// Makes `download` the current one, after the object before it.
    fn advance(&mut self, request: ObjectRequest<T>, download: Download, is_responded: bool) -> Result<()> {
        if self.begun == 0 {
            self.began = Instant::now();
        } else {
            if let Some(connections) = self.options.concurrency {
                download.set_connections(connections.get().saturating_sub(self.ahead.len()).max(1));
            }
            let unfinished = || Error::new(ErrorKind::Other, "an object was left before it was complete");
            (self.verdict, self.unverified) =
                (Some(self.verdict().ok_or_else(unfinished)?), self.unverified());
            self.before = self.bytes();
            self.spent = self.traffic();
            let is_complete = is_responded && download.is_received();
            self.lookahead.delivered(self.before, self.began.elapsed(), is_complete, download.latency());
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
        let mode = self.mode(request, object, object > 0);
        let download = start(&self.client, &self.options, request, mode).await?;
        if let Some(request) = self.failed.take() {
            return self.advance(request, download, false);
        }
        self.spent = self.traffic();
        if let Some(current) = &mut self.current {
            current.download = download;
        }
        Ok(())
    }

    /// Reads the next names, and requests the next objects, as many as pay and have memory, once the current one leaves room
    /// for them.
    fn look_ahead(&mut self, cx: &mut Context<'_>) {
        loop {
            if self.next.is_none() && !self.has_ended {
                match self.requests.as_mut().poll_next(cx) {
                    Poll::Ready(next) => {
                        self.has_broken = matches!(next, Some(Err(_)));
                        self.has_ended = self.has_broken || next.is_none();
                        self.next = next;
                    }
                    Poll::Pending => return,
                }
            }
            let Some(current) = self.current.as_ref().map(|current| &current.download) else { return };
            if self.next.is_none() || !current.is_ending() {
                return;
            }
            let allowed = match self.options.concurrency {
                // An explicit number is kept by all together.
                Some(connections) => connections.get().saturating_sub(current.connections_in_use()),
                None => self.lookahead.objects(current.info().size, self.group.window_max()),
            };
            if self.ahead.len() >= allowed {
                return;
            }
            if self.options.concurrency.is_none() {
                let objects = self.ahead.len() + 1;
                self.group.widen_to(Lookahead::window_bytes(objects, current.info().size));
            }
            let starting: StartingObject<T> = match self.next.take() {
                Some(Ok(request)) => {
                    let object = self.begun + self.ahead.len() as u64;
                    let mode = self.mode(&request, object, true);
                    let (client, options) = (self.client.clone(), Arc::clone(&self.options));
                    let (source, own) = (request.source.clone(), request.options.clone());
                    let task = AbortOnDropHandle::new(tokio::spawn(async move {
                        let options = own.as_ref().unwrap_or(&options);
                        Download::begin(client.origins(), &source, options, mode).await
                    }));
                    Box::pin(async move {
                        let started = task.await.unwrap_or_else(|_| {
                            let error = Error::new(ErrorKind::Other, "a part of the download ended early");
                            Err(error.on(&request.source))
                        });
                        (Some(request), started)
                    })
                }
                Some(Err(error)) => Box::pin(std::future::ready((None, Err(error)))),
                None => return,
            };
            self.ahead.push_back(starting);
        }
    }

    fn mode(&self, request: &ObjectRequest<T>, object: u64, is_ahead: bool) -> StartMode {
        let already_written = request.already_written;
        StartMode { already_written, is_ahead, object, group: Arc::clone(&self.group) }
    }
}

async fn start<T>(
    client: &Client,
    options: &Options,
    request: &ObjectRequest<T>,
    mode: StartMode,
) -> Result<Download> {
    let options = request.options.as_ref().unwrap_or(options);
    Download::begin(client.origins(), &request.source, options, mode).await
}

#[cfg(test)]
mod tests;
