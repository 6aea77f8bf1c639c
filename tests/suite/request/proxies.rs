//! Proxies: tunnels to an https endpoint, absolute requests to a plain one, a password that never shows, and hosts
//! that bypass the proxy.

use std::net::{Ipv4Addr, SocketAddr};

use s3server::Server;

use crate::support::certificate::self_signed;
use crate::support::fault_server::{FaultServer, Reply};
use crate::support::files::file;
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::proxy::{Options, Seen};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY, SESSION_TOKEN, URI};
use crate::support::table;

/// user:hunter2
const AUTH: &str = "Basic dXNlcjpodW50ZXIy";

pub(super) fn store(tls: bool) -> Server {
    let builder = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests();
    let server = if tls { builder.tls() } else { builder }.start();
    server.put("bucket", "key", object(SIZE));
    server
}

/// Four concurrent requests and no hedging, so that each range is requested once however slow the machine is.
pub(super) fn at(endpoint: &str) -> S3fcp {
    S3fcp::at(endpoint).window(4, CHUNK).args(["--hedge", "off"]).logged()
}

/// The proxy's credentials, in clear and as the header has them.
pub(super) const SECRETS: [&str; 3] = ["hunter2", "hunter3", "dXNlcj"];

/// Once, however many requests carry it; and not for this machine.
#[test]
fn a_session_token_in_clear_is_warned_of_once() {
    let store = FaultServer::healthy();
    let proxy = Options::default().start(store.address());
    let proxy = format!("http://{}", proxy.address());
    for (endpoint, token, warnings) in [
        ("http://store.invalid:9000", Some(SESSION_TOKEN), 1),
        ("http://store.invalid:9000", None, 0),
        (store.endpoint().as_str(), Some(SESSION_TOKEN), 0),
    ] {
        let mut run =
            S3fcp::at(endpoint).window(4, CHUNK).env("HTTP_PROXY", &proxy).env("NO_PROXY", "127.0.0.1");
        if let Some(token) = token {
            run = run.env("AWS_SESSION_TOKEN", token);
        }
        let outcome = run.download(URI);
        outcome.assert_object(&object(SIZE));
        assert_eq!(outcome.stderr.matches("the session token travels unencrypted").count(), warnings);
        assert!(!outcome.stderr.contains(SESSION_TOKEN));
    }
}

/// The proxy of the URL decides too: through another machine nothing is on this one, and a proxy on this one sends the
/// token to the host all the same.
#[test]
fn a_session_token_in_clear_is_warned_of_where_the_host_or_the_proxy_is_another_machine() {
    // No TCP connection leads to the broadcast address: the kernel refuses it.
    const ELSEWHERE: &str = "http://255.255.255.255:1";
    const HERE: &str = "http://127.0.0.1:1";
    for (endpoint, proxy, no_proxy, warns) in [
        ("http://127.0.0.1:9", ELSEWHERE, "", true),
        ("http://localhost:9", ELSEWHERE, "", true),
        ("http://127.0.0.1:9", "socks5h://255.255.255.255:1", "", true),
        ("http://127.0.0.1:9", ELSEWHERE, "127.0.0.1", false),
        ("http://127.0.0.1:9", HERE, "", false),
        ("http://255.255.255.255:9", HERE, "", true),
        ("http://255.255.255.255:9", ELSEWHERE, "", true),
        ("https://127.0.0.1:9", ELSEWHERE, "", false),
    ] {
        let outcome = S3fcp::at(endpoint)
            .env("ALL_PROXY", proxy)
            .env("NO_PROXY", no_proxy)
            .env("AWS_SESSION_TOKEN", SESSION_TOKEN)
            .args(["--max-attempts", "1"])
            .download(URI);
        outcome.assert_failed(5, &[]);
        let warnings = outcome.stderr.matches("the session token travels unencrypted").count();
        assert_eq!(warnings, usize::from(warns), "{endpoint} {proxy}: {}", outcome.stderr);
        let names_proxy = outcome.stderr.contains(&format!("through the proxy {proxy}: the endpoint"));
        assert_eq!(names_proxy, warns, "{endpoint} {proxy}: {}", outcome.stderr);
    }
}

/// A debugging proxy or a gateway repeats what it got, in some encoding.
#[test]
fn secrets_that_a_server_echoes_are_not_shown() {
    let percent = SESSION_TOKEN.bytes().fold(String::new(), |all, byte| format!("{all}%{byte:02X}"));
    for echo in [SESSION_TOKEN.to_owned(), percent, SESSION_TOKEN[..20].to_owned()] {
        for status in [400, 403, 404, 500] {
            let document = format!(
                "<Error><Code>Oops</Code><Message>got x-amz-security-token: {echo}</Message></Error>"
            );
            let reply = Reply::status(status).body(document).header("x-amz-request-id", echo.clone());
            let server = FaultServer::start(object(SIZE), move |_| reply.clone());
            let run = S3fcp::at(&server.endpoint()).args(["--max-attempts", "1", "-v"]);
            let outcome = run.env("AWS_SESSION_TOKEN", SESSION_TOKEN).download(URI);
            assert_ne!(outcome.code(), Some(0));
            assert!(!outcome.stderr.contains(&SESSION_TOKEN[..20]), "{}", outcome.stderr);
            assert!(
                !outcome.stderr.contains(&echo) && outcome.stderr.contains("[hidden]"),
                "{}",
                outcome.stderr
            );
        }
    }
}

#[test]
fn a_plain_endpoint_is_reached_by_absolute_requests() {
    for (auth, userinfo) in [(None, ""), (Some(AUTH), "user:hunter2@")] {
        let store = FaultServer::healthy();
        let proxy = Options { auth, ..Options::default() }.start(store.address());
        for (name, scheme) in [("HTTP_PROXY", "http://"), ("http_proxy", ""), ("ALL_PROXY", "http://")] {
            let outcome = at("http://store.invalid:9000")
                .env(name, format!("{scheme}{userinfo}{}", proxy.address()))
                .download(URI);
            outcome.assert_object(&object(SIZE));
        }
        let Seen { tunnels, forwarded, refused } = proxy.seen();
        assert_eq!((tunnels.len(), refused), (0, 0));
        assert_eq!(forwarded.len(), 3 * (CHUNKS + 1), "the HEAD and a GET for each chunk");
        assert!(forwarded.iter().all(|target| target == "http://store.invalid:9000/bucket/key"));
        assert_eq!((store.gets().len(), store.object_bytes()), (3 * CHUNKS, 3 * SIZE));
        let hosts = store.requests().iter().all(|r| r.header("host") == Some("store.invalid:9000"));
        assert!(hosts, "the signed host is unchanged");
    }
}

#[test]
fn an_https_endpoint_is_reached_by_tunnels_and_its_certificate_is_checked() {
    let store = store(true);
    let bundle = file(store.ca_pem());
    for (auth, userinfo) in [(None, ""), (Some(AUTH), "user:hunter2@")] {
        let proxy = Options { auth, ..Options::default() }.start(store.address());
        let url = format!("http://{userinfo}{}", proxy.address());
        let before = store.stats().gets;
        let run = || at(&store.endpoint()).env("https_proxy", &url);
        run().env("AWS_CA_BUNDLE", bundle.path()).download(URI).assert_object(&object(SIZE));
        assert_eq!(store.stats().gets - before, CHUNKS as u64);
        let Seen { tunnels, forwarded, refused } = proxy.seen();
        assert!((1..=5).contains(&tunnels.len()), "one for each connection: {tunnels:?}");
        assert!(tunnels.iter().all(|host| *host == store.address().to_string()), "{tunnels:?}");
        assert_eq!((forwarded.len(), refused), (0, 0));

        let other = self_signed("127.0.0.1").1;
        let outcome = run().env("AWS_CA_BUNDLE", file(&other).path()).download(URI);
        outcome.assert_failed(5, &[]);
        assert!(outcome.stderr.contains("certificate is not trusted"), "{}", outcome.stderr);
    }
}

#[test]
fn a_proxy_may_itself_use_tls() {
    for tls in [false, true] {
        let store = store(tls);
        let (config, pem) = self_signed("127.0.0.1");
        let proxy =
            Options { auth: Some(AUTH), tls: Some(config), ..Options::default() }.start(store.address());
        let bundle = file(&(pem + store.ca_pem()));
        let outcome = at(&store.endpoint())
            .env("ALL_PROXY", format!("https://user:hunter2@{}", proxy.address()))
            .env("AWS_CA_BUNDLE", bundle.path())
            .download(URI);
        outcome.assert_object(&object(SIZE));
        // A certificate that is not trusted is said to be the proxy's.
        let outcome = at(&store.endpoint())
            .env("ALL_PROXY", format!("https://user:hunter2@{}", proxy.address()))
            .env("AWS_CA_BUNDLE", file(&self_signed("h").1).path())
            .download(URI);
        outcome.assert_failed(5, &[]);
        let says =
            format!("cannot connect to the proxy https://{}: the server's certificate", proxy.address());
        assert!(outcome.stderr.contains(&says), "{}", outcome.stderr);
        outcome.assert_hides(&SECRETS);
        let seen = proxy.seen();
        assert_eq!((seen.tunnels.is_empty(), seen.forwarded.is_empty()), (!tls, tls), "{seen:?}");
    }
}

#[test]
fn a_wrong_proxy_password_fails_without_retries_and_is_not_shown() {
    for tls in [false, true] {
        let store = store(tls);
        let proxy = Options { auth: Some(AUTH), ..Options::default() }.start(store.address());
        for userinfo in ["", "user:hunter3@"] {
            let before = proxy.seen().refused;
            let outcome = S3fcp::at(&store.endpoint())
                .env("ALL_PROXY", format!("http://{userinfo}{}", proxy.address()))
                .env("AWS_CA_BUNDLE", file(&self_signed("h").1).path())
                .args(["--stats"])
                .download(URI);
            outcome.assert_failed(4, &[]);
            assert!(
                outcome.stderr.contains("the proxy") && outcome.stderr.contains("407"),
                "{}",
                outcome.stderr
            );
            outcome.assert_hides(&SECRETS);
            // The first GET's and the HEAD's; the latter may be asked for once more.
            assert!(proxy.seen().refused - before <= 3, "{:?}", proxy.seen());
        }
        assert_eq!(store.requests().len(), 0);
    }
}

#[test]
fn a_refusing_or_missing_proxy_is_named_without_its_password() {
    // Bound but not listening: no other process gets this port, and nothing answers on it.
    let silent = tokio::net::TcpSocket::new_v4().expect("a socket");
    silent.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
    let gone = silent.local_addr().expect("its address");
    let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let forbids = Options { refusal: Some(403), ..Options::default() }.start(upstream);
    let fails = Options { refusal: Some(502), ..Options::default() }.start(upstream);
    for (address, endpoint, code, says) in [
        (gone, "https://store.invalid", 5, "through the proxy http://127.0.0.1"),
        (gone, "http://store.invalid", 5, "through the proxy http://127.0.0.1"),
        (forbids.address(), "https://store.invalid", 4, "forbids the host"),
        (fails.address(), "https://store.invalid", 5, "could not connect to the host (HTTP 502)"),
    ] {
        let outcome = S3fcp::at(endpoint)
            .env("ALL_PROXY", format!("http://user:hunter2@{address}"))
            .args(["--max-attempts", "2"])
            .download(URI);
        outcome.assert_failed(code, &[]);
        assert!(outcome.stderr.contains(says) && outcome.stderr.contains("NO_PROXY"), "{}", outcome.stderr);
        outcome.assert_hides(&SECRETS);
    }
    let outcome =
        S3fcp::at("https://store.invalid").env("https_proxy", "socks4://user:hunter2@p:1").download(URI);
    outcome.assert_failed(2, &[]);
    assert!(outcome.stderr.contains("https_proxy"), "{}", outcome.stderr);
    outcome.assert_hides(&SECRETS);
}

/// Whichever end of TLS is missing, it is the proxy that hangs up, and not the host.
#[test]
fn a_proxy_that_expects_tls_or_does_not_is_named() {
    let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let (config, pem) = self_signed("127.0.0.1");
    let with_tls = Options { tls: Some(config), ..Options::default() }.start(upstream);
    let resets = FaultServer::start(object(SIZE), |_| Reply::raw("").reset_after(0));
    let closes = FaultServer::start(object(SIZE), |_| Reply::raw(""));
    let bundle = file(&pem);
    for (scheme, address, says) in [
        ("http", with_tls.address(), "may expect https://"),
        ("http", resets.address(), "may expect https://"),
        ("http", closes.address(), "may expect https://"),
    ] {
        let outcome = S3fcp::at("https://store.invalid")
            .env("HTTPS_PROXY", format!("{scheme}://{address}"))
            .env("AWS_CA_BUNDLE", bundle.path())
            .args(["--max-attempts", "1"])
            .download(URI);
        outcome.assert_failed(5, &[]);
        let proxy = format!("the proxy {scheme}://{address} ");
        assert!(outcome.stderr.contains(says) && outcome.stderr.contains(&proxy), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("server ended the TLS handshake"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("HTTPS_PROXY"), "{}", outcome.stderr);
    }
}

#[test]
fn no_proxy_bypasses_the_proxy_and_loopback_alone_does_not() {
    let store = store(false);
    let proxy = Options::default().start(store.address());
    let url = format!("http://{}", proxy.address());
    for (list, passes) in [
        ("", true),
        ("localhost, example.com", true),
        ("127.0.0.1", false),
        ("127.0.0.0/8", false),
        ("example.com,127.0.0.1", false),
        ("*", false),
    ] {
        let before = proxy.seen().forwarded.len();
        let run = at(&store.endpoint()).env("HTTP_PROXY", &url).env("NO_PROXY", list);
        run.download(URI).assert_object(&object(SIZE));
        let forwarded = proxy.seen().forwarded.len() - before;
        assert_eq!(forwarded, if passes { CHUNKS + 1 } else { 0 }, "NO_PROXY={list:?}");
    }
    // The caller of a CGI script must not choose its proxy.
    let before = proxy.seen();
    let run = S3fcp::at(&store.endpoint()).env("HTTP_PROXY", &url).env("REQUEST_METHOD", "GET");
    run.download(URI).assert_object(&object(SIZE));
    assert_eq!(proxy.seen(), before);
}

#[test]
fn a_customer_key_is_sent_to_no_proxy() {
    let store = store(false);
    let proxy = Options::default().start(store.address());
    let outcome = S3fcp::at(&store.endpoint())
        .env("HTTP_PROXY", format!("http://{}", proxy.address()))
        .args(["--sse-c-key", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="])
        .download(URI);
    outcome.assert_failed(2, &[]);
    assert!(outcome.stderr.contains("--sse-c-key"), "{}", outcome.stderr);
    assert_eq!(proxy.seen(), Seen::default());
}

#[test]
fn sts_is_reached_through_the_proxy_and_metadata_services_never() {
    let store = store(false);
    let token = file("a token");
    let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let run = || {
        let run = S3fcp::at(&store.endpoint())
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "1");
        run.without_env("AWS_ACCESS_KEY_ID").without_env("AWS_SECRET_ACCESS_KEY")
    };
    let proxy = Options { auth: Some(AUTH), ..Options::default() }.start(nobody);
    let url = format!("http://user:hunter2@{}", proxy.address());
    let outcome = run()
        .env("HTTPS_PROXY", &url)
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/r")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", token.path())
        .env("AWS_CA_BUNDLE", file(&self_signed("h").1).path())
        .download(URI);
    outcome.assert_failed(5, &[]);
    outcome.assert_hides(&SECRETS);
    let Seen { tunnels, forwarded, refused } = proxy.seen();
    assert!(
        !tunnels.is_empty() && tunnels.iter().all(|host| host == "sts.us-east-1.amazonaws.com:443"),
        "{tunnels:?}"
    );
    assert_eq!((forwarded.len(), refused), (0, 0));

    // A container's own service, which is not running.
    let proxy = Options::default().start(nobody);
    let outcome = run()
        .env("ALL_PROXY", format!("http://{}", proxy.address()))
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/keys")
        .download(URI);
    outcome.assert_failed(5, &[]);
    assert_eq!(proxy.seen(), Seen::default());
}

#[test]
fn any_2xx_opens_a_tunnel_whatever_lines_come_with_it() {
    let table = [
        ("201", "HTTP/1.1 201 Created\r\n\r\n"),
        ("204", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("HTTP/1.0", "HTTP/1.0 200 OK\r\nProxy-Agent: p\r\n\r\n"),
        ("a length, which means nothing here", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("a transfer coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("100 first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        ("100 after two spaces", "HTTP/1.1  100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        (
            "several interim responses",
            "HTTP/1.1 102 Processing\r\nA: b\r\n\r\nHTTP/1.1 103 Early Hints\n\nHTTP/1.1 200 OK\r\n\r\n",
        ),
        ("bare line feeds", "HTTP/1.1 200 OK\nVia: p\n\n"),
        ("no reason", "HTTP/1.1 200\r\n\r\n"),
        ("a reason of control characters", "HTTP/1.1 200 a\u{1}\r\r\n\r\n"),
        ("two spaces", "HTTP/1.1  200  OK\r\n\r\n"),
        ("a folded line", "HTTP/1.1 200 OK\r\nVia: p,\r\n q\r\n\r\n"),
        ("a line without a colon", "HTTP/1.1 200 OK\r\nestablished\r\n\r\n"),
        ("a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n"),
        ("a name with spaces", "HTTP/1.1 200 OK\r\nProxy Agent: p\r\n: q\r\n\r\n"),
        ("control characters", "HTTP/1.1 200 OK\r\nX: a\u{1}b\0\r\n\r\n"),
    ];
    let store = store(true);
    let bundle = file(store.ca_pem());
    table::each(&table, |&head| {
        let proxy = Options { opened: Some(head), ..Options::default() }.start(store.address());
        let outcome = at(&store.endpoint())
            .env("HTTPS_PROXY", format!("http://{}", proxy.address()))
            .env("AWS_CA_BUNDLE", bundle.path())
            .download(URI);
        outcome.assert_object(&object(SIZE));
    });
    let long: &str =
        Box::leak(("HTTP/1.1 200 OK\r\n".to_owned() + &"X: y\r\n".repeat(20_000)).into_boxed_str());
    let endless: &str = Box::leak("HTTP/1.1 100 Continue\r\n\r\n".repeat(5_000).into_boxed_str());
    for (head, says) in [
        ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "HTTP 302"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP 101"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 502 No\r\n\r\n", "HTTP 502"),
        ("HTTP/1.1 200 OK\r\n\r\nbytes", "before the tunnel was open"),
        ("HTTP/1.1 2000 OK\r\n\r\n", "does not speak HTTP"),
        ("HTTP/1.1\r\n\r\n", "does not speak HTTP"),
        ("HTTP/2 200\r\n\r\n", "does not speak HTTP"),
        ("SSH-2.0-OpenSSH_9.2p1", "does not speak HTTP"),
        (long, "too long"),
        (endless, "too long"),
    ] {
        let proxy = Options { opened: Some(head), ..Options::default() }.start(store.address());
        let run = S3fcp::at(&store.endpoint()).env("HTTPS_PROXY", format!("http://{}", proxy.address()));
        let outcome = run.env("AWS_CA_BUNDLE", bundle.path()).args(["--max-attempts", "1"]).download(URI);
        outcome.assert_failed(5, &[]);
        assert!(outcome.stderr.contains(says), "no {says:?} in {}", outcome.stderr);
    }
}
