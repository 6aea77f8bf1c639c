//! What is lent while a range is late: room beyond the window, and places for the ranges that it is for.
//!
//! Whoever finds a range late takes a loan and keeps it until that range is complete; those behind it go on
//! meanwhile. Where there is no reserve, nothing is lent.

use std::sync::Arc;

use crate::slots::Slots;
use crate::window::Window;

/// The reserve, lent; dropping it gives it back.
pub(super) struct Loan {
    window: Window,
    places: Arc<Slots>,
    extra: usize,
}

impl Loan {
    /// Lends the reserve of `window`, and as many `extra` places.
    pub(super) fn of(window: &Window, places: &Arc<Slots>, extra: usize) -> Self {
        window.widen();
        places.widen(extra);
        Self { window: window.clone(), places: Arc::clone(places), extra }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.window.narrow();
        self.places.narrow(self.extra);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn those_behind_go_on_until_the_last_loan_is_given_back() {
        let (window, places) = (Window::new(16, 16), Slots::new(2));
        let _full = (window.reserve(10, 14).await, places.acquire().await, places.acquire().await);
        let goes_on = || {
            let room = Box::pin(window.reserve(20, 14)).now_or_never();
            let place = Box::pin(places.acquire()).now_or_never();
            assert_eq!(room.is_some(), place.is_some());
            room.is_some()
        };
        assert!(!goes_on());
        let first = Loan::of(&window, &places, 1);
        let second = Loan::of(&window, &places, 1);
        assert!(goes_on());
        drop(first);
        assert!(goes_on());
        drop(second);
        assert!(!goes_on());
    }
}
