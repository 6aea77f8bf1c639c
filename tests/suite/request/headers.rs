//! Headers that are sent on request: who pays, and the key of an object that is encrypted with the customer's own.
//! Both are on HEAD and GET and are signed (the server refuses unsigned `x-amz-` headers), and the key stays secret.

use s3server::{Logged, Server};

use crate::support::fault_server::{FaultServer, Reply};
use crate::support::files::folder;
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY, URI};
use crate::support::table;

/// The bytes 0 to 31, and their MD5.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const KEY_MD5: &str = "tP/LI3N87DFaSk0aoqYgzg==";
const SSE_C: &str = "x-amz-server-side-encryption-customer-";

/// Downloads and describes the object with these arguments, and returns all requests.
fn requests(args: &[&str]) -> Vec<Logged> {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests().start();
    server.put("bucket", "key", object(SIZE));
    let run = || S3fcp::at(&server.endpoint()).logged().args(args);
    let outcome = run().window(4, CHUNK).download(URI);
    outcome.assert_object(&object(SIZE));
    assert_eq!(outcome.stderr, "");
    let info = run().args(["--info"]).download(URI);
    assert_eq!(info.code(), Some(0), "{}", info.stderr);
    let requests = server.requests();
    assert_eq!(requests.iter().filter(|r| r.method == "GET").count(), CHUNKS);
    assert!(requests.iter().any(|r| r.method == "HEAD"));
    requests
}

fn header<'a>(request: &'a Logged, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(|value| value.to_str().expect("text"))
}

fn assert_signed(request: &Logged, name: &str) {
    let authorization = header(request, "authorization").expect("a signed request");
    let (_, signed) = authorization.split_once("SignedHeaders=").expect("a list of headers");
    let signed = signed.split(',').next().unwrap_or_default();
    assert!(signed.split(';').any(|n| n == name), "{name}: {signed}");
}

/// Caching proxies rewrite `Range` and `If-Match`: a signature over them would be refused.
#[test]
fn only_host_and_x_amz_headers_are_signed() {
    for request in requests(&["--request-payer", "requester"]) {
        let authorization = header(&request, "authorization").expect("a signed request");
        let (_, signed) = authorization.split_once("SignedHeaders=").expect("a list of headers");
        let signed = signed.split(',').next().unwrap_or_default();
        assert!(signed.split(';').all(|n| n == "host" || n.starts_with("x-amz-")), "{signed}");
    }
}

#[test]
fn who_pays_is_said_by_every_request_and_signed() {
    for request in requests(&["--request-payer", "requester"]) {
        assert_eq!(header(&request, "x-amz-request-payer"), Some("requester"), "{request:?}");
        assert_signed(&request, "x-amz-request-payer");
    }
    for request in requests(&[]) {
        assert_eq!(header(&request, "x-amz-request-payer"), None);
    }
}

#[test]
fn a_customers_key_goes_with_every_request_and_is_signed() {
    let folder = folder();
    let file = folder.path().join("key.bin");
    let bytes: Vec<u8> = (0..32).collect();
    std::fs::write(&file, bytes).expect("a file");
    let file = file.to_str().expect("a path in UTF-8");
    let with_scheme = format!("fileb://{file}");
    let table = [("base64", KEY), ("a file", file), ("as for the AWS CLI", with_scheme.as_str())];
    table::each(&table, |key| {
        for request in requests(&["--sse-c-key", key]) {
            for (name, value) in [("algorithm", "AES256"), ("key", KEY), ("key-md5", KEY_MD5)] {
                let name = format!("{SSE_C}{name}");
                assert_eq!(header(&request, &name), Some(value));
                assert_signed(&request, &name);
            }
        }
    });
}

#[test]
fn a_customers_key_is_not_sent_over_plain_http_to_another_machine() {
    // An address for documentation (RFC 5737): nobody is there.
    for endpoint in ["http://192.0.2.1:9000", "http://localhost.example:9000"] {
        for more in [&[][..], &["--info"], &["--no-sign-request"]] {
            let outcome = S3fcp::at(endpoint).logged().args(["--sse-c-key", KEY]).args(more).download(URI);
            outcome.assert_failed(2, &[]);
            assert!(outcome.stderr.contains("plain HTTP"), "{}", outcome.stderr);
            assert!(!outcome.stderr.contains(&KEY[..10]), "{}", outcome.stderr);
        }
    }
}

#[test]
fn what_is_no_key_is_refused_before_anything_is_asked_and_not_repeated() {
    let folder = folder();
    let short = folder.path().join("hunter2");
    std::fs::write(&short, [7; 31]).expect("a file");
    let server = FaultServer::healthy();
    for key in ["hunter2", "aHVudGVyMg==", &KEY[2..], short.to_str().expect("a path in UTF-8"), ""] {
        let outcome = S3fcp::at(&server.endpoint()).logged().args(["--sse-c-key", key]).download(URI);
        assert_eq!(outcome.code(), Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("--sse-c-key"), "{}", outcome.stderr);
        assert!(key.is_empty() || !outcome.stderr.contains(key), "{}", outcome.stderr);
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn failures_never_show_the_key() {
    let message = "<Error><Code>InvalidRequest</Code><Message>The object was stored using a form of Server Side \
                   Encryption. The correct parameters must be provided to retrieve the object.</Message></Error>";
    let table = [
        ("refused", Reply::status(400).body(message)),
        ("denied", Reply::status(403).code("AccessDenied")),
        ("broken", Reply::raw("no HTTP at all")),
    ];
    table::each(&table, |reply| {
        let reply = reply.clone();
        let server = FaultServer::start(object(SIZE), move |_| reply.clone());
        let run = S3fcp::at(&server.endpoint()).logged().args([
            "--sse-c-key",
            KEY,
            "--stats",
            "--max-attempts",
            "1",
        ]);
        let outcome = run.download(URI);
        assert_ne!(outcome.code(), Some(0));
        outcome.assert_hides(&[&KEY[..10], KEY_MD5]);
        if outcome.stderr.contains("InvalidRequest") {
            assert!(outcome.stderr.contains("hint: "), "{}", outcome.stderr);
        }
    });
}

/// Services have many codes for a key that is missing, and for a wrong one no words at all.
#[test]
fn a_refusal_that_is_about_the_key_says_so_whatever_its_code() {
    const MESSAGE: &str = "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret key.";
    let document =
        |code: &str, message: &str| format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    let key = &["--sse-c-key", KEY][..];
    let table: [(&str, (u16, &str, &str, &[&str], i32)); 9] = [
        ("InvalidRequest", (400, "InvalidRequest", MESSAGE, &[], 2)),
        ("a code of its own", (400, "SSECustomerKeyMissing", "", &[], 2)),
        ("another code", (400, "MissingParameter", MESSAGE, &[], 2)),
        ("no code", (400, "", MESSAGE, &[], 2)),
        ("no code, not signed", (400, "", MESSAGE, &["--no-sign-request"], 2)),
        ("403", (403, "AccessDenied", MESSAGE, &[], 2)),
        ("403 with another code", (403, "Forbidden", MESSAGE, &[], 2)),
        ("a wrong key", (403, "AccessDenied", "Access Denied", key, 4)),
        ("a wrong key, no code", (403, "", "", key, 4)),
    ];
    table::each(&table, |&(status, code, message, args, exit)| {
        for at in [0, 2, CHUNKS as u64 - 1] {
            let reply = Reply::status(status).body(document(code, message));
            let server = FaultServer::start(object(SIZE), move |request| match request.chunk(CHUNK) {
                Some(chunk) if chunk == at => reply.clone(),
                _ => Reply::ok(),
            });
            let run = S3fcp::at(&server.endpoint()).logged().window(1, CHUNK).args(["--max-attempts", "2"]);
            let outcome = run.args(args).download(URI);
            outcome.assert_failed(exit, &object(SIZE));
            assert_eq!(outcome.stdout.len() as u64, at * CHUNK);
            assert!(outcome.stderr.contains("--sse-c-key"), "{}", outcome.stderr);
        }
    });
}

/// A broken gateway may repeat a part of the request in any header of a response that is a success.
#[test]
fn a_part_of_a_secret_in_a_header_of_the_object_is_shown_and_stored_nowhere() {
    const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLEwEaCXVzLWVhc3QtMSJHMEUCIQabcdef";
    let parts = [&KEY[..22], &KEY[20..], &TOKEN[3..23], &TOKEN[30..].to_lowercase(), &TOKEN[40..52]];
    let names = [
        "etag",
        "x-amz-version-id",
        "x-amz-storage-class",
        "content-type",
        "content-encoding",
        "last-modified",
        "x-amz-checksum-type",
        "x-amz-checksum-sha256",
        "x-amz-checksum-crc32",
        "x-amz-request-id",
        "server",
    ];
    for name in names {
        let folder = folder();
        let echoed = parts.map(|part| if name == "etag" { format!("\"{part}\"") } else { part.to_owned() });
        for (number, echo) in echoed.into_iter().enumerate() {
            let server = FaultServer::start(object(100), move |_| Reply::ok().header(name, echo.clone()));
            let run = || {
                let run = S3fcp::at(&server.endpoint()).logged().args(["--sse-c-key", KEY]);
                run.env("AWS_SESSION_TOKEN", TOKEN)
            };
            for info in ["--info", "--info=json"] {
                let outcome = run().args([info]).download(URI);
                assert_eq!(outcome.code(), Some(0), "{name}: {}", outcome.stderr);
                outcome.assert_hides(&parts);
                let shown = String::from_utf8_lossy(&outcome.stdout);
                assert!(!parts.iter().any(|part| shown.contains(part)), "{name}: {shown}");
            }
            let out = folder.path().join(number.to_string());
            let outcome = run().args(["-vvv", "-o"]).args([&out]).download(URI);
            assert_eq!(outcome.code(), Some(0), "{name}: {}", outcome.stderr);
            outcome.assert_hides(&parts);
            let mut stored = vec![0; 64 << 10];
            let stored = rustix::fs::getxattr(&out, "user.s3fcp", &mut stored[..])
                .map_or(String::new(), |len| String::from_utf8_lossy(&stored[..len]).into_owned());
            assert!(!parts.iter().any(|part| stored.contains(part)), "{name}: {stored}");
        }
    }
    // What resembles none stays.
    let server = FaultServer::start(object(100), |_| {
        Reply::ok()
            .header("x-amz-version-id", "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY")
            .header("content-type", "a/b")
    });
    let run = S3fcp::at(&server.endpoint()).args(["--sse-c-key", KEY]).env("AWS_SESSION_TOKEN", TOKEN);
    let outcome = run.args(["--info"]).download(URI);
    let shown = String::from_utf8_lossy(&outcome.stdout);
    for value in ["3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY", "a/b"] {
        assert!(shown.contains(value), "{shown}");
    }
}
