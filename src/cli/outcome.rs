//! The end of a run: the message on stderr, then the lines for programs, which nothing follows, then the process's end
//! by an exit code or a signal. Every run ends here, whatever ended it.

use std::process::ExitCode;
use std::sync::Arc;

use signal_hook::consts::SIGPIPE;

use crate::cli::interrupt::end_process_by;
use crate::cli::progress::view::RunOutcome;
use crate::cli::report::end::{EndReport, ErrorReport};
use crate::cli::report::last_lines::{LastLines, RunFigures};
use crate::cli::resume::hint::ResumeHint;
use crate::cli::stderr;
use crate::error::{Error, ErrorKind};
use crate::output::write_progress::WriteProgress;

/// How a run ended, and what there is to report.
#[derive(Debug)]
pub(crate) struct RunEnd {
    cause: EndCause,
    /// How it can be continued, if it can.
    resume: Option<ResumeHint>,
    /// The figures of the run; `None` if it had not begun.
    figures: Option<Box<RunFigures>>,
}

/// The cause of the end of a run.
#[derive(Debug)]
pub(crate) enum EndCause {
    /// All was done.
    Complete,
    /// An error.
    Failed(Error),
    /// A command line that cannot be parsed.
    Refused(clap::Error),
    /// The signal with this number.
    Interrupted(i32),
}

impl From<Error> for EndCause {
    fn from(error: Error) -> Self {
        const NEW_OBJECT_HINT: &str = "run the command again from the beginning to download the new object";
        match error.kind() {
            ErrorKind::Changed => Self::Failed(error.with_hint(NEW_OBJECT_HINT)),
            _ => Self::Failed(error),
        }
    }
}

impl From<Error> for RunEnd {
    fn from(error: Error) -> Self {
        Self::from(EndCause::from(error))
    }
}

impl From<EndCause> for RunEnd {
    fn from(cause: EndCause) -> Self {
        Self { cause, resume: None, figures: None }
    }
}

impl RunEnd {
    /// Creates the end of a run that had begun.
    pub(crate) fn new(cause: EndCause, resume: Option<ResumeHint>, figures: RunFigures) -> Self {
        Self { cause, resume, figures: Some(Box::new(figures)) }
    }

    /// Reports the end on stderr and returns the exit code. If the cause is a signal or a closed pipe it does not
    /// return, but ends the process by that signal, as `cat` ends: silently, except for how to continue.
    #[must_use]
    pub(crate) fn finish(self, lines: LastLines, delivery: &Arc<WriteProgress>) -> ExitCode {
        self.report(lines, delivery);
        match self.signal() {
            // Rust ignores SIGPIPE from the start, and the others are handled.
            Some(signal) => end_process_by(signal),
            None => ExitCode::from(self.exit_code()),
        }
    }

    /// Writes all there is to report, in one piece. If stderr is full or closed, the exit code still says how the run
    /// ended.
    pub(crate) fn report(&self, lines: LastLines, delivery: &Arc<WriteProgress>) {
        let mut text = self.message();
        if lines.is_any() {
            let figures = self.figures.as_deref().cloned();
            let figures = figures.unwrap_or_else(|| RunFigures::without_run(delivery));
            text += &figures.lines(lines, self.outcome(), &self.end());
        }
        stderr::write_last(text.as_bytes());
    }

    fn message(&self) -> String {
        let message = match &self.cause {
            EndCause::Failed(error) if !error.is_closed_pipe() => format!("s3fcp: {error}\n"),
            // clap begins with "error: ". Every message of this program begins with its name.
            EndCause::Refused(refusal) => refusal.render().to_string().replacen("error: ", "s3fcp: ", 1),
            EndCause::Interrupted(_) if self.resume.is_some() => "s3fcp: interrupted\n".to_owned(),
            _ => String::new(),
        };
        message + self.resume.as_ref().map_or("", |resume| &resume.message)
    }

    fn outcome(&self) -> RunOutcome {
        match &self.cause {
            EndCause::Complete => RunOutcome::Complete,
            EndCause::Interrupted(_) => RunOutcome::Interrupted,
            EndCause::Failed(error) if error.is_closed_pipe() => RunOutcome::BrokenPipe,
            EndCause::Failed(_) | EndCause::Refused(_) => RunOutcome::Failed,
        }
    }

    /// Describes the end for programs.
    fn end(&self) -> EndReport {
        let error = match &self.cause {
            EndCause::Failed(error) if !error.is_closed_pipe() => Some(ErrorReport::from(error)),
            EndCause::Refused(refusal) => Some(ErrorReport::from(refusal)),
            _ => None,
        };
        let resume = self.resume.as_ref().and_then(|resume| resume.words.clone());
        EndReport { exit_code: self.exit_code(), error, resume }
    }

    /// Returns the exit status that a shell shows.
    fn exit_code(&self) -> u8 {
        match (&self.cause, self.signal()) {
            (_, Some(signal)) => u8::try_from(128 + signal).unwrap_or(1),
            (EndCause::Failed(error), _) => error.exit_code(),
            (EndCause::Refused(refusal), _) => u8::try_from(refusal.exit_code()).unwrap_or(2),
            _ => 0,
        }
    }

    fn signal(&self) -> Option<i32> {
        match &self.cause {
            EndCause::Interrupted(signal) => Some(*signal),
            EndCause::Failed(error) if error.is_closed_pipe() => Some(SIGPIPE),
            _ => None,
        }
    }
}
