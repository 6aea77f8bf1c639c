//! How the download of a run ended: its result, its figures, and the command that continues it.

use std::io::{self, Write as _};
use std::time::Duration;

use crate::cli::awaited;
use crate::cli::deliver::DeliveryOutcome;
use crate::cli::integrity_notes;
use crate::cli::invocation::Invocation;
use crate::cli::objects::{self, ObjectPlace, Objects};
use crate::cli::observers::Observers;
use crate::cli::outcome::{EndCause, RunEnd};
use crate::cli::progress::view::RunOutcome;
use crate::cli::report::format::Format;
use crate::cli::report::last_lines::RunFigures;
use crate::cli::report::stats::{EngineStats, Stats};
use crate::cli::resume::hint::ResumeHint;
use crate::cli::resume::stopped_download::{ListPosition, ResumableFiles, StoppedDownload, is_resumable};
use crate::cli::stop::{StopReason, out_of_time};
use crate::download::client::Client;
use crate::download::transfer_stats::TransferStats;
use crate::error::{Error, ErrorKind, Result};
use crate::output::stdout_path::stdout_file;
use crate::output::write_progress::WriteProgress;
use crate::s3::address::source::Source;

/// How a download ended, and what there is to report.
pub(crate) struct Ending {
    result: Result<DeliveryOutcome>,
    /// `None` without a first response.
    transfer: Option<TransferStats>,
    /// The limits that the run found or was given.
    engine: Option<EngineStats>,
    credentials_time: Option<Duration>,
    /// How it can be continued.
    resume: Option<ResumeHint>,
    /// An object that was not compared with a checksum although there may be one, and why.
    unverified: Option<(Source, &'static str)>,
}

impl Ending {
    /// Creates the ending of a run without figures, which ended before the first response.
    pub(crate) fn new(result: Result<DeliveryOutcome>) -> Self {
        Self { result, transfer: None, engine: None, credentials_time: None, resume: None, unverified: None }
    }

    /// Creates the ending of a run that was stopped before the first response, for which it was waiting, or for what
    /// else `awaited` names.
    pub(crate) fn stopped_early(by: StopReason, awaited: &str) -> Self {
        let stopped = Ok(DeliveryOutcome::Stopped { by, is_known: false });
        Self::new(unless_out_of_time(stopped, |_| awaited.to_owned()))
    }

    /// Creates the ending of the run that delivered `sequence`; `--continue` may resume from `files`.
    pub(crate) fn of_delivery(
        invocation: &Invocation,
        sequence: &Objects,
        result: Result<DeliveryOutcome>,
        files: ResumableFiles,
        client: &Client,
        delivery: &WriteProgress,
    ) -> Self {
        let unverified = sequence.unverified().filter(|_| result.is_ok());
        let resume = can_continue(invocation, sequence, &result, files)
            .then(|| resume_hint(invocation, sequence, &result, files, delivery))
            .flatten();
        let explained = result.map_err(|e| objects::explain_failed(invocation, sequence, e));
        Self {
            result: unless_out_of_time(explained, |is_written| {
                awaited::during_delivery(invocation, client, sequence, delivery, is_written)
            }),
            transfer: Some(sequence.traffic()),
            engine: Some(EngineStats { threads: sequence.threads(), window: sequence.window() }),
            credentials_time: client.origins().config.credentials.first_load_time(),
            resume,
            unverified,
        }
    }

    /// Ends the progress, prints the statistics for people, and returns what is left to report.
    pub(crate) fn report(
        self,
        invocation: &Invocation,
        observers: Observers,
        delivery: &WriteProgress,
    ) -> RunEnd {
        if let Some((source, why)) = &self.unverified {
            integrity_notes::unverified(source, why);
        }
        let (outcome, verdict) = match &self.result {
            Ok(DeliveryOutcome::Complete(verdict)) => (RunOutcome::Complete, Some(*verdict)),
            // The views show nothing else at the end.
            _ => (RunOutcome::Failed, None),
        };
        let progress = observers.finish(outcome);
        let has_begun = self.transfer.is_some() || self.result.is_ok();
        let stats = invocation.stats.map(|format| {
            let stats = Stats::collect(self.credentials_time, self.transfer, self.engine, verdict, delivery);
            if format == Format::Text && has_begun {
                // A stderr that is gone does not make a download fail.
                let _ = io::stderr().write_all(stats.text().as_bytes());
            }
            stats
        });
        let cause = match self.result {
            Ok(DeliveryOutcome::Stopped { by: StopReason::Signal(signal), .. }) => {
                EndCause::Interrupted(signal)
            }
            Ok(_) => EndCause::Complete,
            Err(error) => error.into(),
        };
        RunEnd::new(cause, self.resume, RunFigures { progress, stats })
    }
}

impl From<Error> for Ending {
    fn from(error: Error) -> Self {
        Self::new(Err(error))
    }
}

/// Turns the end of the time limit into an error with what was `awaited`, given whether no write was stuck.
fn unless_out_of_time(
    result: Result<DeliveryOutcome>,
    awaited: impl FnOnce(bool) -> String,
) -> Result<DeliveryOutcome> {
    match result {
        Ok(DeliveryOutcome::Stopped { by: StopReason::TimeLimit, is_known }) => {
            Err(out_of_time(&awaited(is_known)))
        }
        result => result,
    }
}

/// Returns whether a later run may continue where this one ended.
fn can_continue(
    invocation: &Invocation,
    sequence: &Objects,
    result: &Result<DeliveryOutcome>,
    files: ResumableFiles,
) -> bool {
    let has_files = files.are_some();
    match result {
        Ok(DeliveryOutcome::Complete(_)) => false,
        Ok(DeliveryOutcome::Stopped { is_known, .. }) => *is_known || has_files,
        // Where a list names something that is missing, the objects before it are whole, and so are the files before
        // it.
        Err(error)
            if (invocation.list.is_some() || files == ResumableFiles::Each)
                && sequence.failed().is_some() =>
        {
            error.kind() != ErrorKind::Output
        }
        Err(error) => {
            let keeps_bytes = has_files || (stdout_file().is_some() && invocation.target.is_stdout());
            is_resumable(error, keeps_bytes)
        }
    }
}

/// Returns how to continue the run; `None` if nothing was delivered yet, or nothing is left.
fn resume_hint(
    invocation: &Invocation,
    sequence: &Objects,
    result: &Result<DeliveryOutcome>,
    files: ResumableFiles,
    delivery: &WriteProgress,
) -> Option<ResumeHint> {
    let (download, request) = (sequence.current()?, sequence.request()?);
    let (rest, listed) = match (&invocation.list, &request.note.place) {
        (Some(list), ObjectPlace::Line(line)) => {
            let position = ListPosition {
                list,
                source: &request.source,
                line: *line,
                is_last: sequence.is_last(),
                is_rereadable: list.is_rereadable(),
                written: delivery.bytes(),
            };
            (&[][..], Some(position))
        }
        (_, ObjectPlace::Argument(number)) => (&invocation.sources[number + 1..], None),
        (None, ObjectPlace::Line(_)) => (&[][..], None),
    };
    let file = stdout_file().filter(|_| invocation.target.is_stdout());
    let stopped = StoppedDownload {
        invocation,
        info: download.info(),
        range: download.range(),
        delivered: delivery.bytes().saturating_sub(sequence.complete_bytes()),
        rest,
        listed,
        files,
        is_by_version: download.is_by_version(),
        is_interrupted: matches!(result, Ok(DeliveryOutcome::Stopped { .. })),
        file: file.as_deref(),
    };
    ResumeHint::of(&stopped)
}
