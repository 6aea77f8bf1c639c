//! The program at servers that lie: one to three objects on one to four threads, into a pipe or a file, and runs that
//! are killed, or whose closes fail, and continued.
//!
//! The oracle is the promise: exit code 0 means one version of each object, whole and in order; whatever else happens,
//! what is in the pipe or in FILE.part is a beginning of that, and there is no FILE.

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
use crate::support::fault_server::{FaultServer, Request};
use crate::support::files::folder;
use crate::support::run::{Outcome, S3fcp};

const OBJECTS_MAX: u64 = 3;
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

#[derive(Debug)]
struct ProgramCase {
    threads: u64,
    into_file: bool,
    /// Names come from stdin.
    is_listed: bool,
    disturbances: [Disturbance; RUNS_MAX],
}

impl ProgramCase {
    fn drawn(rng: &mut Rng) -> Self {
        let into_file = rng.u8(..3) > 0;
        let disturbances = [(); RUNS_MAX].map(|()| match rng.u8(..30) {
            0 => Disturbance::ClosesFrom(rng.u64(1..CLOSES_MAX)),
            1..10 => Disturbance::KillAfter(Duration::from_millis(rng.u64(1..KILL_AFTER_MAX_MS))),
            _ => Disturbance::None,
        });
        Self {
            threads: *rng.choice(&[1, 2, 4]).unwrap_or(&1),
            into_file,
            is_listed: !into_file && rng.u8(..4) == 0,
            disturbances,
        }
    }
}

/// Runs the program of `seed`, and compares what it leaves.
pub(super) fn check(seed: u64) {
    let mut rng = Rng::with_seed(seed ^ 0x5eed);
    let case = ProgramCase::drawn(&mut rng);
    let count = rng.u64(1..=OBJECTS_MAX);
    let objects: Vec<_> = (0..count)
        .map(|number| {
            let mut liar = Liar::drawn(seed.wrapping_mul(OBJECTS_MAX) + number);
            liar.is_url = false;
            if count > 1 {
                liar.range = None;
            }
            Arc::new(LyingObject::of(liar))
        })
        .collect();
    let script = {
        let objects = objects.clone();
        move |request: &Request| {
            let path = request.target.split('?').next().unwrap_or_default();
            let number: usize = path.rsplit('k').next().and_then(|n| n.parse().ok()).expect("an object");
            objects[number].respond(request)
        }
    };
    let server = FaultServer::start(Bytes::new(), script);
    let wanted: Vec<_> = objects.iter().map(|object| object.wanted()).collect();
    let folder = folder();
    let told = || format!("{case:?}\n{:?}", objects.iter().map(|object| &object.liar).collect::<Vec<_>>());
    for (number, disturbance) in case.disturbances.into_iter().enumerate() {
        let outcome = run(&case, &objects, &server, folder.path(), number, disturbance);
        let may_fail = |code| matches!(disturbance, Disturbance::ClosesFrom(_)) && code == LOADER_FAILED;
        match outcome.code() {
            Some(code) => assert!(CODES.contains(&code) || may_fail(code), "{outcome:?}\n{}", told()),
            None => assert!(matches!(disturbance, Disturbance::KillAfter(_)), "{outcome:?}\n{}", told()),
        }
        let is_success = outcome.code() == Some(0);
        if !case.into_file {
            assert!(is_one_of_each(&outcome.stdout, &wanted, is_success), "{outcome:?}\n{}", told());
            return;
        }
        let (file, part) = (folder.path().join("out"), folder.path().join("out.part"));
        if let Ok(bytes) = fs::read(&file) {
            let pieces = pieces(&bytes, &wanted);
            assert!(is_one_of_each(&bytes, &wanted, true), "FILE {pieces}: {outcome:?}\n{}", told());
            // It may have been killed, or a close may have failed, just after.
            assert!(is_success || disturbance != Disturbance::None, "FILE, but {outcome:?}\n{}", told());
            return;
        }
        assert!(!is_success, "no FILE: {outcome:?}\n{}", told());
        let left = fs::read(part).unwrap_or_default();
        let pieces = pieces(&left, &wanted);
        assert!(is_one_of_each(&left, &wanted, false), "left {pieces}: {outcome:?}\n{}", told());
    }
}

fn run(
    case: &ProgramCase,
    objects: &[Arc<LyingObject>],
    server: &FaultServer,
    folder: &Path,
    number: usize,
    disturbance: Disturbance,
) -> Outcome {
    let first = &objects[0].liar;
    let mut args = vec!["--endpoint".to_owned(), server.endpoint(), "--hedge".to_owned(), "off".to_owned()];
    args.extend([
        "--threads".to_owned(),
        case.threads.to_string(),
        "--max-attempts".to_owned(),
        "2".to_owned(),
    ]);
    args.extend(["-c".to_owned(), first.concurrency.to_string()]);
    args.extend(["--chunk-size".to_owned(), first.chunk.to_string()]);
    args.extend(["--stall-timeout".to_owned(), "2".to_owned()]);
    if let Some(range) = &first.range {
        args.extend(["--range".to_owned(), format!("{}-{}", range.start, range.end - 1)]);
    }
    if case.into_file {
        args.extend(["-o".to_owned(), "out".to_owned()]);
        args.extend((number > 0).then(|| "--continue".to_owned()));
    }
    let uris: Vec<_> = (0..objects.len()).map(|number| format!("s3://bucket/k{number}")).collect();
    let line = if case.is_listed {
        format!("printf '%s\\n' {} | s3fcp {} --from -", uris.join(" "), args.join(" "))
    } else {
        format!("exec s3fcp {} {}", args.join(" "), uris.join(" "))
    };
    let line = match disturbance {
        Disturbance::ClosesFrom(first) if !case.is_listed => line.replacen(
            "exec s3fcp",
            &format!(
                "exec strace -f -qq -o /dev/null -e trace=close -e inject=close:error=EIO:when={first}+ s3fcp"
            ),
            1,
        ),
        _ => line,
    };
    let running = S3fcp::shell(&format!("cd '{}' && {line}", folder.display())).start();
    if let Disturbance::KillAfter(after) = disturbance
        && !case.is_listed
    {
        thread::sleep(after);
        if !running.has_ended() {
            running.signal(Signal::KILL);
        }
    }
    running.wait()
}

/// Returns whether `bytes` are one version of each object, one after the other; or a beginning of that, where they need
/// not be `whole`.
fn is_one_of_each(bytes: &[u8], objects: &[[Bytes; 2]], whole: bool) -> bool {
    let Some((versions, rest)) = objects.split_first() else { return bytes.is_empty() };
    versions.iter().any(|version| match bytes.strip_prefix(version.as_ref()) {
        Some(after) => is_one_of_each(after, rest, whole),
        None => !whole && version.starts_with(bytes),
    })
}

/// Returns of which object and version `bytes` are, for people; what follows an object of another length is not found.
fn pieces(bytes: &[u8], objects: &[[Bytes; 2]]) -> String {
    let (mut at, mut told) = (0, format!("of {} bytes", bytes.len()));
    for (number, versions) in objects.iter().enumerate() {
        let len = versions[0].len();
        let own = &bytes[at.min(bytes.len())..(at + len).min(bytes.len())];
        let mut last = None;
        for (offset, byte) in own.iter().enumerate() {
            let version = (0..2).find(|&version| versions[version].get(offset) == Some(byte));
            if last != Some(version) {
                // Writing into a string cannot fail.
                let _ = write!(told, ", k{number} from {offset} version {version:?}");
                last = Some(version);
            }
        }
        at += len;
    }
    told
}

#[test]
fn one_version_of_each_object_is_distinguished_from_a_mix() {
    let objects = [["aaa", "bb"], ["cc", "dd"]]
        .map(|versions| versions.map(|version| Bytes::from_static(version.as_bytes())));
    for (bytes, is_whole, is_begun) in [
        ("aaacc", true, true),
        ("bbdd", true, true),
        ("bbd", false, true),
        ("aa", false, true),
        ("", false, true),
        ("aab", false, false),
        ("aaacd", false, false),
        ("aaaccc", false, false),
    ] {
        assert_eq!(is_one_of_each(bytes.as_bytes(), &objects, true), is_whole, "{bytes}");
        assert_eq!(is_one_of_each(bytes.as_bytes(), &objects, false), is_begun, "{bytes}");
    }
}
