//! How long what did not pay is not tried again: twice as long each time, so that a steady download settles.

use std::time::Duration;

const BACKOFF_MIN: Duration = Duration::from_secs(4);
const BACKOFF_MAX: Duration = Duration::from_mins(1);

/// The time for which the next trial that fails keeps others away.
#[derive(Debug)]
pub(crate) struct TrialBackoff(Duration);

impl Default for TrialBackoff {
    fn default() -> Self {
        Self(BACKOFF_MIN)
    }
}

impl TrialBackoff {
    /// Returns how long to wait now, and doubles it for the next time.
    pub(crate) fn take(&mut self) -> Duration {
        let now = self.0;
        self.0 = (2 * now).min(BACKOFF_MAX);
        now
    }

    /// Returns whether no trial has failed yet.
    pub(crate) fn is_first(&self) -> bool {
        self.0 == BACKOFF_MIN
    }
}
