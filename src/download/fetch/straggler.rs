//! Hedging: when a request is so much later than the others that its rest is worth asking for again.
//!
//! The output is as slow as its slowest range. A request is late when a new one for what it still lacks would
//! be done in a third of the time, or in half of it while all others wait; it is hedged when that would hold up
//! the output, others get on meanwhile, and the budget allows. Pure but for the budget's counter: it gets times
//! and numbers, and sends nothing.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use crate::download::fetch::stats::Estimate;
use crate::download::limits::READ_BUFFER_MAX;
use crate::download::options::Hedge;

/// How much longer than a new request makes one late.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    times: u32,
    /// Less than this is not worth another request.
    worth: Duration,
}

/// While others get on.
pub(crate) const PATIENCE: Patience = Patience { times: 3, worth: Duration::from_millis(100) };
/// While all others wait for its bytes: what it costs is the whole rate.
pub(crate) const WHERE_ALL_WAIT: Patience = Patience { times: 2, worth: Duration::from_millis(30) };
/// What a body is waited for at once, in bytes: less may gather unseen for a while.
const FRAME: u64 = READ_BUFFER_MAX;
/// How long a body is read at least before it is late, where hedges are spent faster than the object is downloaded:
/// on a busy machine some are of no use, and the last of them are to be had at its end too.
const SURE: Duration = Duration::from_millis(30);
/// So many hedges are always allowed, whatever the size of the object.
const ALWAYS: u64 = 4;
/// Beyond those, one in so many of the requests, and of the bytes, that the object needs.
const SHARE: u64 = 20;

impl Patience {
    /// What is more than this is late, where a new request takes `anew`.
    fn than(self, anew: Duration) -> Duration {
        self.times * anew + self.worth
    }
}

/// How far a request has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestProgress {
    /// No response yet, for so long.
    Waiting(Duration),
    /// So many bytes came after those that came with the response, in so much time spent in waiting for them; so
    /// many are still to come. `silent` is the end of that time, in which none came.
    Reading { bytes: u64, spent: Duration, silent: Duration, left: u64 },
}

impl RequestProgress {
    /// How long it takes from now at the rate that it had so far; `None` where that is not known yet.
    #[expect(clippy::cast_precision_loss, reason = "for an estimate")]
    fn time_left(self, expected: &Estimate) -> Option<Duration> {
        match self {
            // The longer it has not come, the longer it will not.
            Self::Waiting(silent) | Self::Reading { silent, .. } if silent > self.patience(expected) => {
                Some(PATIENCE.times * (silent + PATIENCE.worth))
            }
            Self::Waiting(_) => None,
            Self::Reading { spent, .. } if spent < expected.reading_until_known(FRAME) => None,
            Self::Reading { bytes, spent, left, .. } => {
                let rate = bytes.max(1) as f64 / spent.as_secs_f64();
                Some(Duration::from_secs_f64((left as f64 / rate).min(1e6)))
            }
        }
    }

    /// Whether it is to be believed that it is late even where hedges become scarce.
    pub(crate) fn is_sure(self) -> bool {
        match self {
            Self::Waiting(_) => true,
            Self::Reading { spent, .. } => spent >= SURE,
        }
    }

    /// How long no byte may come.
    fn patience(self, expected: &Estimate) -> Duration {
        match self {
            Self::Waiting(_) => PATIENCE.than(expected.latency),
            Self::Reading { left, .. } => PATIENCE.than(expected.time(left.min(FRAME))),
        }
    }

    /// How long a new request would take for the same bytes.
    fn time_anew(self, expected: &Estimate, whole: u64) -> Duration {
        match self {
            Self::Waiting(_) => expected.time(whole),
            Self::Reading { left, .. } => expected.time(left),
        }
    }

    /// Whether a new request for what is still to come of `whole` bytes would be done so much sooner that it is
    /// worth it, where its turn in the output comes in `turn`.
    pub(crate) fn is_late(self, late: Patience, whole: u64, expected: &Estimate, turn: Duration) -> bool {
        let anew = self.time_anew(expected, whole);
        self.time_left(expected).is_some_and(|left| left > late.than(anew) && left > turn)
    }

    /// When it is to be looked at again, should nothing come until then: when it could be late by then.
    #[expect(clippy::cast_precision_loss, reason = "for an estimate")]
    pub(crate) fn look_again(self, expected: Option<&Estimate>) -> Duration {
        let Some(expected) = expected else { return PATIENCE.worth };
        match self {
            Self::Waiting(silent) => self.patience(expected).saturating_sub(silent),
            Self::Reading { bytes, spent, silent, left } => {
                // Late is when left x spent / bytes is more than allowed: solved for what is spent.
                let allowed = WHERE_ALL_WAIT.than(expected.time(left)).as_secs_f64();
                let late = allowed * bytes.max(1) as f64 / left.max(1) as f64;
                let known = expected.reading_until_known(FRAME);
                let late = Duration::from_secs_f64(late.min(1e6)).max(known).saturating_sub(spent);
                late.min(self.patience(expected).saturating_sub(silent))
            }
        }
    }
}

/// How much hedging a download may do.
#[derive(Debug)]
pub(crate) struct HedgeBudget {
    mode: Hedge,
    spent: Mutex<HedgesSpent>,
}

#[derive(Debug, Default)]
struct HedgesSpent {
    hedges: u64,
    /// What they may bring twice.
    bytes: u64,
}

impl HedgeBudget {
    /// Nothing spent yet.
    pub(crate) fn new(mode: Hedge) -> Self {
        Self { mode, spent: Mutex::default() }
    }

    /// Whether there is any hedging at all.
    pub(crate) fn is_off(&self) -> bool {
        self.mode == Hedge::Off
    }

    /// Spends a hedge that brings up to `bytes` twice, of an object of `size` bytes that needs so many `requests`;
    /// `false` where the budget does not allow it.
    pub(crate) fn spend(&self, bytes: u64, size: u64, requests: u64) -> bool {
        if self.is_off() {
            return false;
        }
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let is_within = spent.hedges < requests / SHARE && spent.bytes.saturating_add(bytes) <= size / SHARE;
        let is_allowed = spent.hedges < ALWAYS || is_within;
        if is_allowed {
            spent.hedges += 1;
            spent.bytes = spent.bytes.saturating_add(bytes);
        }
        is_allowed
    }

    /// Whether more hedges were spent than so many `requests` for the object have a right to.
    pub(crate) fn is_scarce(&self, requests: u64) -> bool {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).hedges > requests / SHARE + 1
    }

    /// Of a hedge's bytes so many did not come twice after all.
    pub(crate) fn refund(&self, bytes: u64) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.bytes = spent.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const NOW: Duration = Duration::ZERO;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// S3: 25 ms and 90 MiB/s.
    fn s3() -> Estimate {
        Estimate { latency: ms(25), rate: 90.0 * 1_048_576.0 }
    }

    #[test]
    fn what_is_late() {
        let read =
            |bytes, spent, left| RequestProgress::Reading { bytes, spent: ms(spent), silent: NOW, left };
        let stopped = |silent, left| RequestProgress::Reading {
            bytes: 3 * MIB,
            spent: ms(silent + 33),
            silent: ms(silent),
            left,
        };
        for (progress, turn, is_late) in [
            // At 3 MiB/s, a second or more to go.
            (read(MIB / 16, 20, 4 * MIB), NOW, true),
            (read(0, 20, 4 * MIB), NOW, true),
            // Nobody waits for it so soon.
            (read(MIB / 16, 20, 4 * MIB), ms(60_000), false),
            // Too early to say.
            (read(0, 4, 4 * MIB), NOW, false),
            // Like all the others, or half as fast.
            (read(MIB, 11, 3 * MIB), NOW, false),
            (read(MIB, 22, 3 * MIB), NOW, false),
            // Slow, but nearly done.
            (read(4 * MIB, 1300, MIB / 8), NOW, false),
            // It went well, and stopped.
            (stopped(100, MIB), NOW, false),
            (stopped(300, MIB), NOW, true),
            (stopped(300, 1), NOW, true),
            (RequestProgress::Waiting(ms(25)), NOW, false),
            (RequestProgress::Waiting(ms(100)), NOW, false),
            (RequestProgress::Waiting(ms(200)), NOW, true),
        ] {
            assert_eq!(progress.is_late(PATIENCE, 4 * MIB, &s3(), turn), is_late, "{progress:?}");
        }
        assert!(!read(MIB / 16, 20, 4 * MIB).is_sure() && read(MIB / 16, 40, 4 * MIB).is_sure());
    }

    #[test]
    fn it_is_looked_at_when_it_may_be_late() {
        for bytes in [1, MIB / 16, MIB] {
            let at = |spent| RequestProgress::Reading { bytes, spent, silent: NOW, left: 3 * MIB };
            let wait = at(ms(5)).look_again(Some(&s3()));
            let then = ms(5) + wait;
            assert!(at(then + ms(1)).is_late(WHERE_ALL_WAIT, 4 * MIB, &s3(), NOW), "{bytes}: {then:?}");
            let before = then.saturating_sub(ms(1));
            assert!(!at(before).is_late(WHERE_ALL_WAIT, 4 * MIB, &s3(), NOW), "{bytes}: {then:?}");
        }
        let waiting = RequestProgress::Waiting(ms(5)).look_again(Some(&s3()));
        assert_eq!(waiting, ms(170));
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
        assert!(spent.is_scarce(4 * SHARE) && !spent.is_scarce(11 * SHARE));
        // Bytes count too, until they turn out not to have come.
        let bytes = HedgeBudget::new(Hedge::Auto);
        assert!((0..4).all(|_| bytes.spend(20 * MIB, 1024 * MIB, 1024)));
        assert!(!bytes.spend(MIB, 1024 * MIB, 1024));
        bytes.refund(60 * MIB);
        assert!(bytes.spend(MIB, 1024 * MIB, 1024));
    }
}
