//! How many connections are tried first: few where the link may be slow, because most of them would be cancelled.

use std::time::Duration;

use crate::download::concurrency::controller::first_look::FirstRate;
use crate::download::concurrency::controller::speed::MIB;
use crate::download::concurrency::controller::trial::Trial;

/// The rate of one connection, in bytes a second, below which it may be the link that is slow: a first trial is one of few
/// connections, and where it passed, one of as many as its rate affords follows immediately. S3 gives 85 MiB/s and more.
const SLOW_LINK_RATE_MAX: f64 = 64.0 * MIB;
/// A rate below this part of that with the first bytes is falling, because a burst of a slow link is about to end.
const BURST_SHARE: f64 = 0.7;
/// Connections in a first trial on what may be a slow link. Of 15 to 45, on links of 100 and 300 Mbit/s, all but one
/// were closed.
pub(super) const FIRST_TRIAL_CONNECTIONS: usize = 4;
/// From this latency on, waiting for the end of a trial of few would cost too much (1.14x the time of 512 MiB at 120 ms
/// and 40 MiB/s a connection): the other requests leave so much later than those of the trial that their responses come
/// when it was judged. Where it failed, they are cancelled before they bring a byte. Eighty that responded at the same
/// time overflowed the queue of a link of 1 Gbit/s, and left the reader 0.2 of curl's bytes after 0.5 s and 0.1 after
/// 2 s.
const AFAR_LATENCY_MIN: Duration = Duration::from_millis(50);

/// The connections that are requested after the first look.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstTrial {
    pub(super) connections: usize,
    /// As many as there are then to be in all, requested so much later, before the verdict.
    pub(super) others: Option<(Duration, usize)>,
}

impl FirstTrial {
    /// Returns what to try where the first connection brought `first`, and no more than `most` are affordable.
    pub(super) fn new(first: &FirstRate, latency: Duration, most: usize) -> Self {
        let is_falling = first.rate < BURST_SHARE * first.whole_rate;
        let is_few = is_falling || may_be_slow(first.rate, latency);
        let connections = if is_few { most.min(FIRST_TRIAL_CONNECTIONS) } else { most };
        let in_advance = connections < most && latency >= AFAR_LATENCY_MIN;
        Self { connections, others: in_advance.then(|| (Trial::time_to_judge(first.rate), most)) }
    }
}

/// Returns whether a link may be slow where one connection brings `rate`, so that a trial of few connections is cheaper.
pub(super) fn may_be_slow(rate: f64, latency: Duration) -> bool {
    rate < SLOW_LINK_RATE_MAX || latency >= AFAR_LATENCY_MIN
}
