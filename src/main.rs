//! The program: parse, build the runtime, run, map the error to an exit code.

mod allocator;

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use s3fcp::{Error, ErrorKind, app, cli};

/// How many tasks run before it is looked what else there is to do. A turn of a fetch moves up to 256 KiB: with
/// tokio's 61 in a row a busy download would not hand on what the head of the line has for milliseconds.
const TURNS: u32 = 8;

fn main() -> ExitCode {
    let began = Instant::now();
    allocator::keep_freed_memory();
    let result = cli::parse().and_then(|invocation| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .event_interval(TURNS)
            .build()
            .map_err(|e| Error::new(ErrorKind::Other, "the runtime could not be started").with_source(e))?;
        let result = runtime.block_on(app::run(&invocation, began));
        // A name lookup or a writer may be blocked for long: the process ends without it.
        runtime.shutdown_background();
        result
    });
    let Err(error) = result else { return ExitCode::SUCCESS };
    if error.is_closed_pipe() {
        // As `cat` ends: silently, by the signal itself. Rust ignores it from the start.
        let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGPIPE);
    }
    // Where stderr is full or closed the exit code still tells.
    let _ = writeln!(std::io::stderr(), "s3fcp: {error}");
    ExitCode::from(error.exit_code())
}
