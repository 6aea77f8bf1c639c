//! The command that is printed when a download fails in the middle: run by a shell, it fetches the rest.

use std::fs::{self, File};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::support::fault_server::{FaultServer, Reply, Request, always};
use crate::support::files::folder;
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{S3fcp, SECRET_KEY, URI};
use crate::support::table;

/// Everything that a shell would take for its own.
const STRANGE: &str = "s3://bucket/a  \"b\" 'c' $HOME `d` \\e &;|<>(){}[]*?!#~ +%2F//../é";

/// A server that fails until it is put right.
struct Server {
    inner: FaultServer,
    is_well: Arc<AtomicBool>,
}

impl Server {
    fn start(ill: impl Fn(&Request) -> Reply + Send + Sync + 'static, well: fn() -> Reply) -> Self {
        let is_well = Arc::new(AtomicBool::new(false));
        let now = Arc::clone(&is_well);
        let script = move |request: &Request| if now.load(Relaxed) { well() } else { ill(request) };
        Self { inner: FaultServer::start(object(SIZE), script), is_well }
    }
}

/// Right until byte `from` of the object, and nothing but failures from there.
fn dies_at(from: u64, right: fn() -> Reply) -> impl Fn(&Request) -> Reply + Send + Sync {
    move |request| match &request.range {
        Some(range) if request.is_get() && range.start >= from => Reply::status(500).code("InternalError"),
        Some(range) if request.is_get() && range.end > from => right().cut_after(from - range.start),
        _ => right(),
    }
}

fn versioned() -> Reply {
    Reply::ok().etag("W/\"weak\"").header("x-amz-version-id", "v1")
}

/// What runs first, and what each case's command must have in it.
struct Case {
    args: &'static [&'static str],
    server: fn() -> Reply,
    start: u64,
    end: u64,
    command: &'static [&'static str],
}

const CASE: Case = Case {
    args: &[],
    server: Reply::ok,
    start: 0,
    end: SIZE,
    command: &["--range 150000- ", "--if-match '\""],
};

#[test]
fn the_command_brings_the_rest() {
    let table = [
        ("all of it", CASE),
        ("one at a time", Case { args: &["-c", "1"], command: &["-c 1 ", "--range 150000- "], ..CASE }),
        ("from a byte on", Case { args: &["--range", "100000-"], start: 100_000, ..CASE }),
        (
            "between two bytes",
            Case {
                args: &["--range", "140000-170000"],
                start: 140_000,
                end: 170_001,
                command: &["--range 150000-170000 "],
                ..CASE
            },
        ),
        (
            "beyond the end",
            Case { args: &["--range", "9-999999"], start: 9, command: &["--range 150000-999999 "], ..CASE },
        ),
        ("the last bytes", Case { args: &["--range", "-200000"], start: SIZE - 200_000, ..CASE }),
        ("of an ETag", Case { args: &["--if-match", "9bb58f26192e4ba00f01e2e7b136bbd8"], ..CASE }),
        (
            "of a version",
            Case { args: &["--version-id", "v1"], command: &["--version-id v1 ", "--if-match "], ..CASE },
        ),
        (
            "a weak ETag",
            Case { server: versioned, command: &["--version-id v1 --range 150000- >> "], ..CASE },
        ),
        (
            "with options",
            Case {
                args: &["-q", "--region", "eu-west-1", "--addressing-style", "path", "--stall-timeout", "90"],
                command: &[
                    "--quiet ",
                    "--region eu-west-1 ",
                    "--addressing-style path ",
                    "--stall-timeout '1m 30s' ",
                ],
                ..CASE
            },
        ),
    ];
    table::each(&table, |case| {
        let server = Server::start(dies_at(150_000, case.server), case.server);
        let folder = folder();
        let out = folder.path().join("it's an $object");
        let run = S3fcp::at(&server.inner.endpoint()).window(4, CHUNK).args(["--max-attempts", "2"]);
        let run = run.args(case.args).stdout(File::create(&out).expect("a file"));
        let outcome = run.download(STRANGE);
        assert_eq!(outcome.code(), Some(5), "{}", outcome.stderr);
        let position = format!("stopped at byte 150000 of {SIZE}, ETag ");
        assert!(outcome.stderr.contains(&position), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("not verified end to end"), "{}", outcome.stderr);
        let command = outcome.command().expect("a command");
        for part in case.command.iter().chain(&["--max-attempts 2 "]) {
            assert!(command.contains(part), "no {part:?} in {command}");
        }
        let bytes =
            object(SIZE).slice(usize::try_from(case.start).unwrap()..usize::try_from(case.end).unwrap());
        assert_eq!(fs::metadata(&out).expect("the file").len(), 150_000 - case.start);

        server.is_well.store(true, Relaxed);
        let before = server.inner.object_bytes();
        let rest = S3fcp::shell(&command).start().wait();
        assert_eq!((rest.code(), rest.stderr.as_str()), (Some(0), ""));
        assert!(fs::read(&out).expect("the file") == bytes);
        assert_eq!(server.inner.object_bytes() - before, case.end - 150_000, "the rest, once");
        let target = |request: &Request| request.target.split('?').next().map(str::to_owned);
        let targets: Vec<_> = server.inner.requests().iter().map(target).collect();
        assert!(targets.iter().all(|target| *target == targets[0]), "{targets:?}");
    });
}

/// Control characters are legal in keys; a terminal would act on them.
#[test]
fn the_command_of_a_key_with_control_characters_is_quoted() {
    let table = [
        ("an escape", ("s3://bucket/\u{1b}[2Jkey", true)),
        ("a line break", ("s3://bucket/two\nlines", true)),
        ("all that printf reads", ("s3://bucket/\u{1}%d%%\\n\\033'\"$HOME`d`\t!", true)),
        ("two bytes", ("s3://bucket/\u{85}é", true)),
        ("a line break at the end", ("s3://bucket/key\n", false)),
    ];
    table::each(&table, |&(uri, is_some)| {
        let server = Server::start(dies_at(150_000, Reply::ok), Reply::ok);
        let folder = folder();
        let out = folder.path().join("o\u{7f}ut");
        let run = S3fcp::at(&server.inner.endpoint()).window(4, CHUNK).args(["--max-attempts", "1"]);
        let outcome = run.stdout(File::create(&out).expect("a file")).download(uri);
        assert_eq!(outcome.code(), Some(5), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains(|c: char| c.is_control() && c != '\n'), "{:?}", outcome.stderr);
        assert_eq!(outcome.stderr.contains("it cannot be continued safely"), !is_some, "{}", outcome.stderr);
        let Some(command) = outcome.command() else { return assert!(!is_some) };
        server.is_well.store(true, Relaxed);
        let rest = S3fcp::shell(&command).start().wait();
        assert_eq!((rest.code(), rest.stderr.as_str()), (Some(0), ""));
        assert!(fs::read(&out).expect("the file") == object(SIZE));
        let requests = server.inner.requests();
        assert!(requests.iter().all(|request| request.target == requests[0].target));
    });
}

/// A whole object sent again: what came before is left out, and the store's word for the version taken.
#[test]
fn a_server_without_ranges_is_continued_too() {
    let cut = |request: &Request| {
        let whole = Reply::whole_with_200();
        if request.is_get() { whole.cut_after(if request.serial == 0 { 150_000 } else { 0 }) } else { whole }
    };
    let server = Server::start(cut, Reply::whole_with_200);
    let folder = folder();
    let out = folder.path().join("out");
    let run = S3fcp::at(&server.inner.endpoint()).window(4, CHUNK).args(["--max-attempts", "2"]);
    let outcome = run.stdout(File::create(&out).expect("a file")).download(URI);
    assert_eq!(outcome.code(), Some(5), "{}", outcome.stderr);
    server.is_well.store(true, Relaxed);
    let rest = S3fcp::shell(&outcome.command().expect("a command")).start().wait();
    assert_eq!((rest.code(), rest.stderr.as_str()), (Some(0), ""));
    assert!(fs::read(&out).expect("the file") == object(SIZE));
}

/// Bytes after those that were written (`1<> FILE`) would come between them and the rest.
#[test]
fn a_file_that_is_longer_than_the_output_is_not_appended_to() {
    use std::io::Write as _;

    let server = Server::start(dies_at(150_000, Reply::ok), Reply::ok);
    let folder = folder();
    let path = folder.path().join("out");
    for (longer_by, appends) in [(0, true), (1, false)] {
        let mut out = File::create(&path).expect("a file");
        out.write_all(b"earlier").expect("bytes");
        out.set_len(7 + if longer_by > 0 { 150_000 + longer_by } else { 0 }).expect("a length");
        let run = S3fcp::at(&server.inner.endpoint()).window(4, CHUNK).args(["--max-attempts", "2"]);
        let outcome = run.stdout(out).download(URI);
        assert_eq!(outcome.code(), Some(5), "{}", outcome.stderr);
        let command = outcome.command().expect("a command");
        assert_eq!(command.ends_with(&format!(">> {}", path.display())), appends, "{command}");
        assert_eq!(command.ends_with(">> out"), !appends, "{command}");
    }
}

/// Credentials are renewed, rights and objects are restored: what was refused is continued, if the version is the same.
#[test]
fn a_refusal_in_the_middle_has_the_command_that_continues() {
    let refused = |status, code: &'static str| Reply::status(status).code(code);
    let table = [
        ("an expired token", (refused(400, "ExpiredToken"), 4)),
        ("a token to be refreshed", (refused(400, "TokenRefreshRequired"), 4)),
        ("an invalid token", (refused(400, "InvalidToken"), 4)),
        ("access denied", (refused(403, "AccessDenied"), 4)),
        ("no reason", (Reply::status(403), 4)),
        ("no access key of the service", (refused(403, "InvalidAccessKeyId"), 4)),
        ("another signature", (refused(403, "SignatureDoesNotMatch"), 4)),
        ("an archived object", (refused(403, "InvalidObjectState"), 4)),
        ("another clock", (refused(403, "RequestTimeTooSkewed"), 4)),
        ("a gateway's login", (Reply::status(401), 4)),
        ("no such key", (refused(404, "NoSuchKey"), 3)),
        ("no such bucket", (refused(404, "NoSuchBucket"), 3)),
        ("no such version", (refused(404, "NoSuchVersion"), 3)),
        ("a gateway's missing page", (Reply::raw("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), 5)),
    ];
    table::each(&table, |(reply, exit)| {
        let folder = folder();
        let file = folder.path().join("f").display().to_string();
        for (option, continues) in [(&[][..], false), (&["-o", "/dev/stdout"], false), (&["-o", &file], true)]
        {
            let server = Server::start(always(3, reply.clone()), Reply::ok);
            let run = S3fcp::at(&server.inner.endpoint()).env("AWS_SESSION_TOKEN", "token-1");
            let run = run.window(1, CHUNK).args(["--max-attempts", "1"]).args(option);
            let outcome = run.download(URI);
            assert_eq!(outcome.code(), Some(*exit), "{}", outcome.stderr);
            outcome.assert_hides(&["token-1", SECRET_KEY]);
            let position = format!("stopped at byte {} of {SIZE}, ETag ", 3 * CHUNK);
            assert!(outcome.stderr.contains(&position), "{}", outcome.stderr);
            let command = outcome.command().expect("a command");
            assert_eq!(command.contains(" --continue "), continues, "{command}");
            assert_eq!(command.ends_with(" >> out"), !continues, "{command}");
            server.is_well.store(true, Relaxed);
            let rest = S3fcp::shell(&format!("cd {} && {command}", folder.path().display())).start().wait();
            assert_eq!((rest.code(), rest.stderr.as_str()), (Some(0), ""));
            let rest = folder.path().join(if continues { "f" } else { "out" });
            assert!([outcome.stdout, fs::read(&rest).expect("the file")].concat() == object(SIZE));
            fs::remove_file(rest).expect("it is there");
        }
    });
}

#[test]
fn what_cannot_be_continued_has_no_command() {
    let table = [
        ("before the first byte", (0, Reply::status(500).code("InternalError"), 5)),
        ("a first byte refused", (0, Reply::status(400).code("ExpiredToken"), 4)),
        ("a first byte denied", (0, Reply::status(403).code("AccessDenied"), 4)),
        ("a first byte missing", (0, Reply::status(404).code("NoSuchKey"), 3)),
        ("another object", (3, Reply::ok().etag("\"other\""), 6)),
        ("a precondition that failed", (3, Reply::status(412).code("PreconditionFailed"), 6)),
    ];
    table::each(&table, |(chunk, reply, exit)| {
        let server = FaultServer::start(object(SIZE), always(*chunk, reply.clone()));
        let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--max-attempts", "1"]);
        let outcome = run.download(URI);
        outcome.assert_failed(*exit, &object(SIZE));
        assert_eq!(outcome.stdout.len() as u64, chunk * CHUNK);
        assert!(outcome.command().is_none() && !outcome.stderr.contains("stopped at"), "{}", outcome.stderr);
    });
}

#[test]
fn an_object_that_nothing_pins_is_reported_as_unsafe_to_continue() {
    let bare = || Reply::ok().without("etag");
    let server = FaultServer::start(object(SIZE), dies_at(150_000, bare));
    let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--max-attempts", "1"]);
    let outcome = run.download(URI);
    outcome.assert_failed(5, &object(SIZE));
    assert!(outcome.stderr.contains(&format!("stopped at byte 150000 of {SIZE}\n")), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("cannot be continued safely"), "{}", outcome.stderr);
    assert_eq!(outcome.command(), None);
}

/// A pipe's reader has put the bytes wherever it did: the file is the user's to name.
#[test]
fn a_pipe_is_continued_into_a_file_to_be_named() {
    let server = FaultServer::start(object(SIZE), dies_at(150_000, Reply::ok));
    let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--max-attempts", "1"]);
    let outcome = run.download(URI);
    outcome.assert_failed(5, &object(SIZE));
    assert!(outcome.command().expect("a command").ends_with(" >> out"), "{}", outcome.stderr);
}
