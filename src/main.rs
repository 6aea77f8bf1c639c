//! The program: parse, build the runtime, run, end with an exit code.

mod allocator;

use std::process::ExitCode;
use std::time::Instant;

use s3fcp::app::{self, Stopped};
use s3fcp::{Error, ErrorKind, cli};

/// How many tasks run before it is looked what else there is to do. A turn of a fetch moves up to 256 KiB: with
/// tokio's 61 in a row a busy download would not hand on what the head of the line has for milliseconds.
const TURNS: u32 = 8;

fn main() -> ExitCode {
    let began = Instant::now();
    allocator::keep_freed_memory();
    match run(began) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stopped) => stopped.report(),
    }
}

fn run(began: Instant) -> Result<(), Stopped> {
    let invocation = cli::parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(TURNS)
        .build()
        .map_err(|e| Error::new(ErrorKind::Other, "the runtime could not be started").with_source(e))?;
    let result = runtime.block_on(app::run(&invocation, began));
    // A name lookup or a writer may be blocked for long: the process ends without it.
    runtime.shutdown_background();
    result
}
