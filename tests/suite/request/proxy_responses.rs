//! A proxy that forwards requests to an `http://` host and answers one itself: the words are about the proxy, and S3's
//! answers through it keep theirs.

use crate::support::fault_server::{FaultServer, Reply};
use crate::support::object::{SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

const SQUID: &[&str] =
    &["X-Squid-Error: ERR_ACCESS_DENIED 0", "Via: 1.1 p (squid)", "Content-Type: text/html"];
const TINYPROXY: &[&str] = &["Server: tinyproxy/1.11.1", "Content-Type: text/html"];
const BASIC: &[&str] = &["Proxy-Authenticate: Basic realm=\"p\"", "Content-Type: text/html"];
const PORTAL: &[&str] = &["Location: http://login.invalid/", "Content-Type: text/html"];
const S3: &[&str] = &["x-amz-request-id: 1", "Via: 1.1 p (squid)", "Content-Type: application/xml"];
const S3_HTML: &[&str] = &["x-amz-request-id: 1", "Via: 1.1 p (squid)", "Content-Type: text/html"];

const URL: &str = "http://store.invalid/key?X-Amz-Signature=abc";

#[test]
fn a_response_of_the_proxy_itself_is_about_the_proxy() {
    let perhaps = "or a web server behind it, refused the request";
    let table = [
        ("squid's password", (407, BASIC, URI, 4, "requires authentication")),
        ("squid's password, a URL", (407, BASIC, URL, 4, "requires authentication")),
        ("tinyproxy's password", (401, BASIC, URI, 4, "requires authentication")),
        ("squid's rule", (403, SQUID, URI, 4, "forbids the host")),
        ("squid's rule, a URL", (403, SQUID, URL, 4, "forbids the host")),
        ("squid and a host that is away", (503, SQUID, URI, 5, "could not connect to the host")),
        ("squid and a host that is away, a URL", (503, SQUID, URL, 5, "could not connect to the host")),
        ("tinyproxy's filter", (403, TINYPROXY, URI, 4, perhaps)),
        ("a portal", (302, PORTAL, URI, 5, perhaps)),
        ("a portal that says so", (511, TINYPROXY, URI, 5, perhaps)),
        ("tinyproxy and a host that is away", (502, TINYPROXY, URI, 5, perhaps)),
    ];
    table::each(&table, |&(status, headers, source, code, says)| {
        let proxy = answering(status, headers);
        let run = S3fcp::new().env("HTTP_PROXY", proxy.endpoint()).args(["--max-attempts", "1"]);
        let run = if source == URI { run.args(["--endpoint", "http://store.invalid"]) } else { run };
        let outcome = run.download(source);
        outcome.assert_failed(code, &[]);
        for part in ["the proxy http://127.0.0.1", says, "HTTP_PROXY", &format!("(HTTP {status})")] {
            assert!(outcome.stderr.contains(part), "no {part:?} in {}", outcome.stderr);
        }
        let misleads =
            ["s3:GetObject", "presigned", "throttling"].iter().find(|part| outcome.stderr.contains(*part));
        assert_eq!(misleads, None, "{}", outcome.stderr);
    });
}

#[test]
fn the_answer_of_a_store_behind_a_proxy_is_about_the_store() {
    let table = [
        ("S3's", (403, S3, URI, true, "s3:GetObject")),
        ("S3's to HEAD, or in HTML", (403, S3_HTML, URI, true, "s3:GetObject")),
        ("a web server's", (403, TINYPROXY, URL, true, "presigned URL")),
        ("a missing page", (404, TINYPROXY, URL, true, "nothing at this URL")),
        ("no proxy", (403, TINYPROXY, URI, false, "s3:GetObject")),
    ];
    table::each(&table, |&(status, headers, source, has_proxy, says)| {
        let server = answering(status, headers);
        let variable = if has_proxy { "HTTP_PROXY" } else { "UNUSED" };
        let run = S3fcp::new().env(variable, server.endpoint()).args(["--max-attempts", "1"]);
        let endpoint = if has_proxy { "http://store.invalid".to_owned() } else { server.endpoint() };
        let run = if source == URI { run.args(["--endpoint", &endpoint]) } else { run };
        let outcome = run.download(source);
        assert!(outcome.stderr.contains(says), "no {says:?} in {}", outcome.stderr);
        assert!(!outcome.stderr.contains("the proxy"), "{}", outcome.stderr);
    });
}

/// A server that answers each request in this way.
fn answering(status: u16, headers: &'static [&'static str]) -> FaultServer {
    let head = format!(
        "HTTP/1.1 {status} No\r\n{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        headers.join("\r\n")
    );
    FaultServer::start(object(SIZE), move |_| Reply::raw(head.clone()))
}
