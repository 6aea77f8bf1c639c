//! Thousands of small downloads, each from a server with a schedule of faults of its own, drawn from a seed;
//! the contract is the oracle.
//!
//! `schedule.rs` draws a download (sizes, requests at once, tries) and what the server does with each request,
//! out of the faults in `fault.rs`; `oracle.rs` says what may have come of it. The library runs here in the
//! test's own process, so that a download costs little, and many wait at once, for most of their time goes by
//! between tries.
//!
//! `S3FCP_FAULT_RUNS=100000` makes more of them, `S3FCP_FAULT_SEED=7` others. A failure prints the two for
//! itself alone.

mod download;
mod fault;
mod oracle;
mod schedule;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use schedule::Schedule;

const RUNS: u64 = 4000;
const SEED: u64 = 1;
/// Downloads at once: enough to hide the waiting.
const WORKERS: usize = 48;
/// Failures that are worth printing before it ends.
const FAILURES_MAX: usize = 5;

#[test]
fn whatever_a_server_does_the_contract_holds() {
    raise_file_limit();
    let (runs, first) = (from_env("S3FCP_FAULT_RUNS", RUNS), from_env("S3FCP_FAULT_SEED", SEED));
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let worker = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        loop {
            let run = next.fetch_add(1, Relaxed);
            if run >= runs || failed.lock().expect("a list").len() >= FAILURES_MAX {
                return;
            }
            let seed = first.wrapping_add(run);
            let check = || runtime.block_on(download::check(Schedule::drawn(seed)));
            if catch_unwind(AssertUnwindSafe(check)).is_err() {
                failed.lock().expect("a list").push(seed);
            }
        }
    };
    thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(worker))));
    let failed = failed.into_inner().expect("a list");
    let again = |seed| format!("S3FCP_FAULT_SEED={seed} S3FCP_FAULT_RUNS=1 cargo test --test suite random\n");
    let all: String = failed.iter().map(again).collect();
    assert!(failed.is_empty(), "again, one by one:\n{all}");
}

fn from_env<T: FromStr>(name: &str, default: T) -> T {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}"))
}

/// Both ends of every connection are in this process.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where it cannot be raised, what there is may do.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
