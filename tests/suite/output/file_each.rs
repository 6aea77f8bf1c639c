//! `-o DIR/` with several objects: a file each, in order, resumable one by one.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, UNIX_EPOCH};

use rustix::process::Signal;
use s3server::{Checksum, Object, Server};
use serde_json::Value;

use crate::support::fault_server::{FaultServer, Reply, Request};
use crate::support::files::{assert_good, compared, folder, names, wait_for};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{ACCESS_KEY, Outcome, S3fcp, SECRET_KEY};

/// A server with small objects, each of which has its key as its content.
fn server(keys: &[&str]) -> Server {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests().start();
    for key in keys {
        server.put("bkt", key, Object::new((*key).to_owned().into_bytes()));
    }
    server
}

/// Downloads `keys` into `to`, named as arguments or in a list.
fn run(server: &Server, keys: &[&str], is_listed: bool, to: &Path, args: &[&str]) -> Outcome {
    let sources: Vec<String> = keys.iter().map(|key| format!("s3://bkt/{key}")).collect();
    let run = S3fcp::at(&server.endpoint()).args(args).args(["-o".as_ref(), to.as_os_str()]);
    if !is_listed {
        return run.args(&sources).start().wait();
    }
    let folder = folder();
    let list = folder.path().join("list");
    fs::write(&list, sources.join("\n")).expect("a list");
    run.args(["--from".as_ref(), list.as_os_str()]).start().wait()
}

/// Asserts that `folder` has the files of `keys` and nothing else.
#[track_caller]
fn assert_files(folder: &Path, keys: &[&str]) {
    let mut wanted: Vec<_> = keys.iter().map(|key| key.rsplit('/').next().expect("a name")).collect();
    wanted.sort_unstable();
    assert_eq!(names(folder), wanted);
    for key in keys {
        let name = key.rsplit('/').next().expect("a name");
        assert_eq!(fs::read_to_string(folder.join(name)).expect("a file"), *key);
    }
}

#[test]
fn each_object_has_its_file() {
    let keys = ["a/one", "b/two", "three", "c/d/e/four", "a b/five six", "\u{e9}"];
    let server = server(&keys);
    for is_listed in [false, true] {
        for args in [&[][..], &["-c", "1"], &["--continue"], &["--force"], &["--threads", "2"]] {
            let folder = folder();
            let outcome = run(&server, &keys, is_listed, folder.path(), args);
            outcome.assert_object(b"");
            assert_eq!(outcome.stderr, "");
            assert_files(folder.path(), &keys);
        }
    }
    let folder = folder();
    let (at, here) = (server.endpoint(), folder.path());
    let line = format!("cd '{}' && s3fcp --endpoint {at} -O s3://bkt/a/one s3://bkt/three", here.display());
    assert_good(&S3fcp::shell(&line).start().wait());
    assert_files(here, &["a/one", "three"]);
}

#[test]
fn names_that_clash_are_an_error_before_that_file_is_begun() {
    let keys = ["a/one", "two", "b/one", "three"];
    let server = server(&keys);
    for args in [&[][..], &["--force"], &["--continue"]] {
        let folder = folder();
        let outcome = run(&server, &keys, false, folder.path(), args);
        outcome.assert_failed(2, b"");
        assert!(outcome.stderr.contains("s3://bkt/b/one: another object"), "{}", outcome.stderr);
        assert!(names(folder.path()).is_empty());
        assert_eq!(server.stats().gets + server.stats().heads, 0, "nothing is requested");
    }
    let folder = folder();
    let outcome = run(&server, &keys, true, folder.path(), &[]);
    outcome.assert_failed(2, b"");
    assert!(outcome.stderr.contains("s3://bkt/b/one (line 3 of "), "{}", outcome.stderr);
    assert_files(folder.path(), &keys[..2]);
    for key in ["a/..", "a/", "a/."] {
        let outcome = run(&server, &["two", key], false, folder.path(), &["--force"]);
        outcome.assert_failed(2, b"");
        assert!(outcome.stderr.contains("not a valid file name"), "{}", outcome.stderr);
    }
}

/// The finished file of one would be the part file or the sidecar of the other.
#[test]
fn names_that_clash_with_those_of_helper_files_are_an_error() {
    for other in ["x.part", "x.part.json", "x.part.json~"] {
        for keys in [["between", other, "x"], ["x", "between", other], [other, "between", "x"]] {
            let server = server(&keys);
            for args in [&[][..], &["--force"], &["--continue"]] {
                let folder = folder();
                for _ in 0..2 {
                    let outcome = run(&server, &keys, false, folder.path(), args);
                    outcome.assert_failed(2, b"");
                    assert!(outcome.stderr.contains("part file or sidecar"), "{}", outcome.stderr);
                    assert_eq!((names(folder.path()).len(), server.stats().gets), (0, 0));
                }
            }
            // Of a list, the files before that one are complete, and stay.
            let folder = folder();
            let last = keys.iter().rposition(|key| [other, "x"].contains(key)).expect("a key");
            for _ in 0..2 {
                let outcome = run(&server, &keys, true, folder.path(), &["--continue"]);
                outcome.assert_failed(2, b"");
                let line = format!("{} (line {} of ", keys[last], last + 1);
                assert!(outcome.stderr.contains(&line), "{}", outcome.stderr);
                assert_files(folder.path(), &keys[..last]);
            }
        }
    }
}

/// Each run has one of the two objects, so that only the files themselves show the clash.
#[test]
fn a_finished_file_is_not_taken_for_the_part_of_another_one() {
    let server = server(&["x", "x.part"]);
    let sidecar = r#"{"format":2,"boot":null,"synced":0,"endpoint":"http://h:1","objects":[]}"#;
    for sidecar in [None, Some(sidecar)] {
        for args in [&[][..], &["--continue"], &["--force"], &["--continue", "--force"]] {
            let folder = folder();
            run(&server, &["x.part"], false, folder.path(), &[]).assert_object(b"");
            if let Some(sidecar) = sidecar {
                fs::write(folder.path().join("x.part.json"), sidecar).expect("a sidecar");
            }
            let before = names(folder.path());
            let outcome = run(&server, &["x"], false, folder.path(), args);
            outcome.assert_failed(8, b"");
            assert!(outcome.stderr.contains("was not made by s3fcp"), "{}", outcome.stderr);
            assert_eq!(names(folder.path()), before);
            assert_eq!(fs::read(folder.path().join("x.part")).expect("the file"), b"x.part");
        }
    }
}

#[test]
fn a_file_that_exists_stays_unless_it_may_be_replaced() {
    let keys = ["one", "two", "three"];
    let server = server(&keys);
    let folder = folder();
    fs::write(folder.path().join("two"), "mine").expect("a file");
    let outcome = run(&server, &keys, false, folder.path(), &[]);
    outcome.assert_failed(8, b"");
    assert_eq!((names(folder.path()), server.stats().gets), (vec!["two".to_owned()], 0));
    let outcome = run(&server, &keys, true, folder.path(), &[]);
    outcome.assert_failed(8, b"");
    assert!(outcome.stderr.contains("s3://bkt/two (line 2 of "), "{}", outcome.stderr);
    assert_eq!(names(folder.path()), ["one", "two"]);
    assert_eq!(fs::read(folder.path().join("two")).expect("the file"), b"mine");
    // It is not the object, and --continue alone does not replace it.
    run(&server, &keys, false, folder.path(), &["--continue"]).assert_failed(8, b"");
    run(&server, &keys, false, folder.path(), &["--continue", "--force"]).assert_object(b"");
    assert_files(folder.path(), &keys);
    let missing = folder.path().join("none/");
    let outcome = run(&server, &keys, true, &missing, &[]);
    outcome.assert_failed(8, b"");
    assert!(outcome.stderr.contains("no such folder"), "{}", outcome.stderr);
}

#[test]
fn a_missing_object_ends_the_run_and_the_command_of_the_message_brings_the_rest() {
    for is_listed in [false, true] {
        let server = server(&["one", "two", "four"]);
        let (folder, lists) = (folder(), folder());
        let run = S3fcp::at(&server.endpoint()).args(["-o".as_ref(), folder.path().as_os_str()]);
        let sources = ["one", "two", "three", "four"].map(|key| format!("s3://bkt/{key}"));
        let run = if is_listed {
            let list = lists.path().join("a list");
            fs::write(&list, sources.join("\n")).expect("a list");
            run.args(["--from".as_ref(), list.as_os_str()])
        } else {
            run.args(&sources)
        };
        let outcome = run.args(["--stats=json"]).start().wait();
        outcome.assert_failed(3, b"");
        assert!(outcome.stderr.contains("s3://bkt/three"), "{}", outcome.stderr);
        assert_files(folder.path(), &["one", "two"]);
        let last: Value = serde_json::from_str(outcome.stderr.lines().last().expect("a line")).expect("JSON");
        assert_eq!((&last["exit_code"], &last["bytes"]), (&3.into(), &6.into()), "{last}");
        assert_eq!(last["resume"][0], "s3fcp", "{last}");
        server.put("bkt", "three", Object::new("three"));
        let before = server.requests().len();
        let command = outcome.command().expect("a command");
        assert!(command.contains("--continue"), "{command}");
        assert_eq!(S3fcp::shell(&command).start().wait().code(), Some(0), "{command}");
        assert_files(folder.path(), &["one", "two", "three", "four"]);
        let later = server.requests().split_off(before);
        let again =
            |key: &str| later.iter().any(|request| request.method == "GET" && request.target.ends_with(key));
        assert!(!again("/one") && !again("/two") && again("/three") && again("/four"));
    }
}

#[test]
fn a_run_that_was_killed_continues_within_its_object() {
    let uris = ["s3://bucket/a", "s3://bucket/b", "s3://bucket/c"];
    for changes in [false, true] {
        let folder = folder();
        let well = Arc::new(AtomicBool::new(false));
        let is_well = Arc::clone(&well);
        let server = FaultServer::start(object(SIZE), move |request: &Request| {
            let is_b = request.last_segment() == "b";
            match (is_well.load(Relaxed), is_b && request.chunk(CHUNK) == Some(2)) {
                (true, _) if is_b && changes => Reply::ok().etag("\"another\""),
                (false, true) => Reply::ok().stall_after(0),
                _ => Reply::ok(),
            }
        });
        let run = || {
            let run = S3fcp::at(&server.endpoint()).window(2, CHUNK).args(["--continue", "-o"]);
            run.args([folder.path()]).args(uris).start()
        };
        let running = run();
        wait_for(&folder.path().join("b.part"), 2 * CHUNK);
        running.signal(Signal::KILL);
        running.wait();
        assert_eq!(names(folder.path()), ["a", "b.part", "b.part.json"]);
        well.store(true, Relaxed);
        let before = server.object_bytes();
        let outcome = run().wait();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert_eq!(outcome.stderr.contains("starting over"), changes, "{}", outcome.stderr);
        assert_eq!(names(folder.path()), ["a", "b", "c"]);
        for name in ["a", "b", "c"] {
            assert!(fs::read(folder.path().join(name)).expect("the file") == object(SIZE), "{name}");
        }
        if !changes {
            let sent = 2 * SIZE - 2 * CHUNK + compared(2 * CHUNK);
            assert_eq!(server.object_bytes() - before, sent, "no other byte twice");
        }
        // All are there: nothing is fetched.
        let before = server.gets().len();
        assert_good(&run().wait());
        assert_eq!(server.gets().len(), before);
    }
}

#[test]
fn bytes_that_are_wrong_make_no_file() {
    let server = server(&["one", "three"]);
    server.put("bkt", "two", Object::new("two").checksum(Checksum::Crc32, "AAAAAA=="));
    let folder = folder();
    let outcome = run(&server, &["one", "two", "three"], true, folder.path(), &[]);
    outcome.assert_failed(7, b"");
    assert!(outcome.stderr.contains("s3://bkt/two (line 2 of "), "{}", outcome.stderr);
    assert_files(folder.path(), &["one"]);
}

/// One object or several: the file's time is the object's, and the proof that it is complete still holds.
#[test]
fn files_get_the_time_of_their_objects() {
    let server = server(&["one", "two"]);
    for keys in [&["one"][..], &["one", "two"]] {
        let folder = folder();
        run(&server, keys, false, folder.path(), &["-R"]).assert_object(b"");
        assert_files(folder.path(), keys);
        for key in keys {
            let found = fs::metadata(folder.path().join(key)).expect("a file").modified().expect("a time");
            let since = found.duration_since(UNIX_EPOCH).expect("a time");
            assert_eq!(since.subsec_nanos(), 0, "HTTP dates have whole seconds");
            assert!(found.elapsed().expect("a time") < Duration::from_hours(1));
        }
        let before = server.stats().gets;
        run(&server, keys, false, folder.path(), &["-R", "--continue"]).assert_object(b"");
        assert_eq!(server.stats().gets, before);
    }
}

/// Some objects are requested before their turn, and none more than once.
#[test]
fn many_small_objects() {
    let keys: Vec<String> = (0..300).map(|number| format!("folder/{number:03}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let server = server(&keys);
    let folder = folder();
    let outcome = run(&server, &keys, true, folder.path(), &["--stats=json", "--progress=json"]);
    outcome.assert_object(b"");
    assert_files(folder.path(), &keys);
    let stats: Value = serde_json::from_str(outcome.stderr.lines().last().expect("a line")).expect("JSON");
    assert_eq!(stats["bytes"].as_u64(), Some(300 * 10));
    assert!(server.stats().gets <= 302, "{} requests", server.stats().gets);
}

/// Links, here; a folder that does not distinguish upper and lower case has more such names.
#[test]
fn a_file_that_the_run_has_finished_is_not_replaced_under_another_name() {
    let keys = ["one", "two", "three"];
    let server = server(&keys);
    for is_listed in [false, true] {
        for (link, file) in [("one", "two"), ("two", "one"), ("three", "one")] {
            let folder = folder();
            fs::write(folder.path().join(file), "old").expect("a file");
            std::os::unix::fs::symlink(file, folder.path().join(link)).expect("a link");
            let outcome = run(&server, &keys, is_listed, folder.path(), &["--force"]);
            assert_eq!(outcome.code(), Some(8), "{link} {file}: {}", outcome.stderr);
            assert!(outcome.stderr.contains("another object of this run"), "{}", outcome.stderr);
            // The one that came first is there, and whole.
            let first = keys.iter().find(|key| [link, file].contains(key)).expect("a key");
            assert_eq!(fs::read_to_string(folder.path().join(file)).expect("a file"), **first);
        }
    }
}

/// A later object is examined before its turn: to open a named pipe would wait for its reader.
#[test]
fn only_regular_files_are_written_for_several_objects() {
    let keys = ["one", "two"];
    let server = server(&keys);
    for is_listed in [false, true] {
        for number in 0..2 {
            for is_pipe in [true, false] {
                let folder = folder();
                let special = folder.path().join(keys[number]);
                if is_pipe {
                    rustix::fs::mkfifoat(rustix::fs::CWD, &special, rustix::fs::Mode::RWXU).expect("a pipe");
                } else {
                    std::os::unix::fs::symlink("/dev/null", &special).expect("a link");
                }
                for args in [&["--force"][..], &[], &["--continue"]] {
                    let outcome = run(&server, &keys, is_listed, folder.path(), args);
                    assert_eq!(outcome.code(), Some(8), "{}", outcome.stderr);
                    assert!(outcome.stderr.contains("is not a regular file"), "{}", outcome.stderr);
                    let _ = fs::remove_file(folder.path().join(keys[1 - number]));
                }
            }
        }
    }
}
