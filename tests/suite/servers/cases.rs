//! The cases that are run on every server, each with a name by which a server can list it as lacking.
//!
//! A case uploads what it needs to a running server and runs s3fcp. It panics if s3fcp does something wrong, and
//! returns the server's refusal if the server has no such feature.

use std::io::Read as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;

use super::client::Refused;
use super::{NO_SIGNATURES, NO_SUCH_ENDPOINT, Server};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{Outcome, S3fcp};

pub(super) type Case = Box<dyn Fn(&Server) -> Result<(), Refused>>;
pub(super) type Named = (&'static str, fn(&Server) -> Result<(), Refused>);

/// All of them.
pub(super) fn table() -> Vec<(String, Case)> {
    let mut table: Vec<(String, Case)> = Vec::new();
    for (name, size) in SIZES {
        table.push((format!("size {name}"), Box::new(move |server| sizes(server, size))));
    }
    for (name, key) in KEYS {
        table.push((format!("key with {name}"), Box::new(move |server| keys(server, key))));
    }
    for (name, change, code) in REFUSALS {
        table.push((format!("refusal: {name}"), Box::new(move |server| refusals(server, change, code))));
    }
    let others: [Named; 13] = [
        ("more than 64 MiB", large),
        ("the longest key", longest_key),
        ("multipart object", multipart),
        ("info", info),
        ("range", range),
        ("if-match", if_match),
        ("replaced while it is read", replaced),
        ("versions", versions),
        ("a version that continues under its id", replaced_version),
        ("virtual host", virtual_host),
        ("endpoint with a path", prefixed),
        ("TLS", tls),
        ("region", region),
    ];
    for (name, case) in others {
        table.push((name.to_owned(), Box::new(case)));
    }
    table
}

const SIZES: [(&str, u64); 6] = [
    ("0", 0),
    ("1", 1),
    ("a chunk less 1", CHUNK - 1),
    ("a chunk", CHUNK),
    ("a chunk and 1", CHUNK + 1),
    ("several chunks", SIZE),
];

const KEYS: [(&str, &str); 18] = [
    ("spaces", "a folder/a b"),
    ("spaces outside", " a "),
    ("plus", "a+b"),
    ("percent", "100%"),
    ("what looks encoded", "a%2Fb%20c"),
    ("letters of many scripts", "é/☃/日本/🦀"),
    ("letters in parts", "e\u{301}"),
    ("two slashes", "a//b"),
    ("a slash first", "/a"),
    ("a slash last", "a/"),
    ("two dots", "a/../b"),
    ("a dot", "a/./b"),
    ("equals and ampersand", "a=b&c"),
    ("a question mark", "a?versionId=b"),
    ("a hash", "a#b"),
    ("quotes and brackets", "'\"()[]{}<>"),
    ("other signs", "!$*,:;@^`|\\~"),
    ("control characters", "a\tb\nc"),
];

type Change = fn(S3fcp) -> S3fcp;

const REFUSALS: [(&str, (Change, &str), i32); 7] = [
    ("wrong secret", (|run| run.env("AWS_SECRET_ACCESS_KEY", "not/the/secret"), "key"), 4),
    ("unknown access key", (|run| run.env("AWS_ACCESS_KEY_ID", "AKIANOBODY"), "key"), 4),
    ("unsigned", (|run| run.args(["--no-sign-request"]), "key"), 4),
    ("missing key", (|run| run, "other"), 3),
    ("missing bucket", (|run| run, ""), 3),
    (
        "info with a wrong secret",
        (|run| run.env("AWS_SECRET_ACCESS_KEY", "wrong").args(["--info"]), "key"),
        4,
    ),
    ("info of a missing key", (|run| run.args(["--info"]), "other"), 3),
];

fn sizes(server: &Server, size: u64) -> Result<(), Refused> {
    let (bytes, bucket) = (object(size), server.bucket()?);
    server.client.put(&bucket, "key", bytes.clone())?;
    let run = server.run().window(4, CHUNK).args(["--stats=json"]);
    let outcome = run.download(&format!("s3://{bucket}/key"));
    outcome.assert_object(&bytes);
    let stats = stats(&outcome).expect("figures");
    // Beside the GETs one HEAD; that an object is empty takes a second look.
    let gets = size.div_ceil(CHUNK).max(1);
    let requests = stats["requests"].as_u64().expect("a number");
    assert!((gets..=gets + 1 + u64::from(size == 0)).contains(&requests), "{stats}");
    assert_eq!((&stats["retries"], &stats["bytes_beyond"]), (&0.into(), &0.into()), "{stats}");
    Ok(())
}

/// With everything left to s3fcp.
fn large(server: &Server) -> Result<(), Refused> {
    let (bytes, bucket) = (object((65 << 20) + 1), server.bucket()?);
    server.client.put(&bucket, "key", bytes.clone())?;
    server.run().download(&format!("s3://{bucket}/key")).assert_object(&bytes);
    Ok(())
}

fn keys(server: &Server, key: &str) -> Result<(), Refused> {
    let (bytes, bucket) = (object(1000), server.bucket()?);
    server.client.put(&bucket, key, bytes.clone())?;
    server.run().window(2, 600).download(&format!("s3://{bucket}/{key}")).assert_object(&bytes);
    Ok(())
}

fn longest_key(server: &Server) -> Result<(), Refused> {
    // 1024 bytes, in parts that a file system takes.
    keys(server, &format!("{}{}", format!("{}/", "☃".repeat(67)).repeat(5), "x".repeat(14)))
}

fn refusals(server: &Server, (change, key): (Change, &str), code: i32) -> Result<(), Refused> {
    if code == 4 && !server.checks_signature {
        return Err(Refused(NO_SIGNATURES.to_owned()));
    }
    let bucket = server.bucket()?;
    server.client.put(&bucket, "key", object(SIZE))?;
    let uri = if key.is_empty() { "s3://no-such-bucket/key".into() } else { format!("s3://{bucket}/{key}") };
    // The machine may be busy for a moment: one of three has to be quick.
    let quick = (0..3).any(|_| {
        let begun = Instant::now();
        let outcome = change(server.run()).args(["--stats=json"]).download(&uri);
        let took = begun.elapsed();
        assert_eq!(outcome.code(), Some(code), "{:?}, stderr: {}", outcome.status, outcome.stderr);
        assert!(outcome.stdout.is_empty());
        assert!(outcome.stderr.contains(&format!("s3fcp: {uri}: ")), "{}", outcome.stderr);
        // A download asks with a GET and a HEAD, --info with a HEAD; nothing is asked twice. A run that fails before
        // its first response has no figures.
        let requests = stats(&outcome).and_then(|stats| stats["requests"].as_u64());
        assert!(requests.is_none_or(|requests| requests <= 2), "{}", outcome.stderr);
        server.assert_secret_kept(&outcome);
        took < Duration::from_secs(1)
    });
    assert!(quick, "a refusal took more than a second, three times");
    Ok(())
}

/// Uploaded in three parts; read in ranges that do not know of them.
fn multipart(server: &Server) -> Result<(), Refused> {
    let (bytes, bucket) = (object((11 << 20) + 1), server.bucket()?);
    let parts = [bytes.slice(..5 << 20), bytes.slice(5 << 20..10 << 20), bytes.slice(10 << 20..)];
    server.client.put_parts(&bucket, "key", &parts)?;
    let uri = format!("s3://{bucket}/key");
    server.run().window(4, 1 << 20).download(&uri).assert_object(&bytes);
    server.run().download(&uri).assert_object(&bytes);
    Ok(())
}

fn info(server: &Server) -> Result<(), Refused> {
    let bucket = server.bucket()?;
    server.client.put(&bucket, "a key", object(SIZE))?;
    let head = server.client.head(&bucket, "a key")?;
    let header = |name: &str| head.headers().get(name).and_then(|value| value.to_str().ok());
    let uri = format!("s3://{bucket}/a key");
    let outcome = server.run().args(["--info=json"]).download(&uri);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let info: Value = serde_json::from_slice(&outcome.stdout).expect("one line of JSON");
    assert_eq!(info["uri"], *uri);
    assert_eq!(info["size"], SIZE);
    assert_eq!(info["etag"].as_str(), header("etag"), "{info}");
    assert_eq!(info["content_type"].as_str(), header("content-type"), "{info}");
    assert!(info["etag"].as_str().is_some_and(|etag| etag.starts_with('"')), "{info}");
    assert!(info["last_modified"].as_str().is_some_and(|time| time.ends_with('Z')), "{info}");
    Ok(())
}

fn range(server: &Server) -> Result<(), Refused> {
    let (bytes, bucket) = (object(SIZE), server.bucket()?);
    server.client.put(&bucket, "key", bytes.clone())?;
    let run = |range: &str| {
        server.run().window(4, CHUNK).args(["--range", range]).download(&format!("s3://{bucket}/key"))
    };
    let size = bytes.len();
    for (range, part) in [
        ("0-0".to_owned(), 0..1),
        ("100-200000".to_owned(), 100..200_001),
        ("65536-".to_owned(), 65536..size),
        ("-1000".to_owned(), size - 1000..size),
        (format!("{}-{}", size - 1, 10 * size), size - 1..size),
        (format!("{size}-"), size..size),
    ] {
        run(&range).assert_object(&bytes[part]);
    }
    run(&format!("{}-", size + 1)).assert_failed(2, &[]);
    Ok(())
}

fn if_match(server: &Server) -> Result<(), Refused> {
    let (bytes, bucket) = (object(SIZE), server.bucket()?);
    server.client.put(&bucket, "key", bytes.clone())?;
    let head = server.client.head(&bucket, "key")?;
    let etag = head.headers()["etag"].to_str().expect("an ETag in ASCII");
    let run = |etag: &str| {
        server.run().window(4, CHUNK).args(["--if-match", etag]).download(&format!("s3://{bucket}/key"))
    };
    run(etag).assert_object(&bytes);
    run("\"00000000000000000000000000000000\"").assert_failed(6, &[]);
    Ok(())
}

/// The reader stops, the object changes, the reader continues.
fn replaced(server: &Server) -> Result<(), Refused> {
    let bucket = server.bucket()?;
    let (outcome, before) = replaced_while_read(server, &bucket)?;
    if server.name == "rclone" || server.name == "s3s-fs" {
        // Two races that no client can see. rclone writes into the file that it is sending: a response that began with
        // the old object continues with the new one's bytes. s3s-fs renames a new file into place before it stores
        // the new ETag: a response in between has new bytes under the old tag.
        assert_eq!(outcome.code(), Some(6), "{}", outcome.stderr);
    } else {
        outcome.assert_failed(6, &before);
    }
    assert!(!outcome.stdout.is_empty(), "what came before the change is the object's");
    Ok(())
}

fn replaced_version(server: &Server) -> Result<(), Refused> {
    let bucket = server.bucket()?;
    server.client.keep_versions(&bucket)?;
    let (outcome, before) = replaced_while_read(server, &bucket)?;
    outcome.assert_object(&before);
    Ok(())
}

/// An object larger than all that can wait between the server and a reader who has stopped.
fn replaced_while_read(server: &Server, bucket: &str) -> Result<(Outcome, Bytes), Refused> {
    let before = object(8 << 20);
    server.client.put(bucket, "key", before.clone())?;
    let run = server.run().window(2, 256 << 10).args([format!("s3://{bucket}/key")]);
    let (running, stdout) = run.start_unread();
    let mut stdout = stdout.expect("a pipe");
    let mut read = vec![0];
    stdout.read_exact(&mut read).expect("the first byte");
    server.client.put(bucket, "key", object(9 << 20).slice(1 << 20..))?;
    stdout.read_to_end(&mut read).expect("a pipe that can be read");
    Ok((Outcome { stdout: read, ..running.wait() }, before))
}

fn versions(server: &Server) -> Result<(), Refused> {
    let (one, two, bucket) = (object(SIZE), object(SIZE + 1), server.bucket()?);
    server.client.keep_versions(&bucket)?;
    let put = |bytes: &Bytes| {
        let stored = server.client.put(&bucket, "key", bytes.clone())?;
        Ok(stored.headers()["x-amz-version-id"].to_str().expect("an id in ASCII").to_owned())
    };
    let (first, second) = (put(&one)?, put(&two)?);
    let uri = format!("s3://{bucket}/key");
    let run = || server.run().window(4, CHUNK);
    let version = |id: &str| run().args(["--version-id", id]).download(&uri);
    run().download(&uri).assert_object(&two);
    version(&first).assert_object(&one);
    version(&second).assert_object(&two);
    let info = run().args(["--info=json"]).download(&uri).stdout;
    let info: Value = serde_json::from_slice(&info).expect("one line of JSON");
    assert_eq!(info["version_id"], *second);
    server.client.delete(&bucket, "key")?;
    run().download(&uri).assert_failed(3, &[]);
    version(&first).assert_object(&one);
    // Swift's versions are times, and it fails over anything else.
    let absent =
        if server.name == "Swift" { "0000000001.00000" } else { "00000000-0000-0000-0000-000000000000" };
    version(absent).assert_failed(3, &[]);
    Ok(())
}

fn virtual_host(server: &Server) -> Result<(), Refused> {
    let endpoint = server.virtual_host.as_ref().ok_or_else(no_such_endpoint)?;
    let run = || server.run_at(endpoint).args(["--addressing-style", "virtual"]);
    elsewhere(server, run)?;
    run().download("s3://no-such-bucket/key").assert_failed(3, &[]);
    Ok(())
}

fn prefixed(server: &Server) -> Result<(), Refused> {
    let endpoint = server.prefixed.as_ref().ok_or_else(no_such_endpoint)?;
    same_objects(server, || server.run_at(endpoint)).map(drop)
}

fn tls(server: &Server) -> Result<(), Refused> {
    let (endpoint, certificate) = server.tls.as_ref().ok_or_else(no_such_endpoint)?;
    server.run_at(endpoint).download("s3://bucket/key").assert_failed(5, &[]);
    elsewhere(server, || server.run_at(endpoint).env("AWS_CA_BUNDLE", certificate))
}

/// The same objects, for the same users, by another endpoint.
fn elsewhere(server: &Server, run: impl Fn() -> S3fcp) -> Result<(), Refused> {
    let uri = same_objects(server, &run)?;
    if server.checks_signature {
        run().env("AWS_SECRET_ACCESS_KEY", "not/the/secret").download(&uri).assert_failed(4, &[]);
    }
    Ok(())
}

/// The same objects by another endpoint; the URI of one of them.
fn same_objects(server: &Server, run: impl Fn() -> S3fcp) -> Result<String, Refused> {
    let (bytes, bucket) = (object(SIZE), server.bucket()?);
    server.client.put(&bucket, "a folder/ké+y", bytes.clone())?;
    let uri = format!("s3://{bucket}/a folder/ké+y");
    run().window(4, CHUNK).download(&uri).assert_object(&bytes);
    run().download(&format!("s3://{bucket}/other")).assert_failed(3, &[]);
    Ok(uri)
}

fn no_such_endpoint() -> Refused {
    Refused(NO_SUCH_ENDPOINT.to_owned())
}

/// A server that checks the region names the right one, and s3fcp signs again for that.
fn region(server: &Server) -> Result<(), Refused> {
    let (bytes, bucket) = (object(SIZE), server.bucket()?);
    server.client.put(&bucket, "key", bytes.clone())?;
    let uri = format!("s3://{bucket}/key");
    let run = || server.run().env("AWS_REGION", "eu-north-1").window(4, CHUNK);
    let outcome = run().args(["--stats=json"]).download(&uri);
    outcome.assert_object(&bytes);
    let stats = stats(&outcome).expect("figures");
    let requests = stats["requests"].as_u64().expect("a number");
    // Each of the two that leave first may have to be sent again. The refusal of a HEAD has no document: Swift's does
    // not say which region is right, and a HEAD that does not ask for checksums is tried before that is known.
    let again = if server.checks_region { 1..=3 } else { 0..=0 };
    let gets = SIZE.div_ceil(CHUNK);
    assert!((gets + again.start()..=gets + 1 + again.end()).contains(&requests), "{stats}");
    assert_eq!(stats["retries"], 0, "{stats}");
    let info = run().args(["--info=json"]).download(&uri);
    assert_eq!(info.code(), Some(0), "{}", info.stderr);
    Ok(())
}

/// The line that `--stats=json` writes; a run with `--info` has none.
fn stats(outcome: &Outcome) -> Option<Value> {
    let line = outcome.stderr.lines().find(|line| line.starts_with('{'))?;
    Some(serde_json::from_str(line).expect("JSON"))
}
