//! The interface between the thread that draws and what it draws: bars or lines.

use crate::cli::progress::snapshot::Snapshot;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunOutcome {
    /// Every byte was delivered.
    Complete,
    /// An error ended it.
    Failed,
    /// A signal ended it.
    Interrupted,
    /// The reader closed the pipe.
    BrokenPipe,
}

impl RunOutcome {
    /// Returns the value of `state` in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::BrokenPipe => "broken_pipe",
        }
    }
}

/// Shows progress. It belongs to the thread that draws.
pub(super) trait View: Send {
    /// Shows `now`; called ten times a second.
    fn draw(&mut self, now: &Snapshot);
    /// Draws for the last time. If an error message follows, it starts on a clean line.
    fn end(self: Box<Self>, now: &Snapshot, outcome: RunOutcome);
}
