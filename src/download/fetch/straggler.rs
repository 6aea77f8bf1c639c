//! Hedging: when a request is so much later than the others that the rest of its bytes is worth a second request.
//!
//! The output is as slow as its slowest range. A request is late when a new one for its missing bytes would be done in
//! a third of the time, or in half of it while all others wait. It is hedged when it would hold up the output, others
//! make progress meanwhile, and the budget (`hedge_budget.rs`) allows it. This module decides from times and numbers,
//! and sends nothing.

use std::time::Duration;

use crate::download::fetch::stats::Estimate;
use crate::download::limits::READ_BUFFER_MAX;

/// How much longer than a new request one may take before it is late.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    times: u32,
    /// A gain of less than this is not worth another request.
    worth: Duration,
}

/// While other ranges make progress.
pub(crate) const PATIENCE: Patience = Patience { times: 3, worth: Duration::from_millis(100) };
/// Where few connections fill the link: what is late waits for lost packets or a busy machine, and a second request would
/// only share the link.
pub(crate) const ON_A_FULL_LINK: Patience = Patience { times: 3, worth: Duration::from_secs(1) };
/// While all others wait for its bytes, so that it costs the whole rate.
pub(crate) const WHERE_ALL_WAIT: Patience = Patience { times: 2, worth: Duration::from_millis(30) };
/// Bytes that the kernel may accumulate before the reader sees them.
const UNSEEN_BYTES_MAX: u64 = READ_BUFFER_MAX;
/// How long a body is read at least before it is late while the hedge budget is low: on a busy machine some hedges are of
/// no use, and some must be left for the last ranges.
const SURE_READING_TIME: Duration = Duration::from_millis(30);
/// How long a body may bring nothing before it is requested again whatever the budget: a firewall or a NAT may have
/// forgotten its connection. It brings no byte twice, because the first one has stopped.
pub(crate) const BODY_SILENCE_MAX: Duration = Duration::from_secs(2);

impl Patience {
    /// Returns the time beyond which a request is late if a new one takes `new`.
    fn than(self, new: Duration) -> Duration {
        self.times * new + self.worth
    }
}

/// How far a request has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestProgress {
    /// There has been no response for this time.
    Waiting(Duration),
    /// `bytes` have come after those that came with the response head, `spent` is the time spent waiting for them, and
    /// `left` are still to come. None has come in `silent`, the end of that time.
    Reading { bytes: u64, spent: Duration, silent: Duration, left: u64 },
}

impl RequestProgress {
    /// Returns how long the rest takes at the present rate; `None` while that is not known.
    #[expect(clippy::cast_precision_loss, reason = "for an estimate")]
    fn time_left(self, late: Patience, expected: &Estimate) -> Option<Duration> {
        match self {
            // The longer nothing has come, the longer nothing will.
            Self::Waiting(silent) | Self::Reading { silent, .. }
                if silent > self.patience(late, expected) =>
            {
                Some(PATIENCE.times * (silent + PATIENCE.worth))
            }
            Self::Waiting(_) => None,
            Self::Reading { spent, .. } if spent < expected.reading_until_known(UNSEEN_BYTES_MAX) => None,
            Self::Reading { bytes, spent, left, .. } => {
                let rate = bytes.max(1) as f64 / spent.as_secs_f64();
                Some(Duration::from_secs_f64((left as f64 / rate).min(1e6)))
            }
        }
    }

    /// Returns whether it was observed long enough to be called late while the budget is low.
    pub(crate) fn is_sure(self) -> bool {
        match self {
            Self::Waiting(_) => true,
            Self::Reading { spent, .. } => spent >= SURE_READING_TIME,
        }
    }

    /// Returns how long no byte has come.
    pub(crate) fn silence(self) -> Duration {
        match self {
            Self::Waiting(silent) | Self::Reading { silent, .. } => silent,
        }
    }

    /// Returns how long no byte may come.
    fn patience(self, late: Patience, expected: &Estimate) -> Duration {
        let usual = match self {
            Self::Waiting(_) => expected.latency,
            Self::Reading { left, .. } => expected.time(left.min(UNSEEN_BYTES_MAX)),
        };
        PATIENCE.times * usual + late.worth.max(PATIENCE.worth)
    }

    /// Returns how long a new request would take for the same bytes.
    fn time_of_new(self, expected: &Estimate, whole: u64) -> Duration {
        match self {
            Self::Waiting(_) => expected.time(whole),
            Self::Reading { left, .. } => expected.time(left),
        }
    }

    /// Returns whether a new request for the missing ones of `whole` bytes would be done so much sooner that it is worth
    /// it, if they are due in the output in `turn`.
    pub(crate) fn is_late(self, late: Patience, whole: u64, expected: &Estimate, turn: Duration) -> bool {
        let new = self.time_of_new(expected, whole);
        self.time_left(late, expected).is_some_and(|left| left > late.than(new) && left > turn)
    }

    /// Returns the time after which it may be late, if nothing comes until then.
    #[expect(clippy::cast_precision_loss, reason = "for an estimate")]
    pub(crate) fn look_again(self, expected: Option<&Estimate>) -> Duration {
        let Some(expected) = expected else { return PATIENCE.worth };
        match self {
            Self::Waiting(silent) => self.patience(PATIENCE, expected).saturating_sub(silent),
            Self::Reading { bytes, spent, silent, left } => {
                // It is late when left x spent / bytes exceeds what is allowed; solved for `spent`.
                let allowed = WHERE_ALL_WAIT.than(expected.time(left)).as_secs_f64();
                let late = allowed * bytes.max(1) as f64 / left.max(1) as f64;
                let known = expected.reading_until_known(UNSEEN_BYTES_MAX);
                let late = Duration::from_secs_f64(late.min(1e6)).max(known).saturating_sub(spent);
                late.min(self.patience(PATIENCE, expected).saturating_sub(silent))
            }
        }
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
        for (progress, is_late) in [
            (read(MIB / 16, 20, 4 * MIB), true),
            (stopped(300, MIB), false),
            (stopped(1000, 1), false),
            (stopped(1300, MIB), true),
            (RequestProgress::Waiting(ms(200)), false),
            (RequestProgress::Waiting(ms(1300)), true),
        ] {
            assert_eq!(progress.is_late(ON_A_FULL_LINK, 4 * MIB, &s3(), NOW), is_late, "{progress:?}");
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
}
