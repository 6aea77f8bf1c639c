//! Files of another user beside FILE, or in its place: what he made is not used, and what is written is not his.
//!
//! Only root can make files of two users. Where the tests run as somebody else they say that they are skipped.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use crate::support::fault_server::{FaultServer, Reply};
use crate::support::files::{assert_good, folder, names, start};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::table;

/// Somebody else: `nobody` on most systems.
const OTHER: u32 = 65_534;

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("SKIPPED: only root can make files of two users");
    }
    is_root
}

fn give_away(path: &Path) {
    chown(path, Some(OTHER), Some(OTHER)).expect("another owner");
}

/// Leaves what a run of another user would leave that was cut in its middle, but for its owner.
fn leave_part(folder: &Path) {
    let cut = FaultServer::start(object(SIZE), |request| match request.chunk(CHUNK) {
        Some(0) | None => Reply::ok(),
        Some(_) => Reply::status(403).code("AccessDenied"),
    });
    assert_eq!(start(&cut, &folder.join("out"), &[]).wait().code(), Some(4));
    assert_eq!(names(folder), ["out.part", "out.part.json"]);
}

#[test]
fn what_another_user_left_is_refused_before_any_request() {
    if !is_root() {
        return;
    }
    let table: [(&str, &[&str]); 3] = [
        ("both", &["out.part", "out.part.json"]),
        ("the part", &["out.part"]),
        ("the sidecar", &["out.part.json"]),
    ];
    table::each(&table, |theirs| {
        for args in [&[][..], &["--continue"], &["--force"], &["--continue", "--force"]] {
            let (folder, server) = (folder(), FaultServer::healthy());
            leave_part(folder.path());
            for name in *theirs {
                give_away(&folder.path().join(name));
            }
            let before = fs::read(folder.path().join("out.part")).expect("the part");
            let outcome = start(&server, &folder.path().join("out"), args).wait();
            outcome.assert_failed(8, &[]);
            assert!(outcome.stderr.contains("it belongs to another user"), "{}", outcome.stderr);
            assert_eq!(server.connections(), 0);
            assert_eq!(names(folder.path()), ["out.part", "out.part.json"]);
            assert!(fs::read(folder.path().join("out.part")).expect("the part") == before);
        }
    });
}

#[test]
fn a_file_of_another_user_is_replaced_by_one_of_ones_own_without_its_special_bits() {
    if !is_root() {
        return;
    }
    for mode in [0o4755, 0o2755, 0o6777, 0o6755, 0o711, 0o600, 0o666, 0o400, 0o004] {
        let folder = folder();
        let out = folder.path().join("out");
        fs::write(&out, "theirs").expect("a file");
        give_away(&out);
        fs::set_permissions(&out, Permissions::from_mode(mode)).expect("a mode");
        assert_good(&start(&FaultServer::healthy(), &out, &["--force"]).wait());
        let found = fs::metadata(&out).expect("the file");
        assert!(fs::read(&out).expect("the file") == object(SIZE));
        let is_wider = found.mode() & !mode & 0o077 != 0;
        // Whether a file can be executed is for its owner to say.
        assert_eq!((found.uid(), found.mode() & 0o7711, is_wider), (0, 0o600, false), "{mode:o}");
        assert_eq!(names(folder.path()), ["out"]);
    }
}

/// He may have made a part file that he can write to, where FILE is his.
#[test]
fn a_part_that_all_may_write_is_refused_if_the_file_is_another_users() {
    if !is_root() {
        return;
    }
    let (folder, server) = (folder(), FaultServer::healthy());
    leave_part(folder.path());
    let out = folder.path().join("out");
    fs::write(&out, "theirs").expect("a file");
    for path in [&out, &folder.path().join("out.part")] {
        fs::set_permissions(path, Permissions::from_mode(0o666)).expect("a mode");
    }
    give_away(&out);
    let outcome = start(&server, &out, &["--force", "--continue"]).wait();
    outcome.assert_failed(8, &[]);
    assert!(outcome.stderr.contains("every user may write to it"), "{}", outcome.stderr);
    fs::remove_file(&out).expect("the file");
    fs::write(&out, "mine").expect("a file");
    fs::set_permissions(&out, Permissions::from_mode(0o666)).expect("a mode");
    assert_good(&start(&server, &out, &["--force", "--continue"]).wait());
}

/// Its owner could write any proof to it.
#[test]
fn a_finished_file_of_another_user_proves_nothing() {
    if !is_root() {
        return;
    }
    let (folder, server) = (folder(), FaultServer::healthy());
    let out = folder.path().join("out");
    assert_good(&start(&server, &out, &[]).wait());
    assert_good(&start(&server, &out, &["--continue"]).wait());
    let sent = server.object_bytes();
    give_away(&out);
    let outcome = start(&server, &out, &["--continue"]).wait();
    outcome.assert_failed(8, &[]);
    assert!(outcome.stderr.contains("already exists, and"), "{}", outcome.stderr);
    assert_eq!((server.object_bytes(), names(folder.path())), (sent, vec!["out".to_owned()]));
}
