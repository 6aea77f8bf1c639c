//! Objects one after the other, as `cat` has its files: one stream of frames, in order.
//!
//! While the last bytes of one object are on their way, the first ranges of the next ones are requested. How many is
//! found from what it brings ([`Lookahead`]). Connections, the rate limit and one memory window are shared by all, and
//! memory is given by order in the output, so that later objects never hold up earlier ones.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::config::settings::Config;
use crate::download::client::Client;
use crate::download::group::DownloadGroup;
use crate::download::lookahead::Lookahead;
use crate::download::memory::frame::Frame;
use crate::download::options::Options;
use crate::download::stream::{Download, StartMode, TransferStats};
use crate::download::verdict::Verdict;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::address::source::Source;

/// Downloads in a row.
pub(crate) struct ObjectSequence<'a> {
    client: Client,
    group: Arc<DownloadGroup>,
    options: &'a Options,
    lookahead: Lookahead,
    began: Instant,
    /// Which of all objects the current one is, from 0.
    object: u64,
    current: Download,
    /// Bytes before the range of the current object that were already written.
    had: u64,
    /// The objects after the current one.
    rest: &'a [Source],
    /// The first of those, requested before their turn.
    ahead: VecDeque<AbortOnDropHandle<Result<Download>>>,
    /// Bytes of the complete objects.
    before: u64,
    /// Cost of the complete objects.
    spent: TransferStats,
    /// The verdict on the complete objects.
    verdict: Option<Verdict>,
    /// The first complete object that was not compared with a checksum although there may be one, and why.
    unverified: Option<(Source, &'static str)>,
}

impl<'a> ObjectSequence<'a> {
    /// Starts with the first of `uris`; all of them use `options`.
    pub(crate) async fn start(config: &'a Config, uris: &'a [Source], options: &'a Options) -> Result<Self> {
        Self::start_behind(config, uris, options, options, 0).await
    }

    /// Starts like [`ObjectSequence::start`], but the first object uses `first`, and its first `had` bytes were written by an
    /// earlier run.
    pub(crate) async fn start_behind(
        config: &'a Config,
        uris: &'a [Source],
        options: &'a Options,
        first: &Options,
        had: u64,
    ) -> Result<Self> {
        let (uri, rest) = uris.split_first().ok_or_else(|| Error::usage("an object is missing"))?;
        let client = Client::new(config.clone());
        let alone = StartMode::alone(options, config);
        let group = Arc::clone(&alone.group);
        let lookahead = Lookahead::new(options.concurrency.map(NonZero::get));
        let mode = StartMode { already_written: had, ..alone };
        let current = Download::begin(client.origins(), uri, first, mode).await?;
        let (ahead, before, spent) = (VecDeque::new(), 0, TransferStats::default());
        let (object, began, verdict, unverified) = (0, Instant::now(), None, None);
        Ok(Self {
            client,
            group,
            options,
            lookahead,
            began,
            object,
            current,
            had,
            rest,
            ahead,
            before,
            spent,
            verdict,
            unverified,
        })
    }

    /// Returns the current download.
    pub(crate) fn current(&self) -> &Download {
        &self.current
    }

    /// Returns the current download, to pass it the bytes before its range.
    pub(crate) fn current_mut(&mut self) -> &mut Download {
        &mut self.current
    }

    /// Returns how many bytes before its range an earlier run has written.
    pub(crate) fn had(&self) -> u64 {
        self.had
    }

    /// Returns the objects after the current one.
    pub(crate) fn rest(&self) -> &'a [Source] {
        self.rest
    }

    /// Returns the object that an error is about, `delivered` bytes having arrived: the current one, or the next one if the
    /// current one is complete.
    pub(crate) fn asked_for(&self, delivered: u64) -> &Source {
        let next = self.rest.first().filter(|_| delivered >= self.bytes());
        next.unwrap_or_else(|| self.current.source())
    }

    /// Returns how many bytes the complete objects had.
    pub(crate) fn before(&self) -> u64 {
        self.before
    }

    /// Returns how many bytes the complete objects and the current one have.
    pub(crate) fn bytes(&self) -> u64 {
        let range = self.current.range();
        self.before.saturating_add(range.end - range.start)
    }

    /// Returns what all objects cost so far.
    pub(crate) fn traffic(&self) -> TransferStats {
        self.spent + self.current.traffic()
    }

    /// Returns how many threads fetched ranges at the most.
    pub(crate) fn threads(&self) -> usize {
        self.group.threads_used()
    }

    /// Returns the most body bytes that are ever held.
    pub(crate) fn window(&self) -> u64 {
        self.group.window_max()
    }

    /// Returns the verdict on all objects, once the last one is complete.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.so_far().filter(|_| self.rest.is_empty())
    }

    /// Returns the verdict on the objects up to the current one, if that is complete.
    fn so_far(&self) -> Option<Verdict> {
        let current = self.current.verdict()?;
        Some(self.verdict.map_or(current, |before| before.and(current)))
    }

    /// Returns the first object that was not compared with a checksum although there may be one, and why.
    pub(crate) fn unverified(&self) -> Option<(Source, &'static str)> {
        let current = || Some((self.current.source().clone(), self.current.unverified()?));
        self.unverified.clone().or_else(current)
    }

    /// Returns the next bytes of the current object; `None` after its last one. Cancel safe.
    pub(crate) async fn next_frame(&mut self) -> Option<Result<Frame>> {
        let frame = self.current.next_frame().await;
        self.look_ahead();
        frame
    }

    /// Requests the next objects, as many as pay and have memory, once the current one leaves room for them.
    fn look_ahead(&mut self) {
        if self.ahead.len() >= self.rest.len() || !self.current.is_ending() {
            return;
        }
        let allowed = match self.options.concurrency {
            // An explicit number is kept by all together.
            Some(connections) => connections.get().saturating_sub(self.current.connections_in_use()),
            None => self.lookahead.objects(self.current.info().size, self.group.window.bytes()),
        };
        for uri in &self.rest[self.ahead.len()..allowed.clamp(self.ahead.len(), self.rest.len())] {
            let (client, uri, options) = (self.client.clone(), uri.clone(), self.options.clone());
            let mode = StartMode {
                already_written: 0,
                is_ahead: true,
                object: self.object + 1 + self.ahead.len() as u64,
                group: Arc::clone(&self.group),
            };
            let start = async move { Download::begin(client.origins(), &uri, &options, mode).await };
            self.ahead.push_back(AbortOnDropHandle::new(tokio::spawn(start)));
        }
    }

    /// Makes the next object the current one; `None` where there is none.
    pub(crate) async fn next_object(&mut self) -> Option<Result<&Download>> {
        let (uri, rest) = self.rest.split_first()?;
        self.look_ahead();
        let is_responded = self.ahead.front().is_some_and(AbortOnDropHandle::is_finished);
        let started = if let Some(started) = self.ahead.pop_front() {
            started.await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Other, "a part of the download ended early").on(uri))
            })
        } else {
            let group = Arc::clone(&self.group);
            let mode = StartMode { already_written: 0, is_ahead: true, object: self.object + 1, group };
            Download::begin(self.client.origins(), uri, self.options, mode).await
        };
        let download = match started {
            Ok(download) => download,
            Err(e) => return Some(Err(e)),
        };
        if let Some(connections) = self.options.concurrency {
            download.set_connections(connections.get().saturating_sub(self.ahead.len()).max(1));
        }
        let Some(verdict) = self.so_far() else {
            return Some(Err(Error::new(ErrorKind::Other, "an object was left before it was complete")));
        };
        (self.verdict, self.unverified) = (Some(verdict), self.unverified());
        self.before = self.bytes();
        self.lookahead.delivered(self.before, self.began.elapsed(), is_responded && download.is_received());
        self.spent = self.traffic();
        self.rest = rest;
        self.object += 1;
        self.current = download;
        self.had = 0;
        Some(Ok(&self.current))
    }
}
