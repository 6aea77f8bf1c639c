//! Speed and remaining time, as bars and lines show them: a moving average of what was delivered.

use std::time::Duration;

use crate::cli::progress::snapshot::Snapshot;

/// Time constant of the moving average: data that arrived this long ago weighs a third of data that arrives now.
const TIME_CONSTANT: Duration = Duration::from_secs(5);

/// A moving average that starts at 0; [`Speed::per_second`] corrects for that start, so that the value is right from
/// the second sample on. (The estimate of the progress bar's library is not: it took 10 to 20 s to reach the real
/// speed.)
#[derive(Default)]
pub(super) struct Speed {
    /// Times of the first and the latest sample. Name resolution and the first round trip, which come before the first,
    /// say nothing about bandwidth.
    sampled: Option<(Duration, Duration)>,
    delivered: u64,
    average: f64,
}

impl Speed {
    /// Adds a sample.
    #[expect(clippy::cast_precision_loss, reason = "for an average")]
    pub(super) fn update(&mut self, now: &Snapshot) {
        let (first, at) = self.sampled.unwrap_or((now.elapsed, now.elapsed));
        let time = now.elapsed.saturating_sub(at).as_secs_f64();
        if time > 0.0 {
            let latest = now.delivered.saturating_sub(self.delivered) as f64 / time;
            self.average = latest + remaining_weight(time) * (self.average - latest);
        }
        self.sampled = Some((first, now.elapsed));
        self.delivered = now.delivered;
    }

    /// Returns the average in bytes per second; `None` before the second sample.
    fn per_second(&self) -> Option<f64> {
        let (first, at) = self.sampled.filter(|(first, at)| first < at)?;
        // The average still contains the 0 it started with: divide by the share that was measured.
        Some(self.average / (1.0 - remaining_weight(at.saturating_sub(first).as_secs_f64())))
    }

    /// Returns the speed in whole bytes per second; 0 while it is unknown.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is finite and not negative"
    )]
    pub(super) fn bytes_per_second(&self) -> u64 {
        self.per_second().unwrap_or(0.0).round() as u64
    }

    /// Returns the estimated time until all bytes are delivered; `None` while it is unknown.
    #[expect(clippy::cast_precision_loss, reason = "for an estimate")]
    pub(super) fn time_left(&self, now: &Snapshot) -> Option<Duration> {
        let left = now.total()?.saturating_sub(now.done());
        let per_second = self.per_second().filter(|rate| *rate >= 1.0)?;
        Duration::try_from_secs_f64(left as f64 / per_second).ok()
    }
}

/// Returns the weight that the average keeps after `seconds`.
fn remaining_weight(seconds: f64) -> f64 {
    (-seconds / TIME_CONSTANT.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::snapshot::tests::{GIB, at};

    #[test]
    fn a_first_sample_right_at_the_start_weighs_no_more_than_its_duration() {
        for first in [0, GIB / 1024] {
            let mut speed = Speed::default();
            speed.update(&at(0, 0));
            speed.update(&Snapshot { elapsed: Duration::from_micros(300), ..at(0, first) });
            for tick in 1..=10 {
                speed.update(&Snapshot {
                    elapsed: Duration::from_millis(100 * tick),
                    ..at(0, tick * GIB / 10)
                });
            }
            let error = speed.bytes_per_second().abs_diff(GIB);
            assert!(error < GIB / 100, "{first}: {error}");
        }
    }

    #[test]
    fn a_speed_follows_the_current_rate() {
        let mut speed = Speed::default();
        for second in 1..=60 {
            speed.update(&at(second, second * 1000));
        }
        assert_eq!(speed.bytes_per_second(), 1000);
        for second in 61..=120 {
            speed.update(&at(second, 60_000));
        }
        assert_eq!((speed.bytes_per_second(), speed.time_left(&at(120, 60_000))), (0, None));
    }
}
