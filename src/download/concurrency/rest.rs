//! How long what did not pay is not tried again: twice as long each time, so that a steady download settles.

use std::time::Duration;

const REST_MIN: Duration = Duration::from_secs(4);
const REST_MAX: Duration = Duration::from_mins(1);

/// The length of the next rest.
#[derive(Debug)]
pub(crate) struct Rest(Duration);

impl Default for Rest {
    fn default() -> Self {
        Self(REST_MIN)
    }
}

impl Rest {
    /// Returns how long to rest now.
    pub(crate) fn take(&mut self) -> Duration {
        let now = self.0;
        self.0 = (2 * now).min(REST_MAX);
        now
    }

    /// Returns whether there was none yet.
    pub(crate) fn is_first(&self) -> bool {
        self.0 == REST_MIN
    }
}
