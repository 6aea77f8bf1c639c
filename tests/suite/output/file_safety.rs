//! Files beside FILE that somebody else made, or means for something else, are neither used nor harmed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::fault_server::{FaultServer, Gate, Reply, Request, once};
use crate::support::files::{PausedDownload, assert_good, folder, names, run, start, wait_for};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

fn fifo(path: &Path) {
    let made = S3fcp::shell(&format!("/usr/bin/mkfifo '{}'", path.display())).start().wait();
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
}

#[test]
fn helper_names_that_are_taken_are_refused_before_any_request() {
    type Plant = fn(&Path);
    let table: [(&str, (&str, Plant)); 11] = [
        ("a part without a sidecar", ("out.part", |path| fs::write(path, "mine").expect("a file"))),
        (
            "a hard link as the part",
            ("out.part", |path| {
                fs::hard_link(path.with_file_name("victim"), path).expect("a link");
            }),
        ),
        ("a symbolic link as the part", ("out.part", |path| symlink("victim", path).expect("a link"))),
        ("a link to nothing as the part", ("out.part", |path| symlink("none", path).expect("a link"))),
        ("a pipe as the part", ("out.part", fifo)),
        (
            "a part that every user may write",
            ("out.part", |path| {
                fs::write(path, "mine").expect("a file");
                fs::set_permissions(path, Permissions::from_mode(0o666)).expect("a mode");
            }),
        ),
        ("a pipe as the sidecar", ("out.part.json", fifo)),
        (
            "a link to an endless device as the sidecar",
            ("out.part.json", |path| {
                symlink("/dev/zero", path).expect("a link");
            }),
        ),
        (
            "a link to a file as the sidecar",
            ("out.part.json", |path| symlink("victim", path).expect("a link")),
        ),
        ("another file as the sidecar", ("out.part.json", |path| fs::write(path, "mine").expect("a file"))),
        (
            "an endless sidecar",
            ("out.part.json", |path| {
                fs::File::create(path).and_then(|file| file.set_len(1 << 40)).expect("a file");
            }),
        ),
    ];
    let server = FaultServer::healthy();
    table::each(&table, |&(name, plant)| {
        for args in [&[][..], &["--continue"], &["--force"], &["--continue", "--force"]] {
            let folder = folder();
            fs::write(folder.path().join("victim"), "theirs").expect("a file");
            plant(&folder.path().join(name));
            let before = names(folder.path());
            let outcome = start(&server, &folder.path().join("out"), args).wait();
            outcome.assert_failed(8, &[]);
            assert!(outcome.stderr.contains(&format!("/{name}: ")), "{}", outcome.stderr);
            assert_eq!(names(folder.path()), before);
            assert_eq!(fs::read(folder.path().join("victim")).expect("a file"), b"theirs");
        }
    });
    assert_eq!(server.connections(), 0);
}

/// The name under which the sidecar is written is another one then.
#[test]
fn a_taken_name_of_the_new_sidecar_is_left_alone() {
    for link in [true, false] {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("victim"), "theirs").expect("a file");
        if link {
            symlink("victim", at("out.part.json~")).expect("a link");
        } else {
            fs::write(at("out.part.json~"), "mine").expect("a file");
        }
        assert_good(&start(&FaultServer::healthy(), &at("out"), &[]).wait());
        assert_eq!(names(folder.path()), ["out", "out.part.json~", "victim"]);
        assert_eq!(fs::read(at("victim")).expect("a file"), b"theirs");
        assert!(fs::read(at("out")).expect("the file") == object(SIZE));
    }
}

#[test]
fn the_new_bytes_are_never_readable_by_more_users_than_the_file() {
    for mode in [0o600, 0o640, 0o644, 0o666, 0o4755] {
        let folder = folder();
        let (out, part) = (folder.path().join("out"), folder.path().join("out.part"));
        fs::write(&out, "old").expect("a file");
        fs::set_permissions(&out, Permissions::from_mode(mode)).expect("a mode");
        let more = Gate::closed();
        let server = FaultServer::start(object(SIZE), once(3, Reply::ok().pause_after(10, &more)));
        let running = start(&server, &out, &["--force"]);
        wait_for(&part, 3 * CHUNK + 10);
        let modes = ["out.part", "out.part.json"]
            .map(|name| fs::metadata(folder.path().join(name)).expect("a file").mode() & 0o7777);
        assert_eq!((modes[0] & !mode, modes[1]), (0, 0o600), "{mode:o}: {:o} {:o}", modes[0], modes[1]);
        more.open();
        assert_good(&running.wait());
        assert_eq!(fs::metadata(&out).expect("the file").mode() & 0o7777, mode & 0o777);
    }
}

#[test]
fn a_name_of_any_length_works_or_is_refused_before_any_request() {
    for (letter, count) in [("x", 244), ("x", 245), ("x", 250), ("x", 255), ("é", 127), ("x", 256)] {
        let (folder, server) = (folder(), FaultServer::healthy());
        let name = letter.repeat(count);
        let path = format!("{}/", folder.path().display());
        let outcome = run(&server, Path::new(&path), &[]).download(&format!("s3://bucket/{name}"));
        if name.len() > 255 {
            outcome.assert_failed(8, &[]);
            assert_eq!((server.connections(), names(folder.path()).len()), (0, 0));
        } else {
            assert_good(&outcome);
            assert_eq!(names(folder.path()), [name]);
        }
    }
}

#[test]
fn an_interrupt_before_the_first_response_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::KILL] {
        let folder = folder();
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
        let running = S3fcp::at(&endpoint).args(["-o".as_ref(), folder.path().join("out").as_os_str()]);
        let running = running.args([URI]).start();
        let (_connection, _) = silent.accept().expect("a connection");
        // A signal that the tests were started to ignore is ignored by the program, too.
        for signal in [signal, Signal::TERM, Signal::KILL] {
            running.signal(signal);
            thread::sleep(Duration::from_millis(100));
            if running.has_ended() {
                break;
            }
        }
        running.wait();
        assert_eq!(names(folder.path()), [""; 0]);
    }
}

#[test]
fn a_part_that_is_replaced_or_removed_during_the_download_is_not_renamed() {
    for replaced in [true, false] {
        let PausedDownload { server: _server, running, out, part, more, folder: _folder } =
            PausedDownload::start();
        fs::remove_file(&part).expect("the part");
        if replaced {
            fs::write(&part, "theirs").expect("a file");
        }
        more.open();
        running.wait().assert_failed(8, &[]);
        assert!(!out.exists());
        assert_eq!(fs::read(&part).ok(), replaced.then(|| b"theirs".to_vec()));
    }
}

#[test]
fn a_file_that_is_moved_over_the_sidecar_during_the_download_stays() {
    for is_moved in [true, false] {
        let PausedDownload { server: _server, running, out, part, more, folder } = PausedDownload::start();
        let sidecar = part.with_file_name("out.part.json");
        if is_moved {
            move_over(&sidecar, b"theirs");
        } else {
            fs::remove_file(&sidecar).expect("the sidecar");
        }
        more.open();
        let outcome = running.wait();
        if is_moved {
            outcome.assert_failed(8, &[]);
            let says = "cannot write to";
            assert!(outcome.stderr.contains(says) && outcome.stderr.contains("replaced by another process"));
            assert!(!out.exists());
            assert_eq!(fs::read(&sidecar).expect("their file"), b"theirs");
            assert_eq!(names(folder.path()), ["out.part", "out.part.json"]);
        } else {
            assert_good(&outcome);
            assert_eq!(names(folder.path()), ["out"]);
        }
    }
}

/// Puts a file with these bytes in the place of `part`.
fn move_over(part: &Path, bytes: &[u8]) {
    let other = part.with_file_name("other");
    fs::write(&other, bytes).expect("a file");
    fs::rename(other, part).expect("a name");
}

/// A copy of the part file may be continued, for its bytes are the object's, but not discarded.
#[test]
fn a_file_in_the_place_of_the_part_file_of_a_killed_run_is_refused_and_stays() {
    type Replace = fn(&Path, Vec<u8>);
    let table: [(&str, (Replace, bool)); 6] = [
        ("another file", (|part, _| move_over(part, b"mine"), false)),
        (
            "made anew",
            (
                |part, _| {
                    fs::remove_file(part).expect("the part");
                    fs::write(part, "mine").expect("a file");
                },
                false,
            ),
        ),
        ("written anew", (|part, _| fs::write(part, "mine").expect("a file"), false)),
        ("of the same length", (|part, had| move_over(part, &vec![7; had.len()]), false)),
        ("one that begins alike", (|part, had| move_over(part, &[&had[..50_000], b"mine"].concat()), false)),
        ("a copy", (|part, had| move_over(part, &had), true)),
    ];
    table::each(&table, |&(replace, is_continued)| {
        let PausedDownload { server, running, out, part, folder, .. } = PausedDownload::start();
        running.signal(Signal::KILL);
        running.wait();
        replace(&part, fs::read(&part).expect("the part"));
        let before =
            ["out.part", "out.part.json"].map(|name| fs::read(folder.path().join(name)).expect("a file"));
        for args in [&[][..], &["--force"], &["--continue"], &["--continue", "--force"]] {
            let outcome = start(&server, &out, args).wait();
            if is_continued && args.contains(&"--continue") {
                assert_good(&outcome);
                assert!(fs::read(&out).expect("the file") == object(SIZE));
                return;
            }
            outcome.assert_failed(8, &[]);
            assert!(outcome.stderr.contains("out.part.json"), "{}", outcome.stderr);
            let after =
                ["out.part", "out.part.json"].map(|name| fs::read(folder.path().join(name)).expect("a file"));
            assert!(before == after && names(folder.path()).len() == 2, "{args:?}");
        }
    });
}

#[test]
fn an_object_that_replaced_the_part_file_of_another_one_is_not_continued() {
    let PausedDownload { server, running, part, folder, .. } = PausedDownload::start();
    running.signal(Signal::KILL);
    running.wait();
    let into_folder = format!("{}/", folder.path().display());
    let other =
        FaultServer::start(object(SIZE).iter().map(|byte| !byte).collect(), |_: &Request| Reply::ok());
    assert_good(&run(&other, Path::new(&into_folder), &["--force"]).download("s3://bucket/out.part"));
    for args in [&[][..], &["--continue"]] {
        run(&server, Path::new(&into_folder), args).download("s3://bucket/out").assert_failed(8, &[]);
        assert_eq!(fs::read(&part).expect("the file").len() as u64, SIZE);
    }
}
