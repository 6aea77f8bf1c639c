//! Notes for the reader of a test run's log: what was tested, and what was skipped and why.

use std::io::Write as _;

/// Writes a line on stderr itself, past the capture of tests that pass: `eprintln!` is shown only where one fails.
pub(crate) fn tell(line: &str) {
    // A test does not fail because nobody listens.
    let _ = writeln!(std::io::stderr(), "{line}");
}
