//! The table of faults in docs/failures.md, written from the cases, so that the two can never differ.
//!
//! With `S3FCP_UPDATE_DOCS` in the environment the test writes the table instead of comparing it.

use std::fmt::Write as _;
use std::path::Path;

use super::case::{Ends, Times};
use super::rows::{Row, rows};

const BEGIN: &str = "<!-- faults: written by tests/suite/faults/table/page.rs -->\n";
const END: &str = "<!-- end of faults -->\n";

#[test]
fn the_page_says_what_the_table_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/failures.md");
    let page = std::fs::read_to_string(&file).expect("a page");
    let (before, rest) = page.split_once(BEGIN).expect("the place of the table");
    let (there, after) = rest.split_once(END).expect("the end of the table");
    let table = rendered(&rows());
    if std::env::var_os("S3FCP_UPDATE_DOCS").is_some() {
        std::fs::write(&file, [before, BEGIN, &table, END, after].concat()).expect("a page to write");
    } else {
        assert!(there == table, "S3FCP_UPDATE_DOCS=1 cargo test --test suite page writes:\n{table}");
    }
}

fn rendered(rows: &[Row]) -> String {
    let mut text =
        "| what if | it happens once | it happens every time | cases |\n|---|---|---|---|\n".to_owned();
    for row in rows {
        let once = end(row, Times::Once);
        // What ends a download cannot happen to it again.
        let always = end(row, Times::Always).or(once.filter(|ends| *ends != Ends::Whole));
        let [once, always] = [once, always].map(|ends| ends.map(shown).unwrap_or_default());
        // Writing into a string cannot fail.
        let _ = writeln!(text, "| {} | {once} | {always} | {} |", row.fault, row.cases.len());
    }
    text
}

/// What all cases of a row end in that happen so often; a row with two ends is two rows.
fn end(row: &Row, times: Times) -> Option<Ends> {
    let mut ends: Vec<_> =
        row.cases.iter().filter(|case| case.times == times).map(|case| case.ends).collect();
    ends.dedup();
    assert!(ends.len() <= 1, "{}: {ends:?}", row.fault);
    ends.pop()
}

fn shown(ends: Ends) -> String {
    match ends {
        Ends::Whole => "survived".to_owned(),
        Ends::Exit(code) => format!("exit {code}"),
    }
}
