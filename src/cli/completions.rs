//! What the program makes of its own definition: completions for shells, and the man page.
//!
//! It gets the command that the arguments are parsed by, and hands on text, so that neither can say anything else than
//! `--help` does. The same program gives the same text wherever and whenever it runs: there is no date in it.

use std::io::{self, Write as _};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches as _, ValueHint, value_parser};
use clap_complete::Shell;
use clap_mangen::Man;
use roff::{Roff, roman};

use crate::error::{Error, Result};

/// The name of the program, and of its page.
const NAME: &str = "s3fcp";

/// Questions about the program, each of which stands alone on a command line.
#[derive(Debug, Args)]
pub(super) struct SelfDescription {
    /// Print the completions for a shell, and nothing else
    ///
    /// They go where that shell looks for them; for bash: ~/.local/share/bash-completion/completions/s3fcp.
    #[arg(long, value_name = "SHELL", exclusive = true, hide_short_help = true)]
    completions: Option<Shell>,

    /// Print the man page, and nothing else
    ///
    /// It goes below a folder of MANPATH, for example to ~/.local/share/man/man1/s3fcp.1.
    #[arg(long, exclusive = true, hide_short_help = true)]
    man: bool,
}

/// Answers such a question on stdout and ends the process with 0, as clap does by `--help`; returns where there is
/// none. What cannot be written is an error of kind [`Output`](crate::ErrorKind::Output).
pub(super) fn answer(matches: &ArgMatches, command: &Command) -> Result<()> {
    // Every field is optional, so there is nothing to be missed.
    let Ok(itself) = SelfDescription::from_arg_matches(matches) else { return Ok(()) };
    let text = match (itself.completions, itself.man) {
        (Some(shell), _) => completions(shell, command.clone()),
        (None, true) => man(command.clone()),
        (None, false) => return Ok(()),
    };
    io::stdout().write_all(&text).map_err(Error::output)?;
    std::process::exit(0);
}

fn completions(shell: Shell, command: Command) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command.mut_args(completed), NAME, &mut text);
    text
}

/// An option as a shell is to know it: no file names where no file is meant, and, because the scripts offer the values
/// of `--info=json` as a word of their own, which then is read as a URI, only what stands before the `=`.
fn completed(arg: Arg) -> Arg {
    if arg.is_require_equals_set() {
        let flag = arg.require_equals(false).default_missing_value(None);
        flag.num_args(0).value_parser(value_parser!(bool)).action(ArgAction::SetTrue)
    } else if arg.get_action().takes_values() && arg.get_value_hint() == ValueHint::Unknown {
        arg.value_hint(ValueHint::Other)
    } else {
        arg
    }
}

/// The page in roff. clap knows what stands behind the options as one text, which would be filled to paragraphs: here
/// its titles become sections, and its tables stay as they are.
fn man(mut command: Command) -> Vec<u8> {
    let usage = command.render_usage().to_string();
    let prose = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let page = Man::new(command.override_usage(usage.trim_start_matches("Usage: ").to_owned()))
        .title("S3FCP")
        // An empty one would not be written, and what comes behind it would be taken for the date.
        .date(" ")
        .manual("User Commands");
    let mut text = Vec::new();
    let parts = [
        Man::render_title,
        Man::render_name_section,
        Man::render_synopsis_section,
        Man::render_description_section,
        Man::render_options_section,
    ];
    for part in parts {
        // A vector takes what it is given.
        let _ = part(&page, &mut text);
    }
    text.extend(sections(&prose).to_roff().into_bytes());
    text
}

/// `Title:` at the beginning of a line opens a section; the lines below it are indented by two.
fn sections(prose: &str) -> Roff {
    let mut page = Roff::new();
    for line in prose.lines() {
        if let Some(title) = line.strip_suffix(':').filter(|title| !title.starts_with(' ')) {
            page.control("fi", []).control("SH", [title.to_uppercase().as_str()]).control("nf", []);
        } else {
            page.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
    }
    page
}
