//! `-o FILE`: there is never a FILE that looks complete and is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::fault_server::{FaultServer, Reply, always};
use crate::support::files::{PausedDownload, assert_good, folder, names, start};
use crate::support::object::{CHUNKS, SIZE, object};
use crate::support::run::URI;
use crate::support::table;

#[test]
fn a_file_is_there_when_it_is_whole() {
    let PausedDownload { server, running, out, part, more, folder } = PausedDownload::start();
    assert_eq!(names(folder.path()), ["out.part", "out.part.json"]);
    let kept = fs::read_to_string(folder.path().join("out.part.json")).expect("what is kept");
    let kept: serde_json::Value = serde_json::from_str(&kept).expect("JSON");
    assert_eq!((&kept["objects"][0]["uri"], &kept["objects"][0]["size"]), (&URI.into(), &SIZE.into()));
    assert!(
        fs::read(&part).expect("a part") == object(SIZE)[..usize::try_from(PausedDownload::BYTES).unwrap()]
    );
    more.open();
    assert_good(&running.wait());
    assert_eq!(names(folder.path()), ["out"]);
    assert!(fs::read(&out).expect("the file") == object(SIZE));
    assert_eq!((server.gets().len(), server.object_bytes()), (CHUNKS, SIZE));
}

#[test]
fn an_empty_object_is_an_empty_file() {
    let folder = folder();
    let out = folder.path().join("out");
    let server = FaultServer::start(object(0), |_| Reply::ok());
    assert_good(&start(&server, &out, &[]).wait());
    assert_eq!(fs::metadata(&out).expect("the file").len(), 0);
    assert_eq!(names(folder.path()), ["out"]);
}

#[test]
fn a_range_is_a_file_of_these_bytes() {
    let folder = folder();
    let out = folder.path().join("out");
    let server = FaultServer::healthy();
    assert_good(&start(&server, &out, &["--range", "1000-99999"]).wait());
    assert!(fs::read(&out).expect("the file") == object(SIZE)[1000..100_000]);
}

#[test]
fn what_is_there_is_replaced_by_force_only() {
    let folder = folder();
    let out = folder.path().join("out");
    fs::write(&out, "mine").expect("a file");
    fs::set_permissions(&out, fs::Permissions::from_mode(0o640)).expect("a mode");
    let server = FaultServer::healthy();
    for args in [&[][..], &["--continue"]] {
        let outcome = start(&server, &out, args).wait();
        outcome.assert_failed(8, &[]);
        assert!(
            outcome.stderr.contains("exists") && outcome.stderr.contains("--force"),
            "{}",
            outcome.stderr
        );
        // With --continue it is asked whether FILE is the object.
        assert_eq!(server.connections() == 0, args.is_empty());
        assert_eq!((fs::read(&out).expect("the file"), server.object_bytes()), (b"mine".to_vec(), 0));
    }
    assert_good(&start(&server, &out, &["--force"]).wait());
    assert!(fs::read(&out).expect("the file") == object(SIZE));
    assert_eq!(fs::metadata(&out).expect("the file").permissions().mode() & 0o777, 0o640);
    assert_eq!(names(folder.path()), ["out"]);
}

#[test]
fn what_fails_before_the_first_byte_leaves_nothing() {
    let table = [
        ("no object", (Reply::status(404).code("NoSuchKey"), 3)),
        ("no access", (Reply::status(403).code("AccessDenied"), 4)),
        ("no server", (Reply::status(501).code("NotImplemented"), 5)),
        ("no byte", (Reply::ok().cut_after(0), 5)),
    ];
    table::each(&table, |(reply, code)| {
        let (folder, reply) = (folder(), reply.clone());
        let out = folder.path().join("out");
        let server = FaultServer::start(object(SIZE), move |_| reply.clone());
        let outcome = start(&server, &out, &["--max-attempts", "2"]).wait();
        outcome.assert_failed(*code, &[]);
        assert!(!outcome.stderr.contains("--continue"), "{}", outcome.stderr);
        assert_eq!(names(folder.path()), [""; 0]);
        // And by force what is there stays.
        fs::write(&out, "mine").expect("a file");
        start(&server, &out, &["--force", "--max-attempts", "2"]).wait().assert_failed(*code, &[]);
        assert_eq!(
            (names(folder.path()), fs::read(&out).expect("a file")),
            (vec!["out".into()], b"mine".to_vec())
        );
    });
}

/// Whoever made it means it.
#[test]
fn a_file_that_appears_meanwhile_stays() {
    let PausedDownload { server: _server, running, out, part, more, folder: _folder } =
        PausedDownload::start();
    fs::write(&out, "mine").expect("a file");
    more.open();
    let outcome = running.wait();
    outcome.assert_failed(8, &[]);
    assert!(
        outcome.stderr.contains("created by another process") && outcome.command().is_none(),
        "{}",
        outcome.stderr
    );
    assert_eq!(fs::read(&out).expect("the file"), b"mine");
    assert!(fs::read(&part).expect("the part") == object(SIZE), "nothing is lost");
}

#[test]
fn two_processes_do_not_write_one_file() {
    let PausedDownload { server, running, out, more, folder: _folder, .. } = PausedDownload::start();
    for args in [&[][..], &["--continue"], &["--force"]] {
        let outcome = start(&server, &out, args).wait();
        outcome.assert_failed(8, &[]);
        assert!(outcome.stderr.contains("another process"), "{}", outcome.stderr);
    }
    more.open();
    assert_good(&running.wait());
    assert!(fs::read(&out).expect("the file") == object(SIZE));
}

#[test]
fn an_object_that_changed_meanwhile_is_no_file() {
    let folder = folder();
    let server = FaultServer::start(object(SIZE), always(3, Reply::ok().etag("\"other\"")));
    let outcome = start(&server, &folder.path().join("out"), &[]).wait();
    outcome.assert_failed(6, &[]);
    assert!(!folder.path().join("out").exists());
    assert!(!outcome.stderr.contains("--continue"), "{}", outcome.stderr);
}
