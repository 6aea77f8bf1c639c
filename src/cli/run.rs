//! What an [`Invocation`] does: describe objects, or download them; and how the process then ends.
//!
//! It gets validated options and joins the parts: configuration, download, sink, progress, figures. All
//! that is decided lies in those.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use signal_hook::consts::SIGPIPE;
use signal_hook::low_level::emulate_default_handler;

use crate::cli::args::Invocation;
use crate::cli::deliver::{DeliveryOutcome, deliver};
use crate::cli::interrupt::Interrupt;
use crate::cli::log;
use crate::cli::progress::{Progress, ProgressMode, RunOutcome};
use crate::cli::report::format::Format;
use crate::cli::report::info;
use crate::cli::report::stats::Stats;
use crate::cli::resume_hint::{self, ResumeHint};
use crate::cli::transfer;
use crate::config;
use crate::config::settings::Config;
use crate::download::pending_head::inspect;
use crate::download::stream::Download;
use crate::error::{Error, ErrorKind, Result};
use crate::output::sink::Sink;
use crate::output::stdout_path::stdout_file;
use crate::output::target::Destination;
use crate::output::written::WriteProgress;

/// Why a run did not reach its end, and what is to be told of it.
#[derive(Debug)]
pub(crate) struct RunError {
    cause: RunErrorCause,
    /// How it can be continued, as lines.
    continuation: Option<String>,
}

#[derive(Debug)]
enum RunErrorCause {
    Failed(Error),
    /// By this signal.
    Interrupted(i32),
}

/// Runs `invocation`, of a process that began at `began`.
pub(crate) async fn run(invocation: &Invocation, began: Instant) -> Result<(), RunError> {
    log::start(invocation.verbosity)?;
    let mut settings = invocation.settings.clone();
    // Whose URL it is has signed it, if anybody: for URLs alone no credentials are looked for.
    settings.no_sign_request |= invocation.uris.iter().all(|uri| uri.url().is_some());
    let config = config::load(&settings).await?;
    if let Some(format) = invocation.info {
        return Ok(describe(invocation, &config, format).await?);
    }
    let (uris, target) = (&invocation.uris, &invocation.target);
    let Some(mut sink) = Sink::open(target, uris, invocation.download.range)? else { return Ok(()) };
    let mut sequence = match transfer::begin(invocation, &config, &mut sink).await {
        Ok(sequence) => sequence,
        Err(e) => {
            sink.abandon(false);
            return Err(e.into());
        }
    };
    let delivery = Arc::new(WriteProgress::since(began));
    let to_stdout = matches!(target, Destination::Stdout { .. });
    let show = if invocation.quiet { ProgressMode::Off } else { invocation.progress };
    // Those before the first one were complete when the run began.
    let objects = 1 + sequence.rest().len();
    let mut progress = Progress::new(show, objects, to_stdout, Arc::clone(&delivery));
    let mut object_begins =
        |download: &Download, had| progress.begin(download.source(), had, download.meter());
    object_begins(sequence.current(), sequence.had());
    let next = |download: &Download| object_begins(download, 0);
    let ended = deliver(&mut sequence, &mut sink, &delivery, interrupted(), next).await;
    let can_be_resumed = sink.can_be_resumed();
    let ended = finish(sink, ended);
    progress.finish(match &ended {
        Ok(DeliveryOutcome::Complete) => RunOutcome::Complete,
        Ok(DeliveryOutcome::Interrupted { .. }) => RunOutcome::Interrupted,
        Err(error) if error.is_closed_pipe() => RunOutcome::BrokenPipe,
        Err(_) => RunOutcome::Failed,
    });
    if let Some(format) = invocation.stats {
        let (traffic, verified) = (sequence.traffic(), sequence.verified());
        let took = config.credentials.first_load_time();
        let stats = Stats::collect(took, traffic, verified, &delivery);
        // They are for looking at: a stderr that is gone does not make a download fail.
        let _ = std::io::stderr().write_all(stats.render(format).as_bytes());
    }
    let (cause, can_continue) = match ended {
        Ok(DeliveryOutcome::Complete) => return Ok(()),
        Ok(DeliveryOutcome::Interrupted { signal, is_known }) => {
            (RunErrorCause::Interrupted(signal), is_known || can_be_resumed)
        }
        Err(error) => {
            let source = sequence.asked_for(delivery.bytes());
            let can_continue = resume_hint::is_resumable(&error, source, can_be_resumed);
            (RunErrorCause::Failed(error), can_continue)
        }
    };
    let file = stdout_file();
    let download = sequence.current();
    let partial = ResumeHint {
        invocation,
        info: download.info(),
        range: download.range(),
        delivered: delivery.bytes().saturating_sub(sequence.before()),
        rest: sequence.rest(),
        can_be_resumed,
        is_by_version: download.is_by_version(),
        is_interrupted: matches!(cause, RunErrorCause::Interrupted(_)),
        file: file.as_deref(),
    };
    let continuation = can_continue.then(|| partial.message()).flatten();
    Err(RunError { cause, continuation })
}

/// Describes the objects, one after the other.
async fn describe(invocation: &Invocation, config: &Config, format: Format) -> Result<()> {
    for uri in &invocation.uris {
        let object = inspect(config, uri, &invocation.download).await?;
        let text = info::render(uri, &object, format);
        std::io::stdout().write_all(text.as_bytes()).map_err(Error::output)?;
    }
    Ok(())
}

/// Brings what was delivered to its end, or leaves it where a later run finds it.
fn finish(sink: Sink, ended: Result<DeliveryOutcome>) -> Result<DeliveryOutcome> {
    match ended {
        Ok(DeliveryOutcome::Complete) => sink.finish().and(ended),
        Err(error) if error.kind() == ErrorKind::Integrity && sink.is_part() => {
            sink.abandon(true);
            Err(error
                .with_better_hint("the file was not made, and its bytes are thrown away: download it again"))
        }
        _ => {
            sink.abandon(false);
            ended
        }
    }
}

/// The number of the signal that interrupts the process. Where it cannot be waited for, the system does what it
/// does by itself: the process ends.
async fn interrupted() -> i32 {
    match Interrupt::watch() {
        Ok(interrupt) => interrupt.received().await,
        Err(_) => std::future::pending().await,
    }
}

impl From<Error> for RunError {
    fn from(error: Error) -> Self {
        Self { cause: RunErrorCause::Failed(error), continuation: None }
    }
}

impl RunError {
    /// Tells why on stderr and gives the exit code; where a signal is the reason it does not return, but ends
    /// the process by that signal, as `cat` ends: silently, but for how to continue.
    #[must_use]
    pub(crate) fn report(&self) -> ExitCode {
        let signal = match &self.cause {
            RunErrorCause::Failed(error) if error.is_closed_pipe() => Some(SIGPIPE),
            RunErrorCause::Failed(_) => None,
            RunErrorCause::Interrupted(signal) => Some(*signal),
        };
        let what = match (&self.cause, &self.continuation) {
            (RunErrorCause::Failed(error), _) if signal.is_none() => format!("s3fcp: {error}\n"),
            (RunErrorCause::Interrupted(_), Some(_)) => "s3fcp: interrupted\n".to_owned(),
            _ => String::new(),
        };
        let text = what + self.continuation.as_deref().unwrap_or("");
        // Where stderr is full or closed the exit code still tells.
        let _ = std::io::stderr().write_all(text.as_bytes());
        match (signal, &self.cause) {
            (Some(signal), _) => {
                // Rust ignores SIGPIPE from the start, and the others are watched.
                let _ = emulate_default_handler(signal);
                ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
            }
            (None, RunErrorCause::Failed(error)) => ExitCode::from(error.exit_code()),
            (None, RunErrorCause::Interrupted(_)) => ExitCode::FAILURE,
        }
    }
}
