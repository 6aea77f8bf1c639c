//! s3fcp beside other clients: the same object, the same server, in turn; every byte checked, and a table of what each
//! cost.
//!
//! `cargo run --release -p compare`; README.md beside this package says more. The way through the files:
//!
//! `cli` (what to measure) -> `bench` -> `tool` (which clients are here; `cargo` builds ours) -> `workload` (which
//! object, which pace) -> `server` -> `compare` (rounds) -> `run` (one client, once: `drain` reads its pipe, `watch` its
//! memory) -> `report`, `sweep`, `plot`. `many`, `cores` and `link` are workloads with servers and tables of their own.
//! `instructions` and `callgrind` count instead of timing, and `soak` measures nothing: it looks for what goes wrong in a
//! long download.

#![expect(clippy::print_stdout, reason = "tables are what it is for")]

mod bench;
mod callgrind;
mod cargo;
mod cli;
mod compare;
mod cores;
mod drain;
mod instructions;
mod link;
mod machine;
mod many;
mod object;
mod plot;
mod report;
mod run;
mod server;
mod soak;
mod sweep;
mod table;
mod tls;
mod tool;
mod watch;
mod workload;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use crate::bench::Bench;
use crate::cli::Args;
use crate::plot::Figures;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if let Some(gib) = args.soak {
        return soak::soak(gib.get(), args);
    }
    let bench = Bench::new(args)?;
    println!("{}\n", bench.describe());
    let comparisons = bench.workloads()?;
    let many = bench.many()?;
    let cores = bench.cores()?;
    let links = bench.links()?;
    let sizes = bench.sizes()?;
    let connections = bench.connections()?;
    bench.instructions()?;
    if let Some(path) = &args.svg {
        let figures =
            Figures { bars: comparisons.first(), connections: &connections, cores: &cores, links: &links };
        plot::draw(path, &figures)?;
        println!("\nDrawn: {}", path.display());
    }
    let points = sizes.iter().chain(&connections).chain(cores.iter().flat_map(|way| &way.points));
    let swept = points.map(|point| &point.comparison).chain(many.iter().map(|set| &set.comparison));
    let rows = comparisons.iter().chain(swept).flat_map(|comparison| &comparison.rows);
    let curves = links.iter().flat_map(|run| &run.curves);
    if rows.map(|row| &row.failure).chain(curves.map(|curve| &curve.failure)).any(Option::is_some) {
        return Err("not every download was right".into());
    }
    Ok(())
}
