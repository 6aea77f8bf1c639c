//! One object and one server, several clients: in turn, round by round.
//!
//! A [`Comparison`] has all their runs. In a first round, which is not measured, every
//! byte is compared with the object; the rounds that count are interleaved, so that whatever else the machine does
//! hits all clients alike, each in another order, so that the traces of a client in caches hit another one each time. A client
//! that failed once is not run again.

use std::iter::once;

use crate::Result;
use crate::drain::Drain;
use crate::run::{self, Run, Setting};
use crate::server::Server;
use crate::tls::Tls;
use crate::tool::{Installed, Tool};

/// The bytes in a GiB.
const GIB: f64 = 1_073_741_824.0;

/// What the clients did with one object.
pub(crate) struct Comparison {
    /// What was downloaded and how it was served, in words.
    pub(crate) title: String,
    /// The object's size in bytes.
    pub(crate) size: u64,
    pub(crate) rows: Vec<Row>,
}

/// What one client did.
pub(crate) struct Row {
    pub(crate) tool: Tool,
    /// The runs that count; none where the first one, which checks, failed.
    pub(crate) runs: Vec<Run>,
    pub(crate) failure: Option<String>,
}

/// Runs `tools` in turn, `rounds` times.
pub(crate) fn compare(
    title: String,
    server: &Server,
    tls: Option<&Tls>,
    tools: &[Installed],
    rounds: u32,
) -> Result<Comparison> {
    compare_in(Setting::from(Drain::Discard), title, server, tls, tools, rounds)
}

/// Runs `tools` in turn, `rounds` times, in a setting.
pub(crate) fn compare_in(
    setting: Setting<'_>,
    title: String,
    server: &Server,
    tls: Option<&Tls>,
    tools: &[Installed],
    rounds: u32,
) -> Result<Comparison> {
    let mut rows: Vec<Row> =
        tools.iter().map(|t| Row { tool: t.tool, runs: Vec::new(), failure: None }).collect();
    let drains = once(Drain::Check(server.object())).chain((0..rounds).map(|_| setting.drain));
    for (round, drain) in drains.enumerate() {
        for index in order(tools.len(), round) {
            let (tool, row) = (&tools[index], &mut rows[index]);
            if row.failure.is_some() {
                continue;
            }
            eprintln!("{title}: round {round} of {rounds}: {}", tool.tool.name());
            let run = run::run(tool.command(server, tls), server, Setting { drain, ..setting })?;
            row.failure.clone_from(&run.failure);
            if round > 0 && run.failure.is_none() {
                row.runs.push(run);
            }
        }
    }
    Ok(Comparison { title, size: server.object().size, rows })
}

/// The order of `count` clients in a round. None comes after the same other one every time: what that one did to caches
/// and to free memory is in its figures.
fn order(count: usize, round: usize) -> impl Iterator<Item = usize> {
    let steps: Vec<usize> = (1..=count).filter(|step| gcd(*step, count) == 1).collect();
    let step = steps.get(round % steps.len().max(1)).copied().unwrap_or(1);
    (0..count).map(move |place| (place * step + round) % count)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Comparison {
    /// The row of a client that has figures.
    pub(crate) fn row(&self, tool: Tool) -> Option<&Row> {
        self.rows.iter().find(|row| row.tool == tool && row.failure.is_none() && !row.runs.is_empty())
    }
}

impl Row {
    /// The median of a figure over the runs.
    pub(crate) fn median(&self, figure: impl Fn(&Run) -> f64) -> f64 {
        median(self.runs.iter().map(figure).collect())
    }

    /// CPU seconds for each GiB of an object of `size` bytes.
    pub(crate) fn cpu_per_gib(&self, size: u64) -> f64 {
        self.median(|run| run.cpu.total()) / gib(size)
    }

    /// MiB a second, start of the process and all.
    pub(crate) fn throughput(&self, size: u64) -> f64 {
        1024.0 * gib(size) / self.wall()
    }

    /// Seconds from start to end.
    pub(crate) fn wall(&self) -> f64 {
        self.median(|run| run.wall.as_secs_f64())
    }
}

/// Bytes in GiB.
#[expect(clippy::cast_precision_loss, reason = "objects are far below 2^53 bytes")]
pub(crate) fn gib(bytes: u64) -> f64 {
    bytes as f64 / GIB
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_has_all_clients_and_another_order() {
        for count in 1..9 {
            for round in 0..9 {
                let mut all: Vec<_> = order(count, round).collect();
                all.sort_unstable();
                assert_eq!(all, (0..count).collect::<Vec<_>>());
            }
        }
        let before = |round| order(8, round).zip(order(8, round).skip(1)).find(|pair| pair.1 == 0);
        assert_ne!(before(1).map(|pair| pair.0), before(2).map(|pair| pair.0));
    }

    #[test]
    fn medians() {
        assert!(median(vec![]).is_nan());
        for (values, want) in [(vec![3.0], 3.0), (vec![9.0, 1.0, 2.0], 2.0), (vec![4.0, 1.0, 9.0, 2.0], 3.0)]
        {
            assert!((median(values) - want).abs() < 1e-9);
        }
    }
}
