//! How a model is explored: in random orders, and in orders with few switches at the most telling moments.

use std::env;

/// Executions of a model by each scheduler, where `S3FCP_MODEL_RUNS` names no other number.
const RUNS: usize = 10_000;
/// Most switches that a bug may need for the scheduler by priorities to find it (PCT, Burckhardt et al. 2010).
const DEPTH: usize = 4;

/// Runs `model` in many orders.
pub fn explore(model: fn()) {
    let runs = env::var("S3FCP_MODEL_RUNS").map_or(RUNS, |runs| runs.parse().expect("a number"));
    shuttle::check_random(model, runs);
    shuttle::check_pct(model, runs, DEPTH);
}
