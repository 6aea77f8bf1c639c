//! Tables of cases that are run side by side, because most of a case's time is spent waiting between attempts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

/// Cases that run at the same time: enough to hide the waiting, few enough for a small machine.
const WORKERS: usize = 8;

/// Runs `check` on every case of a table of named cases.
///
/// # Panics
/// After the last case, with the names of all cases that failed. Their own messages are printed above that.
#[track_caller]
pub(crate) fn each<T: Sync>(table: &[(&str, T)], check: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut failed = Vec::new();
        while let Some((name, case)) = table.get(next.fetch_add(1, Relaxed)) {
            if catch_unwind(AssertUnwindSafe(|| check(case))).is_err() {
                failed.push(*name);
            }
        }
        failed
    };
    let failed: Vec<&str> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|w| w.join().expect("a worker that catches panics")).collect()
    });
    assert!(failed.is_empty(), "{} of {} cases failed: {failed:?}", failed.len(), table.len());
}
