//! A first look without an account or a network: a large random object, downloaded by the release binary from a
//! server in this process that checks signatures, and its SHA-256 compared.
//!
//! `cargo run --release --example quickstart [-- SIZE] [--tls]`, or with `--serve DIR` only the server, to play with.
//! It gets nothing from the AWS configuration of the user, whose variables and files the download does not see. Exits
//! with 1 when anything fails or differs.

#![expect(clippy::print_stdout, reason = "it has nothing else to say it with")]

mod download;
mod place;
mod program;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use bytesize::ByteSize;
use clap::Parser;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Download a random object from a server in this process, or serve files from one
#[derive(Debug, Parser)]
struct Args {
    /// Size of the random object: 1048576, 64MiB (binary) or 64MB (decimal)
    #[arg(default_value = "512MiB")]
    size: ByteSize,

    /// Serve over TLS, by a certificate authority made on the spot
    #[arg(long)]
    tls: bool,

    /// Serve the files of DIR instead, until Ctrl-C
    #[arg(long, value_name = "DIR", conflicts_with = "size")]
    serve: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<()> {
    let binary = program::build()?;
    let place = place::Place::open(args.tls, &binary)?;
    match args.serve {
        None => download::run(&place, &binary, args.size),
        Some(directory) => place.serve(&directory, &binary),
    }
}
