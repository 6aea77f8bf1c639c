//! Every row of the table of settings in docs/credentials.md, set as a user sets it: by files, variables and flags of a
//! real process. Each setting does what the table says and takes precedence as it says; a bad value is exit code 2,
//! with the setting's name, before any request is sent.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::certificate::self_signed;
use crate::support::checksums::{HEADERS, assert_wrong, full, value, with_head};
use crate::support::fault_server::{FaultServer, Gate, Options, Reply, Request};
use crate::support::files::folder;
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::proxy::{Proxy, Seen};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY, URI};
use crate::support::table;

/// By the first name of the page's row.
const ROWS: [(&str, fn()); 24] = [
    ("AWS_CONFIG_FILE", config_file),
    ("AWS_SHARED_CREDENTIALS_FILE", shared_credentials_file),
    ("AWS_PROFILE", profile),
    ("AWS_ACCESS_KEY_ID", keys),
    ("AWS_REGION", region),
    ("AWS_ENDPOINT_URL_S3", endpoint),
    ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", ignored_endpoints),
    ("AWS_CA_BUNDLE", ca_bundle),
    ("HTTPS_PROXY", proxies),
    ("NO_PROXY", no_proxy),
    ("AWS_USE_FIPS_ENDPOINT", fips),
    ("AWS_USE_DUALSTACK_ENDPOINT", dualstack),
    ("s3.use_accelerate_endpoint", accelerate),
    ("s3.addressing_style", addressing_style),
    ("AWS_S3_USE_ARN_REGION", arn_region),
    ("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", express_sessions),
    ("AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS", multi_region_access_points),
    ("AWS_MAX_ATTEMPTS", max_attempts),
    ("AWS_RETRY_MODE", retry_mode),
    ("AWS_RESPONSE_CHECKSUM_VALIDATION", checksum_validation),
    ("AWS_EC2_METADATA_DISABLED", metadata_disabled),
    ("s3.max_concurrent_requests", max_concurrent_requests),
    ("s3.multipart_chunksize", multipart_chunksize),
    ("s3.max_bandwidth", max_bandwidth),
];

#[test]
fn each_row_does_what_it_says() {
    table::each(&ROWS, |check| check());
}

#[test]
fn the_page_has_these_rows_and_no_others() {
    let page = include_str!("../../../docs/credentials.md");
    let (_, section) = page.split_once("\n## Settings\n").expect("the section");
    let table = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = table.take_while(|line| line.starts_with('|'));
    let names: Vec<_> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert_eq!(names, ROWS.map(|(name, _)| name));
}

/// A configuration file with this text, for as long as the folder lives.
struct Files(TempDir);

impl Files {
    fn new(config: &str) -> Self {
        let files = Self(folder());
        files.write("config", config);
        files
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// A run that reads the configuration file.
    fn run(&self) -> S3fcp {
        S3fcp::new().env("AWS_CONFIG_FILE", self.0.path().join("config"))
    }
}

fn without_keys(run: S3fcp) -> S3fcp {
    run.without_env("AWS_ACCESS_KEY_ID").without_env("AWS_SECRET_ACCESS_KEY")
}

#[track_caller]
fn assert_downloads(run: S3fcp) {
    run.download(URI).assert_object(&object(SIZE));
}

/// Exit 2, and a message with this in it.
#[track_caller]
fn assert_refused(run: S3fcp, says: &str) {
    let outcome = run.download(URI);
    outcome.assert_failed(2, &[]);
    assert!(outcome.stderr.contains(says), "no {says:?} in {}", outcome.stderr);
}

fn config_file() {
    let server = FaultServer::healthy();
    let files = Files::new(&format!("[default]\nendpoint_url = {}\n", server.endpoint()));
    assert_downloads(files.run());
    assert_eq!(server.gets().len(), 1);
}

fn shared_credentials_file() {
    let server = FaultServer::healthy();
    let files = Files::new("");
    let text = "[default]\naws_access_key_id = FROMFILE\naws_secret_access_key = hunter2\n";
    let path = files.write("credentials", text);
    let run = without_keys(S3fcp::at(&server.endpoint())).env("AWS_SHARED_CREDENTIALS_FILE", path);
    assert_downloads(run);
    assert!(server.gets()[0].header("authorization").is_some_and(|a| a.contains("FROMFILE/")));
}

fn profile() {
    let [default, by_variable, by_flag] =
        [FaultServer::healthy(), FaultServer::healthy(), FaultServer::healthy()];
    let keys = format!("aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n");
    let files = Files::new(&format!(
        "[default]\nendpoint_url = {}\n[profile a]\nendpoint_url = {}\n[profile b]\nendpoint_url = {}\n{keys}",
        default.endpoint(),
        by_variable.endpoint(),
        by_flag.endpoint()
    ));
    assert_downloads(files.run());
    assert_downloads(files.run().env("AWS_PROFILE", "a"));
    assert_downloads(files.run().env("AWS_PROFILE", "a").args(["--profile", "b"]));
    assert_eq!([&default, &by_variable, &by_flag].map(|s| s.gets().len()), [1, 1, 1]);
    assert_refused(files.run().env("AWS_PROFILE", "typo"), "\"typo\"");
}

fn keys() {
    let server = FaultServer::healthy();
    let files = Files::new("[default]\naws_access_key_id = PROFILE\naws_secret_access_key = hunter2\n");
    let run = || files.run().args(["--endpoint", &server.endpoint()]);
    assert_downloads(run().env("AWS_SESSION_TOKEN", "token"));
    assert_downloads(without_keys(run()));
    let gets = server.gets();
    let is_by =
        |n: usize, id: &str| gets[n].header("authorization").is_some_and(|a| a.contains(&format!("={id}/")));
    assert!(is_by(0, ACCESS_KEY) && is_by(1, "PROFILE"), "{gets:?}");
    assert_eq!(gets[0].header("x-amz-security-token"), Some("token"));
    assert_eq!(gets[1].header("x-amz-security-token"), None);
}

fn region() {
    let server = FaultServer::healthy();
    let files = Files::new("[default]\nregion = r-profile\n");
    let run = || files.run().args(["--endpoint", &server.endpoint()]).without_env("AWS_REGION");
    assert_downloads(run());
    assert_downloads(run().env("AWS_DEFAULT_REGION", "r-default"));
    assert_downloads(run().env("AWS_DEFAULT_REGION", "r-default").env("AWS_REGION", "r-variable"));
    assert_downloads(run().env("AWS_REGION", "r-variable").args(["--region", "r-flag"]));
    for (get, region) in server.gets().iter().zip(["r-profile", "r-default", "r-variable", "r-flag"]) {
        let authorization = get.header("authorization").expect("a signed request");
        assert!(authorization.contains(&format!("/{region}/s3/aws4_request")), "{region}: {authorization}");
    }
    assert_refused(run().env("AWS_REGION", "evil.example/#"), "region");
}

fn endpoint() {
    let servers: [FaultServer; 5] = std::array::from_fn(|_| FaultServer::healthy());
    let url = |n: usize| servers[n].endpoint();
    let of_all = format!("[default]\nendpoint_url = {}\n", url(4));
    let of_s3 = format!("{of_all}services = mine\n[services mine]\ns3 =\n  endpoint_url = {}\n", url(3));
    let (of_all, of_s3) = (Files::new(&of_all), Files::new(&of_s3));
    assert_downloads(of_all.run());
    assert_downloads(of_s3.run());
    assert_downloads(of_s3.run().env("AWS_ENDPOINT_URL", url(2)));
    assert_downloads(of_s3.run().env("AWS_ENDPOINT_URL", url(2)).env("AWS_ENDPOINT_URL_S3", url(1)));
    assert_downloads(of_s3.run().env("AWS_ENDPOINT_URL_S3", url(1)).args(["--endpoint", &url(0)]));
    assert_eq!(servers.each_ref().map(|s| s.gets().len()), [1; 5]);
    assert_refused(of_s3.run().env("AWS_ENDPOINT_URL", "localhost:9000"), "AWS_ENDPOINT_URL");
}

/// The refusal shows whether there is a custom endpoint: no request goes to AWS.
fn ignored_endpoints() {
    let server = FaultServer::healthy();
    let files = Files::new(&format!("[default]\nendpoint_url = {}\n", server.endpoint()));
    let ignoring = Files::new(&format!(
        "[default]\nendpoint_url = {}\nignore_configured_endpoint_urls = true\n",
        server.endpoint()
    ));
    let strange = |run: S3fcp| run.args(["--accelerate", "--addressing-style", "path"]);
    let name = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
    assert_refused(strange(files.run()), "custom endpoint");
    assert_refused(strange(files.run().env(name, "true")), "path-style");
    assert_refused(strange(ignoring.run()), "path-style");
    assert_refused(strange(ignoring.run().env(name, "false")), "custom endpoint");
    // Who names one on the command line means it.
    assert_downloads(files.run().env(name, "true").args(["--endpoint", &server.endpoint()]));
    assert_refused(files.run().env(name, "perhaps"), name);
}

fn ca_bundle() {
    let (config, pem) = self_signed("127.0.0.1");
    let server = Options::default().tls(config.clone()).start(object(SIZE), |_| Reply::ok());
    let files = Files::new("");
    let good = files.write("good.pem", &pem).display().to_string();
    let bad = files.write("bad.pem", "nothing\n").display().to_string();
    let with = |bundle: &str| {
        files.write("config", &format!("[default]\nca_bundle = {bundle}\n"));
        files.run().args(["--endpoint", &server.endpoint()])
    };
    assert_downloads(with(&good));
    assert_downloads(with(&bad).env("AWS_CA_BUNDLE", &good));
    assert_downloads(with(&bad).env("AWS_CA_BUNDLE", &bad).args(["--ca-bundle", &good]));
    assert_refused(with(&good).env("AWS_CA_BUNDLE", &good).args(["--ca-bundle", &bad]), "bad.pem");

    // The same for who hands out credentials.
    let source = Options::default().tls(config).start(object(0), |_| {
        Reply::status(200).body(format!(
            "{{\"AccessKeyId\": \"FROMSOURCE\", \"SecretAccessKey\": \"{SECRET_KEY}\", \"Token\": \"token\", \
             \"Expiration\": \"2999-01-01T00:00:00Z\"}}"
        ))
    });
    let url = format!("{}/keys", source.endpoint());
    let run = || without_keys(with(&good)).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url);
    assert_downloads(run());
    assert_eq!(source.requests().len(), 1);
    assert!(
        server.gets().last().is_some_and(|get| get.header("authorization").unwrap().contains("FROMSOURCE/"))
    );
    let other = files.write("other.pem", &self_signed("127.0.0.1").1);
    let outcome = run().env("AWS_CA_BUNDLE", other).download(URI);
    outcome.assert_failed(5, &[]);
    assert!(outcome.stderr.contains("certificate"), "{}", outcome.stderr);
    assert_eq!(source.requests().len(), 1, "nothing is sent to who is not trusted");
}

/// A switch that no custom endpoint goes with: who sees it on is refused, and its flag is named.
fn switch(variable: &str, key: &str, flag: &str) {
    let server = FaultServer::healthy();
    let with = |value: &str| {
        let files = Files::new(&format!("[default]\n{key} = {value}\n"));
        (files.run().args(["--endpoint", &server.endpoint()]), files)
    };
    for (in_profile, by_variable, by_flag, refused) in [
        ("true", None, None, Some(flag)),
        ("False", None, None, None),
        ("perhaps", None, None, Some(key)),
        ("true", Some("false"), None, None),
        ("false", Some("TRUE"), None, Some(flag)),
        ("false", Some("1"), None, Some(variable)),
        ("false", Some("true"), Some("=false"), None),
        ("false", Some("false"), Some(""), Some(flag)),
    ] {
        let (mut run, _files) = with(in_profile);
        if let Some(value) = by_variable {
            run = run.env(variable, value);
        }
        if let Some(value) = by_flag {
            run = run.args([format!("{flag}{value}")]);
        }
        match refused {
            Some(word) => assert_refused(run, word),
            None => assert_downloads(run),
        }
    }
}

fn proxies() {
    let server = FaultServer::healthy();
    for (names, leads) in [("HTTP_PROXY", true), ("ALL_PROXY", true), ("HTTPS_PROXY", false)] {
        let proxy = Proxy::to(server.address());
        let run = S3fcp::at(&server.endpoint()).window(4, CHUNK);
        assert_downloads(run.env(names, format!("http://{}", proxy.address())));
        assert_eq!(!proxy.seen().forwarded.is_empty(), leads, "{names}");
    }
}

fn no_proxy() {
    let server = FaultServer::healthy();
    let proxy = Proxy::to(server.address());
    let run = S3fcp::at(&server.endpoint()).env("HTTP_PROXY", format!("http://{}", proxy.address()));
    assert_downloads(run.env("NO_PROXY", "example.com, 127.0.0.0/8"));
    assert_eq!(proxy.seen(), Seen::default());
}

fn fips() {
    switch("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", "--fips");
}

fn dualstack() {
    switch("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", "--dualstack");
    let server = FaultServer::healthy();
    let block = "s3 =\n  use_dualstack_endpoint = true\n";
    let run = |config: &str| {
        let files = Files::new(config);
        (files.run().args(["--endpoint", &server.endpoint()]), files)
    };
    assert_refused(run(&format!("[default]\n{block}")).0, "--dualstack");
    let (both, _files) = run(&format!("[default]\nuse_dualstack_endpoint = false\n{block}"));
    assert_downloads(both);
}

fn accelerate() {
    let server = FaultServer::healthy();
    let run = |value: &str| {
        let files = Files::new(&format!("[default]\ns3 =\n  use_accelerate_endpoint = {value}\n"));
        (files.run().args(["--endpoint", &server.endpoint()]), files)
    };
    let (on, _files) = run("true");
    assert_refused(on, "--accelerate");
    let (on, _files) = run("true");
    assert_downloads(on.args(["--accelerate=false"]));
    let (off, _files) = run("false");
    assert_refused(off.args(["--accelerate"]), "--accelerate");
    let (strange, _files) = run("perhaps");
    assert_refused(strange, "s3.use_accelerate_endpoint");
}

fn addressing_style() {
    let server = FaultServer::healthy();
    let run = |value: &str| {
        let files = Files::new(&format!("[default]\ns3 =\n  addressing_style = {value}\n"));
        (files.run().args(["--endpoint", &server.endpoint()]), files)
    };
    let (path, _files) = run("path");
    assert_downloads(path);
    let (style, _files) = run("virtual");
    assert_refused(style, "virtual-hosted");
    let (style, _files) = run("virtual");
    assert_downloads(style.args(["--addressing-style", "path"]));
    let (style, _files) = run("baroque");
    assert_refused(style, "s3.addressing_style");
}

/// No address has access points: the second refusal comes after the first.
fn arn_region() {
    let point = "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/key";
    let says = |run: S3fcp, says: &str| {
        let outcome = run.args(["--endpoint", "http://127.0.0.1:1"]).download(point);
        outcome.assert_failed(2, &[]);
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
    };
    let files = Files::new("[default]\ns3_use_arn_region = false\n");
    let name = "AWS_S3_USE_ARN_REGION";
    says(S3fcp::new(), "need a host name");
    says(S3fcp::new().env(name, "false"), "eu-west-1");
    says(files.run(), "eu-west-1");
    says(files.run().env(name, "true"), "need a host name");
    says(S3fcp::new().env(name, "perhaps"), name);
}

/// Without sessions nothing is asked for but the object.
fn express_sessions() {
    let (name, key) = ("AWS_S3_DISABLE_EXPRESS_SESSION_AUTH", "s3_disable_express_session_auth");
    let files = Files::new(&format!("[default]\n{key} = true\n"));
    for run in [S3fcp::new().env(name, "true"), files.run()] {
        let server = FaultServer::healthy();
        let run = run.args(["--endpoint", &server.endpoint()]);
        run.download("s3://data--use1-az4--x-s3/key").assert_object(&object(SIZE));
        assert!(server.requests().iter().all(|request| !request.target.contains("session")));
    }
    assert_refused(S3fcp::new().env(name, "perhaps"), name);
}

fn multi_region_access_points() {
    let (name, key) = ("AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS", "s3_disable_multiregion_access_points");
    let files = Files::new(&format!("[default]\n{key} = true\n"));
    for run in [S3fcp::new().env(name, "true"), files.run()] {
        let outcome = run.download("s3://arn:aws:s3::123456789012:accesspoint/m1.mrap/key");
        outcome.assert_failed(2, &[]);
        assert!(outcome.stderr.contains("disabled by the configuration"), "{}", outcome.stderr);
    }
    assert_refused(S3fcp::new().env(name, "perhaps"), name);
}

fn max_attempts() {
    let busy = || FaultServer::start(object(SIZE), |_| Reply::status(503).code("SlowDown"));
    let files = Files::new("[default]\nmax_attempts = 1\n");
    let attempts = |change: fn(S3fcp) -> S3fcp| {
        let server = busy();
        change(files.run().args(["--endpoint", &server.endpoint()])).download(URI).assert_failed(5, &[]);
        server.gets().len()
    };
    assert_eq!(attempts(|run| run), 1);
    assert_eq!(attempts(|run| run.env("AWS_MAX_ATTEMPTS", "2")), 2);
    assert_eq!(attempts(|run| run.env("AWS_MAX_ATTEMPTS", "2").args(["--max-attempts", "3"])), 3);
    for bad in ["0", "-1", "many", "99999999999"] {
        assert_refused(S3fcp::at("http://127.0.0.1:1").env("AWS_MAX_ATTEMPTS", bad), "AWS_MAX_ATTEMPTS");
    }
}

fn retry_mode() {
    let server = FaultServer::healthy();
    let files = Files::new("[default]\nretry_mode = often\n");
    let run = || files.run().args(["--endpoint", &server.endpoint()]);
    for mode in ["standard", "adaptive", "legacy"] {
        assert_downloads(run().env("AWS_RETRY_MODE", mode));
    }
    assert_refused(run(), "retry_mode");
    assert_refused(run().env("AWS_RETRY_MODE", "bogus"), "AWS_RETRY_MODE");
    assert_eq!(server.gets().len(), 3);
}

fn checksum_validation() {
    let server = FaultServer::healthy();
    let files = Files::new("[default]\nresponse_checksum_validation = sometimes\n");
    let run = || files.run().args(["--endpoint", &server.endpoint()]);
    let name = "AWS_RESPONSE_CHECKSUM_VALIDATION";
    for value in ["when_supported", "WHEN_REQUIRED"] {
        assert_downloads(run().env(name, value));
    }
    assert_refused(run(), "response_checksum_validation");
    assert_refused(run().env(name, "never"), name);
    // What the store declares is that of something else: only who compares sees it.
    let wrong = FaultServer::start(object(SIZE), with_head(full(HEADERS[0], value(HEADERS[0], b"else"))));
    let run = || files.run().args(["--endpoint", &wrong.endpoint()]);
    assert_wrong(&run().args(["--stats=json"]).env(name, "when_supported").download(URI), &object(SIZE));
    assert_downloads(run().env(name, "when_required"));
    let required = run().args(["--stats=json", "--checksum", "require"]).env(name, "when_required");
    assert_wrong(&required.download(URI), &object(SIZE));
}

fn metadata_disabled() {
    let instance = |request: &Request| {
        match request.target.strip_prefix("/latest/") {
        Some("api/token") => Reply::status(200).body("token").header("x-aws-ec2-metadata-token-ttl-seconds", "60"),
        Some("meta-data/iam/security-credentials/") => Reply::status(200).body("role"),
        Some("meta-data/iam/security-credentials/role") => Reply::status(200).body(format!(
            "{{\"Code\": \"Success\", \"AccessKeyId\": \"FROMINSTANCE\", \"SecretAccessKey\": \"{SECRET_KEY}\", \
             \"Token\": \"token\", \"Expiration\": \"2999-01-01T00:00:00Z\"}}"
        )),
        _ => Reply::ok(),
    }
    };
    let server = FaultServer::start(object(SIZE), instance);
    let run = || {
        without_keys(S3fcp::at(&server.endpoint()))
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.endpoint())
    };
    run().download(URI).assert_failed(4, &[]);
    assert_eq!(server.requests().len(), 0, "it is off in all runs here");
    assert_downloads(run().without_env("AWS_EC2_METADATA_DISABLED"));
    assert!(
        server
            .gets()
            .last()
            .is_some_and(|get| get.header("authorization").unwrap().contains("FROMINSTANCE/"))
    );
}

fn block(key: &str, value: &str) -> Files {
    Files::new(&format!("[default]\ns3 =\n  {key} = {value}\n"))
}

/// A ceiling, and no number to keep: `-c` goes beyond it.
fn max_concurrent_requests() {
    let bytes = object(24 << 20);
    let server = FaultServer::start(bytes.clone(), |_| Reply::ok());
    let one = block("max_concurrent_requests", "1");
    let outcome = one.run().args(["--endpoint", &server.endpoint(), "--stats=json"]).download(URI);
    outcome.assert_object(&bytes);
    assert!(outcome.stderr.contains("\"concurrency\":1,"), "{}", outcome.stderr);

    let three_at_once = Gate::closed();
    let server = FaultServer::start(object(SIZE), move |request| {
        if request.is_get() && request.serial == 2 {
            three_at_once.open();
        }
        // The first response shows what there is; the two after it wait for each other.
        if request.chunk(CHUNK) == Some(0) { Reply::ok().pause_after(1, &three_at_once) } else { Reply::ok() }
    });
    assert_downloads(one.run().args(["--endpoint", &server.endpoint()]).window(3, CHUNK));
    let bad = block("max_concurrent_requests", "0");
    let says = "invalid s3.max_concurrent_requests \"0\" in the profile \"default\": expected a number ≥ 1";
    assert_refused(bad.run().args(["--endpoint", &server.endpoint()]), says);
}

fn multipart_chunksize() {
    let small = block("multipart_chunksize", "64KB");
    let gets = |run: S3fcp| {
        let server = FaultServer::healthy();
        assert_downloads(run.args(["--endpoint", &server.endpoint()]));
        server.gets().len()
    };
    assert_eq!(gets(S3fcp::new()), 1);
    assert_eq!(gets(small.run()), CHUNKS);
    assert_eq!(gets(small.run().args(["--chunk-size", "1MiB"])), 1);
    let bad = block("multipart_chunksize", "8 parsecs");
    assert_refused(bad.run().args(["--endpoint", "http://127.0.0.1:1"]), "s3.multipart_chunksize");
}

fn max_bandwidth() {
    let bytes = object(1 << 20);
    let server = FaultServer::start(bytes.clone(), |_| Reply::ok());
    let slow = block("max_bandwidth", "512KB/s");
    let outcome = slow.run().args(["--endpoint", &server.endpoint(), "--stats=json"]).download(URI);
    outcome.assert_object(&bytes);
    let stats: serde_json::Value = serde_json::from_str(&outcome.stderr).expect("one line of JSON");
    // What came last, at most a read buffer, is not waited for.
    assert!(stats["seconds"].as_f64().is_some_and(|seconds| seconds > 1.4), "{stats}");
    let bad = block("max_bandwidth", "fast");
    assert_refused(bad.run().args(["--endpoint", "http://127.0.0.1:1"]), "s3.max_bandwidth");
}
