//! A download: discovery, the plan of chunks, a fetch for each, and one ordered stream of bytes.
//!
//! It gets a configuration and a URI and hands on frames in the object's order. The HEAD and the first
//! ranged GET leave together; the first GET's response tells the size and pins the version, and its body
//! is the first chunk. Memory stays inside the window whatever the consumer does.

mod discovery;
mod head;

pub use head::inspect;

use std::collections::VecDeque;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, stream};

use self::head::HeadTask;
use crate::config::Config;
use crate::endpoint::AddressingStyle;
use crate::error::Result;
use crate::fetch::{self, RangeFrames, Shared};
use crate::frame::Frame;
use crate::range::{ByteRange, plan};
use crate::response::ObjectInfo;
use crate::uri::S3Uri;

/// How a download is made. The defaults suit S3: 16 chunks of 8 MiB at once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The version to download; the latest where `None`.
    pub version_id: Option<String>,
    /// How many ranges are fetched at once.
    pub concurrency: NonZeroUsize,
    /// The size of a range, in bytes; at most [`Options::CHUNK_SIZE_MAX`].
    pub chunk_size: NonZeroU64,
    /// Tries in a row that bring no new byte; where `None`, 4 before the first byte and 10 after it.
    pub max_attempts: Option<NonZeroU32>,
    /// How the bucket is addressed.
    pub addressing_style: AddressingStyle,
}

impl Options {
    /// The default of [`Options::concurrency`].
    pub const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(16).unwrap();
    /// The default of [`Options::chunk_size`]: 8 MiB.
    pub const CHUNK_SIZE: NonZeroU64 = NonZeroU64::new(8 << 20).unwrap();
    /// The largest chunk: 1 GiB. A larger one would only delay the bytes behind it.
    pub const CHUNK_SIZE_MAX: u64 = 1 << 30;
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version_id: None,
            concurrency: Self::CONCURRENCY,
            chunk_size: Self::CHUNK_SIZE,
            max_attempts: None,
            addressing_style: AddressingStyle::Auto,
        }
    }
}

/// What frames that go on without a copy may pin beyond their own bytes: half a read buffer each, for
/// those in the lane and in the sink, and one slab half used.
const PINNED: u64 = 2 << 20;

/// An object on its way, in order: frames that count against the window ([`Download::next_frame`]), or
/// a plain [`Stream`] of bytes. Dropping it ends all its requests.
pub struct Download {
    shared: Arc<Shared>,
    info: ObjectInfo,
    /// Ranges that wait for their room; each resolves, in order, once its fetch is under way.
    waiting: BoxStream<'static, RangeFrames>,
    /// Fetches under way; the first one is the head of the line.
    under_way: VecDeque<RangeFrames>,
    failed: bool,
    head: HeadTask,
}

impl Download {
    /// Asks for `uri` and returns when the first response shows what the object is. Must be called in
    /// a tokio runtime with I/O and time enabled, as must everything else of a download.
    pub async fn start(config: &Config, uri: &S3Uri, options: &Options) -> Result<Self> {
        let chunk = options.chunk_size.get().min(Options::CHUNK_SIZE_MAX);
        let concurrency = options.concurrency.get();
        let shared = Arc::new(discovery::shared(config, uri, options, chunk)?);
        let started = discovery::start(&shared, chunk).await.map_err(|e| e.on(uri))?;
        let first_end = started.first_end;
        let rest = plan(ByteRange::new(first_end, started.info.size), chunk);
        let fetches = Arc::clone(&shared);
        let waiting = stream::iter(rest)
            .map(move |range| open(Arc::clone(&fetches), range))
            .buffered(concurrency)
            .boxed();
        let under_way = started.first.into_iter().collect();
        Ok(Self { shared, info: started.info, waiting, under_way, failed: false, head: started.head })
    }

    /// What the first response said of the object.
    #[must_use]
    pub fn info(&self) -> &ObjectInfo {
        &self.info
    }

    /// The object that is downloaded.
    #[must_use]
    pub fn uri(&self) -> &S3Uri {
        self.shared.client.uri()
    }

    /// The next bytes of the object, in order; `None` behind the last one. After an error no more bytes
    /// come. Cancel safe.
    pub async fn next_frame(&mut self) -> Option<Result<Frame>> {
        std::future::poll_fn(|cx| self.poll_frame(cx)).await
    }

    /// What HEAD said, its checksums included; `None` where HEAD failed or saw another version of the
    /// object than the one that is downloaded. Waits for its response.
    pub async fn details(&mut self) -> Option<ObjectInfo> {
        let details = self.head.result().await?;
        (details.etag == self.info.etag && details.size == self.info.size).then_some(details)
    }

    /// Requests sent, connections opened and body bytes received so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.shared.client.requests(),
            connections: self.shared.client.connections(),
            fetched: self.shared.fetched.load(Ordering::Relaxed),
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        // What has room starts first: the head of the line may take long.
        let all_started = loop {
            match self.waiting.poll_next_unpin(cx) {
                Poll::Ready(Some(range)) => self.under_way.push_back(range),
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
        };
        while !self.failed
            && let Some(head) = self.under_way.front_mut()
        {
            match head.poll_frame(cx) {
                Poll::Ready(None) => drop(self.under_way.pop_front()),
                Poll::Ready(Some(Ok(frame))) => return Poll::Ready(Some(Ok(frame))),
                Poll::Ready(Some(Err(e))) => {
                    self.failed = true;
                    self.under_way.clear();
                    return Poll::Ready(Some(Err(e.on(self.uri()))));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.failed || all_started { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// What a download cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Requests sent, every try counted.
    pub requests: u64,
    /// Connections opened.
    pub connections: u64,
    /// Body bytes received.
    pub fetched: u64,
}

/// Waits for the range's room, in its turn, and starts to fetch it.
async fn open(shared: Arc<Shared>, range: ByteRange) -> RangeFrames {
    // At most Options::CHUNK_SIZE_MAX.
    let room = shared.window.reserve(u32::try_from(range.len()).unwrap_or(u32::MAX)).await;
    fetch::spawn(&shared, range, room, None)
}

/// The bytes alone: each item is the consumer's own from the moment it is yielded, and no longer counts
/// against the window.
impl Stream for Download {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        self.poll_frame(cx).map(|next| next.map(|frame| frame.map(Frame::into_bytes)))
    }
}
