//! The program at servers that lie: one to three objects on one to four threads, named on the command line or by a
//! list, into a pipe, a file, or a folder with a file of each, and runs that are killed, or whose closes fail, and
//! continued.
//!
//! The oracle is the promise (`promise.rs`): exit code 0 means one version of each object, whole and in order; whatever
//! else happens, what is in the pipe or in FILE.part is a beginning of that, and a FILE is whole. At last the server
//! tells the truth, and `--continue` reaches the end.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use rustix::process::Signal;

use super::lying::{Liar, LyingObject};
use super::promise::{Promise, has_file};
use crate::support::fault_server::{FaultServer, Request};
use crate::support::files::folder;
use crate::support::run::{Outcome, S3fcp};

const OBJECTS_MAX: u64 = 3;
/// The chunks of the largest object: the size is drawn for the first one, and 50,000 connections take minutes.
const CHUNKS_MAX: u64 = 200;
/// Runs that continue what the one before has left.
const RUNS_MAX: usize = 4;
/// The longest that a run lives before it is killed, in milliseconds: many have ended by then.
const KILL_AFTER_MAX_MS: u64 = 120;
/// A close that fails, counted from the first one of each thread.
const CLOSES_MAX: u64 = 60;
/// The exit codes of the program.
const CODES: std::ops::RangeInclusive<i32> = 0..=8;
/// The loader of strace's child may fail to close, too.
const LOADER_FAILED: i32 = 127;

/// How a run is disturbed from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disturbance {
    None,
    KillAfter(Duration),
    /// The close of this number fails, and all after it do.
    ClosesFrom(u64),
}

/// Where the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Pipe,
    /// `-o out`
    File,
    /// `-o ./`
    Folder,
}

/// How the objects are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    Arguments,
    /// `--from -`, by a shell's pipe.
    Piped,
    /// `--from -`, each name ending in this.
    Stdin(&'static str),
    /// `--from FILE`, each name ending in this.
    List(&'static str),
}

#[derive(Debug)]
struct ProgramCase {
    threads: u64,
    place: Place,
    naming: Naming,
    /// Later runs have `--force` beside `--continue`.
    is_forced: bool,
    disturbances: [Disturbance; RUNS_MAX],
}

impl ProgramCase {
    fn drawn(rng: &mut Rng) -> Self {
        let place = if rng.u8(..3) > 0 { Place::File } else { Place::Pipe };
        let disturbances = [(); RUNS_MAX].map(|()| match rng.u8(..30) {
            0 => Disturbance::ClosesFrom(rng.u64(1..CLOSES_MAX)),
            1..10 => Disturbance::KillAfter(Duration::from_millis(rng.u64(1..KILL_AFTER_MAX_MS))),
            _ => Disturbance::None,
        });
        let threads = *rng.choice(&[1, 2, 4]).unwrap_or(&1);
        let is_piped = place == Place::Pipe && rng.u8(..4) == 0;
        let naming = if is_piped { Naming::Piped } else { Naming::Arguments };
        Self { threads, place, naming, is_forced: false, disturbances }
    }

    /// With a file of each object, or with their names in a list.
    fn of_several(rng: &mut Rng) -> Self {
        let place = if rng.u8(..4) > 0 { Place::Folder } else { Place::Pipe };
        let end = *rng.choice(&["\n", "\0"]).unwrap_or(&"\n");
        let naming = match rng.u8(..3) {
            0 if place == Place::Folder => Naming::Arguments,
            1 => Naming::Stdin(end),
            _ => Naming::List(end),
        };
        Self { place, naming, is_forced: rng.u8(..4) == 0, ..Self::drawn(rng) }
    }
}

/// Runs the program of `seed`, and compares what it leaves.
pub(super) fn check(seed: u64) {
    let mut rng = Rng::with_seed(seed ^ 0x5eed);
    let case = ProgramCase::drawn(&mut rng);
    let count = rng.u64(1..=OBJECTS_MAX);
    // Several objects have no file together.
    let count = if case.place == Place::File { 1 } else { count };
    Trial::drawn(case, seed, count).check();
}

/// As [`check`], for several objects.
pub(super) fn check_several(seed: u64) {
    let mut rng = Rng::with_seed(seed ^ 0xf01d);
    let case = ProgramCase::of_several(&mut rng);
    Trial::drawn(case, seed, rng.u64(1..=OBJECTS_MAX)).check();
}

/// A case with its objects, their server, and what the runs may leave.
struct Trial {
    case: ProgramCase,
    objects: Vec<Arc<LyingObject>>,
    promise: Promise,
}

/// Names the case of a check that fails.
impl Drop for Trial {
    fn drop(&mut self) {
        if thread::panicking() {
            let liars: Vec<_> = self.objects.iter().map(|object| &object.liar).collect();
            eprintln!("{:?}\n{liars:?}", self.case);
        }
    }
}

impl Trial {
    fn drawn(case: ProgramCase, seed: u64, count: u64) -> Self {
        let objects: Vec<_> = (0..count)
            .map(|number| {
                let mut liar = Liar::drawn(seed.wrapping_mul(OBJECTS_MAX) + number);
                liar.is_url = false;
                if count > 1 || case.naming != Naming::Arguments {
                    liar.range = None;
                }
                Arc::new(LyingObject::of(liar))
            })
            .collect();
        let promise = Promise::of(objects.iter().map(|object| object.wanted()).collect(), case.is_forced);
        Self { case, objects, promise }
    }

    fn server(&self) -> FaultServer {
        let objects = self.objects.clone();
        FaultServer::start(Bytes::new(), move |request: &Request| {
            let path = request.target.split('?').next().unwrap_or_default();
            let number: usize = path.rsplit('k').next().and_then(|n| n.parse().ok()).expect("an object");
            objects[number].respond(request)
        })
    }

    fn check(&self) {
        let (server, folder, lists) = (self.server(), folder(), folder());
        let list = lists.path().join("list");
        if let Naming::Stdin(end) | Naming::List(end) = self.case.naming {
            let names = self.uris().into_iter().fold(String::new(), |names, uri| names + &uri + end);
            fs::write(&list, names).expect("a list");
        }
        for (number, disturbance) in self.case.disturbances.into_iter().enumerate() {
            let line = self.line(&server, &list, number);
            let outcome = self.run(folder.path(), &line, disturbance);
            check_code(&outcome, disturbance);
            if self.is_complete(&outcome, folder.path(), disturbance) {
                return;
            }
        }
        self.check_end(&server, &list, folder.path());
    }

    /// Checks what a run has left; returns whether there is nothing to continue.
    #[track_caller]
    fn is_complete(&self, outcome: &Outcome, folder: &Path, disturbance: Disturbance) -> bool {
        let is_success = outcome.code() == Some(0);
        let told = || ended(outcome);
        match self.case.place {
            Place::Pipe => {
                self.promise.check_pipe(&outcome.stdout, is_success, told);
                true
            }
            Place::File => {
                let is_there = self.promise.check_file(&folder.join("out"), is_success, told);
                // It may have been killed, or a close may have failed, just after.
                let may_be = is_success || disturbance != Disturbance::None;
                assert!(!is_there || may_be, "FILE, but {}", told());
                is_there
            }
            Place::Folder => {
                let was_killed = outcome.code().is_none();
                self.promise.check_folder(folder, is_success, was_killed, told);
                is_success
            }
        }
    }

    /// Once the server tells the truth, the next run reaches the end, if no FILE is in its way that it may not replace.
    fn check_end(&self, server: &FaultServer, list: &Path, folder: &Path) {
        if self.objects.iter().any(|object| object.liar.range.is_some()) {
            return;
        }
        self.objects.iter().for_each(|object| object.be_honest());
        let may_refuse = !self.case.is_forced && has_file(folder);
        let outcome = self.run(folder, &self.line(server, list, RUNS_MAX), Disturbance::None);
        let code = outcome.code();
        assert!(code == Some(0) || (may_refuse && code == Some(8)), "at the end: {}", ended(&outcome));
        self.is_complete(&outcome, folder, Disturbance::None);
    }

    fn uris(&self) -> Vec<String> {
        (0..self.objects.len()).map(|number| format!("s3://bucket/k{number}")).collect()
    }

    /// The command line of the run of this number.
    fn line(&self, server: &FaultServer, list: &Path, number: usize) -> String {
        let (first, case) = (&self.objects[0].liar, &self.case);
        let largest = self.objects.iter().flat_map(|object| object.liar.sizes).max().unwrap_or_default();
        let mut line = format!(
            "s3fcp --endpoint {} --hedge off --max-attempts 2 --stall-timeout 2 --threads {} -c {} --chunk-size {}B",
            server.endpoint(),
            case.threads,
            first.concurrency,
            first.chunk.max(largest / CHUNKS_MAX)
        );
        if let Some(range) = &first.range {
            // Writing into a string cannot fail.
            let _ = write!(line, " --range {}-{}", range.start, range.end - 1);
        }
        line += match case.place {
            Place::Pipe => "",
            Place::File => " -o out",
            Place::Folder => " -o ./",
        };
        if number > 0 && case.place != Place::Pipe {
            line += " --continue";
            line += if case.is_forced { " --force" } else { "" };
        }
        if matches!(case.naming, Naming::Stdin("\0") | Naming::List("\0")) {
            line += " -0";
        }
        let uris = self.uris().join(" ");
        match case.naming {
            Naming::Arguments => format!("exec {line} {uris}"),
            Naming::Piped => format!("printf '%s\\n' {uris} | {line} --from -"),
            Naming::Stdin(_) => format!("exec {line} --from - < '{}'", list.display()),
            Naming::List(_) => format!("exec {line} --from '{}'", list.display()),
        }
    }

    fn run(&self, folder: &Path, line: &str, disturbance: Disturbance) -> Outcome {
        let is_piped = self.case.naming == Naming::Piped;
        let line = match disturbance {
            Disturbance::ClosesFrom(first) if !is_piped => {
                let inject = format!("inject=close:error=EIO:when={first}+");
                let traced = format!("exec strace -f -qq -o /dev/null -e trace=close -e {inject} s3fcp");
                line.replacen("exec s3fcp", &traced, 1)
            }
            _ => line.to_owned(),
        };
        let running = S3fcp::shell(&format!("cd '{}' && {line}", folder.display())).start();
        if let Disturbance::KillAfter(after) = disturbance
            && !is_piped
        {
            thread::sleep(after);
            if !running.has_ended() {
                running.signal(Signal::KILL);
            }
        }
        running.wait()
    }
}

#[track_caller]
fn check_code(outcome: &Outcome, disturbance: Disturbance) {
    let may_fail = |code| matches!(disturbance, Disturbance::ClosesFrom(_)) && code == LOADER_FAILED;
    match outcome.code() {
        Some(code) => assert!(CODES.contains(&code) || may_fail(code), "{}", ended(outcome)),
        None => assert!(matches!(disturbance, Disturbance::KillAfter(_)), "{}", ended(outcome)),
    }
}

/// Describes how a run ended, without its bytes.
fn ended(outcome: &Outcome) -> String {
    format!("{}: {}", outcome.status, outcome.stderr)
}
