//! An object to stdout, with a callback that reports how far it is.
//!
//! `cargo run --example progress -- s3://bucket/key > file`.

use std::io::{self, Error, ErrorKind, Write};
use std::time::Duration;

use s3fcp::{Download, Meter, Options, Settings};
use tokio::time::{MissedTickBehavior, interval};

/// Often enough for eyes.
const TICK: Duration = Duration::from_millis(500);

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let Some(uri) = std::env::args().nth(1) else {
        return Err(Error::new(ErrorKind::InvalidInput, "usage: progress s3://bucket/key > file"));
    };
    let config = s3fcp::config::load(&Settings::default()).await?;
    let uri: s3fcp::S3Uri = uri.parse()?;
    let download = Download::start(&config, &uri, &Options::default()).await?;
    copy(download, io::stdout(), |meter| {
        let total = meter.total().map_or_else(|| "unknown".to_owned(), |total| total.to_string());
        eprintln!("{} of {total} bytes, {} retries", meter.yielded(), meter.retries());
    })
    .await
}

/// Writes the object to `out`, and calls `report` at the beginning, every [`TICK`] and at the end: also while nothing
/// comes, which is when people want to know.
pub(crate) async fn copy(
    mut download: Download,
    mut out: impl Write,
    mut report: impl FnMut(&Meter),
) -> io::Result<()> {
    let meter = download.meter();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    report(&meter);
    loop {
        tokio::select! {
            _ = tick.tick() => report(&meter),
            // To give up waiting for a frame loses none of it.
            frame = download.next_frame() => match frame {
                // A frame counts against the memory that the download may hold until it is dropped, so that a slow
                // `out` slows the download, and nothing piles up.
                Some(frame) => out.write_all(&frame?)?,
                None => break,
            },
        }
    }
    out.flush()?;
    report(&meter);
    Ok(())
}
