//! `--continue`: whenever a run ends, the next one completes the file with the right bytes.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::checksums::{full, value, verified, with_head};
use crate::support::fault_server::{ETAG, FaultServer, Reply, Request, once};
use crate::support::files::{assert_good, compared, folder, names, run, start, wait_for};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

/// A folder with what is left of a download that was killed after `reached` bytes.
fn killed(reached: u64, args: &[&str]) -> TempDir {
    let folder = folder();
    let (chunk, within) = (reached / CHUNK, reached % CHUNK);
    let server = FaultServer::start(object(SIZE), once(chunk, Reply::ok().stall_after(within)));
    let running = start(&server, &folder.path().join("out"), args);
    wait_for(&folder.path().join("out.part"), reached);
    running.signal(Signal::KILL);
    running.wait();
    assert_eq!(names(folder.path()), ["out.part", "out.part.json"]);
    folder
}

fn kept(folder: &TempDir, change: impl FnOnce(&mut Value)) {
    let path = folder.path().join("out.part.json");
    let mut kept = serde_json::from_slice(&fs::read(&path).expect("what is kept")).expect("JSON");
    change(&mut kept);
    fs::write(path, kept.to_string()).expect("what is kept");
}

/// Continues what is in `folder`; asserts the bytes, and returns how many were sent for them and what was said.
fn continued(folder: &TempDir, server: &FaultServer, args: &[&str]) -> (u64, String) {
    let before = server.object_bytes();
    let outcome = start(server, &folder.path().join("out"), &[&["--continue"], args].concat()).wait();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert_eq!(names(folder.path()), ["out"]);
    assert!(fs::read(folder.path().join("out")).expect("the file") == object(SIZE));
    (server.object_bytes() - before, outcome.stderr)
}

/// It has its locks until the system has taken it down, which takes a while on a busy machine.
#[test]
fn a_process_that_is_dying_still_is_waited_for() {
    let folder = killed(CHUNK, &[]);
    let part = File::options().write(true).open(folder.path().join("out.part")).expect("the part");
    rustix::fs::flock(&part, FlockOperation::LockExclusive).expect("a lock");
    let server = FaultServer::healthy();
    let running = start(&server, &folder.path().join("out"), &["--continue"]);
    thread::sleep(Duration::from_millis(300));
    drop(part);
    assert_good(&running.wait());
    assert_eq!(server.object_bytes(), SIZE - CHUNK + compared(CHUNK));
}

#[test]
fn a_kill_anywhere_costs_only_what_is_compared() {
    let table = [
        ("the first byte", 1),
        ("a chunk but for a byte", CHUNK - 1),
        ("a chunk", CHUNK),
        ("a chunk and a byte", CHUNK + 1),
        ("the middle", 3 * CHUNK + 4321),
        ("all but a byte", SIZE - 1),
    ];
    table::each(&table, |&reached| {
        let (folder, server) = (killed(reached, &[]), FaultServer::healthy());
        let sent = SIZE - reached + compared(reached);
        assert_eq!(continued(&folder, &server, &[]), (sent, String::new()));
        let first = server.gets()[0].clone();
        assert!(first.header("if-match").is_some(), "{first:?}");
    });
}

/// The kill comes when it comes; what is there is never a FILE that is not whole.
#[test]
fn kill_upon_kill_ends_with_the_right_bytes() {
    let size = 4 << 20;
    let server = FaultServer::start(object(size), |_| Reply::ok());
    let folder = folder();
    let out = folder.path().join("out");
    for round in 0..40 {
        let running = start(&server, &out, &["--continue", "--limit-rate", "20MiB"]);
        thread::sleep(Duration::from_millis(5 * (round % 8)));
        if !running.has_ended() {
            running.signal(Signal::KILL);
        }
        let outcome = running.wait();
        assert!(matches!(outcome.code(), None | Some(0 | 8)), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("starting over"), "{}", outcome.stderr);
        if out.exists() {
            break;
        }
    }
    if !out.exists() {
        assert_good(&start(&server, &out, &["--continue"]).wait());
    }
    assert!(fs::read(&out).expect("the file") == object(size));
}

#[test]
fn an_interrupt_shows_the_command_that_continues() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = folder();
        let out = folder.path().join("an $object's name");
        let stall = Arc::new(AtomicBool::new(true));
        let stalls = Arc::clone(&stall);
        let server = FaultServer::start(object(SIZE), move |request: &Request| {
            let is_third = request.chunk(CHUNK) == Some(2);
            if is_third && stalls.load(Relaxed) { Reply::ok().stall_after(10) } else { Reply::ok() }
        });
        let running = run(&server, &out, &[]).args(["-c", "1", URI]).start();
        let reached = 2 * CHUNK + 10;
        wait_for(&folder.path().join("an $object's name.part"), reached);
        // One that the tests were started to ignore is ignored by the program, too.
        for signal in [signal, Signal::TERM] {
            running.signal(signal);
            thread::sleep(Duration::from_millis(300));
            if running.has_ended() {
                break;
            }
        }
        let outcome = running.wait();
        assert!(
            outcome.signal().is_some() && outcome.stderr.starts_with("s3fcp: interrupted\n"),
            "{outcome:?}"
        );
        assert!(
            outcome.stderr.contains(&format!("stopped at byte {reached} of {SIZE}")),
            "{}",
            outcome.stderr
        );
        assert_eq!(names(folder.path()).len(), 2);
        stall.store(false, Relaxed);
        assert_good(&S3fcp::shell(&outcome.command().expect("a command")).start().wait());
        assert!(fs::read(&out).expect("the file") == object(SIZE));
        assert_eq!(server.object_bytes(), SIZE, "no byte twice");
    }
}

#[test]
fn a_failure_shows_the_command_that_continues() {
    let folder = folder();
    let out = folder.path().join("out");
    let is_well = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&is_well);
    let server = FaultServer::start(object(SIZE), move |request: &Request| {
        let is_ill = request.chunk(CHUNK) == Some(3) && !now.load(Relaxed);
        if is_ill { Reply::status(500).code("InternalError") } else { Reply::ok() }
    });
    // The second one does not come to the first byte that is missing: what is there stays.
    for is_second in [false, true] {
        let outcome = start(&server, &out, &["--continue", "--max-attempts", "2", "--force"]).wait();
        outcome.assert_failed(5, &[]);
        let command = outcome.command().filter(|command| command.contains(" --continue --force "));
        assert_eq!(command.is_none(), is_second, "{}", outcome.stderr);
        assert_eq!(fs::metadata(folder.path().join("out.part")).expect("a part").len(), 3 * CHUNK);
    }
    is_well.store(true, Relaxed);
    assert_eq!(continued(&folder, &server, &[]), (SIZE - 3 * CHUNK, String::new()));
}

#[test]
fn a_range_and_a_shard_are_continued_as_well() {
    for args in
        [&["--range", "1000-300000"][..], &["--range", "-200000"], &["--shard=1/2", "--if-match", ETAG]]
    {
        let whole = folder();
        let (server, out) = (FaultServer::healthy(), whole.path().join("out"));
        assert_good(&start(&server, &out, args).wait());
        let whole = fs::read(&out).expect("the file");

        let folder = folder();
        let out = folder.path().join("out");
        let stalls = FaultServer::start(object(SIZE), |request: &Request| {
            let is_late =
                request.is_get() && request.range.as_ref().is_some_and(|range| range.start > 3 * CHUNK);
            if is_late { Reply::ok().stall_after(5) } else { Reply::ok() }
        });
        let running = start(&stalls, &out, args);
        wait_for(&folder.path().join("out.part"), 5);
        let reached = stalls.settled().min(whole.len() as u64);
        running.signal(Signal::KILL);
        running.wait();
        let had = fs::metadata(folder.path().join("out.part")).expect("a part").len();
        assert!((1..=reached).contains(&had), "{had} of {reached}");
        // Of something else, it is not gone on with.
        let before = server.object_bytes();
        assert_good(&start(&server, &out, &[&["--continue"], args].concat()).wait());
        assert!(fs::read(&out).expect("the file") == whole);
        assert_eq!(server.object_bytes() - before, whole.len() as u64 - had + compared(had));
    }
}

/// Each is said aloud, and ends with the right bytes all the same.
#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn what_cannot_be_continued_starts_over() {
    struct Case {
        /// The command line of the run before.
        first_args: &'static [&'static str],
        /// A change of its files before the next run.
        damage: fn(&TempDir),
        /// The command line of the next run, beside `--continue`.
        args: &'static [&'static str],
        /// A part of the message.
        message: &'static str,
    }
    const CASE: Case = Case { first_args: &[], damage: |_| {}, args: &[], message: "" };
    let part = |folder: &TempDir| folder.path().join("out.part");
    let another = Case {
        damage: |folder| kept(folder, |kept| kept["objects"][0]["etag"] = "\"other\"".into()),
        message: "the object has changed",
        ..CASE
    };
    let another_by_name = Case { args: &["--if-match", ETAG], ..another };
    let table = [
        ("another ETag", another),
        ("another ETag by name", another_by_name),
        (
            "another object",
            Case {
                damage: |folder| kept(folder, |kept| kept["objects"][0]["uri"] = "s3://bucket/other".into()),
                message: "it belongs to another object or range",
                ..CASE
            },
        ),
        (
            "another range",
            Case {
                first_args: &["--range", "0-400000"],
                message: "it belongs to another object or range",
                ..CASE
            },
        ),
        (
            "damage",
            Case {
                damage: |folder| {
                    fs::write(folder.path().join("out.part.json"), "{\"format\":1,").expect("damage");
                },
                message: "the note beside it is damaged",
                ..CASE
            },
        ),
        (
            "another endpoint",
            Case {
                damage: |folder| kept(folder, |kept| kept["endpoint"] = "http://localhost:1".into()),
                message: "it was downloaded from another endpoint",
                ..CASE
            },
        ),
        (
            "a format that did not note the endpoint",
            Case {
                damage: |folder| {
                    kept(folder, |kept| {
                        kept["format"] = 1.into();
                        kept.as_object_mut().expect("an object").remove("endpoint");
                    });
                },
                message: "an older s3fcp made it",
                ..CASE
            },
        ),
        (
            "a start that does not follow from the range",
            Case {
                damage: |folder| kept(folder, |kept| kept["objects"][0]["start"] = 1.into()),
                message: "the note beside it contradicts itself",
                ..CASE
            },
        ),
        (
            "an end that does not follow from the size",
            Case {
                damage: |folder| kept(folder, |kept| kept["objects"][0]["end"] = (SIZE - 1).into()),
                message: "the note beside it contradicts itself",
                ..CASE
            },
        ),
        (
            "longer than the object",
            Case {
                damage: |folder| {
                    let file = fs::OpenOptions::new().write(true).open(folder.path().join("out.part"));
                    file.and_then(|file| file.set_len(SIZE + 1)).expect("a length");
                },
                message: "it is longer",
                ..CASE
            },
        ),
        (
            "a weak tag pins nothing",
            Case {
                damage: |folder| kept(folder, |kept| kept["objects"][0]["etag"] = "W/\"weak\"".into()),
                message: "nothing shows whether the object is still the same",
                ..CASE
            },
        ),
        (
            "a blank tag pins nothing",
            Case {
                damage: |folder| kept(folder, |kept| kept["objects"][0]["etag"] = "\"\"".into()),
                message: "nothing shows whether the object is still the same",
                ..CASE
            },
        ),
        (
            "no tag pins nothing",
            Case {
                damage: |folder| kept(folder, |kept| kept["objects"][0]["etag"] = Value::Null),
                message: "nothing shows whether the object is still the same",
                ..CASE
            },
        ),
    ];
    table::each(&table, |&Case { first_args, damage, args, message }| {
        let (folder, server) = (killed(2 * CHUNK, first_args), FaultServer::healthy());
        damage(&folder);
        assert!(part(&folder).exists());
        let (sent, said) = continued(&folder, &server, args);
        // Another version answers 412, and once more without If-Match.
        assert!((SIZE..=SIZE + CHUNK).contains(&sent), "{sent} bytes");
        assert!(said.contains(&format!("starting over: {message}")), "{said}");
    });
}

/// After a crash of the system, or on another machine, what was on disk counts.
#[test]
#[cfg(target_os = "linux")]
fn after_a_restart_of_the_system_only_what_was_synced_counts() {
    for (synced, says) in [(0, "restarted"), (CHUNK, ""), (9 * CHUNK, "")] {
        let folder = killed(2 * CHUNK, &[]);
        kept(&folder, |kept| {
            kept["boot"] = "another".into();
            kept["synced"] = synced.into();
        });
        let server = FaultServer::healthy();
        let (sent, said) = continued(&folder, &server, &[]);
        let had = synced.min(2 * CHUNK);
        assert_eq!(sent, SIZE - had + compared(had), "{said}");
        assert!(said.contains(says) && said.is_empty() == says.is_empty(), "{said}");
    }
}

/// Killed when all bytes were there, or when all was done but for forgetting what it was made of.
#[test]
fn the_last_moments() {
    let folder = killed(SIZE - 1, &[]);
    let (out, part) = (folder.path().join("out"), folder.path().join("out.part"));
    fs::write(&part, object(SIZE)).expect("a part");
    let kept = fs::read(folder.path().join("out.part.json")).expect("what is kept");
    let server = FaultServer::healthy();
    let (sent, said) = continued(&folder, &server, &[]);
    let want = 1 + compared(SIZE);
    assert_eq!((sent, said.as_str()), (want, ""), "the store confirms it by the last byte");

    fs::write(folder.path().join("out.part.json"), &kept).expect("what is kept");
    let sent = server.object_bytes();
    assert_good(&start(&server, &out, &["--continue"]).wait());
    assert_eq!((names(folder.path()), server.object_bytes()), (vec!["out".to_owned()], sent));
}

#[test]
fn without_continue_it_starts_over_once_the_object_is_there() {
    let folder = killed(2 * CHUNK, &[]);
    let (out, part) = (folder.path().join("out"), folder.path().join("out.part"));
    let gone = FaultServer::start(object(SIZE), |_| Reply::status(404).code("NoSuchKey"));
    start(&gone, &out, &[]).wait().assert_failed(3, &[]);
    assert_eq!(fs::metadata(&part).expect("a part").len(), 2 * CHUNK, "nobody answered: it stays");
    let server = FaultServer::healthy();
    let outcome = start(&server, &out, &[]).wait();
    assert!(outcome.stderr.contains("starting over: --continue would resume it"), "{}", outcome.stderr);
    assert!(Path::new(&out).exists() && server.object_bytes() == SIZE);
}

const CRC: &str = "x-amz-checksum-crc64nvme";

fn with_checksum() -> FaultServer {
    FaultServer::start(object(SIZE), with_head(full(CRC, value(CRC, &object(SIZE)))))
}

/// The bytes of earlier runs are read back and compared too.
#[test]
fn the_checksum_is_of_the_whole_file() {
    for (reached, mode) in [(1, "auto"), (3 * CHUNK + 4321, "auto"), (3 * CHUNK + 4321, "require")] {
        let (folder, server) = (killed(reached, &[]), with_checksum());
        let out = folder.path().join("out");
        let outcome = start(&server, &out, &["--continue", "--stats=json", "--checksum", mode]).wait();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert_eq!(verified(&outcome).as_deref(), Some("crc64nvme"), "{reached} {mode}");
        assert!(fs::read(&out).expect("the file") == object(SIZE));
        assert_eq!(server.object_bytes(), SIZE - reached + compared(reached));
    }
}

#[test]
fn bytes_that_rotted_meanwhile_are_no_file() {
    let (folder, server) = (killed(3 * CHUNK, &[]), with_checksum());
    let (out, part) = (folder.path().join("out"), folder.path().join("out.part"));
    let mut bytes = fs::read(&part).expect("a part");
    bytes[12_345] ^= 1;
    fs::write(&part, bytes).expect("a part");
    let outcome = start(&server, &out, &["--continue"]).wait();
    outcome.assert_failed(7, &[]);
    assert!(
        outcome.stderr.contains("no file was created") && outcome.command().is_none(),
        "{}",
        outcome.stderr
    );
    assert_eq!(names(folder.path()), [""; 0], "what is wrong is not continued for ever");
    assert_eq!(continued(&folder, &server, &[]), (SIZE, String::new()));
}

/// Nothing shows that it is s3fcp's to discard.
#[test]
fn a_copy_that_rotted_is_no_file_and_stays() {
    let (folder, server) = (killed(3 * CHUNK, &[]), with_checksum());
    let (out, part) = (folder.path().join("out"), folder.path().join("out.part"));
    let mut bytes = fs::read(&part).expect("a part");
    bytes[12_345] ^= 1;
    let copy = folder.path().join("copy");
    fs::write(&copy, &bytes).expect("a copy");
    fs::rename(&copy, &part).expect("the part");
    for _ in 0..2 {
        let outcome = start(&server, &out, &["--continue"]).wait();
        outcome.assert_failed(7, &[]);
        assert!(outcome.stderr.contains("another file than the one that was begun"), "{}", outcome.stderr);
        assert_eq!(names(folder.path()), ["out.part", "out.part.json"]);
        assert!(fs::read(&part).expect("the part").starts_with(&bytes));
    }
    let outcome = start(&server, &out, &[]).wait();
    outcome.assert_failed(8, &[]);
    assert!(outcome.stderr.contains("another file than"), "{}", outcome.stderr);
}

#[test]
fn a_wrong_checksum_is_no_file_and_leaves_what_was_there() {
    let folder = folder();
    let out = folder.path().join("out");
    fs::write(&out, "mine").expect("a file");
    let server = FaultServer::start(object(SIZE), with_head(full(CRC, value(CRC, b"other bytes"))));
    start(&server, &out, &["--force"]).wait().assert_failed(7, &[]);
    assert_eq!(
        (names(folder.path()), fs::read(&out).expect("a file")),
        (vec!["out".into()], b"mine".to_vec())
    );
}
