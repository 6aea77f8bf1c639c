//! What a download, or several of them, cost.

use std::ops::Add;

/// The cost of a download so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferStats {
    /// Requests sent, every attempt counted.
    pub requests: u64,
    /// Connections opened.
    pub connections: u64,
    /// Body bytes received.
    pub fetched: u64,
    /// Attempts that failed and were made again.
    pub retries: u64,
    /// Second requests for the rest of a range that was late.
    pub hedges: u64,
    /// Second requests that were faster than the first.
    pub hedges_won: u64,
    /// Answers that asked for fewer requests.
    pub throttled: u64,
    /// The most ranges fetched at the same time.
    pub concurrency: usize,
}

/// Adds the costs of two downloads, one after the other.
impl Add for TransferStats {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            connections: self.connections + other.connections,
            fetched: self.fetched + other.fetched,
            retries: self.retries + other.retries,
            hedges: self.hedges + other.hedges,
            hedges_won: self.hedges_won + other.hedges_won,
            throttled: self.throttled + other.throttled,
            concurrency: self.concurrency.max(other.concurrency),
        }
    }
}
