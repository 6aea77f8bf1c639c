//! Comparisons in print: a table each, and how s3fcp stands to the others.

use std::fmt::Write;

use crate::compare::{Comparison, Row, gib};
use crate::server::MIB;
use crate::table::Table;
use crate::tool::Tool;

/// Below this, in bytes, an object says nothing of the CPU time of a GiB.
const SMALL: u64 = 16 * MIB;

const HEADS: [&str; 13] = [
    "tool",
    "CPU s/GiB",
    "user",
    "system",
    "wall s",
    "MiB/s",
    "first byte ms",
    "peak MiB",
    "conns",
    "unused",
    "HEADs",
    "GETs",
    "over %",
];

/// The figures of one comparison: medians, and counts of the last run.
pub(crate) fn comparison(comparison: &Comparison, markdown: bool) -> String {
    let mut heads = HEADS;
    if comparison.size < SMALL {
        heads[1] = "CPU ms";
    }
    let mut table = Table::new(markdown, &heads);
    for row in &comparison.rows {
        table.push(cells(row, comparison.size));
    }
    let mut text = format!("{} {}\n\n{table}", if markdown { "###" } else { "##" }, comparison.title);
    for row in &comparison.rows {
        if let Some(failure) = &row.failure {
            let _ = write!(text, "\n{} FAILED: {failure}\n", row.tool.name());
        }
    }
    text + &standing(comparison)
}

fn cells(row: &Row, size: u64) -> Vec<String> {
    let (Some(last), None) = (row.runs.last(), &row.failure) else {
        return vec![row.tool.name().to_owned(), "failed".to_owned()];
    };
    let cpu = |seconds: f64| {
        if size < SMALL { format!("{:.1}", 1000.0 * seconds) } else { format!("{:.3}", seconds / gib(size)) }
    };
    let peaks: Option<Vec<u64>> = row.runs.iter().map(|run| run.peak).collect();
    let seen = last.seen;
    vec![
        row.tool.name().to_owned(),
        cpu(row.median(|run| run.cpu.total())),
        cpu(row.median(|run| run.cpu.user)),
        cpu(row.median(|run| run.cpu.system)),
        format!("{:.3}", row.wall()),
        format!("{:.0}", row.throughput(size)),
        format!("{:.1}", 1000.0 * row.median(|run| run.first_byte.unwrap_or(run.wall).as_secs_f64())),
        peaks.map_or_else(String::new, |_| {
            format!("{:.1}", 1024.0 * row.median(|run| gib(run.peak.unwrap_or(0))))
        }),
        seen.connections.to_string(),
        seen.unused.to_string(),
        seen.heads.to_string(),
        seen.gets.to_string(),
        format!("{:.1}", 100.0 * row.median(|run| gib(run.seen.bytes) - gib(size)) / gib(size)),
    ]
}

/// s3fcp's CPU and wall time as multiples of each other client's.
fn standing(comparison: &Comparison) -> String {
    let Some(ours) = comparison.row(Tool::S3fcp) else { return String::new() };
    let others: Vec<&Row> =
        Tool::ALL.iter().filter(|t| **t != Tool::S3fcp).filter_map(|t| comparison.row(*t)).collect();
    if others.is_empty() {
        return String::new();
    }
    let times = |figure: &dyn Fn(&Row) -> f64| {
        let times =
            others.iter().map(|row| format!("{:.2} x {}", figure(ours) / figure(row), row.tool.name()));
        times.collect::<Vec<_>>().join(", ")
    };
    format!(
        "\ns3fcp's CPU time: {}\ns3fcp's wall time: {}\n",
        times(&|row| row.cpu_per_gib(comparison.size)),
        times(&Row::wall)
    )
}
