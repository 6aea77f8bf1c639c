//! Every message and command of a stopped download, from tables of facts.

use std::path::Path;

use clap::Parser as _;

use crate::cli::args::Args;
use crate::cli::invocation::Invocation;
use crate::cli::resume::stopped_download::{ListPosition, ResumableFiles, StoppedDownload, is_resumable};
use crate::cli::source_list::SourceList;
use crate::download::options::ChecksumMode;
use crate::error::{Error, ErrorKind};
use crate::output::destination::{Destination, IfExists};
use crate::s3::address::source::Source;
use crate::s3::object::ObjectInfo;
use crate::s3::range_spec::RangeSpec;

const COMMAND: &str = "\n    s3fcp ";

fn invocation(range: Option<&str>) -> Invocation {
    let range = range.map(|text| {
        let shard = text.parse().map(RangeSpec::Shard);
        shard.or_else(|_| text.parse()).unwrap()
    });
    let args = Args::try_parse_from(["s3fcp", "s3://b/k"]).unwrap();
    let mut invocation = Invocation::try_from(args).unwrap();
    invocation.download.range = range;
    invocation
}

fn s3() -> Source {
    "s3://b/k".parse().unwrap()
}

fn object(etag: Option<&str>, version_id: Option<&str>) -> ObjectInfo {
    let [etag, version_id] = [etag, version_id].map(|text| text.map(str::to_owned));
    ObjectInfo { size: 100, etag, version_id, ..ObjectInfo::default() }
}

fn partial<'a>(invocation: &'a Invocation, info: &'a ObjectInfo) -> StoppedDownload<'a> {
    StoppedDownload {
        invocation,
        info,
        range: 0..100,
        delivered: 7,
        rest: &[],
        listed: None,
        files: ResumableFiles::None,
        is_by_version: false,
        is_interrupted: false,
        file: None,
    }
}

#[test]
fn the_whole_message() {
    let (invocation, info) = (invocation(None), object(Some("\"e\""), Some("v1")));
    assert_eq!(
        partial(&invocation, &info).message().unwrap(),
        "  stopped at byte 7 of 100, ETag \"e\"\n  \
         To continue from there (the result is not verified end to end):\n    \
         s3fcp s3://b/k --range 7- --if-match '\"e\"' >> out\n"
    );
    let mut required = invocation.clone();
    required.download.checksum = ChecksumMode::Require;
    assert_eq!(partial(&required, &info).message(), partial(&invocation, &info).message());
    let interrupted = StoppedDownload { is_interrupted: true, ..partial(&invocation, &info) };
    assert!(interrupted.message().unwrap().contains(", if the reader has taken all"));
    let file = StoppedDownload { file: Some(Path::new("/a b/c")), ..interrupted };
    let message = file.message().unwrap();
    assert!(
        message.contains("  To continue from there (") && message.ends_with(" >> '/a b/c'\n"),
        "{message}"
    );
}

#[test]
fn programs_get_the_command_as_words() {
    let (mut invocation, info) = (invocation(None), object(Some("\"e\""), None));
    let one = partial(&invocation, &info).words().unwrap();
    assert_eq!(one, ["s3fcp", "s3://b/k", "--range", "7-", "--if-match", "\"e\""]);
    assert_eq!(StoppedDownload { delivered: 0, ..partial(&invocation, &info) }.words(), None);
    invocation.sources.push("s3://b/k2".parse().unwrap());
    let two = StoppedDownload { rest: &invocation.sources[1..], ..partial(&invocation, &info) };
    let shell = "s3fcp s3://b/k --range 7- --if-match '\"e\"' && s3fcp s3://b/k2";
    assert_eq!(two.words().unwrap(), ["sh", "-c", shell]);
}

#[test]
fn there_is_no_message_before_the_first_byte_or_after_the_last() {
    let (invocation, info) = (invocation(Some("90-")), object(Some("\"e\""), None));
    for (delivered, is_some) in [(0, false), (1, true), (9, true), (10, false)] {
        let partial = StoppedDownload { range: 90..100, delivered, ..partial(&invocation, &info) };
        assert_eq!(partial.message().is_some(), is_some, "{delivered}");
    }
}

#[test]
fn the_range_continues_where_the_download_stopped() {
    let info = object(Some("\"e\""), None);
    for (asked, range, want) in [
        (None, 0..100, "--range 7- "),
        (Some("20-"), 20..100, "--range 27- "),
        (Some("20-29"), 20..30, "--range 27-29 "),
        (Some("20-999"), 20..100, "--range 27-999 "),
        (Some("-10"), 90..100, "--range 97- "),
        (Some("1/4"), 25..50, "--range 32-49 "),
        (Some("-1000"), 0..100, "--range 7- "),
    ] {
        let invocation = invocation(asked);
        let message = StoppedDownload { range, ..partial(&invocation, &info) }.message().unwrap();
        assert!(message.contains(want), "{asked:?}: {message}");
    }
}

#[test]
fn a_file_is_continued_by_the_same_command() {
    let info = object(Some("\"e\""), Some("v1"));
    let mut invocation = invocation(None);
    let existing = IfExists::Fail { resume: false };
    invocation.target = Destination::File { path: "a b".into(), existing };
    // Also where nothing came in this run, or all did and could not be brought to the disk.
    for (delivered, can_be_resumed) in [(0, false), (0, true), (7, true), (100, true)] {
        let files = if can_be_resumed { ResumableFiles::One } else { ResumableFiles::None };
        let partial = StoppedDownload { delivered, files, ..partial(&invocation, &info) };
        let message = partial.message();
        assert_eq!(message.is_some(), can_be_resumed, "{delivered}");
        let command = "To continue from there:\n    s3fcp s3://b/k -o 'a b' --continue\n";
        assert!(message.is_none_or(|message| message.ends_with(command)));
    }
    let partial =
        StoppedDownload { files: ResumableFiles::One, is_by_version: true, ..partial(&invocation, &info) };
    assert!(partial.message().unwrap().ends_with(" --continue --version-id v1\n"));
    let mut several = invocation.clone();
    several.sources.push("s3://b/k2".parse().unwrap());
    let message = StoppedDownload { invocation: &several, ..partial.clone() }.message().unwrap();
    assert!(message.contains("cannot be continued safely") && message.contains("replaced"), "{message}");
    let bare = object(None, None);
    let partial = StoppedDownload { info: &bare, is_by_version: false, ..partial };
    assert!(partial.message().unwrap().contains("cannot be continued safely"));
}

#[test]
fn several_objects_continue_with_the_rest_of_one_and_those_after_it() {
    let info = object(Some("\"e\""), None);
    let mut invocation = invocation(None);
    invocation.sources = ["a", "b", "c"].map(|key| format!("s3://b/{key}").parse().unwrap()).into();
    for (rest, delivered, command) in [
        (2, 7, Some("s3fcp s3://b/a --range 7- --if-match '\"e\"' >> out && s3fcp s3://b/b s3://b/c >> out")),
        (1, 7, Some("s3fcp s3://b/b --range 7- --if-match '\"e\"' >> out && s3fcp s3://b/c >> out")),
        (1, 100, Some("s3fcp s3://b/c >> out")),
        (0, 7, Some("s3fcp s3://b/c --range 7- --if-match '\"e\"' >> out")),
        (0, 100, None),
    ] {
        let partial = StoppedDownload {
            rest: &invocation.sources[3 - rest..],
            delivered,
            ..partial(&invocation, &info)
        };
        let message = partial.message();
        assert_eq!(message.as_deref().map(|t| t.lines().last().unwrap().trim()), command);
        let is_after = message.is_some_and(|message| message.contains("stopped after s3://b/b,"));
        assert_eq!(is_after, (rest, delivered) == (1, 100));
    }
}

#[test]
fn a_list_continues_with_the_rest_of_one_object_and_the_lines_after_it() {
    let info = object(Some("\"e\""), None);
    let source = s3();
    let rest_of_it = "s3fcp s3://b/k --range 7- --if-match '\"e\"' >> out";
    for (path, is_null_separated, delivered, is_last, want) in [
        ("a b", false, 7, false, format!("{rest_of_it} && tail -n +43 'a b' | s3fcp --from - >> out")),
        ("a b", false, 100, false, "tail -n +43 'a b' | s3fcp --from - >> out".to_owned()),
        ("-l", true, 100, false, "tail -z -n +43 ./-l | s3fcp --from - --null >> out".to_owned()),
        ("-", false, 100, false, "tail -n +43 | s3fcp --from - >> out".to_owned()),
        ("-", false, 7, true, rest_of_it.to_owned()),
    ] {
        let mut invocation = invocation(None);
        let list = SourceList { path: path.into(), is_null_separated };
        (invocation.sources, invocation.list) = (vec![], Some(list.clone()));
        let is_rereadable = path != "-";
        let (list, source) = (&list, &source);
        let listed = Some(ListPosition { list, source, line: 42, is_last, is_rereadable, written: 1234 });
        let partial = StoppedDownload { delivered, listed, ..partial(&invocation, &info) };
        let message = partial.message().unwrap();
        assert_eq!(message.lines().last().unwrap().trim(), want);
        assert!(message.contains("s3://b/k, line 42 of ") && message.contains("1234 bytes"), "{message}");
        assert_eq!(message.contains("list as stdin again"), path == "-" && !is_last, "{message}");
        let words = partial.words().unwrap();
        assert_eq!(words[0], if is_last { "s3fcp" } else { "sh" });
    }
}

#[test]
fn a_list_from_a_pipe_is_asked_for_again_at_stdin() {
    use std::os::unix::ffi::OsStrExt as _;

    let (info, source) = (object(Some("\"e\""), None), s3());
    let not_utf8 = Path::new(std::ffi::OsStr::from_bytes(b"l\xff"));
    for (path, is_rereadable, want) in [
        (Path::new("l"), true, Some("s3fcp --from l -o d/ --continue")),
        (Path::new("-"), false, Some("s3fcp --from - -o d/ --continue")),
        (Path::new("/dev/fd/63"), false, Some("s3fcp --from - -o d/ --continue")),
        (not_utf8, false, Some("s3fcp --from - -o d/ --continue")),
        (not_utf8, true, None),
    ] {
        let mut invocation = invocation(None);
        let list = SourceList { path: path.into(), is_null_separated: false };
        (invocation.sources, invocation.list) = (vec![], Some(list.clone()));
        invocation.target =
            Destination::File { path: "d/".into(), existing: IfExists::Fail { resume: false } };
        let (list, source) = (&list, &source);
        let listed = Some(ListPosition { list, source, line: 42, is_last: false, is_rereadable, written: 1 });
        let partial = StoppedDownload { listed, files: ResumableFiles::Each, ..partial(&invocation, &info) };
        let message = partial.message().unwrap();
        assert_eq!(message.lines().last().map(str::trim).filter(|_| want.is_some()), want, "{path:?}");
        assert_eq!(message.contains("list as stdin again"), want.is_some_and(|want| want.contains("- ")));
        assert_eq!(message.contains("it cannot be continued safely"), want.is_none(), "{message}");
    }
}

/// Options about signing and hosts are refused where there are only URLs, and each command has sources of its own.
#[test]
fn a_command_has_only_options_that_its_sources_can_use() {
    let info = object(Some("\"e\""), None);
    let mut invocation = invocation(None);
    invocation.settings.endpoint = Some("http://h:9".to_owned());
    for (sources, rest, commands) in [
        (
            ["s3://b/a", "https://h/p"],
            1,
            "s3fcp s3://b/a --endpoint http://h:9 --range 7- --if-match '\"e\"' >> out && s3fcp https://h/p >> out",
        ),
        (
            ["https://h/p", "s3://b/a"],
            1,
            "s3fcp https://h/p --range 7- --if-match '\"e\"' >> out && s3fcp s3://b/a --endpoint http://h:9 >> out",
        ),
        (["s3://b/a", "https://h/p"], 0, "s3fcp https://h/p --range 7- --if-match '\"e\"' >> out"),
    ] {
        invocation.sources = sources.map(|uri| uri.parse().unwrap()).into();
        let stopped =
            StoppedDownload { rest: &invocation.sources[2 - rest..], ..partial(&invocation, &info) };
        let message = stopped.message().unwrap();
        assert_eq!(message.lines().last().unwrap().trim(), commands);
    }
    let (list, source) =
        (SourceList { path: "l".into(), is_null_separated: false }, "https://h/p".parse().unwrap());
    (invocation.sources, invocation.list) = (vec![], Some(list.clone()));
    let (list, source) = (&list, &source);
    let listed =
        Some(ListPosition { list, source, line: 2, is_last: false, is_rereadable: true, written: 1 });
    let message = StoppedDownload { listed, ..partial(&invocation, &info) }.message().unwrap();
    assert_eq!(
        message.lines().last().unwrap().trim(),
        "s3fcp https://h/p --range 7- --if-match '\"e\"' >> out && \
         tail -n +3 l | s3fcp --from - --endpoint http://h:9 >> out"
    );
}

#[test]
fn the_message_asks_for_a_key_that_was_typed_itself() {
    const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let info = object(Some("\"e\""), None);
    for (key, sources, files, asks) in [
        (KEY, &["s3://b/k"][..], ResumableFiles::None, true),
        (KEY, &["s3://b/k"], ResumableFiles::One, true),
        (KEY, &["s3://b/k", "https://h/p"], ResumableFiles::None, false),
        (KEY, &["s3://b/k", "https://h/p"], ResumableFiles::One, true),
        ("key.file", &["s3://b/k"], ResumableFiles::None, false),
    ] {
        let mut invocation = invocation(None);
        invocation.settings.sse_c_key = Some(key.to_owned().into());
        invocation.sources = sources.iter().map(|uri| uri.parse().unwrap()).collect();
        if files == ResumableFiles::One {
            invocation.target =
                Destination::File { path: "f".into(), existing: IfExists::Fail { resume: false } };
        }
        let message = StoppedDownload { files, ..partial(&invocation, &info) }.message().unwrap();
        assert_eq!(message.contains("with --sse-c-key and the key added"), asks, "{message}");
        assert!(!message.contains(KEY), "{message}");
    }
}

#[test]
fn the_message_asks_for_a_query_if_the_command_has_a_url_with_one() {
    let info = object(Some("\"e\""), None);
    let mut invocation = invocation(None);
    let url = "https://h/p?X-Amz-Signature=hunter2";
    invocation.sources = ["s3://b/a", url, "s3://b/c"].map(|uri| uri.parse().unwrap()).into();
    for (rest, delivered, can_be_resumed, asks, commands) in [
        (
            2,
            7,
            false,
            true,
            "s3fcp s3://b/a --range 7- --if-match '\"e\"' >> out && s3fcp 'https://h/p?...' s3://b/c >> out",
        ),
        (
            1,
            7,
            false,
            true,
            "s3fcp 'https://h/p?...' --range 7- --if-match '\"e\"' >> out && s3fcp s3://b/c >> out",
        ),
        (1, 100, false, false, "s3fcp s3://b/c >> out"),
        (0, 7, false, false, "s3fcp s3://b/c --range 7- --if-match '\"e\"' >> out"),
        (0, 7, true, true, "s3fcp s3://b/a 'https://h/p?...' s3://b/c -o f --continue"),
    ] {
        if can_be_resumed {
            let existing = IfExists::Fail { resume: false };
            invocation.target = Destination::File { path: "f".into(), existing };
        }
        let files = if can_be_resumed { ResumableFiles::One } else { ResumableFiles::None };
        let (rest, info) = (&invocation.sources[3 - rest..], &info);
        let message = StoppedDownload { delivered, rest, files, ..partial(&invocation, info) }.message();
        let message = message.unwrap();
        assert_eq!(message.lines().last().unwrap().trim(), commands);
        assert_eq!(message.contains(", with the URL's query"), asks, "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn the_command_pins_the_version_by_etag_or_version_id() {
    const ETAG: &str = "--if-match '\"e\"' ";
    for (etag, shown, named, by_version, version, pins) in [
        (Some("\"e\""), None, None, false, None, Some(ETAG)),
        (Some("\"e\""), Some("v1"), None, false, None, Some(ETAG)),
        (Some("\"e\""), Some("v1"), None, true, Some("--version-id v1 "), Some(ETAG)),
        (Some("\"e\""), Some("v1"), Some("v1"), false, Some("--version-id v1 "), Some(ETAG)),
        (Some("e"), None, None, false, None, Some(ETAG)),
        (Some("W/\"e\""), Some("v1"), None, false, Some("--version-id v1 "), Some("")),
        (None, Some("v1"), None, false, Some("--version-id v1 "), Some("")),
        (None, None, Some("v0"), false, Some("--version-id v0 "), Some("")),
        (None, None, Some("null"), false, None, None),
        (Some("W/\"e\""), None, None, false, None, None),
        (None, None, None, false, None, None),
        (Some(&*"e".repeat(1025)), None, None, false, None, None),
        (None, Some(&*"v".repeat(1025)), None, false, None, None),
    ] {
        let mut invocation = invocation(None);
        invocation.download.version_id = named.map(str::to_owned);
        let info = object(etag, shown);
        let message =
            StoppedDownload { is_by_version: by_version, ..partial(&invocation, &info) }.message().unwrap();
        assert!(message.contains("stopped at byte 7 of 100"), "{message}");
        assert_eq!(message.contains(COMMAND), pins.is_some(), "{message}");
        assert_eq!(message.contains("cannot be continued safely"), pins.is_none(), "{message}");
        assert!(message.contains(pins.unwrap_or_default()), "{message}");
        assert_eq!(message.contains("--if-match"), pins == Some(ETAG), "{message}");
        assert!(message.contains(version.unwrap_or_default()), "{message}");
        assert_eq!(message.contains("--version-id"), version.is_some(), "{message}");
    }
}

/// A named pipe or a descriptor of a shell is gone after the run, and the bytes have left through it.
#[test]
fn the_rest_of_a_stream_other_than_stdout_is_appended_too() {
    let info = object(Some("\"e\""), None);
    let mut invocation = invocation(None);
    invocation.target =
        Destination::File { path: "/dev/fd/3".into(), existing: IfExists::Fail { resume: false } };
    invocation.remote_time = true;
    for (files, delivered, command) in [
        (ResumableFiles::None, 7, Some("s3fcp s3://b/k --range 7- --if-match '\"e\"' >> out")),
        (ResumableFiles::None, 0, None),
        (ResumableFiles::Unusable, 7, None),
        (ResumableFiles::One, 7, Some("s3fcp s3://b/k -o /dev/fd/3 --continue --remote-time")),
    ] {
        let message = StoppedDownload { delivered, files, ..partial(&invocation, &info) }.message();
        let last = message.as_deref().and_then(|message| message.lines().last());
        assert_eq!(last.map(str::trim), command, "{files:?}, {delivered}");
    }
}

#[test]
fn control_characters_reach_no_terminal_and_are_quoted_for_any_shell() {
    let info = object(Some("\"e\""), None);
    for (name, quoted) in [
        ("k\u{1b}[2J", Some(r#""$(printf 's3://b/k\033[2J')""#)),
        ("k\nl", Some(r#""$(printf 's3://b/k\012l')""#)),
        ("\r\tk\u{7f}", Some(r#""$(printf 's3://b/\015\011k\177')""#)),
        ("\u{85}é", Some(r#""$(printf 's3://b/\302\205é')""#)),
        ("\u{1}%d \\'$x`", Some(r#""$(printf 's3://b/\001%%d \\\047$x`')""#)),
        ("k\n", None),
    ] {
        let mut invocation = invocation(None);
        invocation.sources[0] = format!("s3://b/{name}").parse().unwrap();
        let stopped = partial(&invocation, &info);
        let message = stopped.message().unwrap();
        assert!(!message.contains(|c: char| c.is_control() && c != '\n'), "{message:?}");
        let expected = quoted.map(|quoted| format!("s3fcp {quoted} --range 7- --if-match '\"e\"' >> out"));
        let command = message.lines().last().map(str::trim).filter(|_| quoted.is_some());
        assert_eq!(command, expected.as_deref());
        assert_eq!(message.contains("it cannot be continued safely"), quoted.is_none(), "{message}");
        // Programs get the name itself.
        assert_eq!(stopped.words().unwrap()[1], format!("s3://b/{name}"));
        let mut invocation = self::invocation(None);
        let target = Destination::File { path: name.into(), existing: IfExists::Fail { resume: false } };
        invocation.target = target;
        let stopped = StoppedDownload { files: ResumableFiles::One, ..partial(&invocation, &info) };
        assert_eq!(stopped.message().unwrap().contains("$(printf "), quoted.is_some());
    }
    let invocation = invocation(None);
    let file = StoppedDownload { file: Some(Path::new("/a\u{1b}[2J")), ..partial(&invocation, &info) };
    assert!(file.message().unwrap().ends_with(">> \"$(printf '/a\\033[2J')\"\n"));
}

#[test]
fn which_failures_can_be_continued() {
    for (kind, is_some) in [
        (ErrorKind::Network, true),
        (ErrorKind::Server, true),
        (ErrorKind::Access, true),
        (ErrorKind::NotFound, true),
        (ErrorKind::Other, true),
        (ErrorKind::Changed, false),
        (ErrorKind::Integrity, false),
        (ErrorKind::Output, false),
        (ErrorKind::Usage, false),
    ] {
        assert_eq!(is_resumable(&Error::new(kind, "failed"), false), is_some, "{kind:?}");
        // A disk that is full may have room later.
        let of_system = Error::new(kind, "failed").with_source(std::io::Error::other("full"));
        assert_eq!(is_resumable(&of_system, true), is_some || kind == ErrorKind::Output, "{kind:?}");
    }
}

#[test]
fn a_url_is_repeated_without_its_query_and_without_a_version() {
    let mut invocation = invocation(None);
    for (url, says) in [
        ("https://h/p", "To continue from there (the result"),
        (
            "https://h/p?X-Amz-Signature=hunter2",
            "To continue from there, with the URL's query (or a new URL's)",
        ),
    ] {
        invocation.sources = vec![url.parse().unwrap()];
        let message = partial(&invocation, &object(Some("\"e\""), Some("v1"))).message().unwrap();
        assert!(message.contains(says) && message.contains("https://h/p"), "{message}");
        assert!(!message.contains("hunter2") && !message.contains("v1"), "{message}");
        let message = partial(&invocation, &object(None, Some("v1"))).message().unwrap();
        assert!(message.contains("cannot be continued safely"), "{message}");
    }
}
