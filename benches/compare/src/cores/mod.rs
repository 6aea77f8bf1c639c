//! Throughput over the number of cores, over HTTP and TLS, into a pipe and to `/dev/null`.
//!
//! A machine with several cores is played by [`SlowCores`], and the server is not held back. A client that can use all of them
//! is as many times as fast as on one.

mod slow;

use crate::compare::{Comparison, Row, compare_in};
use crate::drain::Drain;
use crate::object::Source;
use crate::run::Setting;
use crate::server::{MIB, Pace, Server};
use crate::sweep::Point;
use crate::table::Table;
use crate::tls::Tls;
use crate::tool::{Installed, Tool};
use crate::{Result, workload};

pub(crate) use slow::SlowCores;

/// The numbers of cores.
const COUNTS: [u32; 3] = [1, 2, 4];
/// What each of them is of a real one: together less than one.
const SPEED: f64 = 0.2;
/// The clients that are measured unless others are named.
pub(crate) const TOOLS: &[Tool] = &[Tool::S3fcp, Tool::Sdk];
/// The size of the object in bytes.
pub(crate) const SIZE: u64 = 512 * MIB;

/// A way of the bytes, and what came of it with each number of cores.
pub(crate) struct WayRun {
    pub(crate) is_tls: bool,
    /// Whether stdout is `/dev/null`, else a pipe.
    pub(crate) is_null: bool,
    pub(crate) points: Vec<Point>,
}

impl WayRun {
    pub(crate) fn scheme(&self) -> &'static str {
        if self.is_tls { "TLS" } else { "HTTP" }
    }

    pub(crate) fn output(&self) -> &'static str {
        if self.is_null { "to /dev/null" } else { "into a pipe" }
    }

    /// Returns the comparison with the least cores, and that with the most.
    fn ends(&self) -> Option<(&Comparison, &Comparison)> {
        Some((&self.points.first()?.comparison, &self.points.last()?.comparison))
    }
}

/// The object and the cores in words.
pub(crate) fn describe() -> String {
    format!("over cores: {}, each core {SPEED} of a real one", workload::size(SIZE))
}

/// Returns why slow cores cannot be made here; `None` if they can.
pub(crate) fn obstacle() -> Option<String> {
    SlowCores::new(2, SPEED).err().map(|error| error.to_string())
}

/// Downloads the object with each client in each way on each number of cores.
pub(crate) fn over_cores(source: &Source, tools: &[Installed], rounds: u32) -> Result<Vec<WayRun>> {
    let tls = Tls::new()?;
    let mut ways = Vec::new();
    for is_tls in [false, true] {
        let tls = is_tls.then_some(&tls);
        let config = tls.map(|tls| tls.config.clone());
        let server = Server::start(source.object(SIZE), Pace::default(), config)?;
        for is_null in [false, true] {
            let mut way = WayRun { is_tls, is_null, points: Vec::new() };
            for count in COUNTS {
                let cores = SlowCores::new(count, SPEED)?;
                let drain = if is_null { Drain::Null } else { Drain::Discard };
                let setting = Setting { drain, cores: Some(&cores) };
                let title = format!("{count} slow cores, {}, {}", way.scheme(), way.output());
                let tools: Vec<_> = tools.iter().map(|tool| with_threads(tool, count)).collect();
                let comparison = compare_in(setting, title, &server, tls, &tools, rounds)?;
                way.points.push(Point { at: count.into(), comparison });
            }
            ways.push(way);
        }
    }
    Ok(ways)
}

/// A client with an option for the number of cores, where it has one: others count those of the machine.
fn with_threads(tool: &Installed, count: u32) -> Installed {
    let tool =
        tool.with_variables(&["TOKIO_WORKER_THREADS", "GOMAXPROCS"].map(|name| (name, count.to_string())));
    if tool.tool == Tool::S3fcp { tool.with(&["--threads".to_owned(), count.to_string()]) } else { tool }
}

/// A line for each client and way: MiB a second on each number of cores, how many times as fast the most are as the least, and
/// the processor time of a GiB on both.
pub(crate) fn table(ways: &[WayRun], markdown: bool) -> Table {
    let counts = COUNTS.map(|count| if count == 1 { "1 core".to_owned() } else { format!("{count} cores") });
    let ends = ["4 to 1", "CPU s/GiB, 1 core", "CPU s/GiB, 4 cores"];
    let heads: Vec<&str> =
        ["MiB/s"].into_iter().chain(counts.iter().map(String::as_str)).chain(ends).collect();
    let mut table = Table::new(markdown, &heads);
    for way in ways {
        for tool in Tool::ALL {
            let rows = || way.points.iter().filter_map(|point| point.comparison.row(tool));
            let Some(last) = rows().next_back() else { continue };
            let mut cells = vec![format!("{}, {}, {}", tool.name(), way.scheme(), way.output())];
            cells.extend(way.points.iter().map(|point| {
                let row = point.comparison.row(tool);
                row.map_or_else(|| "failed".to_owned(), |row| format!("{:.0}", row.throughput(SIZE)))
            }));
            if let Some((least, _)) = way.ends().and_then(|(least, most)| least.row(tool).zip(most.row(tool)))
            {
                let cpu = |row: &Row| format!("{:.2}", row.cpu_per_gib(SIZE));
                cells.push(format!("{:.2}x", last.throughput(SIZE) / least.throughput(SIZE)));
                cells.extend([cpu(least), cpu(last)]);
            }
            table.push(cells);
        }
    }
    table
}
