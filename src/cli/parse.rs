//! From the process's words to an [`Invocation`], or to the answer that ends the process without a download.

use std::ffi::OsString;
use std::io::IsTerminal as _;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::args::Args;
use crate::cli::completions;
use crate::cli::habits;
use crate::cli::invocation::Invocation;
use crate::cli::outcome::{EndCause, RunEnd};
use crate::error::Error;
use crate::output::stream::print;

/// Parses the process's arguments. Returns `None` after `--help`, `--version`, `--completions` and `--man`, which
/// print.
pub(crate) fn parse_arguments() -> Result<Option<Invocation>, RunEnd> {
    let words: Vec<OsString> = habits::translated(std::env::args_os())?;
    let command = Args::command();
    let matches = match command.clone().try_get_matches_from(&words) {
        Ok(matches) => matches,
        // clap ignores that --help or --version cannot be written.
        Err(answer) if !answer.use_stderr() && !std::io::stdout().is_terminal() => {
            print(answer.render().to_string().as_bytes())?;
            return Ok(None);
        }
        Err(answer) if !answer.use_stderr() => {
            answer.print().map_err(Error::output)?;
            return Ok(None);
        }
        Err(refusal) => return Err(EndCause::Refused(habits::explained(refusal, &words, &command)?).into()),
    };
    if completions::answer(&matches, &command)? {
        return Ok(None);
    }
    let args = Args::from_arg_matches(&matches).map_err(EndCause::Refused)?;
    Ok(Some(args.try_into()?))
}
