//! The table of options has all that `--help` has, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use super::text;
use crate::support::run::S3fcp;

/// Returns the words of `text` that are long options.
fn options(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '-';
    let words = text.split(|c| !is_part(c)).filter(|word| word.len() > 3);
    words.filter(|word| word.starts_with("--") && !word.starts_with("---")).map(str::to_owned).collect()
}

#[test]
fn the_table_lists_the_options_of_the_program() {
    let page = text(Path::new("docs/options.md"));
    let rows = page.lines().filter(|line| line.starts_with("| `-"));
    let listed: BTreeSet<_> =
        rows.flat_map(|row| options(row.trim_start_matches('|').split('|').next().unwrap_or(""))).collect();
    let help = S3fcp::new().args(["--help"]).start().wait();
    let help = String::from_utf8(help.stdout).expect("text");
    let lines = help.lines().filter(|line| line.trim_start().starts_with('-') && line.starts_with("  "));
    let mut known: BTreeSet<_> =
        lines.flat_map(|line| options(line.split("  [").next().unwrap_or(""))).collect();
    known.remove("--help");
    let aliases: BTreeSet<_> = ["--part-size", "--endpoint-url", "--dual-stack"].map(str::to_owned).into();
    let unknown: Vec<_> = listed.difference(&known).filter(|option| !aliases.contains(*option)).collect();
    let missing: Vec<_> = known.difference(&listed).filter(|option| !aliases.contains(*option)).collect();
    assert!(listed.len() > 30, "only {listed:?} were found");
    assert!(unknown.is_empty() && missing.is_empty(), "unknown: {unknown:?}; missing: {missing:?}");
}
