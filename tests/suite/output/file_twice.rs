//! `--continue` of a download that an earlier run finished: a job can always be retried.

use std::fs::{self, File};
use std::thread;
use std::time::Duration;

use rustix::fs::FlockOperation;

use crate::support::checksums::{full, value, with_head};
use crate::support::fault_server::{ETAG, FaultServer};
use crate::support::files::{assert_good, folder, names, run, start};
use crate::support::object::{SIZE, object};

const CRC: &str = "x-amz-checksum-crc64nvme";

#[test]
fn a_finished_file_is_proven_without_its_bytes() {
    for args in [&[][..], &["--range", "1000-99999"], &["--shard", "1/3", "--if-match", ETAG]] {
        let (folder, server) = (folder(), FaultServer::healthy());
        let out = folder.path().join("out");
        for round in 0..3 {
            let sent = server.object_bytes();
            assert_good(&start(&server, &out, &[&["--continue"], args].concat()).wait());
            assert_eq!(server.object_bytes() == sent, round > 0, "{args:?} {round}");
            assert_eq!(names(folder.path()), ["out"]);
        }
        if args.is_empty() {
            assert_good(&start(&server, &out, &["--continue", "--force"]).wait());
            assert_eq!(server.object_bytes(), SIZE);
        }
    }
}

/// The second of two runs waits for the lock of the first, which completes FILE meanwhile.
#[test]
fn a_file_that_another_run_finishes_meanwhile_is_proven() {
    let (folder, crc) = (folder(), value(CRC, &object(SIZE)));
    let [out, part] = ["out", "out.part"].map(|name| folder.path().join(name));
    let server = FaultServer::start(object(SIZE), with_head(full(CRC, crc)));
    fs::write(&part, object(SIZE)).expect("a part");
    fs::write(folder.path().join("out.part.json"), "{\"format\":").expect("a sidecar");
    let first = File::options().write(true).open(&part).expect("the part");
    rustix::fs::flock(&first, FlockOperation::LockExclusive).expect("a lock");
    let second = start(&server, &out, &["--continue"]);
    thread::sleep(Duration::from_millis(300));
    fs::rename(&part, &out).expect("the file");
    fs::remove_file(folder.path().join("out.part.json")).expect("the sidecar");
    drop(first);
    assert_good(&second.wait());
    assert_eq!((server.object_bytes(), names(folder.path())), (0, vec!["out".to_owned()]));
}

#[test]
fn a_finished_file_of_several_objects_is_proven() {
    let (folder, server) = (folder(), FaultServer::healthy());
    let out = folder.path().join("out");
    for _ in 0..2 {
        let several = run(&server, &out, &["--continue"]).args(["s3://bucket/a", "s3://bucket/b"]);
        assert_good(&several.start().wait());
        assert_eq!(server.object_bytes(), 2 * SIZE);
    }
    let others = run(&server, &out, &["--continue"]).args(["s3://bucket/a", "s3://bucket/c"]);
    others.start().wait().assert_failed(8, &[]);
}

#[test]
fn a_file_without_a_proof_is_compared_with_the_checksum() {
    let (folder, out) = (folder(), "out");
    let out = folder.path().join(out);
    let server = FaultServer::start(object(SIZE), with_head(full(CRC, value(CRC, &object(SIZE)))));
    fs::write(&out, object(SIZE)).expect("a copy");
    assert_good(&start(&server, &out, &["--continue"]).wait());
    assert_eq!(server.object_bytes(), 0);
    let mut other = object(SIZE).to_vec();
    other[5] ^= 1;
    fs::write(&out, &other).expect("a file");
    let outcome = start(&server, &out, &["--continue"]).wait();
    outcome.assert_failed(8, &[]);
    assert!(outcome.stderr.contains("it is not the object"), "{}", outcome.stderr);
    assert_good(&start(&server, &out, &["--continue", "--force"]).wait());
    assert!(fs::read(&out).expect("the file") == object(SIZE));
}

#[test]
fn what_is_not_proven_is_refused_and_stays() {
    let (folder, server) = (folder(), FaultServer::healthy());
    let out = folder.path().join("out");
    assert_good(&start(&server, &out, &[]).wait());
    let refused = |server: &FaultServer, args: &[&str], why: &str| {
        let sent = server.object_bytes();
        let outcome = start(server, &out, &[&["--continue"], args].concat()).wait();
        outcome.assert_failed(8, &[]);
        assert!(outcome.stderr.contains(why), "{}", outcome.stderr);
        assert_eq!(server.object_bytes(), sent);
        assert_eq!(names(folder.path()), ["out"]);
    };
    // Another port is another store; then another object, another range.
    refused(&FaultServer::healthy(), &[], "already exists, and");
    refused(&server, &["--range", "0-9"], "nothing proves");
    let changed = fs::read(&out).expect("the file");
    fs::write(&out, &changed).expect("the same bytes, written later");
    refused(&server, &[], "already exists, and");
}

/// The sidecar of a part that was removed says nothing of the FILE that is there.
#[test]
fn a_sidecar_alone_proves_nothing() {
    let (folder, server) = (folder(), FaultServer::healthy());
    let at = |name: &str| folder.path().join(name);
    assert_good(&start(&server, &at("new"), &[]).wait());
    fs::write(at("out"), vec![7; usize::try_from(SIZE).unwrap()]).expect("an old file");
    let sidecar = format!(
        "{{\"format\":2,\"boot\":null,\"synced\":{SIZE},\"endpoint\":\"{}\",\"objects\":[{{\"uri\":\"{}\",\
         \"asked\":null,\"etag\":\"\\\"e\\\"\",\"version_id\":null,\"size\":{SIZE},\"start\":0,\"end\":{SIZE}}}]}}\n",
        server.endpoint(),
        crate::support::run::URI
    );
    fs::write(at("out.part.json"), sidecar).expect("a sidecar");
    assert_good(&start(&server, &at("out"), &["--continue", "--force"]).wait());
    assert!(fs::read(at("out")).expect("the file") == object(SIZE));
    assert_eq!(names(folder.path()), ["new", "out"]);
}
