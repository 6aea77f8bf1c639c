//! The fault table: every fault that the suite knows, in each phase of an exchange and in the first, a middle and the
//! last range, with its outcome: the object or a prefix of it, the exit code, the number of requests, and the bytes
//! that the server sent.
//!
//! `rows/` is the table, `case.rs` defines a case, `check.rs` runs one, and `page.rs` shows users the outcome of
//! each fault. Tests of a single fault's peculiarities are in the other files of `faults/`.

mod case;
mod check;
mod page;
mod rows;

use crate::support::table;
use case::Case;

/// The table is of use only while it is quick enough to be run with every change.
const CASES_MIN: usize = 60;

#[test]
fn every_fault_ends_as_the_table_says() {
    let rows = rows::rows();
    let named = |row: &'static str, case: &Case| {
        (format!("{row}: {} {:?} {:?}", case.name, case.at, case.times), case.clone())
    };
    let all: Vec<_> =
        rows.iter().flat_map(|row| row.cases.iter().map(|case| named(row.fault, case))).collect();
    assert!(all.len() >= CASES_MIN);
    let table: Vec<_> = all.iter().map(|(name, case)| (name.as_str(), case)).collect();
    table::each(&table, |case| check::check(case));
}
