//! One knob turned over a range: the object's size, or the number of connections.
//!
//! There is a [`Comparison`] for each setting, and tables over all of them.

use std::time::Duration;

use crate::Result;
use crate::compare::{Comparison, Row, compare, gib};
use crate::object::Source;
use crate::server::{MIB, Pace, Server};
use crate::table::Table;
use crate::tls::Tls;
use crate::tool::{Installed, Tool};
use crate::workload::{Workload, describe, size};

/// The sizes of [`sizes`] in bytes.
const SIZES: [u64; 5] = [64 * MIB, 256 * MIB, 1024 * MIB, 4096 * MIB, LARGEST];
/// The largest of them.
pub(crate) const LARGEST: u64 = 8192 * MIB;
/// The sizes that [`sizes`] measures by default.
pub(crate) const TOOLS_FOR_SIZES: &[Tool] = &[Tool::S3fcp];
/// The settings of [`connections`].
pub(crate) const CONNECTIONS: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];
/// The clients that take a number of connections, for [`connections`].
pub(crate) const TOOLS_FOR_CONNECTIONS: &[Tool] = &[Tool::S3fcp, Tool::Sdk];
/// What [`connections`] downloads: S3 in the same region.
pub(crate) const OVER_CONNECTIONS: Workload = Workload::S3like;

/// A setting of the knob and what came of it.
pub(crate) struct Point {
    /// Bytes, or connections.
    pub(crate) at: u64,
    pub(crate) comparison: Comparison,
}

/// The cost over the object's size, from a server that is as fast as it can.
pub(crate) fn sizes(
    source: &Source,
    tls: Option<&Tls>,
    tools: &[Installed],
    rounds: u32,
) -> Result<Vec<Point>> {
    let point = |&at: &u64| {
        let config = tls.map(|tls| tls.config.clone());
        let server = Server::start(source.object(at), Pace::default(), config)?;
        let title = describe(at, server.pace());
        Ok(Point { at, comparison: compare(title, &server, tls, tools, rounds)? })
    };
    SIZES.iter().map(point).collect()
}

/// The throughput over the number of connections, of the clients that take one.
pub(crate) fn connections(
    source: &Source,
    tls: Option<&Tls>,
    tools: &[Installed],
    rounds: u32,
) -> Result<Vec<Point>> {
    let config = tls.map(|tls| tls.config.clone());
    let object = source.object(OVER_CONNECTIONS.size());
    let server = Server::start(object, OVER_CONNECTIONS.pace(), config)?;
    let point = |&n: &u32| {
        let with_count = |tool: &Installed| {
            let option = match tool.tool {
                Tool::S3fcp => "--concurrency",
                Tool::Sdk => "--connections",
                _ => return None,
            };
            Some(tool.with(&[option.to_owned(), n.to_string()]))
        };
        let tools: Vec<Installed> = tools.iter().filter_map(with_count).collect();
        let title = format!("{n} connections");
        Ok(Point { at: n.into(), comparison: compare(title, &server, tls, &tools, rounds)? })
    };
    CONNECTIONS.iter().map(point).collect()
}

/// A line for each client and size.
pub(crate) fn sizes_table(points: &[Point], markdown: bool) -> Table {
    let heads = ["tool", "size", "CPU s/GiB", "peak MiB", "wall s", "MiB/s", "GETs"];
    let mut table = Table::new(markdown, &heads);
    each(points, &mut table, |point, row, [cpu, peak, wall, speed, gets]| {
        vec![row.tool.name().to_owned(), size(point.at), cpu, peak, wall, speed, gets]
    });
    table
}

/// A line for each client and number of connections. `ideal s` is what that many connections would take which always
/// have a request at the server: each GET costs one latency, and the bytes come at the rate.
pub(crate) fn connections_table(points: &[Point], markdown: bool) -> Table {
    let heads = ["tool", "connections", "MiB/s", "wall s", "ideal s", "CPU s/GiB", "peak MiB", "GETs"];
    let mut table = Table::new(markdown, &heads);
    each(points, &mut table, |point, row, [cpu, peak, wall, speed, gets]| {
        let gets_seen = row.runs.last().map_or(0, |run| run.seen.gets);
        let ideal = ideal(OVER_CONNECTIONS.pace(), point.comparison.size, gets_seen, point.at);
        let ideal = format!("{:.3}", ideal.as_secs_f64());
        vec![row.tool.name().to_owned(), point.at.to_string(), speed, wall, ideal, cpu, peak, gets]
    });
    table
}

fn ideal(pace: Pace, bytes: u64, gets: u64, connections: u64) -> Duration {
    let rate = pace.rate.map_or(f64::INFINITY, f64::from);
    let transfer = Duration::from_secs_f64(1024.0 * gib(bytes) / rate);
    let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    pace.latency + (transfer + pace.latency * count(gets)) / count(connections).max(1)
}

/// The common figures of each client at each setting, as text; `cells` puts them in their order.
fn each(points: &[Point], table: &mut Table, cells: impl Fn(&Point, &Row, [String; 5]) -> Vec<String>) {
    let all = || points.iter().flat_map(|point| point.comparison.rows.iter().map(move |row| (point, row)));
    let by_tool = |tool: Tool| all().filter(move |(_, row)| row.tool == tool);
    for (point, row) in Tool::ALL.into_iter().flat_map(by_tool) {
        if let Some(failure) = &row.failure {
            table.push(vec![row.tool.name().to_owned(), point.at.to_string(), failure.clone()]);
            continue;
        }
        let size = point.comparison.size;
        let gets = row.runs.last().map_or(0, |run| run.seen.gets);
        let figures = [
            format!("{:.3}", row.cpu_per_gib(size)),
            format!("{:.1}", row.median(|run| 1024.0 * gib(run.peak.unwrap_or(0)))),
            format!("{:.3}", row.wall()),
            format!("{:.0}", row.throughput(size)),
            gets.to_string(),
        ];
        table.push(cells(point, row, figures));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ideal_is_latency_and_transfer_shared_by_the_connections() {
        let pace = Pace { latency: Duration::from_millis(25), rate: Some(100), ..Pace::default() };
        let ideal = ideal(pace, 1000 * MIB, 40, 10);
        assert!((ideal.as_secs_f64() - (0.025 + (10.0 + 1.0) / 10.0)).abs() < 1e-6, "{ideal:?}");
    }
}
