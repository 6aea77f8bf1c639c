//! Exit code 0 is a verdict: each byte is there, and all are of one version, however little a server shows of it.
//!
//! The servers here replace their object after some requests, or say different things of its size. Tried are: `ETag`
//! absent, weak, blank, shown by HEAD alone; `If-Match` honoured, ignored, refused once; the replacement after the
//! first, a middle and the last GET; stdout and a file, ranges, shards, several objects, and URLs. `random/lying.rs`
//! tries more of them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

use crate::support::fault_server::{ETAG, FaultServer, Reply, Request};
use crate::support::files::folder;
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{Outcome, S3fcp, URI};
use crate::support::table;

const NEW_ETAG: &str = "\"00000000000000000000000000000000\"";

fn run(server: &FaultServer) -> S3fcp {
    S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--max-attempts", "2"])
}

fn stats(outcome: &Outcome) -> serde_json::Value {
    let line = outcome.stderr.lines().find(|line| line.starts_with('{')).expect("a line of JSON");
    serde_json::from_str(line).expect("JSON")
}

/// The version after the replacement: as long, and other everywhere.
fn replaced() -> Bytes {
    object(SIZE).iter().map(|byte| !byte).collect()
}

/// What a server makes of `If-Match`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IfMatch {
    Ignored,
    /// The first one is refused, whatever it names.
    RefusedOnce,
    Honoured,
}

/// What a server shows of a version.
#[derive(Clone, Copy)]
struct Shown {
    /// Headers of responses to GET, with the version in the place of `#`.
    get: &'static str,
    head: &'static str,
    if_match: IfMatch,
}

/// A server whose object is replaced once it has answered `after` GETs.
fn replacing(shown: Shown, after: usize) -> FaultServer {
    let versions = [object(SIZE), replaced()];
    let (gets, is_refused) = (AtomicUsize::new(0), AtomicBool::new(false));
    FaultServer::start(object(SIZE), move |request: &Request| {
        let refuses_once = shown.if_match == IfMatch::RefusedOnce && request.header("if-match").is_some();
        if refuses_once && !is_refused.swap(true, Relaxed) {
            return Reply::status(412).code("PreconditionFailed");
        }
        if request.is_get() {
            gets.fetch_max(request.serial + 1, Relaxed);
        }
        let answered = gets.load(Relaxed).saturating_sub(usize::from(request.is_get()));
        respond(request, shown, &versions, usize::from(answered >= after))
    })
}

fn respond(request: &Request, shown: Shown, versions: &[Bytes; 2], version: usize) -> Reply {
    let bytes = &versions[version];
    let tag = [ETAG, NEW_ETAG][version].trim_matches('"');
    let headers = if request.is_get() { shown.get } else { shown.head }.replace('#', tag);
    let is_refused = shown.if_match == IfMatch::Honoured
        && request.header("if-match").is_some_and(|wanted| wanted.trim_matches('"') != tag);
    let head = |status: &str, length: u64, more: &str| {
        format!(
            "HTTP/1.1 {status}\r\nx-amz-request-id: 1\r\nconnection: close\r\ncontent-length: {length}\r\n\
             last-modified: Wed, 12 Oct 2022 17:50:00 GMT\r\n{headers}{more}\r\n"
        )
    };
    if is_refused {
        return Reply::status(412).code("PreconditionFailed");
    }
    if !request.is_get() {
        return Reply::raw(head("200 OK", SIZE, ""));
    }
    let range = request.range.clone().unwrap_or(0..SIZE);
    let content_range = format!("content-range: bytes {}-{}/{SIZE}\r\n", range.start, range.end - 1);
    let mut reply = head("206 Partial Content", range.end - range.start, &content_range).into_bytes();
    let place = |at: u64| usize::try_from(at).expect("a place in memory");
    reply.extend_from_slice(&bytes[place(range.start)..place(range.end)]);
    Reply::raw(reply)
}

fn kinds() -> Vec<(&'static str, Shown)> {
    let mut kinds = Vec::new();
    for if_match in [IfMatch::Ignored, IfMatch::RefusedOnce, IfMatch::Honoured] {
        for (name, get, head) in [
            ("nothing", "", ""),
            ("HEAD alone", "", "etag: \"#\"\r\n"),
            ("weak", "etag: W/\"same\"\r\n", "etag: W/\"same\"\r\n"),
            ("weak, and strong by HEAD", "etag: W/\"same\"\r\n", "etag: \"same\"\r\n"),
            ("blank", "etag: \"\"\r\n", "etag: \"\"\r\n"),
            ("strong", "etag: \"#\"\r\n", "etag: \"#\"\r\n"),
        ] {
            kinds.push((name, Shown { get, head, if_match }));
        }
    }
    kinds
}

/// Exit code 0 with one version, or another code with a beginning of one.
#[track_caller]
fn assert_one_version(outcome: &Outcome, bytes: &[u8], start: u64, end: u64) {
    let place = |at: u64| usize::try_from(at).expect("a place in memory");
    let versions = [object(SIZE), replaced()].map(|all| all.slice(place(start)..place(end)));
    if outcome.code() == Some(0) {
        assert!(versions.iter().any(|version| version == bytes), "exit 0 with a mix of versions");
    } else {
        assert!(matches!(outcome.code(), Some(5 | 6)), "{:?} {}", outcome.code(), outcome.stderr);
        assert!(versions.iter().any(|version| version.starts_with(bytes)), "{}", outcome.stderr);
    }
}

#[test]
fn exit_0_means_one_version_whatever_the_server_shows_of_it() {
    table::each(&kinds(), |shown| {
        for after in [0, 1, 2, CHUNKS / 2, CHUNKS - 1, CHUNKS] {
            let server = replacing(*shown, after);
            let outcome = run(&server).download(URI);
            assert_one_version(&outcome, &outcome.stdout, 0, SIZE);

            let server = replacing(*shown, after);
            let outcome = run(&server).args(["--range", "100000-"]).download(URI);
            assert_one_version(&outcome, &outcome.stdout, 100_000, SIZE);

            let server = replacing(*shown, after);
            let url = format!("http://{}/bucket/key", server.address());
            let outcome = S3fcp::new().window(4, CHUNK).args(["--max-attempts", "2"]).download(&url);
            assert_one_version(&outcome, &outcome.stdout, 0, SIZE);

            let (folder, server) = (folder(), replacing(*shown, after));
            let out = folder.path().join("out");
            let outcome = run(&server).args(["-o"]).args([&out]).download(URI);
            if outcome.code() == Some(0) {
                assert_one_version(&outcome, &std::fs::read(&out).expect("FILE"), 0, SIZE);
            } else {
                assert!(!out.exists(), "FILE is there after a failure");
            }
        }
    });
}

/// Several responses under HEAD's tag: its first word comes before all of them, and its last one after.
#[test]
fn ranges_without_a_tag_are_of_the_version_that_head_shows_before_and_after() {
    for if_match in [IfMatch::Ignored, IfMatch::Honoured] {
        let honours_if_match = if_match == IfMatch::Honoured;
        let shown = Shown { get: "", head: "etag: \"#\"\r\n", if_match };
        let server = replacing(shown, usize::MAX);
        let outcome = run(&server).args(["--stats=json"]).download(URI);
        outcome.assert_object(&object(SIZE));
        assert_eq!(stats(&outcome)["validator"], if honours_if_match { "strong" } else { "weak" });
        let gets = server.gets();
        if honours_if_match {
            assert_eq!(gets.len(), CHUNKS + 2, "the first one twice, and one with another tag");
            assert!(gets[2..].iter().all(|get| get.header("if-match") == Some(ETAG)));
        } else {
            assert_eq!(gets.len(), 3, "the last one brings all");
        }
        assert_eq!(server.requests().last().map(|last| last.method.clone()).as_deref(), Some("HEAD"));
        // Counted from the end, HEAD comes first.
        let outcome = run(&server).args(["--range", "-200000"]).download(URI);
        assert_eq!((outcome.code(), outcome.stdout.len()), (Some(0), 200_000), "{}", outcome.stderr);
    }
    // A small object costs one GET.
    let small = FaultServer::start(object(100), |request| {
        if request.is_get() { Reply::ok().without("etag") } else { Reply::ok() }
    });
    run(&small).download(URI).assert_object(&object(100));
    assert_eq!(small.gets().len(), 1);
}

#[test]
fn an_object_that_changed_by_heads_last_word_is_exit_6() {
    for answer in
        [Reply::ok().etag(NEW_ETAG), Reply::status(404).code("NoSuchKey"), Reply::ok().without("etag")]
    {
        let server = FaultServer::start(object(SIZE), move |request: &Request| {
            match (request.is_get(), request.serial) {
                (true, _) => Reply::ok().without("etag"),
                (false, 0 | 1) => Reply::ok(),
                (false, _) => answer.clone(),
            }
        });
        run(&server).download(URI).assert_failed(6, &object(SIZE));
    }
    let busy =
        FaultServer::start(object(SIZE), |request: &Request| match (request.is_get(), request.serial) {
            (true, _) => Reply::ok().without("etag"),
            (false, 0 | 1) => Reply::ok(),
            (false, _) => Reply::status(503),
        });
    run(&busy).download(URI).assert_failed(5, &object(SIZE));
}

#[test]
fn one_response_is_noted_once_and_unsafe_ranges_insists_on_several() {
    let table: [(&str, (fn() -> Reply, &str)); 3] = [
        ("weak", (|| Reply::ok().etag("W/\"same\""), "weak")),
        ("a date", (|| Reply::ok().without("etag"), "weak")),
        ("none", (|| Reply::ok().without("etag").without("last-modified"), "none")),
    ];
    table::each(&table, |&(reply, validator)| {
        let server = FaultServer::start(object(SIZE), move |_| reply());
        let outcome = run(&server).args(["--stats=json", "s3://bucket/first"]).download(URI);
        outcome.assert_object(&[object(SIZE), object(SIZE)].concat());
        let notes = outcome.stderr.lines().filter(|line| line.contains("--unsafe-ranges")).count();
        assert_eq!(notes, 1, "{}", outcome.stderr);
        assert_eq!(stats(&outcome)["validator"], validator);

        let server = FaultServer::start(object(SIZE), move |_| reply());
        let outcome = run(&server).args(["--stats=json", "--unsafe-ranges"]).download(URI);
        outcome.assert_object(&object(SIZE));
        assert_eq!((server.gets().len(), &stats(&outcome)["validator"]), (CHUNKS, &validator.into()));
        assert!(!outcome.stderr.contains("--unsafe-ranges"), "{}", outcome.stderr);

        let small = FaultServer::start(object(100), move |_| reply());
        let outcome = run(&small).download(URI);
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
    });
}

/// A response that is cut is continued only where the next one proves that it is of the same version.
#[test]
fn one_response_is_continued_by_its_version_id_alone() {
    let cut = |request: &Request, reply: Reply| {
        if request.is_get()
            && request.range.as_ref().is_some_and(|range| range.end == SIZE && range.start < CHUNK)
        {
            reply.cut_after(2 * CHUNK)
        } else {
            reply
        }
    };
    for (id, code) in [("v1", 0), ("null", 5)] {
        let server = FaultServer::start(object(SIZE), move |request| {
            cut(request, Reply::ok().etag("W/\"same\"").header("x-amz-version-id", id))
        });
        let outcome = run(&server).download(URI);
        assert_eq!(outcome.code(), Some(code), "{}", outcome.stderr);
        outcome.assert_contract(&object(SIZE));
        let named = server.gets().iter().filter(|get| get.target.contains("versionId=v1")).count();
        assert_eq!(named, usize::from(code == 0));
    }
    // A server that does not know the parameter shows another id, or none.
    for other in [Some("v2"), None] {
        let server = FaultServer::start(object(SIZE), move |request| {
            let reply = Reply::ok().etag("W/\"same\"");
            let id = if request.target.contains("versionId") { other } else { Some("v1") };
            cut(request, id.map_or(reply.clone(), |id| reply.header("x-amz-version-id", id)))
        });
        run(&server).download(URI).assert_failed(6, &object(SIZE));
    }
}

/// A 200 as long as the range, where HEAD is of no help: the byte after it shows whether there are more.
#[test]
fn a_part_called_200_is_never_the_whole_of_a_larger_object() {
    let bare_part = |request: &Request| match &request.range {
        Some(range) if !range.is_empty() => Reply::ok().called_200().without("content-range"),
        _ => Reply::ok(),
    };
    let always_a_part = |request: &Request| match &request.range {
        Some(range) if !range.is_empty() => Reply::ok().called_200().without("content-range"),
        Some(_) => Reply::part(0..1).called_200().without("content-range"),
        None => Reply::part(0..CHUNK).called_200().without("content-range"),
    };
    let no_ranges = |_: &Request| Reply::whole_with_200();
    let table: [(&str, (fn(&Request) -> Reply, bool)); 3] = [
        ("ranges", (bare_part, true)),
        ("parts for ever", (always_a_part, false)),
        ("none", (no_ranges, true)),
    ];
    table::each(&table, |&(reply, is_honest)| {
        for (size, chunk) in
            [(CHUNK, CHUNK), (CHUNK + 1, CHUNK), (2 * CHUNK, CHUNK), (1, 1), (2, 1), (SIZE, CHUNK)]
        {
            if !is_honest && size <= CHUNK {
                continue;
            }
            let script =
                move |request: &Request| if request.is_get() { reply(request) } else { Reply::status(403) };
            let server = FaultServer::start(object(size), script);
            let url = format!("http://{}/bucket/key", server.address());
            for outcome in [
                S3fcp::new().window(4, chunk).args(["--max-attempts", "2"]).download(&url),
                S3fcp::at(&server.endpoint()).window(4, chunk).args(["--max-attempts", "2"]).download(URI),
            ] {
                if is_honest {
                    outcome.assert_object(&object(size));
                } else {
                    outcome.assert_failed(5, &object(size));
                }
            }
        }
    });
}

/// The size that HEAD reports and the end of what comes in chunks are two facts, which must agree.
#[test]
fn chunks_that_continue_after_heads_size_are_exit_5() {
    for (piece, size) in [(100, 100_u64), (10_007, 10_007), (CHUNK, 2 * CHUNK), (1000, 1500)] {
        let server = FaultServer::start(object(SIZE), move |request: &Request| {
            let whole = Reply::whole_with_200().chunked_by(usize::try_from(piece).expect("a size"));
            if request.is_get() { whole } else { Reply::ok().header("content-length", size.to_string()) }
        });
        run(&server).download(URI).assert_failed(5, &object(SIZE));
        // And fewer than it reports.
        let server = FaultServer::start(object(size), move |request: &Request| {
            let whole = Reply::whole_with_200().chunked_by(usize::try_from(piece).expect("a size"));
            if request.is_get() { whole } else { Reply::ok().header("content-length", SIZE.to_string()) }
        });
        run(&server).download(URI).assert_failed(5, &object(size));
    }
}

/// HEAD alone says how many bytes there are: none of a shard, none from the end.
#[test]
fn a_head_that_says_too_little_leaves_no_shard_empty() {
    for size in ["0", "1", "10", "4096"] {
        let server = FaultServer::start(object(SIZE), move |request: &Request| {
            if request.is_get() { Reply::ok() } else { Reply::ok().header("content-length", size) }
        });
        let chunk = CHUNK.to_string();
        let mut delivered = 0;
        for index in 0..3 {
            let shard = format!("{index}/3");
            let args = ["--shard", &shard, "--if-match", ETAG, "--chunk-size", &chunk, "--max-attempts", "1"];
            let outcome = S3fcp::at(&server.endpoint()).args(args).download(URI);
            assert!(outcome.code() == Some(0) || outcome.stdout.is_empty(), "{}", outcome.stderr);
            assert!(
                outcome.code() != Some(0) || !outcome.stdout.is_empty(),
                "exit 0 with nothing, of {size}"
            );
            delivered += outcome.stdout.len() as u64;
        }
        assert!(delivered == SIZE || size != "0", "{delivered}");
    }
    // A shard that has no bytes costs no byte.
    let server = FaultServer::start(object(10), |_| Reply::ok());
    let args = ["--shard", "0/3", "--if-match", ETAG];
    run(&server).args(args).download(URI).assert_object(&[]);
    assert_eq!((server.object_bytes(), server.gets().len()), (0, 1));
}

#[test]
fn an_object_that_is_larger_by_head_is_not_complete() {
    let server = FaultServer::start(object(SIZE), |request: &Request| {
        let part = Reply::part(0..CHUNK).content_range(format!("bytes 0-{}/{CHUNK}", CHUNK - 1));
        if request.is_get() { part } else { Reply::ok() }
    });
    let outcome = run(&server).download(URI);
    outcome.assert_failed(5, &object(SIZE));
    assert!(outcome.stderr.contains("HEAD reports 328914 bytes, and GET 65536"), "{}", outcome.stderr);
}

#[test]
fn a_checksum_that_was_to_be_had_and_was_not_compared_is_noted() {
    let table = [
        ("refused", (Reply::status(403), true)),
        ("busy", (Reply::status(503), true)),
        ("closed", (Reply::raw(""), true)),
        ("silent", (Reply::raw("").stall_after(0), true)),
        ("another version", (Reply::ok().etag(NEW_ETAG), true)),
        ("another size", (Reply::ok().header("content-length", "7"), true)),
        ("none", (Reply::ok(), false)),
        ("no HEAD", (Reply::status(501), false)),
    ];
    table::each(&table, |(head, is_noted)| {
        let head = head.clone();
        let script = move |request: &Request| if request.is_get() { Reply::ok() } else { head.clone() };
        let server = FaultServer::start(object(SIZE), script);
        let outcome = run(&server).args(["s3://bucket/first"]).download(URI);
        outcome.assert_object(&[object(SIZE), object(SIZE)].concat());
        let notes = outcome.stderr.lines().filter(|line| line.contains("not compared")).count();
        assert_eq!(notes, usize::from(*is_noted), "{}", outcome.stderr);
        // Nobody wanted to compare.
        for args in [&["--checksum", "off"][..], &["--range", "5-"]] {
            let outcome = run(&server).args(args).download(URI);
            assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
        }
    });
}

#[test]
fn the_log_and_the_statistics_say_on_what_it_rests() {
    let server = FaultServer::healthy();
    let outcome = run(&server).args(["--stats=json", "-v"]).download(URI);
    outcome.assert_object(&object(SIZE));
    let stats = stats(&outcome);
    assert_eq!((&stats["validator"], stats["checksum"].is_null()), (&"strong".into(), true));
    let line = outcome.stderr.lines().find(|line| line.contains("the object is complete")).expect("a line");
    for part in ["size_by=\"content-range\"", "validator=\"strong\"", &format!("responses={CHUNKS}")] {
        assert!(line.contains(part), "no {part} in {line}");
    }
    let broken =
        FaultServer::start(
            object(SIZE),
            |request| {
                if request.serial > 2 { Reply::status(500) } else { Reply::ok() }
            },
        );
    let outcome = run(&broken).args(["--stats=json"]).download(URI);
    assert!(self::stats(&outcome)["validator"].is_null() && outcome.code() == Some(5), "{}", outcome.stderr);
}
