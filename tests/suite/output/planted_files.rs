//! Whatever somebody has put where a run makes its part file or its sidecar: it is refused, by any way of naming FILE, and
//! neither it nor what it leads to is changed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::fault_server::{ETAG, FaultServer};
use crate::support::files::{folder, names};
use crate::support::object::{SIZE, object};
use crate::support::run::S3fcp;
use crate::support::table;

/// Makes the file of this name, beside a file `victim` and a folder `inner`.
type Plant = fn(&Path);

fn special(path: &Path, kind: FileType, device: u64) {
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o600), device).expect("a special file");
}

fn kinds() -> Vec<(&'static str, Plant)> {
    let mut kinds: Vec<(&str, Plant)> = vec![
        ("a link to a file", |path| symlink("victim", path).expect("a link")),
        ("a link to nothing", |path| symlink("none", path).expect("a link")),
        ("a link to a folder", |path| symlink("inner", path).expect("a link")),
        ("a link to an endless device", |path| symlink("/dev/zero", path).expect("a link")),
        ("a link to itself", |path| symlink(path, path).expect("a link")),
        ("a second name", |path| fs::hard_link(path.with_file_name("victim"), path).expect("a link")),
        ("a folder", |path| fs::create_dir(path).expect("a folder")),
        ("a named pipe", |path| special(path, FileType::Fifo, 0)),
        ("a socket", |path| drop(UnixListener::bind(path).expect("a socket"))),
        ("a file that all may write", |path| {
            fs::write(path, "{\"format\":").expect("a file");
            fs::set_permissions(path, Permissions::from_mode(0o666)).expect("a mode");
        }),
        ("another file", |path| fs::write(path, "mine").expect("a file")),
    ];
    if rustix::process::geteuid().is_root() {
        kinds.push(("a device", |path| special(path, FileType::CharacterDevice, rustix::fs::makedev(1, 5))));
        kinds.push(("another user's file", |path| {
            fs::write(path, "{\"format\":").expect("a file");
            chown(path, Some(65_534), Some(65_534)).expect("another owner");
        }));
        kinds.push(("another user's link", |path| {
            symlink("victim", path).expect("a link");
            std::os::unix::fs::lchown(path, Some(65_534), Some(65_534)).expect("another owner");
        }));
    }
    kinds
}

/// What each entry of a folder is.
fn state(folder: &Path) -> Vec<(String, String)> {
    let entry = |name: String| {
        let found = fs::symlink_metadata(folder.join(&name)).expect("an entry");
        let content =
            if found.is_file() { fs::read(folder.join(&name)).expect("a file") } else { Vec::new() };
        let is = format!("{:?} {:o} {content:?}", found.file_type(), found.permissions().mode());
        (name, is)
    };
    names(folder).into_iter().map(entry).collect()
}

fn run(server: &FaultServer, folder: &Path, args: &str) -> S3fcp {
    let (at, folder) = (server.endpoint(), folder.display());
    S3fcp::shell(&format!("cd '{folder}' && exec s3fcp --endpoint {at} {args}"))
}

/// A folder with a file and a folder to lead to.
fn prepared() -> tempfile::TempDir {
    let folder = folder();
    fs::write(folder.path().join("victim"), "theirs").expect("a file");
    fs::create_dir(folder.path().join("inner")).expect("a folder");
    folder
}

#[test]
fn what_stands_in_the_place_of_a_part_or_a_sidecar_is_refused_and_stays() {
    let targets = ["-o f s3://b/k", "-o ./ s3://b/f", "-o ./ s3://b/e s3://b/f", "-O s3://b/e s3://b/f"];
    table::each(&kinds(), |plant| {
        let server = FaultServer::healthy();
        for target in targets {
            for name in ["f.part", "f.part.json"] {
                for flags in ["", "--continue", "--force", "--continue --force"] {
                    let folder = prepared();
                    plant(&folder.path().join(name));
                    let before = state(folder.path());
                    let outcome = run(&server, folder.path(), &format!("{flags} {target}")).start().wait();
                    let what = format!("{target} {name} {flags}: {}", outcome.stderr);
                    assert_eq!(outcome.code(), Some(8), "{what}");
                    assert!(outcome.stderr.contains(name), "{what}");
                    assert_eq!(state(folder.path()), before, "{what}");
                }
            }
        }
        assert_eq!(server.connections(), 0, "it is refused before any request");
    });
}

/// Of a list that is read as it comes, an object is examined when its turn is near.
#[test]
fn it_is_refused_for_an_object_of_a_list_too() {
    table::each(&kinds(), |plant| {
        let server = FaultServer::healthy();
        for name in ["f.part", "f.part.json"] {
            for flags in ["", "--continue --force"] {
                let folder = prepared();
                plant(&folder.path().join(name));
                let before = state(folder.path());
                let list = format!("{flags} -o ./ --from - <<'END'\ns3://b/e\ns3://b/f\nEND\n");
                let outcome = run(&server, folder.path(), &list).start().wait();
                assert_eq!(outcome.code(), Some(8), "{name} {flags}: {}", outcome.stderr);
                let after = state(folder.path());
                let (first, rest): (Vec<_>, Vec<_>) = after.into_iter().partition(|(name, _)| name == "e");
                assert_eq!((rest, first.len()), (before, 1), "{name} {flags}: {}", outcome.stderr);
            }
        }
    });
}

/// In place FILE may be there without `--force`: a sibling has made it. It is this user's, and has no other name.
#[test]
fn in_place_only_a_file_of_ones_own_is_written() {
    let user = rustix::process::geteuid().as_raw();
    table::each(&kinds(), |plant| {
        let server = FaultServer::healthy();
        let folder = prepared();
        let file = folder.path().join("f");
        plant(&file);
        // In a folder it has the last name of the key.
        let file = if file.is_dir() { file.join("k") } else { file };
        let is_own = fs::symlink_metadata(&file).map_or_else(
            |e| e.kind() == std::io::ErrorKind::NotFound,
            |found| found.is_file() && found.nlink() == 1 && found.uid() == user,
        );
        let before = state(folder.path());
        let args = format!("-o f --in-place --shard 0/1 --if-match '{ETAG}' s3://b/k");
        let outcome = run(&server, folder.path(), &args).start().wait();
        if is_own {
            assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
            assert_eq!(fs::metadata(&file).expect("the file").len(), SIZE);
            assert!(fs::read(&file).expect("the file") == object(SIZE));
        } else {
            assert_eq!((outcome.code(), server.connections()), (Some(8), 0), "{}", outcome.stderr);
            assert_eq!(state(folder.path()), before);
        }
    });
}

#[test]
fn in_place_the_reason_is_named() {
    for (plant, says) in [
        ("ln -s victim f", "f: a symbolic link, which --in-place does not follow"),
        ("ln -s none f", "f: a symbolic link, which --in-place does not follow"),
        ("ln victim f", "it has more than one link"),
        ("mkdir g && ln -s ../victim g/k && mv g f", "k: a symbolic link, which --in-place does not follow"),
    ] {
        let (server, folder) = (FaultServer::healthy(), prepared());
        let args = format!("-o f --in-place --shard 0/1 --if-match '{ETAG}' s3://b/k");
        let command = format!(
            "cd '{}' && {plant} && exec s3fcp --endpoint {} {args}",
            folder.path().display(),
            server.endpoint()
        );
        let outcome = S3fcp::shell(&command).start().wait();
        outcome.assert_failed(8, &[]);
        assert!(outcome.stderr.contains(says), "{plant}: {}", outcome.stderr);
        assert_eq!(fs::read(folder.path().join("victim")).expect("a file"), b"theirs", "{plant}");
    }
}
