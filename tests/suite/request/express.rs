//! Directory buckets (S3 Express One Zone) and their access points on a server that refuses whatever is not exactly as
//! AWS describes it: hosts, sessions, what is signed and how often is asked.

use std::time::Duration;

use s3server::{Checksum, DirectoryBuckets, Logged, Object, Pace, Server};

use crate::support::aws::AwsHost;
use crate::support::certificate::self_signed;
use crate::support::directory_bucket::{BUCKET, URI, assert_session_hidden, is_session_request};
use crate::support::fault_server::FaultServer;
use crate::support::files::file;
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::proxy::{Proxy, Seen};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY, SESSION_TOKEN};
use crate::support::table;

const REGION: &str = "us-west-2";

fn rules() -> DirectoryBuckets {
    DirectoryBuckets::in_region(REGION)
}

fn server(rules: DirectoryBuckets, token: Option<&str>) -> Server {
    let keys = (ACCESS_KEY, SECRET_KEY);
    let server = Server::builder().directory_buckets(rules, keys, token).unversioned().log_requests().start();
    for bucket in [BUCKET, "ap--usw2-az1--xa-s3", "my--s3--data--usw2-az1--x-s3"] {
        for key in ["key", "other", "a b/\u{fc}+%2F//x"] {
            server.put(bucket, key, object(SIZE));
        }
    }
    server
}

fn host(bucket: &str, variant: &str, dualstack: &str) -> String {
    format!("{bucket}.s3express-{variant}usw2-az1.{dualstack}{REGION}.amazonaws.com")
}

/// Returns the requests for sessions, and the others.
fn requests(server: &Server) -> (Vec<Logged>, Vec<Logged>) {
    server.requests().into_iter().partition(|request| is_session_request(&request.target))
}

#[test]
fn each_name_is_reached_at_its_own_host_with_a_session() {
    let table = [
        ("a bucket", (BUCKET, &[][..], "", "")),
        ("an access point", ("ap--usw2-az1--xa-s3", &[], "", "")),
        ("separators in the name", ("my--s3--data--usw2-az1--x-s3", &[], "", "")),
        ("FIPS", (BUCKET, &["--fips"], "fips-", "")),
        ("dual-stack", (BUCKET, &["--dualstack"], "", "dualstack.")),
        ("both", (BUCKET, &["--fips", "--dualstack"], "fips-", "dualstack.")),
        ("path style, which AWS has not", (BUCKET, &["--addressing-style", "path"], "", "")),
    ];
    table::each(&table, |(bucket, args, fips, dualstack)| {
        let server = server(rules(), None);
        let aws = AwsHost::new(&host(bucket, fips, dualstack), server.address());
        let run = aws.run().args(["--region", REGION]).args(*args).window(4, CHUNK).logged();
        let outcome = run.download(&format!("s3://{bucket}/key"));
        outcome.assert_object(&object(SIZE));
        assert_session_hidden(&outcome);
        aws.assert_reached();
        let (sessions, others) = requests(&server);
        assert_eq!(
            (sessions.len(), others.len()),
            (1, CHUNKS + 1),
            "one session for the HEAD and all ranges"
        );
        assert_eq!(sessions[0].target, "/?session");
        assert!(others.iter().all(|request| request.target == "/key"));
    });
}

/// A host that does not speak TLS gets nothing but its first message, through a proxy for either scheme.
#[test]
fn nothing_is_sent_in_clear() {
    let mrap = "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap";
    let table = [
        ("a session", (URI.to_owned(), host(BUCKET, "", ""))),
        (
            "a multi-region access point",
            (format!("s3://{mrap}/key"), "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com".to_owned()),
        ),
    ];
    table::each(&table, |(uri, host)| {
        let server = FaultServer::healthy();
        let proxy = Proxy::to(server.address());
        let outcome = S3fcp::new()
            .args(["--region", REGION, "--max-attempts", "2"])
            .env("ALL_PROXY", format!("http://{}", proxy.address()))
            .env("AWS_CA_BUNDLE", file(&self_signed("h").1).path())
            .download(uri);
        outcome.assert_failed(5, &[]);
        assert!(outcome.stderr.contains("the server ended the TLS handshake"), "{}", outcome.stderr);
        let Seen { tunnels, forwarded, .. } = proxy.seen();
        assert!(!tunnels.is_empty() && tunnels.iter().all(|to| *to == format!("{host}:443")), "{tunnels:?}");
        assert_eq!((forwarded.len(), server.requests().len()), (0, 0));
    });
}

#[test]
fn the_session_is_asked_for_with_the_token_of_temporary_credentials_and_objects_are_not() {
    let server = server(rules(), Some(SESSION_TOKEN));
    let aws = AwsHost::new(&host(BUCKET, "", ""), server.address());
    let run = aws.run().args(["--region", REGION]).env("AWS_SESSION_TOKEN", SESSION_TOKEN).logged();
    let outcome = run.window(4, CHUNK).download(URI);
    outcome.assert_object(&object(SIZE));
    assert_session_hidden(&outcome);
    let (sessions, others) = requests(&server);
    assert_eq!(sessions.len(), 1);
    let scope = format!("/{REGION}/s3express/aws4_request");
    assert!(sessions[0].headers["authorization"].to_str().unwrap().contains(&scope));
    assert_eq!(sessions[0].headers["x-amz-create-session-mode"], "ReadOnly");
    assert_eq!(sessions[0].headers["x-amz-security-token"], SESSION_TOKEN);
    for request in others {
        assert!(request.headers.contains_key("x-amz-s3session-token"), "{request:?}");
        assert!(!request.headers.contains_key("x-amz-security-token"), "{request:?}");
        let authorization = request.headers["authorization"].to_str().unwrap();
        assert!(authorization.contains(&scope) && authorization.contains("x-amz-s3session-token"));
    }
}

#[test]
fn a_key_is_encoded_once_and_described_with_a_session() {
    let server = server(rules(), None);
    let tags = Object::new(object(SIZE)).storage_class("EXPRESS_ONEZONE");
    server.put(BUCKET, "info", tags);
    let aws = AwsHost::new(&host(BUCKET, "", ""), server.address());
    let run = || aws.run().args(["--region", REGION]);
    run().download("s3://data--usw2-az1--x-s3/a b/\u{fc}+%2F//x").assert_object(&object(SIZE));
    assert!(requests(&server).1.iter().all(|request| request.target == "/a%20b/%C3%BC%2B%252F//x"));
    let outcome = run().args(["--info=json"]).download("s3://data--usw2-az1--x-s3/info");
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert!(String::from_utf8_lossy(&outcome.stdout).contains("EXPRESS_ONEZONE"));
}

#[test]
fn a_custom_endpoint_has_the_bucket_in_its_name_or_in_the_path_of_an_address() {
    let server = server(rules(), None);
    let run = |endpoint: &str| S3fcp::at(endpoint).args(["--region", REGION]).window(4, CHUNK);
    run(&server.endpoint()).download(URI).assert_object(&object(SIZE));
    let (sessions, others) = requests(&server);
    assert_eq!((sessions.len(), &*sessions[0].target), (1, "/data--usw2-az1--x-s3?session"));
    assert!(others.iter().all(|request| request.target == "/data--usw2-az1--x-s3/key"));

    let proxy = Proxy::to(server.address());
    let run = run("http://store.invalid:9000").env("HTTP_PROXY", format!("http://{}", proxy.address()));
    run.download(URI).assert_object(&object(SIZE));
    let forwarded = proxy.seen().forwarded;
    let at = "http://data--usw2-az1--x-s3.store.invalid:9000";
    assert_eq!(forwarded[0], format!("{at}/?session"));
    assert!(forwarded[1..].iter().all(|target| *target == format!("{at}/key")), "{forwarded:?}");
}

#[test]
fn one_session_serves_all_objects_of_a_run() {
    let server = server(rules(), None);
    let run = S3fcp::at(&server.endpoint()).args(["--region", REGION]).window(4, CHUNK);
    let outcome = run.args([URI, "s3://data--usw2-az1--x-s3/other"]).start().wait();
    outcome.assert_object(&[object(SIZE), object(SIZE)].concat());
    assert_eq!(requests(&server).0.len(), 1);

    let server = self::server(rules(), None);
    let run = S3fcp::at(&server.endpoint()).args(["--region", REGION]).window(4, CHUNK);
    run.args([URI, "s3://ap--usw2-az1--xa-s3/key"]).start().wait();
    assert_eq!(requests(&server).0.len(), 2, "a session is for one bucket");
}

/// The first byte costs one round trip more: the session comes first, by a connection that the next request uses.
#[test]
fn a_session_costs_a_request_and_no_connection() {
    let server = server(rules(), None);
    server.put(BUCKET, "small", object(1000));
    let run = S3fcp::at(&server.endpoint()).args(["--region", REGION]);
    run.download("s3://data--usw2-az1--x-s3/small").assert_object(&object(1000));
    assert!(server.requests()[0].target.ends_with("?session"));
    assert_eq!((server.requests().len(), server.stats().connections), (3, 2));
}

/// Returns the seconds until the first byte of a small object, from a server that answers each request after `latency`.
fn first_byte_seconds(latency: Duration, is_directory: bool) -> f64 {
    let pace = Pace { latency, bytes_per_second: None };
    let builder = Server::builder().pace(pace);
    let (builder, bucket) = if is_directory {
        (builder.directory_buckets(rules(), (ACCESS_KEY, SECRET_KEY), None), BUCKET)
    } else {
        (builder.credentials(ACCESS_KEY, SECRET_KEY), "bucket")
    };
    let server = builder.start();
    server.put(bucket, "small", object(1000));
    let run = S3fcp::at(&server.endpoint()).args(["--region", REGION, "--stats=json"]);
    let outcome = run.download(&format!("s3://{bucket}/small"));
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let stats: serde_json::Value = serde_json::from_str(&outcome.stderr).expect("one line of JSON");
    stats["first_byte_seconds"].as_f64().expect("a number")
}

/// The session is one exchange. Two would be the least that could be lost beside it.
#[test]
fn a_session_delays_the_first_byte_by_one_round_trip_and_no_other() {
    const LATENCY: Duration = Duration::from_millis(800);
    let [plain, express] = [false, true].map(|is_directory| first_byte_seconds(LATENCY, is_directory));
    let round_trips = |seconds: f64| seconds / LATENCY.as_secs_f64();
    assert!((1.0..2.0).contains(&round_trips(plain)), "{plain}");
    assert!((2.0..3.0).contains(&round_trips(express)), "{express}");
}

#[test]
fn a_session_that_ends_during_a_download_is_renewed() {
    let rules = DirectoryBuckets { lifetime: Duration::from_secs(1), ..rules() };
    let pace = Pace { latency: Duration::from_millis(300), bytes_per_second: None };
    let server = Server::builder()
        .directory_buckets(rules, (ACCESS_KEY, SECRET_KEY), None)
        .log_requests()
        .pace(pace)
        .start();
    server.put(BUCKET, "key", object(SIZE));
    let outcome = S3fcp::at(&server.endpoint())
        .args(["--region", REGION, "--max-attempts", "1"])
        .window(1, CHUNK)
        .download(URI);
    outcome.assert_object(&object(SIZE));
    let sessions = requests(&server).0.len();
    assert!((2..=8).contains(&sessions), "{sessions}");
}

/// What the server calls the end is hours away from this machine's clock, in either direction.
#[test]
fn a_clock_that_differs_asks_for_no_session_twice() {
    for clock in [-7200, -301, 7200, 864_000] {
        let server = server(DirectoryBuckets { clock, ..rules() }, None);
        let run = S3fcp::at(&server.endpoint()).args(["--region", REGION]).window(2, CHUNK);
        run.download(URI).assert_object(&object(SIZE));
        assert_eq!(requests(&server).0.len(), 1, "{clock}");
    }
}

/// The token of the long-term keys goes with every request then, and no session's.
#[test]
fn sessions_can_be_disabled_in_the_environment_and_in_the_profile() {
    let profile = |text: &str| file(&format!("[default]\n{text}\n"));
    let key = "s3_disable_express_session_auth";
    let table = [
        ("environment", (None, Some("true"), true)),
        ("profile", (Some(profile(&format!("{key} = true"))), None, true)),
        ("block", (Some(profile(&format!("s3 =\n  {key} = true"))), None, true)),
        (
            "block, without the prefix",
            (Some(profile("s3 =\n  disable_express_session_auth = True")), None, true),
        ),
        ("the environment first", (Some(profile(&format!("{key} = true"))), Some("false"), false)),
    ];
    table::each(&table, |(config, variable, is_disabled)| {
        let server = server(DirectoryBuckets { sessions: !is_disabled, ..rules() }, Some(SESSION_TOKEN));
        let aws = AwsHost::new(&host(BUCKET, "", ""), server.address());
        let mut run =
            aws.run().args(["--region", REGION]).env("AWS_SESSION_TOKEN", SESSION_TOKEN).window(4, CHUNK);
        if let Some(config) = config {
            run = run.env("AWS_CONFIG_FILE", config.path());
        }
        if let Some(value) = variable {
            run = run.env("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", value);
        }
        run.download(URI).assert_object(&object(SIZE));
        assert_eq!(requests(&server).0.is_empty(), *is_disabled);
    });
    let server = FaultServer::healthy();
    let run = S3fcp::at(&server.endpoint()).env("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "perhaps");
    let outcome = run.download(URI);
    outcome.assert_failed(2, &[]);
    assert!(outcome.stderr.contains("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH"), "{}", outcome.stderr);
}

#[test]
fn what_directory_buckets_do_not_have_is_refused_before_any_request() {
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let table = [
        ("acceleration", (URI, &["--accelerate"][..], "Acceleration")),
        ("dots", ("s3://my.data--usw2-az1--x-s3/key", &[], "directory bucket")),
        ("dots in an access point", ("s3://my.ap--usw2-az1--xa-s3/key", &[], "directory bucket")),
        ("a zone of another length", ("s3://data--usaz1--x-s3/key", &[], "zone")),
        ("no zone", ("s3://data--x-s3/key", &[], "zone")),
        ("versions", (URI, &["--version-id", "3sL4kqtJlcpXroDTDmJ"], "versions")),
        ("SSE-C", (URI, &["--sse-c-key", key], "SSE-C")),
        ("FIPS at an endpoint", (URI, &["--fips", "--endpoint", "https://store.invalid"], "endpoint")),
        (
            "dual-stack at an endpoint",
            (URI, &["--dualstack", "--endpoint", "https://store.invalid"], "endpoint"),
        ),
        ("FIPS in China", (URI, &["--fips", "--region", "cn-north-1"], "FIPS")),
        (
            "dots at an endpoint",
            ("s3://my.data--usw2-az1--x-s3/key", &["--endpoint", "https://store.invalid"], "dir"),
        ),
    ];
    table::each(&table, |(uri, args, says)| {
        let server = server(rules(), None);
        let aws = AwsHost::new(&host(BUCKET, "", ""), server.address());
        let outcome = aws.run().args(*args).download(uri);
        outcome.assert_failed(2, &[]);
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
        assert!(server.requests().is_empty());
    });
}

/// The tag looks like an MD5, and is one of other bytes.
#[test]
fn an_etag_is_no_md5() {
    let server = server(rules(), None);
    for uri in [URI, "s3://ap--usw2-az1--xa-s3/key"] {
        let bucket = uri.split('/').nth(2).expect("a bucket");
        server.put(bucket, "key", Object::new(object(SIZE)).e_tag("d41d8cd98f00b204e9800998ecf8427e"));
        let run = || S3fcp::at(&server.endpoint()).args(["--region", REGION]);
        run().download(uri).assert_object(&object(SIZE));
        let outcome = run().args(["--checksum", "require"]).download(uri);
        outcome.assert_failed(2, &[]);
    }
    let wrong = Object::new(object(SIZE)).checksum(Checksum::Crc64Nvme, "AAAAAAAAAAA=");
    server.put(BUCKET, "key", wrong);
    let outcome = S3fcp::at(&server.endpoint()).args(["--region", REGION]).download(URI);
    assert_eq!(outcome.code(), Some(7), "stored checksums are compared: {}", outcome.stderr);
}

#[test]
fn unsigned_requests_have_no_session() {
    let server = FaultServer::healthy();
    let outcome = S3fcp::at(&server.endpoint()).args(["--no-sign-request"]).window(4, CHUNK).download(URI);
    outcome.assert_object(&object(SIZE));
    assert_eq!(server.gets().len(), CHUNKS);
}
