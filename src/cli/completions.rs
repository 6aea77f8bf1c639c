//! Completions for shells, and the man page, generated from the definition by which the arguments are parsed, so that
//! neither can differ from `--help`. Output is reproducible: there is no date in it.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches as _, ValueHint, value_parser};
use clap_complete::Shell;
use clap_mangen::Man;
use roff::{Roff, roman};

use crate::cli::profile_completion::with_profiles;
use crate::error::Result;
use crate::output::stream::print;

/// The name of the program, and of its page.
const NAME: &str = "s3fcp";

/// Options that print something about the program; each stands alone on a command line.
#[derive(Debug, Args)]
pub(super) struct SelfDescription {
    /// Print completions for a shell
    ///
    /// Save them where that shell looks for them; for bash: ~/.local/share/bash-completion/completions/s3fcp.
    #[arg(long, value_name = "SHELL", exclusive = true, hide_short_help = true)]
    completions: Option<Shell>,

    /// Print the man page
    ///
    /// Save it below a folder of MANPATH, for example as ~/.local/share/man/man1/s3fcp.1.
    #[arg(long, exclusive = true, hide_short_help = true)]
    man: bool,
}

/// Prints to stdout what is asked for, and returns whether anything was. A failed write is an error of kind
/// [`Output`](crate::ErrorKind::Output).
pub(super) fn answer(matches: &ArgMatches, command: &Command) -> Result<bool> {
    // All fields are optional, so this cannot fail.
    let Ok(asked) = SelfDescription::from_arg_matches(matches) else { return Ok(false) };
    let text = match (asked.completions, asked.man) {
        (Some(shell), _) => completions(shell, command.clone()),
        (None, true) => man(command.clone()),
        (None, false) => return Ok(false),
    };
    print(&text)?;
    Ok(true)
}

fn completions(shell: Shell, command: Command) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command.mut_args(completed), NAME, &mut text);
    with_profiles(shell, &String::from_utf8_lossy(&text)).into_bytes()
}

/// Adjusts an option for completion scripts: no file completion unless the value is a file. Of `--info=json` only the
/// part before the `=` is completed, because scripts offer the value as a separate word, which would be read as a URI.
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

/// Returns the man page in roff. clap would fill the text after the options to paragraphs: here its titles become
/// sections, and its tables stay as they are.
fn man(mut command: Command) -> Vec<u8> {
    let usage = command.render_usage().to_string();
    let prose = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let page = Man::new(command.override_usage(usage.trim_start_matches("Usage: ").to_owned()))
        .title("S3FCP")
        // An empty date would be left out, and the next field would be read as the date.
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
        // Writing to a vector cannot fail.
        let _ = part(&page, &mut text);
    }
    text.extend(sections(&prose).to_roff().into_bytes());
    text
}

/// Converts text in which `Title:` at the start of a line opens a section, and the lines below it are indented by two.
fn sections(prose: &str) -> Roff {
    let mut page = Roff::new();
    for line in prose.lines() {
        if let Some(title) = line.strip_suffix(':').filter(|title| !title.starts_with(' ')) {
            // The name that man-pages(7) gives this section.
            let title = if title == "Exit codes" { "EXIT STATUS".to_owned() } else { title.to_uppercase() };
            page.control("fi", []).control("SH", [title.as_str()]).control("nf", []);
        } else {
            page.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
    }
    page
}
