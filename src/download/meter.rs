//! A view of the progress of a download, for a program that embeds it.
//!
//! It shares the counters of one download. It keeps neither the download nor its connections alive, and reading a number is
//! one atomic load.

use std::sync::Arc;

use crate::download::counters::Counters;

/// Shows the progress of a [`Download`](crate::Download), from any thread and at any time: while it is read, and after it was
/// moved into a decoder or dropped.
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
/// # let mut settings = s3fcp::Settings::default();
/// # (settings.endpoint, settings.no_sign_request) = (Some(server.endpoint()), true);
/// # let config = s3fcp::config::load(&settings).await?;
/// # let uri: s3fcp::S3Uri = "s3://bucket/key".parse()?;
/// let mut download = Download::start(&config, &uri, &s3fcp::Options::default()).await?;
/// let meter = download.meter();
/// let report = |meter: &Meter| eprintln!("{} of {:?} bytes", meter.yielded(), meter.total());
///
/// let mut tick = tokio::time::interval(Duration::from_millis(500));
/// loop {
///     tokio::select! {
///         // Also while nothing comes, when a callback for each piece would be silent.
///         _ = tick.tick() => report(&meter),
///         frame = download.next_frame() => match frame {
///             Some(frame) => drop(frame?), // Do something with the bytes.
///             None => break,
///         },
///     }
/// }
/// report(&meter);
/// # assert_eq!((meter.yielded(), meter.total()), (9_000_000, Some(9_000_000)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Meter {
    counters: Arc<Counters>,
}

impl Meter {
    pub(crate) fn new(counters: Arc<Counters>) -> Self {
        Self { counters }
    }

    /// Returns the number of bytes to deliver: those of the object, or of the requested range. `None` until the end of an
    /// object whose size the server does not show.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        Some(self.counters.expected()).filter(|total| *total != u64::MAX)
    }

    /// Returns the bytes that the consumer has taken, at most [`total`](Self::total).
    #[must_use]
    pub fn yielded(&self) -> u64 {
        self.counters.yielded()
    }

    /// Returns the body bytes received, including those that wait for the consumer or came twice.
    #[must_use]
    pub fn fetched(&self) -> u64 {
        self.counters.fetched()
    }

    /// Returns the attempts that failed and were made again. While it grows and [`yielded`](Self::yielded) does not, the server
    /// or the network is in trouble.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.counters.retries()
    }

    /// Returns the second requests for the rest of a range that was late.
    #[must_use]
    pub fn hedges(&self) -> u64 {
        self.counters.hedges()
    }
}
