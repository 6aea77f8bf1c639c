//! The program: its options, a run from start to finish, what it shows, and how the process ends.

pub(crate) mod args;
mod awaited;
pub(crate) mod clear_token;
pub(crate) mod command_line;
pub(crate) mod completions;
pub(crate) mod crash;
pub(crate) mod deliver;
pub(crate) mod descriptors;
mod ending;
pub(crate) mod existing_file;
pub(crate) mod file_each;
pub(crate) mod freed_memory;
pub(crate) mod habits;
pub(crate) mod help;
pub(crate) mod integrity_notes;
pub(crate) mod interrupt;
pub(crate) mod invocation;
pub(crate) mod log;
pub(crate) mod objects;
mod observers;
pub(crate) mod outcome;
mod parse;
mod part_tail;
pub(crate) mod profile_completion;
pub(crate) mod progress;
pub(crate) mod report;
mod resume;
pub(crate) mod run;
pub(crate) mod source_list;
mod stack;
pub(crate) mod stderr;
mod stop;
pub(crate) mod transfer;
pub(crate) mod value_parsers;
pub(crate) mod warnings;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use crate::cli::interrupt::Interrupt;
use crate::cli::outcome::{EndCause, RunEnd};
use crate::cli::parse::parse_arguments;
use crate::cli::report::last_lines::LastLines;
use crate::config::running_command;
use crate::download::address_space;
use crate::download::threads::fetch_thread::EVENT_INTERVAL;
use crate::error::{Error, ErrorKind};
use crate::output::stream::note_closed_stdout;
use crate::output::write_progress::WriteProgress;

/// Runs the program in a process that began at `began`: parses its arguments, downloads, and returns the exit code.
/// `stdout_is_open` is whether the process was started with a stdout: later, that cannot be found out.
#[must_use]
pub fn main(began: Instant, stdout_is_open: bool) -> ExitCode {
    if !stdout_is_open {
        note_closed_stdout();
    }
    let delivery = Arc::new(WriteProgress::since(began));
    let lines = LastLines::asked_for_by(std::env::args_os().skip(1));
    crash::prepare(lines, &delivery);
    let end = stack::with_enough(|| try_main(lines, &delivery).unwrap_or_else(|end| end));
    end.unwrap_or_else(RunEnd::from).finish(lines, &delivery)
}

fn try_main(lines: LastLines, delivery: &Arc<WriteProgress>) -> Result<RunEnd, RunEnd> {
    // First: whatever comes next may open a file.
    descriptors::raise_limit();
    let interrupt = Interrupt::install(lines.is_any());
    let Some(invocation) = parse_arguments()? else { return Ok(EndCause::Complete.into()) };
    descriptors::check_room()?;
    address_space::check_room()?;
    let interrupt =
        interrupt.map_err(|e| Error::new(ErrorKind::Other, "cannot handle signals").with_source(e))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .build()
        .map_err(|e| Error::new(ErrorKind::Other, "cannot start the runtime").with_source(e))?;
    let end = runtime.block_on(run::run(&invocation, delivery, &interrupt));
    // A name lookup or a writer may be blocked for long: the process ends without it.
    runtime.shutdown_background();
    running_command::kill_all();
    end
}
