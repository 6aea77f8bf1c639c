//! Bytes in `FILE.part` that somebody else wrote, of objects without a checksum: never a part of FILE.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::process::Signal;

use crate::support::fault_server::{FaultServer, Reply, Request};
use crate::support::files::{PausedDownload, compared, folder, names, wait_for};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::S3fcp;
use crate::support::table;

/// The bytes of the last object that a run leaves.
const LEFT: u64 = 2 * CHUNK + 10;

/// A change of the part file.
type Change = fn(&File, u64);

fn append(file: &File, bytes: &[u8]) {
    let mut file = file;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).expect("an end");
    file.write_all(bytes).expect("a write");
}

const CHANGES: [(&str, Change); 7] = [
    ("a byte after it", |file, _| append(file, b"x")),
    ("a line after it", |file, _| append(file, b"junk\n")),
    ("a chunk after it", |file, _| append(file, &vec![7; usize::try_from(CHUNK).expect("a size")])),
    ("zeros after it", |file, length| file.set_len(length + 3000).expect("a length")),
    ("zeros at its end", |file, length| {
        file.set_len(length - 5).and_then(|()| file.set_len(length)).expect("a length");
    }),
    ("another last byte", |file, length| {
        let mut last = [0];
        file.read_exact_at(&mut last, length - 1).expect("a byte");
        file.write_all_at(&[last[0] ^ 1], length - 1).expect("a byte");
    }),
    ("a shorter one with junk", |file, length| {
        file.set_len(length - 100).expect("a length");
        append(file, b"junk");
    }),
];

/// The ways in which a run ends that leaves a part.
const ENDS: [(&str, Option<Signal>); 4] = [
    ("an error", None),
    ("an interrupt", Some(Signal::INT)),
    ("a termination", Some(Signal::TERM)),
    ("a kill", Some(Signal::KILL)),
];

/// The arguments of a run in a folder, the file that is cut, and how many objects are complete in that.
struct Target {
    args: &'static [&'static str],
    file: &'static str,
    before: u64,
}

const TARGETS: [(&str, Target); 4] = [
    ("a file", Target { args: &["-o", "out", "s3://b/last"], file: "out", before: 0 }),
    ("a folder", Target { args: &["-o", "./", "s3://b/a", "s3://b/last"], file: "last", before: 0 }),
    ("several objects", Target { args: &["-o", "out", "s3://b/a", "s3://b/last"], file: "out", before: 1 }),
    ("a range", Target { args: &["-o", "out", "--range", "5-", "s3://b/last"], file: "out", before: 0 }),
];

/// Serves objects without a checksum, of which the one that is called `last` comes in part until `is_well`.
fn server(end: Option<Signal>, is_well: &Arc<AtomicBool>) -> FaultServer {
    let is_well = Arc::clone(is_well);
    FaultServer::start(object(SIZE), move |request: &Request| {
        let is_late = request.range.as_ref().is_some_and(|range| range.end > LEFT);
        if is_well.load(Relaxed) || request.last_segment() != "last" || !is_late {
            return Reply::ok();
        }
        let begun = request.range.as_ref().map_or(0, |range| LEFT.saturating_sub(range.start));
        match end {
            Some(_) => Reply::ok().stall_after(begun),
            None if begun > 0 => Reply::ok().cut_after(begun),
            None => Reply::status(403).code("AccessDenied"),
        }
    })
}

fn run(server: &FaultServer, folder: &Path, args: &[&str]) -> S3fcp {
    let (at, args) = (server.endpoint(), args.join(" "));
    let options = format!("--hedge off -c 1 --chunk-size {CHUNK} --max-attempts 1");
    let shell = format!("cd '{}' && exec s3fcp --endpoint {at} {options} {args}", folder.display());
    S3fcp::shell(&shell)
}

#[test]
fn what_somebody_else_wrote_to_a_part_is_no_part_of_the_file() {
    let mut cases = Vec::new();
    for (end, signal) in ENDS {
        for (target, _) in &TARGETS {
            for (change, _) in CHANGES {
                cases.push((format!("{end}, {target}, {change}"), (end, signal, *target, change)));
            }
        }
    }
    let table: Vec<_> = cases.iter().map(|(name, case)| (name.as_str(), *case)).collect();
    table::each(&table, |&(_, signal, target, change)| {
        let target = &TARGETS.iter().find(|(name, _)| *name == target).expect("a target").1;
        let change = CHANGES.iter().find(|(name, _)| *name == change).expect("a change").1;
        let (folder, is_well) = (folder(), Arc::new(AtomicBool::new(false)));
        let (server, folder) = (server(signal, &is_well), folder.path());
        let skipped = if target.args.contains(&"--range") { 5 } else { 0 };
        let left = target.before * SIZE + LEFT - skipped;
        let part = folder.join(format!("{}.part", target.file));
        let running = run(&server, folder, target.args).start();
        if let Some(signal) = signal {
            wait_for(&part, left);
            running.signal(signal);
        }
        assert_ne!(running.wait().code(), Some(0));
        assert_eq!(fs::metadata(&part).expect("a part").len(), left);

        change(&File::options().read(true).write(true).open(&part).expect("the part"), left);
        is_well.store(true, Relaxed);
        let outcome = run(&server, folder, &[&["--continue"], target.args].concat()).start().wait();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        let whole = object(SIZE);
        let right = [whole.repeat(usize::try_from(target.before).expect("few")), whole.to_vec()].concat();
        let skipped = usize::try_from(skipped).expect("few");
        assert!(fs::read(folder.join(target.file)).expect("the file") == right[skipped..]);
        assert!(names(folder).iter().all(|name| !name.contains("part")));
    });
}

/// A run that came to its end has noted what was its own: that is kept.
#[test]
fn what_follows_the_noted_end_is_cut_off() {
    for (_, target) in TARGETS {
        let (folder, is_well) = (folder(), Arc::new(AtomicBool::new(false)));
        let (server, folder) = (server(None, &is_well), folder.path());
        assert_ne!(run(&server, folder, target.args).start().wait().code(), Some(0));
        is_well.store(true, Relaxed);
        let part = folder.join(format!("{}.part", target.file));
        let had = fs::metadata(&part).expect("a part").len() - target.before * SIZE;
        append(&File::options().write(true).open(&part).expect("the part"), b"junk");
        let before = server.object_bytes();
        let outcome = run(&server, folder, &[&["--continue"], target.args].concat()).start().wait();
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
        let skipped = if target.args.contains(&"--range") { 5 } else { 0 };
        assert_eq!(server.object_bytes() - before, SIZE - skipped - had + compared(had));
    }
}

#[test]
fn a_part_that_grows_by_other_hands_during_the_run_is_no_file() {
    let PausedDownload { running, out, part, more, folder: _folder, server: _server } =
        PausedDownload::start();
    File::options().write(true).open(&part).and_then(|file| file.set_len(SIZE + 10)).expect("a length");
    more.open();
    let outcome = running.wait();
    outcome.assert_failed(8, &[]);
    assert!(outcome.stderr.contains("changed by another process"), "{}", outcome.stderr);
    assert!(!out.exists());
}
