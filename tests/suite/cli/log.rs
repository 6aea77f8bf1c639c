//! `-v` and `RUST_LOG`: one line for each request and for each thing that goes wrong, and no line without them. The
//! runner looks for secrets in the output of every run, and many runs are logged.

use std::sync::Arc;

use crate::support::fault_server::{FaultServer, Gate, REQUEST_ID, Reply, Request, cut_then, once};
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

/// The lines of this target, of those that `log` has.
fn of<'a>(log: &'a str, target: &str) -> Vec<&'a str> {
    let target = format!(" s3fcp::{target}: ");
    log.lines().filter(|line| line.contains(&target)).collect()
}

/// The value of a field, without quotes.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = line.split_once(&format!(" {name}="))?;
    match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => value.split(' ').next(),
    }
}

/// Finished requests for bytes of the object.
fn gets(log: &str) -> Vec<&str> {
    let is_get = |line: &&str| field(line, "outcome").is_some() && field(line, "method") == Some("GET");
    of(log, "request").into_iter().filter(is_get).collect()
}

fn run(server: &FaultServer) -> S3fcp {
    S3fcp::at(&server.endpoint()).window(4, CHUNK)
}

#[test]
fn each_request_is_a_line() {
    let server = FaultServer::start(object(SIZE), |_| Reply::ok().header("x-amz-id-2", "id two"));
    let outcome = run(&server).args(["-v"]).download(URI);
    outcome.assert_object(&object(SIZE));
    let lines = gets(&outcome.stderr);
    assert_eq!(lines.len(), CHUNKS, "{}", outcome.stderr);
    for get in server.gets() {
        let range = get.header("range").expect("a ranged GET");
        let line = lines.iter().find(|line| field(line, "range") == Some(range)).expect("a line for it");
        let (asked, peer) = (get.range.clone().expect("a range"), server.address().to_string());
        for (name, value) in [
            ("outcome", "complete"),
            ("status", "206"),
            ("bytes", &(asked.end - asked.start).to_string()),
            ("attempt", "1"),
            ("hedge", "false"),
            ("peer", &peer),
            ("request_id", REQUEST_ID),
            ("id_2", "id two"),
            ("object", URI),
        ] {
            assert_eq!(field(line, name), Some(value), "{name}: {line}");
        }
        let number =
            |name: &str| field(line, name).and_then(|value| value.parse::<f64>().ok()).expect("a number");
        assert!(number("head_ms") <= number("elapsed_ms") && number("connection") >= 1.0, "{line}");
    }
    // The first request of a connection is on a new one, and HEAD may have had one for itself.
    let new = lines.iter().filter(|line| field(line, "reused") == Some("false")).count();
    assert!((server.connections() - 1..=server.connections()).contains(&new), "{}", outcome.stderr);
    assert!(of(&outcome.stderr, "credentials")[0].contains("AWS_ACCESS_KEY_ID"), "{}", outcome.stderr);
    let begin = of(&outcome.stderr, "download")[0];
    assert_eq!((field(begin, "size"), field(begin, "concurrency")), (Some(&*SIZE.to_string()), Some("4")));
    // Finer events are not logged.
    assert!(!outcome.stderr.contains(" DEBUG ") && !outcome.stderr.contains(" TRACE "), "{}", outcome.stderr);
}

#[test]
fn a_text_of_a_server_is_bounded_on_every_line() {
    let long = || "x".repeat(20_000);
    let quoted = || format!("\"{}\"", long());
    let table: [(&str, Reply); 7] = [
        ("the tag", Reply::ok().etag(quoted())),
        ("a tag without quotes", Reply::ok().etag(long())),
        ("a weak tag", Reply::ok().etag(format!("W/{}", quoted()))),
        ("the version", Reply::ok().header("x-amz-version-id", long())),
        ("the request's ids", Reply::ok().header("x-amz-request-id", long()).header("x-amz-id-2", long())),
        ("an error's code", Reply::status(503).code(&long())),
        ("a region", Reply::status(400).header("x-amz-bucket-region", long())),
    ];
    table::each(&table, |reply| {
        let reply = reply.clone();
        let server = FaultServer::start(object(SIZE), move |_| reply.clone());
        let outcome = run(&server).args(["-vvv", "--max-attempts", "2"]).download(URI);
        assert!(!of(&outcome.stderr, "request").is_empty(), "{}", outcome.stderr);
        let lengths = || outcome.stderr.lines().map(str::len);
        assert!(lengths().all(|length| length < 5_000), "{:?}", lengths().max());
    });
}

/// S3's longest key is not cut.
#[test]
fn the_name_of_an_object_is_logged_whole() {
    let uri = format!("s3://bucket/{}", "k".repeat(1024));
    let server = FaultServer::start(object(SIZE), |_| Reply::ok());
    let outcome = run(&server).args(["-v"]).download(&uri);
    outcome.assert_object(&object(SIZE));
    let begin = of(&outcome.stderr, "download")[0];
    assert_eq!(field(begin, "object"), Some(&*uri));
}

#[test]
fn without_them_nothing_is_logged() {
    let server = FaultServer::start(object(SIZE), once(2, Reply::status(503).code("SlowDown")));
    for level in ["", "off", "hyper=trace,aws_sigv4=trace,aws_config=trace"] {
        let outcome = run(&server).env("RUST_LOG", level).download(URI);
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""), "{level}");
    }
}

/// A server's answer, the target of its event, and the text that one line of the log then contains.
struct Told {
    script: Arc<dyn Fn(&Request) -> Reply + Send + Sync>,
    target: &'static str,
    parts: &'static [&'static str],
}

fn logged(
    script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    target: &'static str,
    parts: &'static [&'static str],
) -> Told {
    Told { script: Arc::new(script), target, parts }
}

/// What happens to the third range.
/// A server's clock, an hour ahead.
fn in_an_hour() -> String {
    httpdate::fmt_http_date(std::time::SystemTime::now() + std::time::Duration::from_hours(1))
}

fn troubles() -> Vec<(&'static str, Told)> {
    let cut = || Reply::ok().cut_after(1000);
    let busy = || Reply::status(503).code("SlowDown");
    let elsewhere =
        Reply::status(400).code("AuthorizationHeaderMalformed").header("x-amz-bucket-region", "eu-west-1");
    let skewed = Reply::status(403).code("RequestTimeTooSkewed").header("date", in_an_hour());
    let expired = Reply::status(400).code("ExpiredToken");
    vec![
        (
            "cut",
            logged(
                once(2, cut()),
                "request",
                &["outcome=\"incomplete\"", "range=\"bytes=131072-196607\"", "bytes=1000 ", "attempt=1"],
            ),
        ),
        (
            "why again",
            logged(
                once(2, cut()),
                "retry",
                &["range=\"bytes=132072-196607\"", "attempt=1", "delay_ms=", "reason=\"the body "],
            ),
        ),
        (
            "again",
            logged(
                once(2, cut()),
                "request",
                &["outcome=\"complete\"", "range=\"bytes=132072-196607\"", "attempt=2", "reused=false"],
            ),
        ),
        (
            "silent",
            logged(
                once(2, Reply::raw("")),
                "request",
                &["outcome=\"no response\"", "range=\"bytes=131072-196607\"", "error=\""],
            ),
        ),
        ("busy", logged(once(2, busy()), "throttle", &["pause_ms=", "concurrency=2"])),
        ("why busy", logged(once(2, busy()), "retry", &["SlowDown (HTTP 503, request id 4442587FB7D0A2F9)"])),
        ("elsewhere", logged(cut_then(2, 0, elsewhere), "correction", &["what=\"region\" to=\"eu-west-1\""])),
        ("skewed", logged(cut_then(2, 0, skewed), "correction", &["what=\"clock\" to=\"+", " s\""])),
        ("expired", logged(once(2, expired), "correction", &["what=\"credentials\""])),
    ]
}

#[test]
fn failures_are_logged_with_their_reason() {
    table::each(&troubles(), |Told { script, target, parts }| {
        let script = Arc::clone(script);
        let server = FaultServer::start(object(SIZE), move |request| script(request));
        let outcome = run(&server).args(["-v"]).download(URI);
        let lines = of(&outcome.stderr, target);
        let is_told = lines.iter().any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(is_told, "no {target} with {parts:?} in {}", outcome.stderr);
    });
}

#[test]
fn a_late_range_is_logged() {
    let never = Gate::closed();
    let server = FaultServer::start(object(SIZE), move |request: &Request| {
        let is_late = request.chunk(CHUNK) == Some(2) && request.attempt == 0;
        if is_late { Reply::ok().pause_after(9, &never) } else { Reply::ok() }
    });
    let patience = ["--stall-timeout", "300", "--hedge", "auto"];
    let outcome = run(&server).args(["-v"]).args(patience).download(URI);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let lines = of(&outcome.stderr, "hedge");
    let ends_well = |line: &&str| line.contains("-196607\"") && line.contains("continues alone");
    assert!(lines.len() >= 2 && lines.iter().any(ends_well), "{}", outcome.stderr);
    let second = |line: &&str| field(line, "hedge") == Some("true") && field(line, "attempt") == Some("1");
    assert!(gets(&outcome.stderr).iter().any(second), "{}", outcome.stderr);
}

#[test]
fn rust_log_chooses_targets_and_levels() {
    let server = FaultServer::start(object(SIZE), once(2, Reply::ok().cut_after(1000)));
    let lines = |args: &[&str], variable: &str| {
        let outcome = run(&server).args(args).env("RUST_LOG", variable).download(URI);
        outcome.assert_object(&object(SIZE));
        outcome.stderr
    };
    let some = lines(&[], "error,s3fcp::retry=warn");
    assert_eq!((some.lines().count(), of(&some, "retry").len()), (1, 1), "{some}");
    let all = lines(&[], "trace");
    assert!(!of(&all, "connection").is_empty() && !of(&all, "request").is_empty(), "{all}");
    assert!(all.lines().all(|line| line.contains(" s3fcp::")), "only this program's own: {all}");
    // They add up.
    let both = lines(&["-v"], "s3fcp::connection=debug");
    assert!(!of(&both, "connection").is_empty() && gets(&both).len() == CHUNKS, "{both}");
    assert_eq!(gets(&lines(&["-v"], "off")).len(), CHUNKS);
}

#[test]
fn a_level_that_there_is_not_is_a_usage_error() {
    let server = FaultServer::healthy();
    let outcome = run(&server).env("RUST_LOG", "s3fcp=verbose").download(URI);
    outcome.assert_failed(2, &[]);
    assert!(outcome.stderr.contains("RUST_LOG") && outcome.stderr.contains("hint: "), "{}", outcome.stderr);
    assert_eq!(server.connections(), 0);
    // What is for other programs is theirs.
    run(&server).env("RUST_LOG", "other[span{a=b}]=verbose").download(URI).assert_object(&object(SIZE));
}

#[test]
fn lines_that_nobody_takes_do_no_harm() {
    let server = FaultServer::healthy();
    for nowhere in ["2>&-", "2</dev/null"] {
        let run = S3fcp::redirected(nowhere).args(["-vvv", "--endpoint", &server.endpoint()]);
        run.download(URI).assert_object(&object(SIZE));
    }
}
