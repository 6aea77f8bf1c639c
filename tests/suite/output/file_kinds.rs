//! Kinds of path after `-o`: folders, links, pipes, devices, a disk that is full.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;

use crate::support::fault_server::{FaultServer, Reply};
use crate::support::files::{assert_good, folder, names, run, start};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

#[test]
fn a_folder_takes_the_last_name_of_the_key() {
    let server = FaultServer::healthy();
    for slash in ["", "/"] {
        let folder = folder();
        let path = format!("{}{slash}", folder.path().display());
        let outcome = run(&server, Path::new(&path), &[]).download("s3://bucket/a/b/c d.tar");
        assert_good(&outcome);
        assert!(fs::read(folder.path().join("c d.tar")).expect("the file") == object(SIZE));
        assert_eq!(names(folder.path()), ["c d.tar"]);
    }
}

#[test]
fn a_path_that_cannot_be_a_file_is_refused_before_any_request() {
    struct Refusal {
        /// The path after `-o`.
        out: &'static str,
        uri: &'static str,
        exit_code: i32,
        /// A part of the message.
        message: &'static str,
    }
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("folder/key")).expect("folders");
    fs::write(at("file"), "mine").expect("a file");
    symlink("nowhere", at("link.part")).expect("a link");
    fs::create_dir(at("taken.part")).expect("a folder");
    let of_out = |out, message| Refusal { out, uri: URI, exit_code: 8, message };
    let of_key = |uri| Refusal { out: "folder", uri, exit_code: 2, message: "last segment" };
    let table = [
        (
            "a folder that is not there",
            of_out("none/", "none/: no such folder\n  hint: create the folder first, with mkdir -p"),
        ),
        ("in a folder that is not there", of_out("none/file", "none/file: its folder does not exist")),
        ("a file as a folder", of_out("file/", "no such folder")),
        ("below a file", of_out("file/x", "cannot access")),
        ("a folder in a folder", of_out("folder", "is a folder")),
        ("a key without a last name", of_key("s3://bucket/a/")),
        ("a key that leaves the folder", of_key("s3://bucket/a/..")),
        ("a link in the part's place", of_out("link", "it is a symbolic link")),
    ];
    let server = FaultServer::healthy();
    table::each(&table, |&Refusal { out, uri, exit_code, message }| {
        let outcome = run(&server, &at(out), &[]).download(uri);
        outcome.assert_failed(exit_code, &[]);
        assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
    });
    start(&server, &at("taken"), &[]).wait().assert_failed(8, &[]);
    assert_eq!(server.connections(), 0);
    assert_eq!(names(folder.path()), ["file", "folder", "link.part", "taken.part"]);
}

#[test]
fn a_link_is_followed_to_its_file() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("disk")).expect("a folder");
    symlink("disk/object", at("link")).expect("a link");
    let server = FaultServer::healthy();
    assert_good(&start(&server, &at("link"), &[]).wait());
    for args in [&[][..], &["--force"]] {
        let outcome = start(&server, &at("link"), args).wait();
        assert_eq!(outcome.code(), Some(if args.is_empty() { 8 } else { 0 }), "{}", outcome.stderr);
        assert!(fs::symlink_metadata(at("link")).expect("a link").is_symlink());
        assert!(fs::read(at("disk/object")).expect("the file") == object(SIZE));
        assert_eq!((names(folder.path()).len(), names(&at("disk")).len()), (2, 1));
    }
}

#[test]
fn a_device_is_written_as_it_is() {
    let server = FaultServer::healthy();
    for device in ["/dev/null", "/dev/stdout"] {
        let outcome = start(&server, Path::new(device), &[]).wait();
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
        assert_eq!(outcome.stdout.len() as u64, if device == "/dev/stdout" { SIZE } else { 0 });
        assert!(!Path::new(&format!("{device}.part")).exists());
    }
    start(&server, Path::new("/dev/null"), &["--continue"]).wait().assert_failed(2, &[]);
    #[cfg(target_os = "linux")]
    start(&server, Path::new("/dev/full"), &[]).wait().assert_failed(8, &[]);
}

#[test]
fn a_pipe_with_a_name_gets_the_bytes_and_its_end() {
    let folder = folder();
    let pipe = folder.path().join("pipe");
    let made = S3fcp::shell(&format!("/usr/bin/mkfifo '{}'", pipe.display())).start().wait();
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    let server = FaultServer::healthy();
    let reader = thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).expect("a pipe")
    });
    assert_good(&start(&server, &pipe, &[]).wait());
    assert!(reader.join().expect("a reader") == object(SIZE));
    // A reader that goes away ends it as it ends `cat`.
    let big = FaultServer::start(object(16 << 20), |_| Reply::ok());
    let running = start(&big, &pipe, &[]);
    File::open(&pipe).expect("a pipe").read_exact(&mut [0; 1000]).expect("bytes");
    let outcome = running.wait();
    assert_eq!((outcome.signal(), outcome.stderr.as_str()), (Some(13), ""));
    assert_eq!(names(folder.path()), ["pipe"]);
}

/// It opens only once it has a reader: until then nothing is requested, and a limit of the time counts.
#[test]
fn a_pipe_with_a_name_and_without_a_reader_ends_with_the_time_limit() {
    let folder = folder();
    let pipe = folder.path().join("pipe");
    let made = S3fcp::shell(&format!("/usr/bin/mkfifo '{}'", pipe.display())).start().wait();
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    let server = FaultServer::healthy();
    let outcome = start(&server, &pipe, &["--max-time", "0.2"]).wait();
    outcome.assert_failed(5, &[]);
    assert!(outcome.stderr.contains("--max-time"), "{}", outcome.stderr);
    assert_eq!((server.object_bytes(), names(folder.path())), (0, vec!["pipe".to_owned()]));
}

/// The bytes so far are kept; with room again the command in the message brings the rest.
#[test]
fn a_full_disk_is_exit_8_and_can_be_continued() {
    let folder = folder();
    let out = folder.path().join("out");
    let server = FaultServer::healthy();
    // A limit of the process stands for the disk's; in blocks of 512 bytes.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 300; exec s3fcp --endpoint {} -c 4 --chunk-size {CHUNK} --hedge off -o '{}' {URI}",
        server.endpoint(),
        out.display()
    );
    let outcome = S3fcp::shell(&limited).start().wait();
    outcome.assert_failed(8, &[]);
    assert_eq!(names(folder.path()), ["out.part", "out.part.json"]);
    let had = fs::metadata(folder.path().join("out.part")).expect("a part").len();
    let command = outcome.command().expect("a command");
    assert!(had > 0 && command.contains(" --continue "), "{had} {command}");
    let before = server.object_bytes();
    assert_good(&S3fcp::shell(&command).start().wait());
    assert!(fs::read(&out).expect("the file") == object(SIZE));
    assert_eq!(server.object_bytes() - before, SIZE - had);
}
