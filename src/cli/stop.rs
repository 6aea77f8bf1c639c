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

    /// Resolves when the run has to end, with what it is waiting for at that moment.
    pub(crate) async fn received_while(&self, awaited: impl FnOnce() -> String) -> (StopReason, String) {
        let by = self.received().await;
        (by, awaited())
    }
}

/// Returns the error of a run whose time is over while it was waiting for what `awaited` names.
pub(crate) fn out_of_time(awaited: &str) -> Error {
    Error::network(format!("the download did not finish within --max-time: it was waiting for {awaited}"))
}
