//! What an [`Invocation`] does: describe an object, or download it to stdout.
//!
//! It gets validated options and joins the parts: configuration, download, sink, progress, figures. All
//! that is decided lies in those.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use crate::cli::Invocation;
use crate::download::{Download, inspect};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::sink::{self, Delivery};
use crate::stats::Stats;
use crate::{config, info};

/// Runs `invocation`, of a process that began at `began`.
pub async fn run(invocation: &Invocation, began: Instant) -> Result<()> {
    let config = config::load(&invocation.settings).await?;
    if let Some(format) = invocation.info {
        let object = inspect(&config, &invocation.uri, &invocation.download).await?;
        let text = info::render(&invocation.uri, &object, format);
        return std::io::stdout().write_all(text.as_bytes()).map_err(Error::output);
    }
    let delivery = Arc::new(Delivery::since(began));
    let mut progress = Progress::new(invocation.quiet, Arc::clone(&delivery));
    let mut download = Download::start(&config, &invocation.uri, &invocation.download).await?;
    let range = download.range();
    progress.start(range.end - range.start, &invocation.uri.to_string());
    let result = sink::to_stdout(&mut download, &delivery).await;
    match result {
        Ok(()) => progress.finish(),
        Err(_) => progress.abandon(),
    }
    if let Some(format) = invocation.stats {
        let stats = Stats::collect(began.elapsed(), download.traffic(), &delivery);
        // They are for looking at: a stderr that is gone does not make a download fail.
        let _ = std::io::stderr().write_all(stats.render(format).as_bytes());
    }
    result
}
