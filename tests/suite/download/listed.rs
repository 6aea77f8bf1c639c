//! Objects that a list names (`--from`): it is read as it comes, and messages name its lines.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use s3server::{Checksum, Object, Server};
use serde_json::Value;

use crate::support::checksums::value;
use crate::support::files::folder;
use crate::support::run::{ACCESS_KEY, Outcome, S3fcp, SECRET_KEY};

/// A server with small objects, each of which has its key as its content.
fn server(keys: &[&str]) -> Server {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests().start();
    for key in keys {
        server.put("bkt", key, Object::new((*key).to_owned().into_bytes()));
    }
    server
}

/// Runs with the list `text`, from a file or piped in by `cat`.
fn run(server: &Server, text: &[u8], is_piped: bool, args: &[&str]) -> Outcome {
    let folder = folder();
    let list = folder.path().join("a list");
    fs::write(&list, text).expect("a list");
    let run = if is_piped {
        let words = shlex::try_join(args.iter().copied()).expect("words");
        S3fcp::shell(&format!("cat \"$LIST\" | s3fcp --endpoint \"$AT\" --from - {words}"))
            .env("LIST", &list)
            .env("AT", server.endpoint())
    } else {
        S3fcp::at(&server.endpoint())
            .args([list.as_os_str()].map(|list| {
                let mut from = std::ffi::OsString::from("--from=");
                from.push(list);
                from
            }))
            .args(args)
    };
    run.start().wait()
}

#[test]
fn each_line_is_an_object_whatever_is_in_it() {
    let keys = ["a", "a b ", "tab\there", "\u{e9}/\u{2603}", "*", "x%20y", " lead"];
    let server = server(&keys);
    let all: String = keys.concat();
    let lines = |end: &str| keys.map(|key| format!("s3://bkt/{key}{end}")).concat();
    for (text, args) in [
        (lines("\n"), &[][..]),
        (lines("\r\n"), &[]),
        (lines("\n\n \t \n"), &["-c", "1"]),
        (format!("\u{feff}{}", lines("\n")), &["-c", "4", "--chunk-size", "64KiB"]),
        (lines("\n").trim_end_matches('\n').to_owned(), &[]),
        (lines("\0"), &["-0"]),
        (lines("\0\0"), &["--null"]),
    ] {
        for is_piped in [false, true] {
            let outcome = run(&server, text.as_bytes(), is_piped, args);
            outcome.assert_object(all.as_bytes());
            assert_eq!(outcome.stderr, "");
        }
    }
}

#[test]
fn what_is_wrong_in_a_list_ends_the_output_there_and_is_named_by_its_line() {
    let server = server(&["a"]);
    server.put("bkt", "c", Object::new("c").checksum(Checksum::Crc32, "Brnfbw=="));
    let long = [b"s3://bkt/a\ns3://bkt/".to_vec(), vec![b'k'; 10 << 20], b"\ns3://bkt/c\n".to_vec()].concat();
    for (text, args, code, brought, says) in [
        (
            &b"s3://bkt/a\n\ns3://bkt/missing\ns3://bkt/c\n"[..],
            &[][..],
            3,
            "a",
            "s3://bkt/missing (line 3 of ",
        ),
        (b"s3://bkt/a\nnonsense\ns3://bkt/c\n", &[], 2, "a", "line 2 of "),
        (b"s3://bkt/a\ns3://bkt/\xff\n", &[], 2, "a", "not valid UTF-8"),
        (b"s3://bkt/a\0s3://bkt/c\0", &[], 2, "", "use -0"),
        (&long, &[], 2, "a", "longer than 64 KiB"),
        (b"s3://bkt/None\n", &[], 3, "", "prints None where"),
        (b"None\n", &[], 2, "", "prints None where"),
        (b"s3://bkt/a\ts3://bkt/c\n", &[], 3, "", "Contents[].[Key]"),
        (b"", &[], 2, "", "contains no object"),
        (b"\n \r\n", &[], 2, "", "contains no object"),
        (b"s3://bkt/c\nhttp://127.0.0.1:1/x\n", &["--checksum", "require"], 2, "c", "line 2 of "),
        (b"s3://bkt/a\n", &["--range", "0-0"], 2, "", "single object"),
        (b"s3://bkt/a\n", &["-o", "file"], 2, "", "-o DIR/"),
    ] {
        for is_piped in [false, true] {
            let outcome = run(&server, text, is_piped, args);
            assert_eq!(outcome.code(), Some(code), "{says}: {}", outcome.stderr);
            assert_eq!(outcome.stdout, brought.as_bytes(), "{says}: {}", outcome.stderr);
            assert!(outcome.stderr.contains(says), "{says}: {}", outcome.stderr);
        }
    }
}

#[test]
fn a_list_that_cannot_be_read_is_a_usage_error() {
    let server = server(&["a"]);
    for (path, says) in [("/nowhere/list", "No such file"), ("/", "directory")] {
        let outcome = S3fcp::at(&server.endpoint()).args(["--from", path]).start().wait();
        assert_eq!((outcome.code(), outcome.stdout.len()), (Some(2), 0), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(says) && outcome.stderr.contains(path), "{}", outcome.stderr);
    }
    let outcome = S3fcp::at(&server.endpoint()).args(["--from", "-", "s3://bkt/a"]).start().wait();
    assert_eq!(outcome.code(), Some(2), "{}", outcome.stderr);
}

/// The writer of the list waits, and what it has named already arrives meanwhile.
#[test]
fn a_list_that_stalls_does_not_hold_up_what_it_has_named() {
    let server = server(&["a", "b"]);
    let folder = folder();
    let (pipe, out) = (folder.path().join("list"), folder.path().join("out"));
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let running = S3fcp::shell("exec s3fcp --endpoint \"$AT\" --from \"$LIST\" > \"$OUT\"")
        .env("AT", server.endpoint())
        .env("LIST", &pipe)
        .env("OUT", &out)
        .start();
    let mut list = fs::File::options().write(true).open(&pipe).expect("a reader");
    for (line, brought) in [("s3://bkt/a\n", "a"), ("s3://bkt/b\ns3://bkt/", "ab"), ("a", "ab")] {
        list.write_all(line.as_bytes()).expect("a line");
        let arrived = || fs::read_to_string(&out).unwrap_or_default() == brought;
        let limit = Instant::now() + Duration::from_mins(1);
        while !arrived() && !running.has_ended() && Instant::now() < limit {
            thread::sleep(Duration::from_millis(2));
        }
        assert!(arrived(), "{brought}");
        assert!(!running.has_ended());
    }
    drop(list);
    assert_eq!(running.wait().code(), Some(0));
    assert_eq!(fs::read_to_string(&out).expect("bytes"), "aba");
}

#[test]
fn the_command_of_the_message_brings_the_rest_of_the_list() {
    let server = server(&["a", "bb", "ccc"]);
    let folder = folder();
    let (list, out) = (folder.path().join("a list"), folder.path().join("out"));
    fs::write(&list, "s3://bkt/a\ns3://bkt/bb\ns3://bkt/late\ns3://bkt/ccc\n").expect("a list");
    let outcome = S3fcp::at(&server.endpoint())
        .args(["--from".as_ref(), list.as_os_str()])
        .stdout(fs::File::create(&out).expect("a file"))
        .start()
        .wait();
    assert_eq!(outcome.code(), Some(3), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("stopped after s3://bkt/bb"), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("line 2 of ") && outcome.stderr.contains("3 bytes"),
        "{}",
        outcome.stderr
    );
    server.put("bkt", "late", Object::new("late"));
    let command = outcome.command().expect("a command");
    let outcome = S3fcp::shell(&command).start().wait();
    assert_eq!(outcome.code(), Some(0), "{command}: {}", outcome.stderr);
    assert_eq!(fs::read_to_string(&out).expect("bytes"), "abblateccc");
}

#[test]
fn the_total_is_unknown_until_the_list_ends() {
    let server = server(&["a", "b"]);
    let outcome = run(&server, b"s3://bkt/a\ns3://bkt/b\n", true, &["--progress", "json", "--stats=json"]);
    outcome.assert_object(b"ab");
    let lines: Vec<Value> =
        outcome.stderr.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let last = &lines[lines.len() - 2];
    assert_eq!(
        (&last["state"], &last["objects"], &last["total"]),
        (&"complete".into(), &2.into(), &2.into())
    );
    assert_eq!(lines[lines.len() - 1]["bytes"], 2);
}

#[test]
fn info_describes_every_object_of_the_list() {
    let server = server(&["a", "bb"]);
    let outcome = run(&server, b"s3://bkt/a\ns3://bkt/bb\n", true, &["--info=json"]);
    let sizes: Vec<_> = String::from_utf8(outcome.stdout)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["size"].as_u64())
        .collect();
    assert_eq!(sizes, [Some(1), Some(2)]);
}

/// Many more objects than are requested ahead: if their names were kept, they would take 32 MiB.
#[test]
fn a_long_list_takes_no_more_memory_than_a_short_one() {
    let server = Server::builder().anonymous().start();
    server.put("bkt", "a", Object::new("a"));
    let line = format!("{}/bkt/a?pad={}\n", server.endpoint(), "p".repeat(32 << 10));
    let peak = |count: usize| {
        let args = ["--stats=json", "-c", "4", "--threads", "1"];
        let outcome = run(&server, line.repeat(count).as_bytes(), true, &args);
        outcome.assert_object("a".repeat(count).as_bytes());
        let stats: Value = serde_json::from_str(&outcome.stderr).expect("JSON");
        stats["peak_memory"].as_u64().expect("a size")
    };
    let (short, long) = (peak(100), peak(1000));
    assert!(long < short + (12 << 20), "{short} and {long} bytes");
}

/// As at S3, where a GET of all of an object shows the checksum too.
#[test]
fn a_small_object_of_a_list_costs_one_get_where_gets_show_checksums() {
    let count = 60;
    let crc = |text: &str| value("x-amz-checksum-crc64nvme", text.as_bytes());
    for (case, shown, heads, verified) in [
        ("a checksum", Some(crc("a")), 1..16, Some("crc64nvme")),
        ("none", None, 60..61, None),
        ("a composite one", Some("AAAAAA==-2".to_owned()), 60..61, None),
    ] {
        let server = server(&[]);
        let object = Object::new("a").e_tag("0cc175b9c0f1b6a831c399e269772661");
        let algorithm = if verified.is_some() { Checksum::Crc64Nvme } else { Checksum::Crc32 };
        server.put(
            "bkt",
            "a",
            shown.iter().fold(object, |object, base64| object.checksum(algorithm, base64)),
        );
        let text = "s3://bkt/a\n".repeat(count);
        for mode in ["auto", "require"] {
            let before = server.stats();
            let outcome =
                run(&server, text.as_bytes(), true, &["--stats=json", "-c", "2", "--checksum", mode]);
            let after = server.stats();
            if mode == "require" && case == "a composite one" {
                assert_eq!(outcome.code(), Some(2), "{}", outcome.stderr);
                continue;
            }
            outcome.assert_object("a".repeat(count).as_bytes());
            let stats: Value = serde_json::from_str(&outcome.stderr).expect("JSON");
            let by_etag = verified.or(Some("md5")).filter(|_| mode == "require");
            assert_eq!(stats["checksum"].as_str(), by_etag.or(verified), "{case}, {mode}");
            assert_eq!(after.gets - before.gets, count as u64, "{case}, {mode}");
            assert!(heads.contains(&(after.heads - before.heads)), "{case}, {mode}: {after:?}, {before:?}");
        }
    }
}

/// Of a million lines, 64 MB of text, no more is read than the queue to the download takes.
#[test]
fn a_million_lines_are_read_as_they_are_needed() {
    let server = server(&["a"]);
    let line = format!("s3://bkt/missing/{}", "k".repeat(48));
    let command = "yes \"$LINE\" | head -n 1000000 | s3fcp --stats=json --endpoint \"$AT\" --from -";
    let outcome = S3fcp::shell(command).env("LINE", line).env("AT", server.endpoint()).start().wait();
    outcome.assert_failed(3, b"");
    assert!(outcome.stderr.contains("line 1 of stdin"), "{}", outcome.stderr);
    let last: Value = serde_json::from_str(outcome.stderr.lines().last().expect("a line")).expect("JSON");
    assert!(last["peak_memory"].as_u64().is_some_and(|bytes| bytes < 40 << 20), "{last}");
    assert!(server.stats().gets <= 2, "{} requests", server.stats().gets);
}

/// A writer of the list that ends because the run has ended gets no more than a closed pipe.
#[test]
fn a_run_that_fails_does_not_wait_for_its_list() {
    let server = server(&["a"]);
    let mut writer = Command::new("sh")
        .args(["-c", "echo s3://bkt/missing; exec sleep 60"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh");
    let pipe = writer.stdout.take().expect("a pipe");
    let path = format!("/dev/fd/{}", 0);
    let run = S3fcp::at(&server.endpoint()).args(["--from", &path]).stdin(pipe);
    let outcome = run.start().wait();
    assert_eq!(outcome.code(), Some(3), "{}", outcome.stderr);
    let _ = writer.kill();
    let _ = writer.wait();
}

#[test]
fn a_second_list_is_refused_and_a_line_that_is_no_object_has_no_hint_for_arguments() {
    let server = server(&["a"]);
    let twice = S3fcp::at(&server.endpoint()).args(["--from", "one", "--from", "two"]).start().wait();
    assert_eq!((twice.code(), twice.stdout.len()), (Some(2), 0), "{}", twice.stderr);
    assert!(twice.stderr.contains("--from is given more than once"), "{}", twice.stderr);
    for line in ["foo", "./foo", "-", "12"] {
        let outcome = run(&server, format!("s3://bkt/a\n{line}\n").as_bytes(), false, &[]);
        assert_eq!(outcome.code(), Some(2), "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("line 2 of ") && !outcome.stderr.contains("use -o"),
            "{}",
            outcome.stderr
        );
    }
}
