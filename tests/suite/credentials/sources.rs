//! Each source of credentials from a cold start: its keys sign the requests, `--stats` reports its time, and a broken
//! one is named with the reason.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::fault_server::{FaultServer, Reply, Request};
use crate::support::files::folder;
use crate::support::object::{SIZE, object};
use crate::support::run::{S3fcp, SECRET_KEY, SESSION_TOKEN, URI};
use crate::support::table;

/// A machine: a folder with a configuration, and one server for S3, STS, ECS and EC2.
pub(super) struct Machine {
    pub(super) folder: TempDir,
    pub(super) server: FaultServer,
}

/// How a machine provides credentials: a change to one of its runs.
pub(super) type Setup = fn(&Machine, S3fcp) -> S3fcp;

/// A profile, another source, and parts of the expected message.
type Broken<'a> = (&'a str, Setup, &'a [&'a str]);

impl Machine {
    /// Creates a machine whose sources all answer, or all fail.
    pub(super) fn new(is_broken: bool) -> Self {
        let answer = move |request: &Request| match request.target.as_str() {
            "/bucket/key" => Reply::ok(),
            _ if is_broken => Reply::status(400).body("out of order"),
            "/latest/api/token" => {
                Reply::status(200).body("token").header("x-aws-ec2-metadata-token-ttl-seconds", "60")
            }
            "/latest/meta-data/iam/security-credentials/" => Reply::status(200).body("role"),
            "/latest/meta-data/iam/security-credentials/role" => Reply::status(200).body(keys("instance")),
            "/ecs" => Reply::status(200).body(keys("container")),
            _ if request.header("authorization").is_some() => {
                Reply::status(200).body(assumed("AssumeRole", "role"))
            }
            _ => Reply::status(200).body(assumed("AssumeRoleWithWebIdentity", "web")),
        };
        let folder = folder();
        Self { folder, server: FaultServer::start(object(SIZE), answer) }
    }

    pub(super) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Returns a run with `profile` as its default profile and no keys in its environment.
    pub(super) fn run(&self, profile: &str) -> S3fcp {
        S3fcp::at(&self.server.endpoint())
            .without_env("AWS_ACCESS_KEY_ID")
            .without_env("AWS_SECRET_ACCESS_KEY")
            .env("AWS_CONFIG_FILE", self.file("config", &format!("[default]\n{profile}\n")))
            .args(["--stats=json"])
            .logged()
    }
}

pub(super) fn keys(id: &str) -> String {
    format!(
        "{{\"Version\": 1, \"Code\": \"Success\", \"AccessKeyId\": \"{id}\", \"SecretAccessKey\": \"{SECRET_KEY}\", \
         \"Token\": \"{SESSION_TOKEN}\", \"SessionToken\": \"{SESSION_TOKEN}\", \"Expiration\": \"2999-01-01T00:00:00Z\"}}"
    )
}

/// Returns an answer of STS (AWS STS API Reference, `AssumeRole` and `AssumeRoleWithWebIdentity`).
fn assumed(action: &str, id: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
         <AssumedRoleUser><AssumedRoleId>i:n</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/n</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey>\
         <SessionToken>{SESSION_TOKEN}</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>\
         </{action}Result></{action}Response>"
    )
}

pub(super) fn web_identity(machine: &Machine, run: S3fcp) -> S3fcp {
    run.env("AWS_WEB_IDENTITY_TOKEN_FILE", machine.file("token", "a.b.c"))
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")
        .env("AWS_ENDPOINT_URL_STS", machine.server.endpoint())
}

pub(super) fn container(machine: &Machine, run: S3fcp) -> S3fcp {
    run.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/ecs", machine.server.endpoint()))
}

fn instance(machine: &Machine, run: S3fcp) -> S3fcp {
    run.without_env("AWS_EC2_METADATA_DISABLED")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.server.endpoint())
}

pub(super) fn as_it_is(_: &Machine, run: S3fcp) -> S3fcp {
    run
}

#[test]
fn each_source_signs_and_its_time_is_reported() {
    let of_profile = format!("aws_access_key_id = profile\naws_secret_access_key = {SECRET_KEY}");
    // A slow process: at least its delay is reported.
    let of_process = format!(
        "credential_process = /bin/sh -c \"/bin/sleep 0.3; echo '{}'\"",
        keys("process").replace('"', "\\\"")
    );
    let environment: Setup =
        |_, run| run.env("AWS_ACCESS_KEY_ID", "environment").env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    let table: [(&str, (&str, Setup, f64)); 6] = [
        ("environment", ("", environment, 0.0)),
        ("profile", (&of_profile, as_it_is, 0.0)),
        ("process", (&of_process, as_it_is, 0.3)),
        ("web", ("", web_identity, 0.0)),
        ("container", ("", container, 0.0)),
        ("instance", ("", instance, 0.0)),
    ];
    let named: Vec<_> = table.iter().map(|(name, case)| (*name, (*name, case))).collect();
    table::each(&named, |(name, (profile, setup, least))| {
        let machine = Machine::new(false);
        let outcome = setup(&machine, machine.run(profile)).download(URI);
        outcome.assert_object(&object(SIZE));
        let get = machine.server.gets().into_iter().rfind(|get| get.target == "/bucket/key").expect("a GET");
        let authorization = get.header("authorization").expect("a signed request");
        assert!(authorization.contains(&format!("Credential={name}/")), "{authorization}");
        let stats: Value = serde_json::from_str(&outcome.stderr).expect("one line of JSON");
        assert!(stats["credentials_seconds"].as_f64().is_some_and(|s| s >= *least), "{stats}");
        assert!(stats["credentials_seconds"].as_f64() <= stats["first_byte_seconds"].as_f64(), "{stats}");
    });
}

/// A role is assumed with the keys of the source that the profile names.
#[test]
fn a_role_is_assumed_with_the_keys_of_an_instance_or_a_container() {
    let table: [(&str, (&str, Setup)); 2] =
        [("instance", ("Ec2InstanceMetadata", instance)), ("container", ("EcsContainer", container))];
    let named: Vec<_> = table.iter().map(|(name, case)| (*name, (*name, case))).collect();
    table::each(&named, |(name, (source, setup))| {
        let machine = Machine::new(false);
        let profile = format!("role_arn = arn:aws:iam::1:role/r\ncredential_source = {source}");
        let run =
            setup(&machine, machine.run(&profile)).env("AWS_ENDPOINT_URL_STS", machine.server.endpoint());
        run.download(URI).assert_object(&object(SIZE));
        let signed = |target: &str, key: &str| {
            let has = |header: &str| header.contains(&format!("Credential={key}/"));
            machine
                .server
                .requests()
                .iter()
                .any(|r| r.target == target && r.header("authorization").is_some_and(has))
        };
        assert!(signed("/", name), "{:?}", machine.server.requests());
        assert!(signed("/bucket/key", "role"), "{:?}", machine.server.requests());
    });
}

#[test]
fn unsigned_requests_have_no_time_to_credentials() {
    let machine = Machine::new(true);
    let outcome = machine.run("").args(["--no-sign-request"]).download(URI);
    outcome.assert_object(&object(SIZE));
    assert!(outcome.stderr.contains("\"credentials_seconds\":null,"), "{}", outcome.stderr);
}

#[test]
fn a_broken_source_is_named_with_its_reason_and_ends_the_search() {
    let table: [(&str, Broken); 7] = [
        (
            "process",
            (
                "credential_process = /bin/sh -c 'echo no card in the reader >&2; exit 1'",
                container,
                &["no card"],
            ),
        ),
        ("no keys from a process", ("credential_process = /bin/echo nonsense", container, &["JSON"])),
        (
            "a role of nobody",
            ("role_arn = arn:aws:iam::1:role/r\nsource_profile = none", container, &["\"none\""]),
        ),
        (
            "sso that was never logged in",
            (
                "sso_account_id = 1\nsso_region = us-east-1\nsso_role_name = r\nsso_start_url = http://127.0.0.1:1",
                container,
                &["default"],
            ),
        ),
        ("web identity", ("", web_identity, &["web identity"])),
        ("container", ("", container, &["ECS or EKS"])),
        ("instance", ("", instance, &["EC2 instance metadata"])),
    ];
    table::each(&table, |(profile, setup, says)| {
        let machine = Machine::new(true);
        let outcome = setup(&machine, machine.run(profile).env("AWS_MAX_ATTEMPTS", "1")).download(URI);
        outcome.assert_failed(4, &[]);
        let named = if profile.is_empty() { "" } else { "from the profile \"default\": " };
        for part in says.iter().chain([&named, &"hint: "]) {
            assert!(outcome.stderr.contains(part), "no {part:?} in {}", outcome.stderr);
        }
        let lines = outcome.stderr.lines().filter(|line| !line.starts_with('{'));
        assert_eq!(lines.count(), 2, "{}", outcome.stderr);
        let asked_others =
            machine.server.requests().iter().any(|r| r.target == "/ecs" || r.target == "/bucket/key");
        assert!(!asked_others || says[0].contains("ECS"), "{:?}", machine.server.requests());
    });
}

/// No login at the AWS CLI helps against them.
#[test]
fn what_is_no_answer_of_a_source_has_a_hint_that_fits() {
    const CONTAINER: &str = "AWS_CONTAINER_...";
    let table: [(&str, (Setup, u16, &str, &str)); 8] = [
        ("container, nothing there", (container, 404, "", CONTAINER)),
        ("container, a page", (container, 200, "<html>", CONTAINER)),
        ("container, half a pair", (container, 200, "{\"AccessKeyId\": \"a\"}", CONTAINER)),
        ("container, refused", (container, 403, "", "AWS_CONTAINER_AUTHORIZATION_TOKEN")),
        ("STS, a page", (web_identity, 200, "<html>", "AWS_ENDPOINT_URL_STS")),
        ("STS, nothing there", (web_identity, 404, "", "AWS_ENDPOINT_URL_STS")),
        ("STS, JSON", (web_identity, 200, "{\"a\": 1}", "AWS_ENDPOINT_URL_STS")),
        (
            "STS, the token",
            (web_identity, 400, "<Error><Code>ExpiredTokenException</Code></Error>", "the token's file"),
        ),
    ];
    table::each(&table, |&(setup, status, body, hint)| {
        let answer = move |_: &Request| Reply::status(status).body(body);
        let machine = Machine { folder: folder(), server: FaultServer::start(object(SIZE), answer) };
        let outcome = setup(&machine, machine.run("")).download(URI);
        outcome.assert_failed(4, &[]);
        assert!(outcome.stderr.contains(hint), "no {hint:?} in {}", outcome.stderr);
        assert!(!outcome.stderr.contains("aws sso login"), "{}", outcome.stderr);
    });
}

#[test]
fn without_credentials_all_sources_asked_are_listed() {
    let machine = Machine::new(false);
    let outcome = machine.run("region = us-east-1").download(URI);
    outcome.assert_failed(4, &[]);
    for part in [
        "AWS_ACCESS_KEY_ID",
        "\"default\"",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "ECS",
        "AWS_EC2_METADATA_DISABLED",
    ] {
        assert!(outcome.stderr.contains(part), "no {part:?} in {}", outcome.stderr);
    }
    assert_eq!(machine.server.requests().len(), 0);
}

/// A source that answers, and refuses: no login helps against that.
#[test]
fn a_refusal_of_a_source_has_a_hint_that_fits() {
    const DENIED: &str = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
        <Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRole</Message></Error></ErrorResponse>";
    let role = "role_arn = arn:aws:iam::1:role/r\nsource_profile = base\n[profile base]\naws_access_key_id = a\n\
                aws_secret_access_key = b";
    let web = "role_arn = arn:aws:iam::1:role/r\nweb_identity_token_file = TOKEN";
    let sts: Setup = |machine, run| run.env("AWS_ENDPOINT_URL_STS", machine.server.endpoint());
    let table: [(&str, (&str, Setup, &[&str])); 7] = [
        (
            "instance of a profile",
            (
                "role_arn = arn:aws:iam::1:role/r\ncredential_source = Ec2InstanceMetadata",
                instance,
                &["HTTP 403", "role of the instance"],
            ),
        ),
        (
            "container of a profile",
            (
                "role_arn = arn:aws:iam::1:role/r\ncredential_source = EcsContainer",
                container,
                &["HTTP 403", "AWS_CONTAINER_AUTHORIZATION_TOKEN"],
            ),
        ),
        ("container", ("", container, &["ECS or EKS: HTTP 403", "AWS_CONTAINER_AUTHORIZATION_TOKEN"])),
        ("web identity", ("", web_identity, &["web identity", "AccessDenied", "trust policy"])),
        ("web identity of a profile", (web, sts, &["\"default\"", "AccessDenied", "trust policy"])),
        ("role", (role, sts, &["\"default\"", "AccessDenied", "trust policy"])),
        (
            "role with keys of the environment",
            (
                "role_arn = arn:aws:iam::1:role/r\ncredential_source = Environment",
                |machine, run| {
                    run.env("AWS_ENDPOINT_URL_STS", machine.server.endpoint())
                        .env("AWS_ACCESS_KEY_ID", "a")
                        .env("AWS_SECRET_ACCESS_KEY", "b")
                        .args(["--profile", "default"])
                },
                &["\"default\"", "AccessDenied", "trust policy"],
            ),
        ),
    ];
    table::each(&table, |(profile, setup, says)| {
        let answer = |request: &Request| match request.target.as_str() {
            "/ecs" => Reply::status(403).body("{\"code\": \"AccessDeniedException\", \"message\": \"no\"}"),
            _ => Reply::status(403).body(DENIED).header("content-type", "text/xml"),
        };
        let machine = Machine { folder: folder(), server: FaultServer::start(object(SIZE), answer) };
        let token = machine.file("profile-token", "a.b.c\n");
        let profile = profile.replace("TOKEN", &token.display().to_string());
        let outcome = setup(&machine, machine.run(&profile)).download(URI);
        outcome.assert_failed(4, &[]);
        for part in *says {
            assert!(outcome.stderr.contains(part), "no {part:?} in {}", outcome.stderr);
        }
        assert!(!outcome.stderr.contains("aws sso login"), "{}", outcome.stderr);
    });
}

/// The AWS crates would quote the request, with the token.
#[test]
fn an_endpoint_of_sts_that_is_no_url_is_named_and_nothing_else_is_shown() {
    let role = "role_arn = arn:aws:iam::1:role/r\nsource_profile = base\n[profile base]\naws_access_key_id = a\n\
                aws_secret_access_key = b";
    for endpoint in ["sts.example.com", "not a url", "ftp://127.0.0.1/", "http://", "http://u:p@127.0.0.1"] {
        for (profile, setup) in [("", web_identity as Setup), (role, as_it_is)] {
            let machine = Machine::new(false);
            let run = setup(&machine, machine.run(profile)).env("AWS_ENDPOINT_URL_STS", endpoint);
            let outcome = run.download(URI);
            outcome.assert_failed(2, &[]);
            assert!(outcome.stderr.contains("in AWS_ENDPOINT_URL_STS: "), "{}", outcome.stderr);
            assert!(
                !outcome.stderr.contains("a.b.c") && !outcome.stderr.contains("u:p"),
                "{}",
                outcome.stderr
            );
        }
    }
}

#[test]
fn a_file_that_a_variable_names_and_that_is_missing_is_named_where_credentials_are() {
    for variable in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
        let machine = Machine::new(false);
        let outcome = machine.run("region = us-east-1").env(variable, "/no/such/file").download(URI);
        outcome.assert_failed(4, &[]);
        let says = format!("/no/such/file does not exist ({variable} names it)");
        assert!(outcome.stderr.contains(&says), "{}", outcome.stderr);
        // Where nothing is missed, it does not matter.
        let keys = |run: S3fcp| run.env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
        let outcome = keys(machine.run("")).env(variable, "/no/such/file").download(URI);
        outcome.assert_object(&object(SIZE));
        assert!(!outcome.stderr.contains("/no/such/file"), "{}", outcome.stderr);
    }
}

/// In the documents of STS and of a container.
#[test]
fn a_time_of_expiry_is_read_in_any_spelling_that_botocore_reads() {
    const DATE: &str = "2999-01-01T00:00:00Z";
    for spelling in [
        "2999-01-01T01:00:00+0100",
        "2999-01-01T00:00:00 UTC",
        "2999-01-01 00:00:00",
        "2999-01-01t00:00:00z",
        "2999-01-01T00:00:00.123456Z",
        "2998-12-31T19:00:00.5-05",
    ] {
        let answer = move |request: &Request| match request.target.as_str() {
            "/bucket/key" => Reply::ok(),
            "/ecs" => Reply::status(200).body(keys("container").replace(DATE, spelling)),
            _ => Reply::status(200).body(assumed("AssumeRoleWithWebIdentity", "web").replace(DATE, spelling)),
        };
        let setups: [Setup; 2] = [container, web_identity];
        for setup in setups {
            let machine = Machine { folder: folder(), server: FaultServer::start(object(SIZE), answer) };
            setup(&machine, machine.run("")).download(URI).assert_object(&object(SIZE));
        }
    }
}

#[test]
fn a_token_of_a_web_identity_may_end_in_a_line_break() {
    for profile in ["", "role_arn = arn:aws:iam::1:role/r\nweb_identity_token_file = TOKEN"] {
        let sent = ["a.b.c", " a.b.c\r\n"].map(|text| {
            let machine = Machine::new(false);
            let token = machine.file("other-token", text);
            let profile = profile.replace("TOKEN", &token.display().to_string());
            let run =
                web_identity(&machine, machine.run(&profile)).env("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
            run.download(URI).assert_object(&object(SIZE));
            let sts: Vec<_> = machine.server.requests().into_iter().filter(|r| r.target == "/").collect();
            assert_eq!(sts.len(), 1);
            sts[0].header("content-length").map(str::to_owned)
        });
        assert!(sent[0].is_some() && sent[0] == sent[1], "{sent:?}");
    }
}
