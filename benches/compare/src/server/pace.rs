//! How fast the server answers: the latency of a request, and the rate of a connection.
//!
//! For the number of a GET the model says how long to wait, and how much to send in one go.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Bytes in a MiB.
pub(crate) const MIB: u64 = 1 << 20;
/// Bytes that are sent in one go where there is a rate: few enough to look steady, enough to cost little.
const STEP: u64 = 64 << 10;
/// Bytes that are sent in one go where there is none.
const BURST: u64 = MIB;
/// How far a body may lag behind its rate and still catch up: a late wake-up is made good, a peer that did not read
/// for long is not.
const CATCH_UP: Duration = Duration::from_millis(100);

/// A model of a server. The default is as fast as it can.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Pace {
    /// From a request to its response.
    pub(crate) latency: Duration,
    /// MiB a second on each connection.
    pub(crate) rate: Option<u32>,
    /// Some GETs are slower.
    pub(crate) straggler: Option<Straggler>,
    /// So many connections are served at a time; others are closed immediately.
    pub(crate) connections: Option<u32>,
    /// Each GET whose number, from 1, this divides has a fault.
    pub(crate) fault_every: Option<u64>,
}

/// What a server may do to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No response, but the connection's end.
    Close,
    /// 503 with `SlowDown`.
    Busy,
    /// The connection ends in the middle of the body.
    Cut,
    /// It is reset there.
    Reset,
}

/// The GETs that are slow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Straggler {
    /// Each GET whose number, from 1, this divides.
    pub(crate) every: u64,
    /// Their rate in MiB a second.
    pub(crate) rate: u32,
}

impl Pace {
    /// The fault of the GET of that number: each kind in turn.
    pub(crate) fn fault(&self, number: u64) -> Option<Fault> {
        let every = self.fault_every.filter(|every| number.is_multiple_of(*every))?;
        Some(match number / every % 4 {
            0 => Fault::Close,
            1 => Fault::Cut,
            2 => Fault::Busy,
            _ => Fault::Reset,
        })
    }

    /// The rate for the GET of that number.
    pub(crate) fn throttle(&self, number: u64) -> Throttle {
        let slow = self.straggler.filter(|s| number.is_multiple_of(s.every)).map(|s| s.rate);
        let rate = slow.or(self.rate).map(|mib| f64::from(mib) * 1_048_576.0);
        Throttle { rate, due: Instant::now() }
    }
}

/// Holds one body to a rate.
pub(crate) struct Throttle {
    /// Bytes a second.
    rate: Option<f64>,
    /// When what was sent so far should have taken until.
    due: Instant,
}

impl Throttle {
    /// Returns how many bytes to send in one go.
    pub(crate) fn step(&self) -> u64 {
        if self.rate.is_some() { STEP } else { BURST }
    }

    /// Waits until `bytes`, just sent, are due.
    pub(crate) fn sent(&mut self, bytes: u64) {
        let Some(rate) = self.rate else { return };
        let now = Instant::now();
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        #[expect(clippy::cast_precision_loss, reason = "a step is far below 2^53 bytes")]
        let takes = Duration::from_secs_f64(bytes as f64 / rate);
        self.due = self.due.max(earliest) + takes;
        if let Some(early) = self.due.checked_duration_since(now) {
            sleep(early);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kth_get_is_slow_and_the_others_have_the_common_rate() {
        let straggler = Some(Straggler { every: 3, rate: 1 });
        let pace = Pace { rate: Some(2), straggler, ..Pace::default() };
        let rates = (1..=6).map(|number| pace.throttle(number).rate.unwrap() / 1_048_576.0);
        assert_eq!(rates.collect::<Vec<_>>(), [2.0, 2.0, 1.0, 2.0, 2.0, 1.0]);
        assert_eq!(Pace::default().throttle(3).rate, None);
    }

    #[test]
    fn a_throttled_body_takes_its_time() {
        let mut throttle = Pace { rate: Some(10), ..Pace::default() }.throttle(1);
        let began = Instant::now();
        for _ in 0..8 {
            throttle.sent(throttle.step());
        }
        assert!(began.elapsed() >= Duration::from_millis(49), "{:?}", began.elapsed());
    }
}
