//! A URL as the argument, presigned or not: nothing is signed, only GETs are sent, redirects are followed with care,
//! and its query is never shown.

use std::time::{Duration, SystemTime};

use s3server::Server;

use crate::support::certificate::self_signed;
use crate::support::fault_server::{FaultServer, Options, Reply, Request, always};
use crate::support::files::file;
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::presigned::{SECRET, presigned, run};
use crate::support::proxy;
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY};
use crate::support::table;

fn store() -> Server {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests().start();
    server.put("bucket", "a key", object(SIZE));
    server.put("bucket", "empty", object(0));
    server
}

fn tokened(server: &FaultServer) -> String {
    format!("{}/path/file?X-Amz-Signature={SECRET}&x=1", server.endpoint())
}

/// The same without its query, as messages show it.
fn shown(server: &FaultServer) -> String {
    format!("{}/path/file?...", server.endpoint())
}

/// Parts of a presigned URL that nothing may show.
const SECRETS: [&str; 3] = [SECRET, "X-Amz-Signature", ACCESS_KEY];

/// Ranged GETs that carry nothing of ours.
#[track_caller]
fn assert_unsigned(requests: &[Request]) {
    for request in requests {
        assert!(request.is_get() && request.header("range").is_some(), "{request:?}");
        let signed =
            request.headers.iter().any(|(name, _)| name == "authorization" || name.starts_with("x-amz"));
        assert!(!signed, "{request:?}");
    }
}

#[test]
fn a_presigned_url_is_downloaded_by_ranges_and_without_head() {
    let store = store();
    let now = SystemTime::now();
    let url = presigned(&store, "/bucket/a%20key", now);
    run().window(4, CHUNK).download(&url).assert_object(&object(SIZE));
    let stats = store.stats();
    assert_eq!((stats.heads, stats.gets, stats.body_bytes), (0, CHUNKS as u64, SIZE));
    let requests = store.requests();
    assert!(requests.iter().all(|r| url.ends_with(&r.target) && !r.headers.contains_key("authorization")));
    assert_eq!(requests.iter().filter(|r| r.headers.contains_key("if-match")).count(), CHUNKS - 1);

    for (args, want) in [
        (&["--range", "70000-"][..], &object(SIZE)[70_000..]),
        (&["--range", "-5"], &object(SIZE)[object(SIZE).len() - 5..]),
        (&["--range", "5-9"], &object(SIZE)[5..10]),
    ] {
        run().window(4, CHUNK).args(args).download(&url).assert_object(want);
    }
    run().download(&presigned(&store, "/bucket/empty", now)).assert_object(&[]);
    assert_eq!(store.stats().heads, 0);
}

#[test]
fn what_a_presigned_url_is_refused_for() {
    let store = store();
    let now = SystemTime::now();
    let good = presigned(&store, "/bucket/a%20key", now);
    let forged = good.replace("a%20key", "another");
    for (url, code, says) in [
        (presigned(&store, "/bucket/a%20key", now - Duration::from_hours(1)), 4, "create a new one"),
        (forged, 4, "create a new one"),
        (presigned(&store, "/bucket/none", now), 3, "there is nothing at this URL"),
    ] {
        let outcome = run().download(&url);
        outcome.assert_failed(code, &[]);
        assert!(outcome.stderr.contains(says) && outcome.stderr.contains("?...: "), "{}", outcome.stderr);
        outcome.assert_hides(&SECRETS);
    }
    assert_eq!(store.stats().heads, 0);
}

#[test]
fn info_of_a_url_is_asked_by_its_first_byte() {
    let store = store();
    let url = presigned(&store, "/bucket/a%20key", SystemTime::now());
    let outcome = run().args(["--info=json"]).download(&url);
    let said: serde_json::Value = serde_json::from_slice(&outcome.stdout).expect("JSON");
    assert_eq!(said["size"], SIZE);
    assert_eq!(said["uri"], format!("{}/bucket/a%20key?...", store.endpoint()));
    let stats = store.stats();
    assert_eq!((stats.heads, stats.gets, stats.body_bytes), (0, 1, 1));
}

#[test]
fn a_redirect_is_followed_once_for_all_ranges_and_nothing_is_sent_along() {
    for status in [301, 302, 303, 307, 308] {
        let cdn = FaultServer::healthy();
        let to = tokened(&cdn);
        let front =
            FaultServer::start(object(0), move |_| Reply::status(status).header("location", to.clone()));
        // With keys in the environment, and with none.
        for run in [run(), S3fcp::new().args(["--hedge", "off"])] {
            let (fronts, cdns) = (front.requests().len(), cdn.requests().len());
            let outcome = run.window(4, CHUNK).args(["--stats"]).download(&tokened(&front));
            outcome.assert_object(&object(SIZE));
            outcome.assert_hides(&SECRETS);
            assert_eq!((front.requests().len() - fronts, cdn.requests().len() - cdns), (1, CHUNKS));
        }
        assert_unsigned(&front.requests());
        assert_unsigned(&cdn.requests());
        assert!(cdn.requests().iter().all(|r| tokened(&cdn).ends_with(&r.target)));
    }
}

#[test]
fn a_redirect_target_that_expires_is_requested_again_by_the_url() {
    const GOOD_FOR: usize = 3;
    // Each of the redirects is good for so many requests.
    let cdn = FaultServer::start(object(SIZE), |request| {
        let number: usize = request.target.trim_start_matches("/file?token=").parse().expect("a number");
        if request.serial < GOOD_FOR + number * (GOOD_FOR + 1) { Reply::ok() } else { Reply::status(403) }
    });
    let base = cdn.endpoint();
    let front = FaultServer::start(object(0), move |request| {
        Reply::status(302).header("location", format!("{base}/file?token={}", request.serial))
    });
    let outcome = run().window(1, CHUNK).download(&tokened(&front));
    outcome.assert_object(&object(SIZE));
    let refusals = (CHUNKS - 1) / GOOD_FOR;
    assert_eq!((front.gets().len(), cdn.gets().len()), (1 + refusals, CHUNKS + refusals));
    assert_eq!(cdn.object_bytes(), SIZE);
}

#[test]
fn redirects_that_are_not_followed() {
    let elsewhere = FaultServer::healthy();
    let to = tokened(&elsewhere);
    let (config, pem) = self_signed("127.0.0.1");
    let bundle = file(&pem);
    let down = to.clone();
    let tls = Options::default()
        .tls(config)
        .start(object(0), move |_| Reply::status(302).header("location", down.clone()));
    let round = FaultServer::start(object(0), |_| Reply::status(302).header("location", "?again"));
    let userinfo = to.replace("http://", "http://user:f00dfeedf00dfeed@");
    let with_user =
        FaultServer::start(object(0), move |_| Reply::status(302).header("location", userinfo.clone()));
    let nowhere = FaultServer::start(object(0), |_| Reply::status(302));
    let to_metadata = [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest",
        "http://[::ffff:169.254.169.254]/",
        "http://metadata.google.internal/x",
        "//169.254.170.2/v2/credentials",
        "http://192.0.0.192/opc/",
        "//2852039166/latest",
    ];
    for location in to_metadata {
        let server = FaultServer::start(object(0), move |_| Reply::status(307).header("location", location));
        let outcome = run().download(&tokened(&server));
        outcome.assert_failed(5, &[]);
        assert!(outcome.stderr.contains("the metadata service of a cloud"), "{}", outcome.stderr);
        assert_eq!(server.requests().len(), 1);
    }
    for (server, requests, says) in [
        (&tls, 1, "plain http"),
        (&round, 6, "more than 5 times"),
        (&with_user, 1, "not http(s)"),
        (&nowhere, 1, "HTTP 302"),
    ] {
        let outcome =
            run().args(["--ca-bundle".as_ref(), bundle.path().as_os_str()]).download(&tokened(server));
        outcome.assert_failed(5, &[]);
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(&shown(server)), "{}", outcome.stderr);
        outcome.assert_hides(&SECRETS);
        assert_eq!(server.requests().len(), requests, "{says}");
    }
    let down = tokened(&elsewhere);
    let once = FaultServer::start(object(0), move |_| Reply::status(302).header("location", down.clone()));
    let outcome = run().args(["--max-redirs", "0"]).download(&tokened(&once));
    outcome.assert_failed(5, &[]);
    assert!(outcome.stderr.contains("--max-redirs 0"), "{}", outcome.stderr);
    assert_eq!((elsewhere.connections(), once.requests().len()), (0, 1));
}

/// Resolvers take other numbers for addresses too, as old programs write them: neither is one resolved here, nor is it
/// left to a proxy.
#[test]
fn redirects_to_numbers_that_are_no_plain_addresses_are_not_followed() {
    let proxied = FaultServer::healthy();
    let proxy = proxy::Options::default().start(proxied.address());
    for host in ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "0x7f.1:8080"] {
        let location = format!("http://{host}/latest");
        let server =
            FaultServer::start(object(0), move |_| Reply::status(302).header("location", location.clone()));
        for through in [false, true] {
            let mut run = run();
            if through {
                run =
                    run.env("http_proxy", format!("http://{}", proxy.address())).env("no_proxy", "127.0.0.1");
            }
            let outcome = run.download(&tokened(&server));
            outcome.assert_failed(5, &[]);
            assert!(outcome.stderr.contains("four decimal numbers"), "{host}: {}", outcome.stderr);
        }
        assert_eq!(server.requests().len(), 2, "{host}");
    }
    assert_eq!((proxied.connections(), proxy.seen().forwarded.len()), (0, 0));
}

#[test]
fn a_url_is_fetched_by_ranges_that_are_retried_and_pinned() {
    let table =
        [("cut", Reply::ok().cut_after(1000)), ("busy", Reply::status(503)), ("reset", Reply::raw(""))];
    table::each(&table, |reply| {
        let reply = reply.clone();
        let server = FaultServer::start(object(SIZE), move |request| {
            if request.chunk(CHUNK) == Some(3) && request.attempt == 0 { reply.clone() } else { Reply::ok() }
        });
        run().window(4, CHUNK).download(&tokened(&server)).assert_object(&object(SIZE));
        assert_eq!((server.gets().len(), server.heads(), server.object_bytes()), (CHUNKS + 1, 0, SIZE));
        assert_unsigned(&server.requests());
    });
    let whole = FaultServer::start(object(SIZE), |_| Reply::whole_with_200());
    run().window(4, CHUNK).download(&tokened(&whole)).assert_object(&object(SIZE));
    assert_eq!(whole.gets().len(), 1);
    // A version that its server shows is not asked for: that would be another URL than the one that was signed.
    let changed = FaultServer::start(object(SIZE), |request| {
        let reply = if request.serial < 2 { Reply::ok() } else { Reply::status(412) };
        reply.header("x-amz-version-id", "v1")
    });
    let outcome = run().window(1, CHUNK).download(&tokened(&changed));
    outcome.assert_failed(6, &object(SIZE));
    assert!(changed.requests().iter().all(|r| tokened(&changed).ends_with(&r.target)));
}

#[test]
fn a_failure_in_the_middle_shows_how_to_continue_but_not_the_query() {
    for (reply, code) in [(Reply::status(403).code("AccessDenied"), 4), (Reply::status(500), 5)] {
        let server = FaultServer::start(object(SIZE), always(3, reply));
        let outcome = run().window(1, CHUNK).args(["--max-attempts", "1"]).download(&tokened(&server));
        outcome.assert_failed(code, &object(SIZE));
        outcome.assert_hides(&SECRETS);
        assert!(outcome.stderr.contains("in place of the dots"), "{}", outcome.stderr);
        let command = outcome.command().expect("a command");
        assert!(command.contains(&shown(&server)) && command.contains(&format!("--range {}-", 3 * CHUNK)));

        let well = FaultServer::healthy();
        let command = command.replace(&shown(&server), &tokened(&well)).replace(" >> out", "");
        let rest = S3fcp::shell(&command).start().wait();
        rest.assert_object(&object(SIZE)[outcome.stdout.len()..]);
    }
}

#[test]
fn a_server_that_repeats_the_query_is_not_believed_to_be_discreet() {
    let says = format!("<Error><Code>AccessDenied</Code><Message>no {SECRET}</Message></Error>");
    let server = FaultServer::start(object(SIZE), move |_| {
        Reply::status(403).body(says.clone()).header("x-amz-request-id", SECRET).header("x-amz-id-2", SECRET)
    });
    let outcome = run().download(&tokened(&server));
    outcome.assert_failed(4, &[]);
    assert!(outcome.stderr.contains("AccessDenied"), "{}", outcome.stderr);
    outcome.assert_hides(&SECRETS);
}

/// The path of a `Location` is logged without it, and a host that holds it is not even resolved.
#[test]
fn a_redirect_that_repeats_the_query_shows_it_nowhere() {
    let percent = SECRET.bytes().fold(String::new(), |all, byte| format!("{all}%{byte:02X}"));
    let hex = SECRET.bytes().fold(String::new(), |all, byte| format!("{all}{byte:02x}"));
    let base64 = "ZjAwZGZlZWRmMDBkZmVlZA";
    let cdn = FaultServer::healthy();
    let end = cdn.endpoint();
    let (followed, refused) = (
        [
            format!("{end}/login/signature={SECRET}"),
            format!("{end}/login/{percent}"),
            format!("{end}/login/{}", percent.replace('%', "%25")),
            format!("{end}/login;sig={SECRET}"),
            format!("{end}/{hex}"),
            format!("{end}/{base64}"),
        ],
        [SECRET, &hex, &hex.to_uppercase(), base64, &SECRET[..12]]
            .map(|host| format!("http://{host}.invalid/login"))
            .into_iter()
            .chain([format!("//{base64}/x"), format!("http://{SECRET}:9000/")]),
    );
    let locations = followed.into_iter().map(|to| (to, true)).chain(refused.map(|to| (to, false)));
    for (location, is_followed) in locations {
        let to = location.clone();
        let server =
            FaultServer::start(object(0), move |_| Reply::status(302).header("location", to.clone()));
        let before = cdn.requests().len();
        let outcome = run().window(4, CHUNK).args(["-vvv"]).download(&tokened(&server));
        if is_followed {
            outcome.assert_object(&object(SIZE));
            assert_eq!(cdn.requests().len() - before, CHUNKS, "{location}");
            assert!(outcome.log.contains("[hidden]"), "{location}: {}", outcome.log);
        } else {
            outcome.assert_failed(5, &[]);
            assert!(outcome.stderr.contains("holds a secret"), "{location}: {}", outcome.stderr);
        }
        let forms =
            [SECRET, &SECRET[..12], &percent, &hex, &hex.to_uppercase(), base64, &base64.to_lowercase()];
        outcome.assert_hides(&forms);
    }
}

#[test]
fn options_without_a_say_are_usage_errors_and_ask_nobody() {
    let server = FaultServer::healthy();
    for args in [
        &["--endpoint", "http://127.0.0.1:1"][..],
        &["--region", "us-east-1"],
        &["--version-id", "v1"],
        &["--addressing-style", "path"],
        &["--accelerate"],
        &["--dualstack"],
        &["--fips"],
        &["--checksum", "require"],
        &["--request-payer", "requester"],
        &["--sse-c-key", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="],
    ] {
        let outcome = run().args(args).download(&tokened(&server));
        outcome.assert_failed(2, &[]);
        assert!(outcome.stderr.contains(args[0].split('=').next().unwrap_or_default()), "{}", outcome.stderr);
        outcome.assert_hides(&SECRETS);
    }
    for url in [format!("http://user:{SECRET}@127.0.0.1/"), format!("http://127.0.0.1:0/{SECRET}")] {
        let outcome = run().download(&url);
        outcome.assert_failed(2, &[]);
        outcome.assert_hides(&SECRETS);
    }
    assert_eq!(server.connections(), 0);
    // These have one, or none that could mislead.
    run()
        .args(["--no-sign-request", "--max-attempts", "2"])
        .download(&tokened(&server))
        .assert_object(&object(SIZE));
}
