//! A step: another number of connections, or the present one, measured for a while, and what follows from its rate.

use crate::download::concurrency::controller::estimate::{ConnectionEstimate, to_f64};
use crate::download::concurrency::controller::speed::MIB;

/// More connections are kept when they bring this part of what they should.
pub(super) const GAIN_MIN: f64 = 0.5;
/// A second connection is kept when the rate grows by this factor: its cost is small, and so may be what the first one
/// leaves of the link.
const SECOND_GROWTH_MIN: f64 = 1.12;
/// At a higher rate, in bytes a second, the processor is the limit, and a second connection makes its caches cold.
const SECOND_RATE_MAX: f64 = 400.0 * MIB;
/// When fewer bring less by this part of what they should, no link is full.
const FULL_LOSS_MIN: f64 = 0.8;
/// One connection and a half for each busy thread are kept when the rate grows by this factor.
const SPREAD_GROWTH_MIN: f64 = 1.2;
/// A smaller number is kept when it still brings this part of the best rate.
pub(super) const SUFFICIENT_SHARE: f64 = 0.95;
/// Below this part of what so many connections are worth alone, something else is the limit.
const BOUND_ELSEWHERE_SHARE: f64 = 0.6;
/// Two measurements of the same number agree when they differ by no more than this part. Only then is
/// the number judged: connections may still be picking up speed.
const AGREEMENT: f64 = 0.15;
/// How often a number is measured at most until two measurements agree.
const MEASUREMENTS_MAX: u32 = 6;

/// Why a number is being measured, and what it is compared with; rates in bytes a second.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// The number as it is, to know its rate.
    Stay {
        last: f64,
        measured: u32,
    },
    Up {
        before: usize,
        rate: f64,
    },
    Down {
        before: usize,
        best: f64,
    },
    /// One and a half for each thread, because a thread has no time left.
    Spread {
        before: usize,
        rate: f64,
    },
}

/// The consequence of a measurement.
#[derive(Debug, Clone, Copy)]
pub(super) enum StepVerdict {
    /// Back to the number before; the ranges of the others are to be cancelled if `cancels` is set.
    TakeBack {
        before: usize,
        cancels: bool,
    },
    /// Back to the number before, and beyond: each connection is worth as much as the others, only less than the first
    /// look showed.
    EachCounts {
        before: usize,
        best: f64,
        solo_rate: f64,
    },
    MeasureAgain(Step),
    TryFewer {
        best: f64,
    },
    /// More are worth a try, unless the consumer is the limit.
    TryMore,
}

impl Step {
    /// The first measurement of a number.
    pub(super) const START: Self = Self::Stay { last: 0.0, measured: 1 };

    /// Judges a measurement of `connections` that showed `rate`.
    pub(super) fn judge(self, rate: f64, connections: usize, estimate: &ConnectionEstimate) -> StepVerdict {
        match self {
            Self::Up { before, rate: was } if rate < was * least_growth(before, connections, estimate) => {
                // A second range is the next one, and its bytes would be lost: at 4 Mbit/s, 0.6 s of the link at each step.
                StepVerdict::TakeBack { before, cancels: before > 1 }
            }
            Self::Spread { before, rate: was } if rate < was * SPREAD_GROWTH_MIN => {
                StepVerdict::TakeBack { before, cancels: false }
            }
            Self::Down { before, best } if rate < best * SUFFICIENT_SHARE => {
                let fewer = to_f64(connections);
                let lost = best / rate.max(1.0) - 1.0;
                if lost >= FULL_LOSS_MIN * (to_f64(before) / fewer - 1.0) {
                    StepVerdict::EachCounts { before, best, solo_rate: rate / fewer }
                } else {
                    StepVerdict::TakeBack { before, cancels: false }
                }
            }
            Self::Down { best, .. } => StepVerdict::TryFewer { best: best.max(rate) },
            Self::Stay { last, measured }
                if measured < MEASUREMENTS_MAX && (rate - last).abs() > AGREEMENT * rate =>
            {
                StepVerdict::MeasureAgain(Self::Stay { last: rate, measured: measured + 1 })
            }
            Self::Stay { .. }
                if rate < BOUND_ELSEWHERE_SHARE * estimate.sustained_rate * to_f64(connections) =>
            {
                StepVerdict::TryFewer { best: rate }
            }
            Self::Stay { .. } | Self::Up { .. } | Self::Spread { .. } => StepVerdict::TryMore,
        }
    }
}

/// Returns by which factor the rate must have grown since there were `before` connections.
fn least_growth(before: usize, connections: usize, estimate: &ConnectionEstimate) -> f64 {
    let is_cheap = before == 1 && estimate.solo_rate < SECOND_RATE_MAX;
    let added_share = to_f64(connections) / to_f64(before) - 1.0;
    if is_cheap { SECOND_GROWTH_MIN } else { 1.0 + GAIN_MIN * added_share }
}
