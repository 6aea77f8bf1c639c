//! Objects that are sent in chunks and without a length, as functions, transcoding stores and web servers send them:
//! the last chunk proves the end, and a body that is cut before it is no object.

use crate::support::fault_server::{ETAG, FaultServer, Reply, Request};
use crate::support::files::folder;
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{Outcome, S3fcp, URI};
use crate::support::table;

fn run(server: &FaultServer, is_url: bool) -> S3fcp {
    let program = if is_url { S3fcp::new() } else { S3fcp::at(&server.endpoint()) };
    program.window(4, CHUNK).args(["--max-attempts", "2"])
}

fn chunks() -> Reply {
    Reply::whole_with_200().chunked()
}

/// Each kind of server, and whether its object has a URL rather than a bucket and a key.
fn servers() -> Vec<(&'static str, (bool, fn(&Request) -> Reply))> {
    vec![
        ("a page", (true, |_| chunks().without("etag").without("last-modified"))),
        ("a page with a weak tag", (true, |_| chunks().etag("W/\"a\""))),
        ("a page with a strong tag", (true, |_| chunks())),
        // Object Lambda: no ranges, and no HEAD.
        (
            "a function",
            (false, |request| match (request.is_get(), request.range.is_some()) {
                (false, _) => Reply::status(501),
                (true, true) => Reply::status(501).code("NotImplemented"),
                (true, false) => chunks(),
            }),
        ),
        ("HEAD is refused", (false, |request| if request.is_get() { chunks() } else { Reply::status(403) })),
        // Google Cloud Storage, which unpacks what is stored with gzip.
        (
            "transcoding",
            (false, |request| {
                let reply = if request.is_get() { chunks() } else { Reply::part(0..100) };
                reply.etag("W/\"stored\"").without("content-range")
            }),
        ),
        (
            "HEAD says 0",
            (
                false,
                |request| {
                    if request.is_get() { chunks() } else { Reply::ok().header("content-length", "0") }
                },
            ),
        ),
        (
            "HEAD is of another tag",
            (
                false,
                |request| {
                    if request.is_get() { chunks() } else { Reply::part(0..100).etag("\"other\"") }
                },
            ),
        ),
        (
            "HEAD has no length",
            (
                false,
                |request| {
                    if request.is_get() { chunks() } else { Reply::ok().without("content-length") }
                },
            ),
        ),
    ]
}

fn source(server: &FaultServer, is_url: bool) -> String {
    if is_url { format!("{}/page", server.endpoint()) } else { URI.to_owned() }
}

#[test]
fn the_last_chunk_proves_the_end() {
    table::each(&servers(), |(is_url, reply)| {
        let (is_url, reply) = (*is_url, *reply);
        let server = FaultServer::start(object(SIZE), reply);
        let outcome = run(&server, is_url).args(["--stats=json"]).download(&source(&server, is_url));
        outcome.assert_object(&object(SIZE));
        assert!(outcome.stderr.contains(&format!("\"bytes\":{SIZE}")), "{}", outcome.stderr);

        // Into a file, which has its name only once it is whole.
        let folder = folder();
        let path = folder.path().join("file");
        let name = path.to_str().expect("a name in UTF-8");
        let outcome = run(&server, is_url).args(["-o", name]).download(&source(&server, is_url));
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert!(std::fs::read(&path).expect("a file") == object(SIZE));
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);

        // Progress without a total; an object that is followed by another one.
        let outcome = run(&server, is_url)
            .args(["--progress=json", &source(&server, is_url)])
            .download(&source(&server, is_url));
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert!(outcome.stdout == [object(SIZE), object(SIZE)].concat());
        assert!(!outcome.stderr.contains(&u64::MAX.to_string()), "{}", outcome.stderr);
    });
}

#[test]
fn an_empty_object_in_chunks_is_empty() {
    table::each(&servers(), |(is_url, reply)| {
        let (is_url, reply) = (*is_url, *reply);
        let server = FaultServer::start(object(0), reply);
        run(&server, is_url).download(&source(&server, is_url)).assert_object(&[]);
    });
}

#[test]
fn a_body_that_is_cut_before_the_last_chunk_is_exit_5_and_a_prefix() {
    table::each(&servers(), |(is_url, reply)| {
        let (is_url, reply) = (*is_url, *reply);
        let server = FaultServer::start(object(SIZE), move |request| {
            let reply = reply(request);
            if request.is_get() { reply.cut_after(CHUNK + 10) } else { reply }
        });
        let outcome = run(&server, is_url).download(&source(&server, is_url));
        outcome.assert_failed(5, &object(SIZE));
        assert!(!outcome.stderr.contains(&u64::MAX.to_string()), "{}", outcome.stderr);
    });
}

fn assert_range(outcome: &Outcome, start: u64, end: u64) {
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let place = |at: u64| usize::try_from(at).expect("a place in memory");
    assert!(outcome.stdout == object(SIZE)[place(start)..place(end)], "{} bytes", outcome.stdout.len());
}

#[test]
fn a_range_of_it_is_cut_out_unless_it_is_counted_from_the_end() {
    table::each(&servers(), |(is_url, reply)| {
        let (is_url, reply) = (*is_url, *reply);
        let server = FaultServer::start(object(SIZE), reply);
        let range =
            |range: &str| run(&server, is_url).args(["--range", range]).download(&source(&server, is_url));
        assert_range(&range("100-199"), 100, 200);
        assert_range(&range("70000-"), 70_000, SIZE);
        assert_range(&range(&format!("70000-{}", SIZE + 10)), 70_000, SIZE);
        let beyond = range(&format!("{}-", SIZE + 1));
        assert_eq!(beyond.code(), Some(2), "{}", beyond.stderr);
        assert!(beyond.stdout.is_empty());
        let from_the_end = range("-10");
        assert!(matches!(from_the_end.code(), Some(0 | 5 | 6)), "{}", from_the_end.stderr);
        assert!(from_the_end.stdout.is_empty() || from_the_end.code() == Some(0));
    });
}

#[test]
fn what_needs_the_size_says_so() {
    let server = FaultServer::start(object(SIZE), |_| chunks());
    let url = source(&server, true);
    let info = run(&server, true).args(["--info=json"]).download(&url);
    assert_eq!(info.code(), Some(0), "{}", info.stderr);
    assert!(String::from_utf8_lossy(&info.stdout).contains("\"size\":null"));
    for args in [&["--range", "-10"][..], &["--shard", "0/2", "--if-match", ETAG]] {
        let outcome = run(&server, true).args(args).download(&url);
        outcome.assert_failed(5, &object(SIZE));
        assert!(outcome.stderr.contains("does not show the object's size"), "{}", outcome.stderr);
    }
}
