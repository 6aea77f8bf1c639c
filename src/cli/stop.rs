//! What may end a run from outside, before it is complete: a signal, or the limit of `--max-time`.

use tokio::time::Instant;

use crate::cli::interrupt::Interrupt;
use crate::error::Error;

/// The reason for which a run ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// A signal, by its number.
    Signal(i32),
    /// The limit of `--max-time`.
    TimeLimit,
}

/// The signals and the time limit of a run.
#[derive(Debug)]
pub(crate) struct StopRequest<'a> {
    interrupt: &'a Interrupt,
    /// When `--max-time` is over.
    deadline: Option<Instant>,
}

impl<'a> StopRequest<'a> {
    pub(crate) fn new(interrupt: &'a Interrupt, deadline: Option<Instant>) -> Self {
        Self { interrupt, deadline }
    }

    /// Resolves when the run has to end.
    pub(crate) async fn received(&self) -> StopReason {
        let time_limit = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            signal = self.interrupt.received() => StopReason::Signal(signal),
            () = time_limit => StopReason::TimeLimit,
        }
    }
}

/// Returns the error of a run whose time is over.
pub(crate) fn out_of_time() -> Error {
    Error::network("the download did not finish within --max-time")
}
