//! Why a run did not complete, on stderr and as the end of the process.

use std::io::Write;
use std::process::ExitCode;

use signal_hook::consts::SIGPIPE;

use crate::cli::interrupt::end_process_by;
use crate::error::Error;

/// The reason why a run did not complete, and how to continue it.
#[derive(Debug)]
pub(crate) struct RunError {
    pub(crate) cause: RunErrorCause,
    /// How it can be continued, as lines.
    pub(crate) continuation: Option<String>,
}

/// The reason why a run did not complete.
#[derive(Debug)]
pub(crate) enum RunErrorCause {
    /// An error.
    Failed(Error),
    /// The signal with this number.
    Interrupted(i32),
}

impl From<Error> for RunError {
    fn from(error: Error) -> Self {
        Self { cause: RunErrorCause::Failed(error), continuation: None }
    }
}

impl RunError {
    /// Reports the reason on stderr and returns the exit code. If the reason is a signal or a closed pipe it does not
    /// return, but ends the process by that signal, as `cat` ends: silently, except for how to continue.
    #[must_use]
    pub(crate) fn report(&self) -> ExitCode {
        let (text, exit_code, signal) = match &self.cause {
            RunErrorCause::Failed(error) if error.is_closed_pipe() => (String::new(), 0, Some(SIGPIPE)),
            RunErrorCause::Failed(error) => (format!("s3fcp: {error}\n"), error.exit_code(), None),
            RunErrorCause::Interrupted(signal) if self.continuation.is_some() => {
                ("s3fcp: interrupted\n".to_owned(), 0, Some(*signal))
            }
            RunErrorCause::Interrupted(signal) => (String::new(), 0, Some(*signal)),
        };
        let text = text + self.continuation.as_deref().unwrap_or("");
        // If stderr is full or closed, the exit code still says how the run ended.
        let _ = std::io::stderr().write_all(text.as_bytes());
        match signal {
            // Rust ignores SIGPIPE from the start, and the others are handled.
            Some(signal) => end_process_by(signal),
            None => ExitCode::from(exit_code),
        }
    }
}
