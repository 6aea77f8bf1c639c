//! The last lines on stderr for programs, one for `--progress=json` and one for `--stats=json`.
//!
//! The words of the command line show whether they are asked for, before and apart from the parser: a command
//! line that the parser refuses gets them, too.

use std::ffi::OsString;
use std::sync::Arc;

use crate::cli::progress::lines::last_json_line;
use crate::cli::progress::snapshot::{RunProgress, Snapshot};
use crate::cli::progress::view::RunOutcome;
use crate::cli::report::end::EndReport;
use crate::cli::report::stats::Stats;
use crate::output::write_progress::WriteProgress;

/// The long options that are `--quiet`, which is stronger than `--progress`.
const QUIET: [&str; 5] =
    ["--quiet", "--no-progress", "--only-show-errors", "--silent", "--no-progress-meter"];
/// Words of wget that are `--quiet`.
const QUIET_WORDS: [&str; 2] = ["-nv", "--no-verbose"];
/// The short options that take no value, and so may stand before a `q` in one word.
const SHORT_FLAGS: &str = "qsvOR0";

/// The lines that are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LastLines {
    progress: bool,
    stats: bool,
}

/// The figures of a run at its end.
#[derive(Debug, Clone)]
pub(crate) struct RunFigures {
    /// How far the objects are.
    pub(crate) progress: Snapshot,
    /// The cost of the run, if it is asked for.
    pub(crate) stats: Option<Stats>,
}

impl LastLines {
    /// Returns the lines that the arguments `words` ask for.
    pub(crate) fn asked_for_by(words: impl IntoIterator<Item = OsString>) -> Self {
        let (mut progress, mut stats, mut is_quiet) = (None, None, false);
        let mut words = words.into_iter().map(|word| word.to_string_lossy().into_owned()).peekable();
        while let Some(word) = words.next().filter(|word| word != "--") {
            match word.split_once('=') {
                None if word == "--progress" => progress = words.next_if(|next| !next.starts_with('-')),
                None if word == "--stats" => stats = None,
                None => is_quiet |= is_quiet_word(&word),
                Some(("--progress", form)) => progress = Some(form.to_owned()),
                Some(("--stats", format)) => stats = Some(format.to_owned()),
                Some(_) => {}
            }
        }
        let is_json = |form: Option<String>| form.as_deref() == Some("json");
        Self { progress: is_json(progress) && !is_quiet, stats: is_json(stats) }
    }

    /// Returns whether any line is asked for.
    pub(crate) fn is_any(self) -> bool {
        self.progress || self.stats
    }
}

fn is_quiet_word(word: &str) -> bool {
    let is_short = |letters: &str| {
        let until_quiet = letters.split(['q', 's']).next().unwrap_or_default();
        until_quiet.len() < letters.len() && until_quiet.chars().all(|letter| SHORT_FLAGS.contains(letter))
    };
    QUIET.contains(&word)
        || QUIET_WORDS.contains(&word)
        || word.strip_prefix('-').is_some_and(|letters| !letters.starts_with('-') && is_short(letters))
}

impl RunFigures {
    /// Returns the figures where no run has begun to deliver, or nothing else is known of it than what `delivery`
    /// counted.
    pub(crate) fn without_run(delivery: &Arc<WriteProgress>) -> Self {
        Self {
            progress: RunProgress::new(None, Arc::clone(delivery)).now(),
            stats: Some(Stats::collect(None, None, None, None, delivery)),
        }
    }

    /// Returns the `lines` that are asked for, each with how the run ended.
    pub(crate) fn lines(&self, lines: LastLines, outcome: RunOutcome, end: &EndReport) -> String {
        let mut text = String::new();
        if lines.progress {
            text += &last_json_line(&self.progress, outcome, end);
        }
        if let Some(stats) = self.stats.as_ref().filter(|_| lines.stats) {
            text += &stats.json(end);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::args::Args;
    use crate::cli::invocation::Invocation;
    use crate::cli::progress::ProgressMode;
    use crate::cli::report::format::Format;

    fn asked(line: &str) -> (bool, bool) {
        let lines = LastLines::asked_for_by(line.split_whitespace().map(OsString::from));
        (lines.progress, lines.stats)
    }

    #[test]
    fn what_is_read_from_the_words_is_what_the_parser_reads() {
        for (options, is_asked) in [
            ("", (false, false)),
            ("--progress=json", (true, false)),
            ("--progress json", (true, false)),
            ("--progress plain", (false, false)),
            ("--progress json --progress=off", (false, false)),
            ("--progress off --progress json", (true, false)),
            ("--stats", (false, false)),
            ("--stats=text", (false, false)),
            ("--stats=json", (false, true)),
            ("--stats=json --stats", (false, false)),
            ("--stats --stats=json", (false, true)),
            ("--progress=json --stats=json", (true, true)),
            ("-q --progress=json --stats=json", (false, true)),
            ("--progress=json -vvq", (false, false)),
            ("--progress=json -qv", (false, false)),
            ("--progress=json -vs", (false, false)),
            ("--progress=json -O", (true, false)),
            ("--progress=json -oq", (true, false)),
            ("--progress=json -o -qv", (true, false)),
            ("--progress=json -c 2 -m 60s", (true, false)),
            ("--progress=json --silent", (false, false)),
        ] {
            let line = format!("{options} -- s3://b/k");
            if !options.contains("-o -") {
                let words = ["s3fcp"].into_iter().chain(line.split_whitespace());
                let parsed = Args::try_parse_from(words).unwrap_or_else(|e| panic!("{line}: {e}"));
                let parsed = Invocation::try_from(parsed).unwrap_or_else(|e| panic!("{line}: {e}"));
                let is_parsed = (
                    parsed.progress == ProgressMode::Json && !parsed.quiet,
                    parsed.stats == Some(Format::Json),
                );
                assert_eq!(is_parsed, is_asked, "{line}");
                assert_eq!(asked(&line), is_asked, "{line}");
            }
        }
        // No options after this word.
        assert_eq!(asked("s3://b/k -- --progress=json --stats=json"), (false, false));
        // The parser refuses these.
        assert_eq!(asked("--frobnicate --stats=json s3://b/k --progress json"), (true, true));
        assert_eq!(asked("--stats json"), (false, false));
        assert_eq!(asked("--progress --stats=json s3://b/k"), (false, true));
        assert_eq!(asked("-nv --progress=json --stats=json s3://b/k"), (false, true));
        assert_eq!(asked("--progress"), (false, false));
    }

    #[test]
    fn every_name_of_quiet_is_known() {
        let command = Args::command();
        let quiet = command.get_arguments().find(|arg| arg.get_id() == "quiet").expect("the option");
        let mut names: Vec<_> = quiet.get_all_aliases().unwrap_or_default();
        names.extend(quiet.get_long());
        names.sort_unstable();
        let mut known = QUIET.map(|name| name.trim_start_matches('-'));
        known.sort_unstable();
        assert_eq!(names, known);
        for argument in command.get_arguments().filter(|argument| !argument.get_action().takes_values()) {
            for letter in argument.get_short_and_visible_aliases().unwrap_or_default() {
                assert!(SHORT_FLAGS.contains(letter), "-{letter}");
            }
        }
    }
}
