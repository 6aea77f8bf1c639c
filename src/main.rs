//! The program: parse, build the runtime, run, map the error to an exit code.

mod allocator;

use std::io::Write;
use std::process::ExitCode;

use s3fcp::cli::{self, Invocation};
use s3fcp::progress::Progress;
use s3fcp::{Download, Error, ErrorKind, config, info, inspect, sink};

fn main() -> ExitCode {
    allocator::keep_freed_memory();
    let result = cli::parse().and_then(|invocation| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Error::new(ErrorKind::Other, "the runtime could not be started").with_source(e))?;
        let result = runtime.block_on(run(&invocation));
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

async fn run(invocation: &Invocation) -> s3fcp::Result<()> {
    let config = config::load(&invocation.settings).await?;
    if let Some(format) = invocation.info {
        let object = inspect(&config, &invocation.uri, &invocation.download).await?;
        let text = info::render(&invocation.uri, &object, format);
        return std::io::stdout().write_all(text.as_bytes()).map_err(Error::output);
    }
    let mut progress = Progress::new(invocation.quiet);
    let mut download = Download::start(&config, &invocation.uri, &invocation.download).await?;
    progress.start(download.info().size, &invocation.uri.to_string());
    let result = sink::to_stdout(&mut download, &progress.delivered()).await;
    match result {
        Ok(()) => progress.finish(),
        Err(_) => progress.abandon(),
    }
    result
}
