//! What is lent while a range is late: room beyond the window, and places for the ranges that it is for.
//!
//! Whoever finds a range late takes a loan and keeps it until that range is complete; those behind it go on
//! meanwhile. Where there is no reserve, nothing is lent.

use std::sync::Arc;

use super::Shared;

/// The reserve, lent; dropping it gives it back.
pub(super) struct Loan(Arc<Shared>);

impl Loan {
    /// Lends what there is.
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        shared.window.widen();
        shared.places.widen(shared.reserve_places);
        Self(Arc::clone(shared))
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.0.window.narrow();
        self.0.places.narrow(self.0.reserve_places);
    }
}
