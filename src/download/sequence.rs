//! Objects one behind the other, as `cat` has its files: one stream of frames, in order.
//!
//! It gets what they are and hands on their downloads, one at a time. While the last bytes of one are on their way, the
//! next one is asked for: its first response, and the beginning of its body, wait with the kernel. Memory
//! stays inside one window: a download takes in bytes only when all of the one before are gone.

use tokio_util::task::AbortOnDropHandle;

use crate::config::settings::Config;
use crate::download::memory::frame::Frame;
use crate::download::options::Options;
use crate::download::stream::{Download, TransferStats};
use crate::error::{Error, ErrorKind, Result};
use crate::s3::address::source::Source;

/// Downloads in a row.
pub(crate) struct ObjectSequence<'a> {
    config: &'a Config,
    options: &'a Options,
    current: Download,
    /// Bytes before the current one's range that were there already.
    had: u64,
    /// The objects behind those that were asked for.
    rest: &'a [Source],
    next: Option<AbortOnDropHandle<Result<Download>>>,
    /// Bytes of the objects that are complete.
    before: u64,
    /// What those cost.
    spent: TransferStats,
    /// Whether all of those were verified.
    all_verified: bool,
}

impl<'a> ObjectSequence<'a> {
    /// Begins with `uris`, all of them as `options` say.
    pub(crate) async fn start(config: &'a Config, uris: &'a [Source], options: &'a Options) -> Result<Self> {
        Self::start_behind(config, uris, options, options, 0).await
    }

    /// The same with the first one as `first` says, the `had` bytes before whose range are there already.
    pub(crate) async fn start_behind(
        config: &'a Config,
        uris: &'a [Source],
        options: &'a Options,
        first: &Options,
        had: u64,
    ) -> Result<Self> {
        let (uri, rest) = uris.split_first().ok_or_else(|| Error::usage("an object is missing"))?;
        let current = Download::start_behind(config, uri, first, had).await?;
        let (next, before, spent, all_verified) = (None, 0, TransferStats::default(), true);
        Ok(Self { config, options, current, had, rest, next, before, spent, all_verified })
    }

    /// The download under way.
    pub(crate) fn current(&self) -> &Download {
        &self.current
    }

    /// The same, to be told of the bytes before its range.
    pub(crate) fn current_mut(&mut self) -> &mut Download {
        &mut self.current
    }

    /// The bytes before its range that an earlier run brought.
    pub(crate) fn had(&self) -> u64 {
        self.had
    }

    /// The objects that have not begun.
    pub(crate) fn rest(&self) -> &'a [Source] {
        self.rest
    }

    /// What was asked for last, `delivered` bytes having arrived: the current object, or behind all of its bytes the
    /// next one, that could not begin.
    pub(crate) fn asked_for(&self, delivered: u64) -> &Source {
        let next = self.rest.first().filter(|_| delivered >= self.bytes());
        next.unwrap_or_else(|| self.current.source())
    }

    /// How many bytes the objects before the current one brought.
    pub(crate) fn before(&self) -> u64 {
        self.before
    }

    /// The same with all of the current one's.
    pub(crate) fn bytes(&self) -> u64 {
        let range = self.current.range();
        self.before + (range.end - range.start)
    }

    /// What all of them cost so far.
    pub(crate) fn traffic(&self) -> TransferStats {
        self.spent + self.current.traffic()
    }

    /// The checksum that the bytes were found equal to, if those of every object were: the last one's.
    pub(crate) fn verified(&self) -> Option<&'static str> {
        self.current.verified().filter(|_| self.all_verified)
    }

    /// The next bytes of the current object; `None` behind its last one. Cancel safe.
    pub(crate) async fn next_frame(&mut self) -> Option<Result<Frame>> {
        let frame = self.current.next_frame().await;
        if let Some(uri) = self.rest.first()
            && self.next.is_none()
            && self.current.leaves_room()
        {
            let (config, uri, options) = (self.config.clone(), uri.clone(), self.options.clone());
            let ceiling = self.current.ceiling();
            let start = async move { Download::start_ahead(&config, &uri, &options, ceiling).await };
            self.next = Some(AbortOnDropHandle::new(tokio::spawn(start)));
        }
        frame
    }

    /// The next object, which is the current one then; `None` where there is none.
    pub(crate) async fn next_object(&mut self) -> Option<Result<&Download>> {
        let (uri, rest) = self.rest.split_first()?;
        self.current.drained().await;
        let started = match self.next.take() {
            Some(started) => started.await.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Other, "a part of the download ended early").on(uri))
            }),
            None => Download::start_ahead(self.config, uri, self.options, self.current.ceiling()).await,
        };
        let download = match started {
            Ok(download) => download,
            Err(e) => return Some(Err(e)),
        };
        self.all_verified &= self.current.verified().is_some();
        self.before = self.bytes();
        self.spent = self.traffic();
        self.rest = rest;
        self.current = download;
        self.had = 0;
        Some(Ok(&self.current))
    }
}
