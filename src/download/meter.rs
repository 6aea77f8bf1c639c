//! How far a download is, for who embeds it: a handle on its counters that goes its own way.
//!
//! It gets the counters of one download and hands on numbers. It keeps neither the download nor its connections alive,
//! and slows nothing: a number is one atomic that is read.

use std::sync::Arc;

use crate::download::counters::Counters;

/// Shows how far a [`Download`](crate::Download) is, from any thread, as often as one likes: while it is read, and when
/// it has been moved into a decoder or dropped.
///
/// ```
/// use std::time::Duration;
///
/// use s3fcp::{Download, Meter};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> s3fcp::Result<()> {
/// # let server = s3server::Server::builder().anonymous().start();
/// # server.put("bucket", "key", vec![7; 9_000_000]);
/// # let settings = s3fcp::Settings { endpoint: Some(server.endpoint()), no_sign_request: true, ..Default::default() };
/// # let config = s3fcp::config::load(&settings).await?;
/// # let uri: s3fcp::S3Uri = "s3://bucket/key".parse()?;
/// let mut download = Download::start(&config, &uri, &s3fcp::Options::default()).await?;
/// let meter = download.meter();
/// let report = |meter: &Meter| eprintln!("{} of {} bytes", meter.yielded(), meter.total());
///
/// let mut tick = tokio::time::interval(Duration::from_millis(500));
/// loop {
///     tokio::select! {
///         // Also while nothing comes: a callback for each piece would be silent then.
///         _ = tick.tick() => report(&meter),
///         frame = download.next_frame() => match frame {
///             Some(frame) => drop(frame?), // Do something with the bytes.
///             None => break,
///         },
///     }
/// }
/// report(&meter);
/// # assert_eq!((meter.yielded(), meter.total()), (9_000_000, 9_000_000));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Meter {
    counters: Arc<Counters>,
    total: u64,
}

impl Meter {
    pub(crate) fn new(counters: Arc<Counters>, total: u64) -> Self {
        Self { counters, total }
    }

    /// The bytes that are to be delivered: all of the object, or those of its range.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The bytes that the consumer has taken, at most [`total`](Self::total).
    #[must_use]
    pub fn yielded(&self) -> u64 {
        self.counters.yielded()
    }

    /// The body bytes that were received: those that wait for the consumer, or came twice, included.
    #[must_use]
    pub fn fetched(&self) -> u64 {
        self.counters.fetched()
    }

    /// Tries of ranges that failed and were made again. While it grows and [`yielded`](Self::yielded) does not, the
    /// server or the network is in trouble.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.counters.retries()
    }

    /// Requests for what was left of a range that was late.
    #[must_use]
    pub fn hedges(&self) -> u64 {
        self.counters.hedges()
    }
}
