//! Many objects on one command line, as one ordered stream, beside what connections that are never idle would need.
//!
//! One object is cut into pieces with a key each, so that what a client writes is compared as that of any other download is.

use crate::Result;
use crate::compare::{Comparison, compare, gib};
use crate::object::Source;
use crate::server::{MIB, Pace, Server};
use crate::table::Table;
use crate::tool::{Installed, Tool};
use crate::workload::{Workload, size};

/// How many objects, and the size of each in bytes.
const SETS: [(u64, u64); 3] = [(400, 100 << 10), (200, MIB), (48, 8 * MIB)];
/// Two objects, and one of as many bytes: for s3fcp alone, because curl would need 20 seconds for each.
const LARGE_SETS: [(u64, u64); 2] = [(2, 1024 * MIB), (1, LARGEST)];
/// The bytes of the largest set.
pub(crate) const LARGEST: u64 = 2048 * MIB;
/// The clients that take several objects, and write them to stdout in their order.
pub(crate) const TOOLS: &[Tool] = &[Tool::S3fcp, Tool::Curl];
/// The connections of the ideal, which always have a request at the server.
const CONNECTIONS: u64 = 32;

/// What the clients did with one set of objects.
pub(crate) struct SetRun {
    count: u64,
    size: u64,
    pub(crate) comparison: Comparison,
}

/// Downloads each set with each client that takes several objects.
pub(crate) fn many(source: &Source, tools: &[Installed], rounds: u32) -> Result<Vec<SetRun>> {
    let set = |(count, size): (u64, u64), tools: &[Installed]| {
        let object = source.object(count * size).cut(count);
        let server = Server::start(object, Workload::Many.pace(), None)?;
        let title = describe(count, size);
        Ok(SetRun { count, size, comparison: compare(title, &server, None, tools, rounds)? })
    };
    let s3fcp: Vec<_> = tools.iter().filter(|tool| tool.tool == Tool::S3fcp).cloned().collect();
    let large = LARGE_SETS.into_iter().filter(|_| !s3fcp.is_empty());
    SETS.into_iter().map(|of| set(of, tools)).chain(large.map(|of| set(of, &s3fcp))).collect()
}

fn describe(count: u64, size: u64) -> String {
    format!("{count} x {}", self::size(size))
}

/// A line for each client and set. `ideal s` is what 32 connections need that always have a request at the server.
pub(crate) fn table(runs: &[SetRun], markdown: bool) -> Table {
    let heads =
        ["tool", "objects", "wall s", "ideal s", "x ideal", "CPU ms/object", "peak MiB", "conns", "GETs"];
    let mut table = Table::new(markdown, &heads);
    for run in runs {
        for row in &run.comparison.rows {
            let mut cells = vec![row.tool.name().to_owned(), describe(run.count, run.size)];
            let ideal = ideal(Workload::Many.pace(), run.count, run.size);
            match (&row.failure, row.runs.last()) {
                (None, Some(last)) => cells.extend([
                    format!("{:.3}", row.wall()),
                    format!("{ideal:.3}"),
                    format!("{:.2}", row.wall() / ideal),
                    format!("{:.2}", 1000.0 * row.median(|run| run.cpu.total()) / count(run.count)),
                    format!("{:.1}", row.median(|run| 1024.0 * gib(run.peak.unwrap_or(0)))),
                    last.seen.connections.to_string(),
                    last.seen.gets.to_string(),
                ]),
                (failure, _) => cells.push(failure.clone().unwrap_or_default()),
            }
            table.push(cells);
        }
    }
    table
}

/// Seconds: each round of requests costs one latency, and the bytes come at the rate.
fn ideal(pace: Pace, objects: u64, size: u64) -> f64 {
    let rounds = count(objects.div_ceil(CONNECTIONS));
    let rate = pace.rate.map_or(f64::INFINITY, f64::from) * count(CONNECTIONS);
    rounds * pace.latency.as_secs_f64() + 1024.0 * gib(objects * size) / rate
}

fn count(n: u64) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ideal_is_a_latency_for_each_round_of_requests_and_the_bytes_at_the_rate() {
        for ((objects, size), expected) in SETS.into_iter().zip([0.3386, 0.2444, 0.1833]) {
            let ideal = ideal(Workload::Many.pace(), objects, size);
            assert!((ideal - expected).abs() < 1e-3, "{objects} x {size}: {ideal}");
        }
    }
}
