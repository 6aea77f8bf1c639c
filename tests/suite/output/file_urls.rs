//! URLs downloaded into files, continued, in shards, and together with objects of S3: no file and no message contains
//! a query.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use rustix::process::Signal;
use s3server::Server;

use crate::support::fault_server::{ETAG, FaultServer, Reply, once};
use crate::support::files::{assert_good, folder, names, wait_for};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::presigned::{SECRET, presigned, run};
use crate::support::run::{ACCESS_KEY, Outcome, Running, S3fcp, SECRET_KEY};

fn signed(server: &FaultServer, signature: &str) -> String {
    format!("{}/a/the%20file?X-Amz-Signature={signature}", server.endpoint())
}

fn start(url: &str, out: &Path, args: &[&str]) -> Running {
    let run = run().window(1, CHUNK).args(["-o".as_ref(), out.as_os_str()]);
    run.args(args).args([url]).start()
}

#[track_caller]
fn assert_discreet(folder: &Path, outcome: &Outcome) {
    assert!(!outcome.stderr.contains(SECRET), "{}", outcome.stderr);
    for name in names(folder) {
        let kept = fs::read(folder.join(name)).expect("a file");
        assert!(!kept.windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes()));
    }
}

/// The store refuses the old URL in the middle.
#[test]
fn a_url_that_is_presigned_again_continues() {
    let folder = folder();
    let (out, part) = (folder.path().join("the file"), folder.path().join("the file.part"));
    let server = FaultServer::start(object(SIZE), |request| {
        let is_old = request.target.ends_with(SECRET);
        if is_old && request.chunk(CHUNK) == Some(3) { Reply::status(403) } else { Reply::ok() }
    });
    // Into a folder, by the URL's last name.
    let outcome = start(&signed(&server, SECRET), folder.path(), &[]).wait();
    outcome.assert_failed(4, &[]);
    assert_eq!(fs::metadata(&part).expect("a part").len(), 3 * CHUNK);
    assert_discreet(folder.path(), &outcome);
    assert!(outcome.stderr.contains("in place of the dots"), "{}", outcome.stderr);
    let shown = signed(&server, "").replace("X-Amz-Signature=", "...");
    let command = outcome.command().expect("a command");
    assert!(command.contains(&shown) && command.contains("--continue"), "{command}");

    let before = server.object_bytes();
    assert_good(&S3fcp::shell(&command.replace(&shown, &signed(&server, "again"))).start().wait());
    assert_eq!(names(folder.path()), ["the file"]);
    assert!(fs::read(&out).expect("the file") == object(SIZE));
    assert_eq!(server.object_bytes() - before, SIZE - 3 * CHUNK, "no byte twice");
    let first = server.gets().into_iter().find(|r| r.target.ends_with("again")).expect("a request");
    assert_eq!(first.header("if-match"), Some(ETAG));
    assert_eq!(server.heads(), 0);
}

#[test]
fn a_kill_leaves_no_query_and_another_path_or_etag_starts_over() {
    for (path, is_other, fetched) in
        [("the%20file", false, SIZE - 2 * CHUNK), ("another", false, SIZE), ("the%20file", true, SIZE)]
    {
        let folder = folder();
        let (out, part) = (folder.path().join("out"), folder.path().join("out.part"));
        let stuck = once(2, Reply::ok().stall_after(0));
        let server = FaultServer::start(object(SIZE), move |request| {
            match (request.target.ends_with(SECRET), request.header("if-match")) {
                (true, _) => stuck(request),
                (false, Some(ETAG)) if is_other => Reply::status(412),
                (false, _) if is_other => Reply::ok().etag("\"other\""),
                (false, _) => Reply::ok(),
            }
        });
        let running = start(&signed(&server, SECRET), &out, &[]);
        wait_for(&part, 2 * CHUNK);
        running.signal(Signal::KILL);
        assert_discreet(folder.path(), &running.wait());
        let before = server.object_bytes();
        let url = signed(&server, "again").replace("the%20file", path);
        let outcome = start(&url, &out, &["--continue"]).wait();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert_eq!(outcome.stderr.contains("starting over"), fetched == SIZE, "{}", outcome.stderr);
        assert!(fs::read(&out).expect("the file") == object(SIZE));
        // Another version answers 412, and once more without If-Match.
        assert!((fetched..=fetched + CHUNK).contains(&(server.object_bytes() - before)));
    }
}

#[test]
fn objects_and_urls_follow_one_another() {
    let store = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests().start();
    for (key, size) in [("a", SIZE), ("b", 3 * CHUNK)] {
        store.put("bucket", key, object(size));
    }
    let url = presigned(&store, "/bucket/b", SystemTime::now());
    let plain = FaultServer::start(object(CHUNK), |_| Reply::ok());
    let outcome = S3fcp::at(&store.endpoint())
        .window(2, CHUNK)
        .args(["s3://bucket/a", &url, &format!("{}/c", plain.endpoint()), "s3://bucket/b"])
        .start()
        .wait();
    let [a, b, c] = [SIZE, 3 * CHUNK, CHUNK].map(object);
    outcome.assert_object(&[&a[..], &b, &c, &b].concat());
    assert_eq!(outcome.stderr, "");
    let is_presigned = |target: &str| target.contains("X-Amz-Signature");
    let (urls, objects): (Vec<_>, Vec<_>) =
        store.requests().into_iter().partition(|request| is_presigned(&request.target));
    assert!(urls.len() == 3 && urls.iter().all(|r| !r.headers.contains_key("authorization")));
    assert!(objects.iter().all(|request| request.headers.contains_key("authorization")));
    assert!(plain.requests().iter().all(|request| request.header("authorization").is_none()));
}

/// A URL that has come to its time before its turn came is another one's to continue, too.
#[test]
fn a_url_that_expired_while_others_were_under_way_has_the_command_that_continues() {
    let folder = folder();
    let server = FaultServer::start(object(SIZE), |request| {
        if request.target.ends_with(SECRET) { Reply::status(403) } else { Reply::ok() }
    });
    let out = folder.path().join("out");
    let first = format!("{}/first", server.endpoint());
    let outcome = start(&first, &out, &[&signed(&server, SECRET)]).wait();
    // The URLs in the order of the command line: the expired one was named first.
    outcome.assert_failed(4, &[]);
    assert!(outcome.command().is_none(), "nothing has begun: {}", outcome.stderr);
    let outcome = start(&signed(&server, SECRET), &out, &[&first]).wait();
    outcome.assert_failed(4, &[]);
    assert_discreet(folder.path(), &outcome);
    let shown = signed(&server, "").replace("X-Amz-Signature=", "...");
    let command = outcome.command().expect("a command").replace(&shown, &signed(&server, "again"));
    assert_good(&S3fcp::shell(&command).start().wait());
    assert!(fs::read(&out).expect("the file") == object(SIZE).repeat(2));
    assert_eq!(server.object_bytes(), 2 * SIZE + 1, "only the byte that proves the first one");
}

#[test]
fn pieces_of_a_url() {
    let server = FaultServer::healthy();
    let url = signed(&server, SECRET);
    let shard = |index: u64| {
        let shard = format!("--shard={index}/3");
        run().window(2, CHUNK).args([&shard, "--if-match", ETAG])
    };
    let mut whole = Vec::new();
    for index in 0..3 {
        let outcome = shard(index).download(&url);
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
        whole.extend(outcome.stdout);
    }
    assert!(whole == object(SIZE));
    // Each asks for the first byte, to know the size.
    assert_eq!((server.object_bytes(), server.heads()), (SIZE + 3, 0));
    let connections = server.connections();
    let outcome = run().args(["--shard=0/3"]).download(&url);
    outcome.assert_failed(2, &[]);
    assert!(outcome.stderr.contains("a URL needs --if-match"), "{}", outcome.stderr);
    assert_eq!(server.connections(), connections);
}

/// Nothing shows that it is the same still.
#[test]
fn what_has_no_etag_is_not_gone_on_with() {
    let folder = folder();
    let out = folder.path().join("out");
    let server = FaultServer::start(object(SIZE), move |request| {
        let reply =
            if request.target.ends_with(SECRET) { Reply::ok().cut_after(150_000) } else { Reply::ok() };
        reply.without("etag").header("x-amz-version-id", "v1")
    });
    let outcome = start(&signed(&server, SECRET), &out, &["--max-attempts", "1"]).wait();
    outcome.assert_failed(5, &[]);
    assert!(outcome.stderr.contains("cannot be continued safely"), "{}", outcome.stderr);
    let before = server.object_bytes();
    let outcome = start(&signed(&server, "again"), &out, &["--continue"]).wait();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("starting over"), "{}", outcome.stderr);
    // The first response shows that all bytes have to be of one.
    assert!((SIZE..=SIZE + CHUNK).contains(&(server.object_bytes() - before)));
}
