//! The library's interface, as a snapshot: a change of what an embedder sees is seen in review.

use std::fmt::Write as _;

use crate::support::sources::{Source, sources};

/// The rooms of the program, whose items are public to nobody.
const PROGRAM: [&str; 4] = ["cli", "output", "main", "fuzzing"];

/// Returns whether a line begins a public item; `unreachable_pub` sees to it that such an item can be reached.
fn is_public(line: &str) -> bool {
    line.trim_start().starts_with("pub ")
}

/// Returns the public items of a file, each in one line, without bodies.
fn items(source: &Source) -> Vec<String> {
    let mut items = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if !is_public(line) {
            continue;
        }
        let mut item = line.trim().to_owned();
        // Up to the body, or to the end of a field.
        while !item.ends_with(['{', ';', ',']) {
            let Some(next) = lines.next() else { break };
            let _ = write!(item, " {}", next.trim());
        }
        let item = item.trim_end_matches(['{', ';', ',']).trim();
        items.push(item.replace("( ", "(").replace(", )", ")"));
    }
    items
}

#[test]
fn the_public_api_changes_only_on_purpose() {
    let mut listed = String::new();
    for source in sources().iter().filter(|source| !PROGRAM.contains(&source.room())) {
        let items = items(source);
        if !items.is_empty() {
            let _ = writeln!(listed, "{}", source.path.display());
            for item in items {
                let _ = writeln!(listed, "    {item}");
            }
        }
    }
    insta::assert_snapshot!("public_api", listed);
}
