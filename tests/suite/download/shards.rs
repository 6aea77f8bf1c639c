//! `--shard I/N`: the N pieces make up the object, wherever each of them runs.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use s3server::{Object, Server};

use crate::support::fault_server::{ETAG, FaultServer, Gate, Reply};
use crate::support::files::{assert_good, folder, names, wait_for};
use crate::support::notes::tell;
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY, URI};
use crate::support::table;

fn shard(server: &FaultServer, index: u64, count: u64) -> S3fcp {
    let shard = format!("{index}/{count}");
    S3fcp::at(&server.endpoint()).window(2, CHUNK).args(["--shard", &shard, "--if-match", ETAG])
}

#[test]
fn the_pieces_are_the_object() {
    let table = [("one", 1), ("two", 2), ("four", 4), ("as many as chunks", 6), ("more than chunks", 9)];
    table::each(&table, |&count| {
        let server = FaultServer::healthy();
        let mut whole = Vec::new();
        for index in 0..count {
            let outcome = shard(&server, index, count).download(URI);
            assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
            assert!((whole.len() as u64).is_multiple_of(CHUNK) || whole.len() as u64 == SIZE);
            whole.extend(outcome.stdout);
        }
        assert!(whole == object(SIZE));
        assert_eq!(server.object_bytes(), SIZE, "no byte twice");
    });
}

/// Which bytes a piece has depends on no machine's memory and no number of connections.
#[test]
fn pieces_of_different_runs_fit_together() {
    let size = 40 << 20;
    let server = FaultServer::start(object(size), |_| Reply::ok());
    let mut whole = Vec::new();
    for (index, args) in [&["-c", "3"][..], &["--max-memory", "34MiB"], &[]].iter().enumerate() {
        let run = S3fcp::at(&server.endpoint())
            .args(*args)
            .args([format!("--shard={index}/3"), format!("--if-match={ETAG}")]);
        let outcome = run.download(URI);
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        whole.extend(outcome.stdout);
    }
    assert!(whole == object(size));
}

#[test]
fn in_place_each_byte_goes_to_its_offset() {
    let folder = folder();
    let out = folder.path().join("out");
    let server = FaultServer::healthy();
    let in_place = |index| shard(&server, index, 4).args(["--in-place", "-o"]).args([&out]);
    // In any order, and one of them twice.
    for index in [3, 0, 2, 0] {
        assert_good(&in_place(index).download(URI));
    }
    // What is there of others stays.
    let file = fs::OpenOptions::new().write(true).open(&out).expect("the file");
    file.write_all_at(b"mine", CHUNK).expect("some bytes");
    assert_good(&in_place(3).download(URI));
    assert!(fs::read(&out).expect("the file")[usize::try_from(CHUNK).unwrap()..].starts_with(b"mine"));
    assert_good(&in_place(1).download(URI));
    assert!(fs::read(&out).expect("the file") == object(SIZE));
    assert_eq!(names(folder.path()), ["out"]);
}

#[test]
fn all_at_the_same_time_into_one_file() {
    let folder = folder();
    let out = folder.path().join("out");
    let server = FaultServer::healthy();
    let running: Vec<_> = (0..4)
        .map(|index| shard(&server, index, 4).args(["--in-place", "-o"]).args([&out]).args([URI]).start())
        .collect();
    for running in running {
        assert_good(&running.wait());
    }
    assert!(fs::read(&out).expect("the file") == object(SIZE));
}

#[test]
fn a_file_that_is_taken_away_while_a_piece_is_written_is_exit_8() {
    type Change = fn(&Path);
    let table: [(&str, Change); 3] = [
        ("removed", |out| fs::remove_file(out).expect("the file")),
        ("renamed", |out| fs::rename(out, out.with_extension("old")).expect("the file")),
        ("replaced", |out| {
            fs::remove_file(out).expect("the file");
            fs::write(out, "mine").expect("a file");
        }),
    ];
    for (case, change) in table {
        let (folder, more) = (folder(), Gate::closed());
        let (out, gate) = (folder.path().join("out"), more.clone());
        let server = FaultServer::start(object(SIZE), move |request| match &request.range {
            Some(range) if range.start == 0 => Reply::ok().pause_after(10, &gate),
            _ => Reply::ok(),
        });
        let running = shard(&server, 0, 2).args(["--in-place", "-o"]).args([&out]).args([URI]).start();
        wait_for(&out, 10);
        change(&out);
        more.open();
        let outcome = running.wait();
        outcome.assert_failed(8, &[]);
        let message = "out: replaced or removed by another process during the download";
        assert!(outcome.stderr.contains(message), "{case}: {}", outcome.stderr);
        assert_eq!(fs::read(&out).ok(), (case == "replaced").then(|| b"mine".to_vec()));
    }
}

#[test]
fn what_cannot_be_a_piece_is_refused() {
    let folder = folder();
    let long = folder.path().join("long");
    fs::write(&long, vec![0; usize::try_from(SIZE).unwrap() + 1]).expect("a file");
    let server = FaultServer::healthy();
    let in_place = |path: &Path| shard(&server, 0, 4).args(["--in-place", "-o"]).args([path]).download(URI);
    let outcome = in_place(&long);
    outcome.assert_failed(8, &[]);
    assert!(outcome.stderr.contains("larger than the object"), "{}", outcome.stderr);
    in_place(Path::new("/dev/null")).assert_failed(8, &[]);
    let other = S3fcp::at(&server.endpoint()).args(["--shard=0/4", "--if-match=other"]).download(URI);
    other.assert_failed(6, &[]);
    let unpinned = S3fcp::at(&server.endpoint()).args(["--shard=0/4"]).download(URI);
    unpinned.assert_failed(2, &[]);
}

/// The job file that stands in docs/, as it stands there; where tests/servers.sh could not get GNU parallel, its
/// other way.
#[test]
fn the_job_for_gnu_parallel() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    let bytes = object(50 << 20);
    server.put("bucket", "a key", Object::new(bytes.clone()));
    let folder = folder();
    let out = folder.path().join("out");
    let job = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/jobs/parallel.sh");
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("servers").join("bin");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
    let command = format!("PATH=\"$PATH:{path}\"; sh '{job}' 's3://bucket/a key' '{}' 5", out.display());
    let outcome = S3fcp::shell(&command).env("AWS_ENDPOINT_URL", server.endpoint()).start().wait();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let tried = match outcome.stderr.as_str() {
        "" => "TESTED job file for GNU parallel",
        "GNU parallel is not installed: the same by xargs\n" => {
            "SKIPPED job file for GNU parallel: not installed, tried with xargs"
        }
        other => panic!("{other}"),
    };
    tell(tried);
    assert!(fs::read(&out).expect("the file") == bytes);
    assert_eq!(names(folder.path()), ["out"]);
    // A piece that fails makes the job fail.
    server.delete("bucket", "a key");
    let again = S3fcp::shell(&command).env("AWS_ENDPOINT_URL", server.endpoint()).start().wait();
    assert_ne!(again.code(), Some(0));
}

/// The job file for Slurm, each task as Slurm starts it.
#[test]
fn the_job_for_slurm() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    let bytes = object(30 << 20);
    let version = server.put("bucket", "a key", Object::new(bytes.clone()));
    let folder = folder();
    let out = folder.path().join("out");
    let job = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/jobs/slurm.sbatch");
    for task in 0..3 {
        let outcome = S3fcp::shell(&format!("exec /bin/bash '{job}'"))
            .env("AWS_ENDPOINT_URL", server.endpoint())
            .env("URI", "s3://bucket/a key")
            .env("ETAG", version.e_tag.trim_matches('"'))
            .env("OUT", &out)
            .env("SLURM_ARRAY_TASK_ID", task.to_string())
            .env("SLURM_ARRAY_TASK_COUNT", "3")
            .start()
            .wait();
        assert_good(&outcome);
    }
    assert!(fs::read(folder.path().join("out.pieces")).expect("the file") == bytes);
}
