//! Notes for the reader of a test run's log: what was tested, and what was skipped and why.

use std::io::Write as _;

/// Writes a line to stderr itself, past the test harness, which shows what `eprintln!` prints only if a test fails.
pub(crate) fn tell(line: &str) {
    // A test does not fail because nobody listens.
    let _ = writeln!(std::io::stderr(), "{line}");
}
