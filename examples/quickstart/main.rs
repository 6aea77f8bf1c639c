//! A first look without an account or a network: a large random object, downloaded by the release binary from a
//! server in this process that checks signatures, and its SHA-256 compared.
//!
//! `cargo run --release --example quickstart [-- SIZE] [--tls]`, or with `--serve [DIR]` only the server, to play with.
//! It takes nothing from the AWS configuration of the user, whose variables and files the download does not see. Exits
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
#[expect(clippy::option_option, reason = "an option that may be left out, with a value that may be left out")]
#[derive(Debug, Parser)]
struct Args {
    /// Size of the random object: 1048576, 64MiB (binary) or 64MB (decimal)
    #[arg(default_value = "512MiB")]
    size: ByteSize,

    /// Serve over TLS, by a certificate authority made on the spot
    #[arg(long)]
    tls: bool,

    /// Serve the files of DIR instead, until Ctrl-C; without DIR, a small tree of examples
    #[arg(long, value_name = "DIR", num_args = 0..=1, conflicts_with = "size")]
    serve: Option<Option<PathBuf>>,

    /// Port to listen on [default: a free one]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,

    /// Keys that clients have to sign with, instead of random ones
    #[arg(long, value_name = "ACCESS:SECRET", value_parser = keys)]
    keys: Option<(String, String)>,
}

/// Parses an access key and its secret.
fn keys(text: &str) -> Result<(String, String), &'static str> {
    let (access, secret) = text.split_once(':').ok_or("write ACCESS:SECRET")?;
    if access.is_empty() || secret.is_empty() {
        return Err("neither may be empty");
    }
    Ok((access.to_owned(), secret.to_owned()))
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
    let place = place::Place::open(args.tls, args.port, args.keys, &binary)?;
    match args.serve {
        None => download::run(&place, &binary, args.size),
        Some(directory) => place.serve(directory.as_deref(), &binary),
    }
}
