//! The budget of second requests: how many a download may send, and how many bytes may come twice.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::download::options::Hedge;

/// Hedges that may be lost, whatever the size of the object.
const LOST_HEDGES_ALLOWED: u64 = 4;
/// Beyond those, hedges for one in so many of the object's requests, and of its bytes, may be lost.
const HEDGE_BUDGET_DIVISOR: u64 = 20;
/// Hedges that a hedge earns by winning: its own, and one more, because there are stragglers.
const EARNED_BY_WINNING: u64 = 2;

/// How much hedging a download may do. Hedges that lose spend the budget, those that win add to it.
#[derive(Debug)]
pub(crate) struct HedgeBudget {
    mode: Hedge,
    spent: Mutex<HedgesSpent>,
}

#[derive(Debug, Default)]
struct HedgesSpent {
    hedges: u64,
    /// Bytes that may come twice, or did.
    bytes: u64,
}

impl HedgeBudget {
    /// Creates a budget of which nothing is spent.
    pub(crate) fn new(mode: Hedge) -> Self {
        Self { mode, spent: Mutex::default() }
    }

    /// Returns whether there is no hedging.
    pub(crate) fn is_off(&self) -> bool {
        self.mode == Hedge::Off
    }

    /// Spends a hedge that may bring `bytes` twice, of an object of `size` bytes that needs `requests`; `false` if the
    /// budget does not allow it.
    pub(crate) fn spend(&self, bytes: u64, size: u64, requests: u64) -> bool {
        if self.is_off() {
            return false;
        }
        let mut spent = self.spent();
        let is_within = spent.hedges < requests / HEDGE_BUDGET_DIVISOR
            && spent.bytes.saturating_add(bytes) <= size / HEDGE_BUDGET_DIVISOR;
        let is_allowed = spent.hedges < LOST_HEDGES_ALLOWED || is_within;
        if is_allowed {
            spent.hedges += 1;
            spent.bytes = spent.bytes.saturating_add(bytes);
        }
        is_allowed
    }

    /// Returns whether more hedges were spent than `requests` allow.
    pub(crate) fn is_scarce(&self, requests: u64) -> bool {
        self.spent().hedges > requests / HEDGE_BUDGET_DIVISOR + 1
    }

    /// Adds to the budget for a hedge that won.
    pub(crate) fn won(&self) {
        let mut spent = self.spent();
        spent.hedges = spent.hedges.saturating_sub(EARNED_BY_WINNING);
    }

    /// Returns `bytes` of a hedge to the budget, which did not come twice after all.
    pub(crate) fn refund(&self, bytes: u64) {
        let mut spent = self.spent();
        spent.bytes = spent.bytes.saturating_sub(bytes);
    }

    fn spent(&self) -> MutexGuard<'_, HedgesSpent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn hedges_that_win_earn_more_and_those_that_lose_spend_the_budget() {
        let size = 1024 * MIB;
        for (wins_of_ten, least, most) in
            [(10, 1000, 1000), (9, 1000, 1000), (5, 200, 1000), (2, 14, 40), (0, 12, 12)]
        {
            let budget = HedgeBudget::new(Hedge::Auto);
            let hedge = |n: &u64| {
                let is_allowed = budget.spend(MIB, size, 256);
                budget.refund(if is_allowed { MIB } else { 0 });
                if is_allowed && n % 10 < wins_of_ten {
                    budget.won();
                }
                is_allowed
            };
            let allowed = (0..1000).take_while(hedge).count();
            assert!((least..=most).contains(&allowed), "{allowed} with {wins_of_ten} wins of ten");
        }
    }

    #[test]
    fn a_budget_of_five_percent_but_always_four() {
        let count = |budget: &HedgeBudget, size: u64| {
            (0..1000).filter(|_| budget.spend(MIB, size, size / (4 * MIB))).count()
        };
        assert_eq!(count(&HedgeBudget::new(Hedge::Auto), 10 * MIB), 4);
        assert_eq!(count(&HedgeBudget::new(Hedge::Auto), 1024 * MIB), 12);
        assert_eq!(count(&HedgeBudget::new(Hedge::Off), 1024 * MIB), 0);
        let spent = HedgeBudget::new(Hedge::Auto);
        assert_eq!(count(&spent, 1024 * MIB), 12);
        assert!(spent.is_scarce(4 * HEDGE_BUDGET_DIVISOR) && !spent.is_scarce(11 * HEDGE_BUDGET_DIVISOR));
        // Bytes count too, until they turn out not to have come.
        let bytes = HedgeBudget::new(Hedge::Auto);
        assert!((0..4).all(|_| bytes.spend(20 * MIB, 1024 * MIB, 1024)));
        assert!(!bytes.spend(MIB, 1024 * MIB, 1024));
        bytes.refund(60 * MIB);
        assert!(bytes.spend(MIB, 1024 * MIB, 1024));
    }
}
