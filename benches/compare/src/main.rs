//! s3fcp beside other clients: the same object, the same server, in turn; every byte checked, and a table of what each
//! cost.
//!
//! `cargo run --release -p compare`; README.md beside this package says more. The way through the files:
//!
//! `cli` (what to measure) -> `bench` -> `tool` (which clients are here; `cargo` builds ours) -> `workload` (which
//! object, which pace) -> `server` -> `compare` (rounds) -> `run` (one client, once: `drain` reads its pipe, `watch` its
//! memory) -> `report`, `sweep`, `plot`. `instructions` and `callgrind` count instead of timing, and `soak` measures
//! nothing: it looks for what goes wrong in a long download.

#![expect(clippy::print_stdout, reason = "tables are what it is for")]

mod bench;
mod callgrind;
mod cargo;
mod cli;
mod compare;
mod drain;
mod instructions;
mod link;
mod machine;
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
    let sizes = bench.sizes()?;
    let connections = bench.connections()?;
    let links = bench.links()?;
    bench.instructions()?;
    if let Some(path) = &args.svg {
        plot::draw(path, comparisons.first(), connections.as_deref(), links.as_deref())?;
        println!("\nDrawn: {}", path.display());
    }
    let swept = sizes.iter().chain(&connections).flatten().map(|point| &point.comparison);
    let failed = comparisons.iter().chain(swept).flat_map(|c| &c.rows).any(|row| row.failure.is_some());
    if failed { Err("not every download was right".into()) } else { Ok(()) }
}
