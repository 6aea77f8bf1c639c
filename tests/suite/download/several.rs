//! Several objects in one run: their bytes are concatenated, as `cat` concatenates files.

use std::fs;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::Signal;
use s3server::{Object, Server};

use crate::support::fault_server::{FaultServer, Gate, Reply, Request};
use crate::support::files::{assert_good, compared, folder, names, wait_for};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY};

/// One server for objects `a`, `b` and so on, which differ.
fn server(sizes: &[u64]) -> (Server, Vec<String>, Vec<Bytes>) {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests().start();
    let (mut uris, mut objects) = (Vec::new(), Vec::new());
    for (number, size) in sizes.iter().enumerate() {
        let key = format!("key {number}");
        let bytes = object(size + 7 * number as u64).slice(7 * number..);
        server.put("bucket", &key, Object::new(bytes.clone()));
        uris.push(format!("s3://bucket/{key}"));
        objects.push(bytes);
    }
    (server, uris, objects)
}

#[test]
fn they_follow_one_another() {
    for args in [&["-c", "1"][..], &["-c", "4", "--chunk-size", "64KiB"], &[], &["--max-memory", "34MiB"]] {
        let (server, uris, objects) = server(&[SIZE, 0, 1, 3 * CHUNK, 0, 12 << 20, 5]);
        let outcome = S3fcp::at(&server.endpoint()).args(args).args(&uris).start().wait();
        outcome.assert_object(&objects.concat());
        assert_eq!(outcome.stderr, "");
    }
}

#[test]
fn the_same_one_twice_is_there_twice() {
    let (server, uris, objects) = server(&[SIZE]);
    let outcome = S3fcp::at(&server.endpoint()).args([&uris[0], &uris[0]]).start().wait();
    outcome.assert_object(&objects[0].repeat(2));
}

#[test]
fn stats_count_all_of_them_and_info_describes_each() {
    let (server, uris, objects) = server(&[SIZE, 1000, SIZE]);
    let outcome = S3fcp::at(&server.endpoint()).args(&uris).args(["--stats=json"]).start().wait();
    let stats: serde_json::Value = serde_json::from_str(&outcome.stderr).expect("JSON");
    assert_eq!(stats["bytes"], objects.concat().len() as u64);
    assert_eq!(stats["requests"], server.stats().gets + server.stats().heads);
    let outcome = S3fcp::at(&server.endpoint()).args(&uris).args(["--info=json"]).start().wait();
    let infos: Vec<serde_json::Value> = String::from_utf8(outcome.stdout)
        .expect("text")
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    assert_eq!(
        infos.iter().map(|info| info["size"].as_u64().expect("a size")).collect::<Vec<_>>(),
        [SIZE, 1000, SIZE]
    );
}

/// A server on which the last bytes of `a` wait for the gate.
fn holding_back_the_end_of_a(bytes: &Bytes) -> (FaultServer, Gate) {
    let release = Gate::closed();
    let held = release.clone();
    let server = FaultServer::start(bytes.clone(), move |request: &Request| {
        let is_end = request.range.as_ref().is_some_and(|range| range.end >= SIZE);
        if request.last_segment() == "a" && request.is_get() && is_end {
            Reply::ok().pause_after(1, &held)
        } else {
            Reply::ok()
        }
    });
    (server, release)
}

/// The last bytes of one object hold back: the other two connections fetch what follows in the output meanwhile, and memory
/// is promised for no more.
#[test]
fn the_next_one_is_on_its_way_while_the_last_one_ends() {
    let bytes = object(SIZE);
    let (server, release) = holding_back_the_end_of_a(&bytes);
    let run = S3fcp::at(&server.endpoint()).window(3, CHUNK);
    let running = run.args(["s3://bucket/a", "s3://bucket/b", "s3://bucket/c"]).start();
    let asked = |which: &str| server.gets().iter().filter(|request| request.last_segment() == which).count();
    let limit = Instant::now() + Duration::from_mins(1);
    while asked("b") < 2 && Instant::now() < limit {
        thread::sleep(Duration::from_millis(2));
    }
    server.settled();
    assert_eq!((asked("a"), asked("b"), asked("c")), (6, 2, 0));
    release.open();
    running.wait().assert_object(&bytes.repeat(3));
    assert_eq!(server.gets().len(), 18);
}

/// With one request at a time there is none for the next object while one is under way.
#[test]
fn exactly_so_many_requests_are_under_way() {
    let bytes = object(SIZE);
    let (server, release) = holding_back_the_end_of_a(&bytes);
    let run = S3fcp::at(&server.endpoint()).window(1, CHUNK);
    let running = run.args(["s3://bucket/a", "s3://bucket/b"]).start();
    server.settled();
    assert!(server.gets().iter().all(|request| request.last_segment() == "a"));
    release.open();
    running.wait().assert_object(&bytes.repeat(2));
}

#[test]
fn memory_is_that_of_one() {
    let (concurrency, chunk) = (4, 2 << 20);
    let window = concurrency * chunk;
    let bytes = object(3 * window);
    let server = FaultServer::start(bytes.clone(), |_| Reply::ok());
    let uris: Vec<String> = (0..6).map(|n| format!("s3://bucket/{n}")).collect();
    let (running, stdout) =
        S3fcp::at(&server.endpoint()).window(concurrency, chunk).args(&uris).start_unread();
    let mut stdout = stdout.expect("a pipe");
    let (mut piece, mut highest) = (vec![0; 1 << 20], 0);
    for expected in uris.iter().flat_map(|_| bytes.chunks(1 << 20)) {
        stdout.read_exact(&mut piece).expect("the next bytes");
        assert!(piece == expected);
        highest = highest.max(running.peak_memory());
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(running.wait().code(), Some(0));
    let limit = window + window / 4 + (24 << 20);
    assert!(highest <= limit, "{highest} bytes of memory");
}

#[test]
fn one_that_is_missing_ends_it_in_its_turn() {
    let bytes = object(SIZE);
    let server = FaultServer::start(bytes.clone(), |request: &Request| {
        if request.last_segment() == "b" { Reply::status(404).code("NoSuchKey") } else { Reply::ok() }
    });
    let run = S3fcp::at(&server.endpoint()).window(4, CHUNK);
    let outcome = run.args(["s3://bucket/a", "s3://bucket/b", "s3://bucket/c"]).start().wait();
    outcome.assert_failed(3, &bytes.repeat(2));
    assert_eq!(outcome.stdout.len() as u64, SIZE);
    assert!(outcome.stderr.contains("s3://bucket/b"), "{}", outcome.stderr);
}

/// The command in the message, run by a shell, appends the rest of the one object and those after it.
#[test]
fn a_failure_shows_how_to_continue() {
    let folder = folder();
    let out = folder.path().join("out");
    let bytes = object(SIZE);
    let is_well = Gate::closed();
    let well = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&well);
    drop(is_well);
    let server = FaultServer::start(bytes.clone(), move |request: &Request| {
        let is_ill = request.last_segment() == "b" && request.chunk(CHUNK) == Some(2);
        if is_ill && !now.load(Ordering::Relaxed) {
            Reply::status(500).code("InternalError")
        } else {
            Reply::ok()
        }
    });
    let run = S3fcp::at(&server.endpoint()).window(2, CHUNK).args(["--max-attempts", "1"]);
    let run = run.stdout(fs::File::create(&out).expect("a file"));
    let outcome = run.args(["s3://bucket/a", "s3://bucket/b", "s3://bucket/c"]).start().wait();
    assert_eq!(outcome.code(), Some(5), "{}", outcome.stderr);
    assert_eq!(fs::metadata(&out).expect("the file").len(), SIZE + 2 * CHUNK);
    well.store(true, Ordering::Relaxed);
    let rest = S3fcp::shell(&outcome.command().expect("a command")).start().wait();
    assert_eq!((rest.code(), rest.stderr.as_str()), (Some(0), ""));
    assert!(fs::read(&out).expect("the file") == bytes.repeat(3));
}

#[test]
fn into_one_file_and_continued() {
    let bytes = object(SIZE);
    let uris = ["s3://bucket/a", "s3://bucket/b", "s3://bucket/c"];
    for (stuck, reached) in [("a", 2 * CHUNK), ("b", SIZE + 2 * CHUNK), ("c", 2 * SIZE + 2 * CHUNK)] {
        let folder = folder();
        let (out, part) = (folder.path().join("out"), folder.path().join("out.part"));
        // The same server all along: what came from another endpoint is not continued.
        let well = Arc::new(AtomicBool::new(false));
        let is_well = Arc::clone(&well);
        let server = FaultServer::start(bytes.clone(), move |request: &Request| {
            let is_stuck = request.last_segment() == stuck && request.chunk(CHUNK) == Some(2);
            if is_stuck && !is_well.load(Ordering::Relaxed) {
                Reply::ok().stall_after(0)
            } else {
                Reply::ok()
            }
        });
        let run = |server: &FaultServer| {
            let run = S3fcp::at(&server.endpoint()).window(2, CHUNK).args(["--continue", "-o"]).args([&out]);
            run.args(uris).start()
        };
        let running = run(&server);
        wait_for(&part, reached);
        running.signal(Signal::KILL);
        running.wait();
        well.store(true, Ordering::Relaxed);
        let before = server.object_bytes();
        assert_good(&run(&server).wait());
        assert_eq!(names(folder.path()), ["out"]);
        assert!(fs::read(&out).expect("the file") == bytes.repeat(3));
        assert_eq!(server.object_bytes() - before, 3 * SIZE - reached + compared(2 * CHUNK), "{stuck}");
    }
}

#[test]
fn a_pattern_is_a_key_and_a_missing_one_has_a_hint() {
    let (server, _, _) = server(&[1]);
    let outcome = S3fcp::at(&server.endpoint()).download("s3://bucket/key*");
    outcome.assert_failed(3, &[]);
    for part in ["not a pattern", "--from"] {
        assert!(outcome.stderr.contains(part), "no {part}: {}", outcome.stderr);
    }
    server.put("bucket", "key*", Object::new(object(SIZE)));
    S3fcp::at(&server.endpoint()).download("s3://bucket/key*").assert_object(&object(SIZE));
    let info = S3fcp::at(&server.endpoint()).args(["--info"]).download("s3://bucket/other*");
    assert!(info.stderr.contains("not a pattern"), "{}", info.stderr);
}

/// The wait for one object's first byte overlaps with the bytes of the object before it.
#[test]
fn a_reader_that_goes_ends_all() {
    let (server, uris, _) = server(&[4 << 20, 4 << 20]);
    let (running, stdout) = S3fcp::at(&server.endpoint()).args(&uris).start_unread();
    stdout.expect("a pipe").read_exact(&mut [0; 1000]).expect("bytes");
    let began = Instant::now();
    let outcome = running.wait();
    assert_eq!((outcome.signal(), outcome.stderr.as_str()), (Some(Signal::PIPE.as_raw()), ""));
    assert!(began.elapsed() < Duration::from_secs(30));
}
