//! Thousands of small downloads, each from a server with a schedule of faults of its own, drawn from a seed; the
//! contract is the oracle.
//!
//! `schedule.rs` draws a download (sizes, requests at the same time, tries) and what the server does with each request, out of
//! the faults in `fault.rs`; `oracle.rs` says what may have come of it. The library runs here in the test's own
//! process, so that a download costs little, and many run at the same time, since most of their time is spent waiting
//! between tries.
//!
//! Every schedule runs twice. Once each download has a runtime on one thread, as the program has it. The other time all
//! of them share a runtime with several threads, as a service has it that embeds the library: there a download's
//! ranges, its consumer and the task that steers it truly run at the same time, and wake each other across threads.
//!
//! Servers that lie (`lying.rs`) have an oracle of their own; the program meets them too (`program.rs`), with files,
//! several objects and threads, kills, and closes that fail.
//!
//! `S3FCP_FAULT_RUNS=100000` makes more of them, `S3FCP_FAULT_SEED=7` others. A failure prints the two for itself
//! alone.

mod download;
mod fault;
mod lying;
mod oracle;
mod program;
mod promise;
mod schedule;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Builder;

use schedule::Schedule;

const RUNS: u64 = 4000;
const SEED: u64 = 1;
/// A process costs as much as so many downloads inside one.
const PROGRAM_RUNS_DIVISOR: u64 = 20;
/// Downloads at the same time: enough to hide the waiting.
const WORKERS: usize = 48;
/// Threads of the runtime that downloads share: more than a small machine has processors, so that a task is also
/// interrupted in the middle of what it does.
const RUNTIME_THREADS: usize = 4;
/// Failures that are worth printing before it ends.
const FAILURES_MAX: usize = 5;

#[test]
fn whatever_a_server_does_the_contract_holds() {
    check_all(|| {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        move |seed| download::check(&runtime, &Schedule::drawn(seed))
    });
}

#[test]
fn whatever_a_server_does_the_contract_holds_on_several_threads() {
    let mut builder = Builder::new_multi_thread();
    let runtime = &builder.worker_threads(RUNTIME_THREADS).enable_all().build().expect("a runtime");
    check_all(|| move |seed| download::check(runtime, &Schedule::drawn(seed)));
}

#[test]
fn success_is_one_version_whatever_a_server_says_of_it() {
    check_all(|| {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        move |seed| lying::check(&runtime, seed)
    });
}

#[test]
fn a_file_or_a_pipe_has_one_version_of_each_object_however_runs_of_the_program_end() {
    check_some(RUNS / PROGRAM_RUNS_DIVISOR, || program::check);
}

#[test]
fn each_of_several_objects_is_absent_begun_or_whole_and_continued_to_its_end() {
    check_some(RUNS / PROGRAM_RUNS_DIVISOR, || program::check_several);
}

/// Checks the schedules of all seeds, many at the same time: each thread checks one after the other by a `checker` of
/// its own.
fn check_all<C: Fn(u64)>(checker: impl Fn() -> C + Sync) {
    check_some(RUNS, checker);
}

/// Checks `runs` schedules where the environment names no other number.
fn check_some<C: Fn(u64)>(runs: u64, checker: impl Fn() -> C + Sync) {
    raise_file_limit();
    let (runs, first) = (from_env("S3FCP_FAULT_RUNS", runs), from_env("S3FCP_FAULT_SEED", SEED));
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let worker = || {
        let check = checker();
        loop {
            let run = next.fetch_add(1, Relaxed);
            if run >= runs || failed.lock().expect("a list").len() >= FAILURES_MAX {
                return;
            }
            let seed = first.wrapping_add(run);
            if catch_unwind(AssertUnwindSafe(|| check(seed))).is_err() {
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
