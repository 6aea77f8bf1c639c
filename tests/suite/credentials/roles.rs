//! Roles that are assumed at STS: which STS is asked, with whose keys or token, and what is said where that cannot be.

use super::sources::{Machine, Setup, as_it_is, container, web_identity};
use crate::support::fault_server::{FaultServer, Reply, Request};
use crate::support::files::folder;
use crate::support::object::{SIZE, object};
use crate::support::run::{S3fcp, SECRET_KEY, SESSION_TOKEN, URI};
use crate::support::table;

/// A role, and whose keys it is assumed with is to be added.
const ROLE: &str = "role_arn = arn:aws:iam::1:role/r\n";
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";

/// Returns the key that signed the requests for `target`.
fn key_for(machine: &Machine, target: &str) -> Option<String> {
    let requests = machine.server.requests();
    let request = requests.iter().rfind(|request| request.target == target)?;
    let (_, credential) = request.header("authorization")?.split_once("Credential=")?;
    Some(credential.split_once('/')?.0.to_owned())
}

/// Settings that are empty, and those in the profile, count for STS as they do for S3.
#[test]
fn sts_is_asked_where_the_settings_say() {
    const NOBODY: &str = "http://127.0.0.1:9";
    let table: [(&str, (&str, &[(&str, &str)])); 9] = [
        ("its variable", ("", &[("AWS_ENDPOINT_URL_STS", "HERE"), ("AWS_ENDPOINT_URL", NOBODY)])),
        ("the variable for all", ("endpoint_url = http://127.0.0.1:9", &[("AWS_ENDPOINT_URL", "HERE")])),
        ("its variable is empty", ("", &[("AWS_ENDPOINT_URL_STS", ""), ("AWS_ENDPOINT_URL", "HERE")])),
        (
            "both are empty",
            ("endpoint_url = HERE", &[("AWS_ENDPOINT_URL_STS", " "), ("AWS_ENDPOINT_URL", "")]),
        ),
        ("the profile", ("endpoint_url = HERE", &[])),
        (
            "its section",
            (
                "endpoint_url = http://127.0.0.1:9\nservices = s\n[services s]\nsts =\n  endpoint_url = HERE",
                &[],
            ),
        ),
        (
            "an empty section",
            ("endpoint_url = HERE\nservices = s\n[services s]\nsts =\n  endpoint_url =", &[]),
        ),
        (
            "a section with a comment after its name",
            ("services = s # mine\n[services s]\ns3 =\n  a = b\nsts =\n  endpoint_url = HERE", &[]),
        ),
        ("a prefix", ("endpoint_url = HERE/sts/", &[])),
    ];
    table::each(&table, |(profile, variables)| {
        for (role, setup) in [
            ("", web_identity as Setup),
            ("role_arn = arn:aws:iam::1:role/r\nsource_profile = base\n", as_it_is),
        ] {
            let machine = Machine::new(false);
            let here = |text: &str| text.replace("HERE", &machine.server.endpoint());
            let base =
                format!("[profile base]\naws_access_key_id = base\naws_secret_access_key = {SECRET_KEY}");
            let profile = format!("{role}{}\n{base}", here(profile));
            let mut run = setup(&machine, machine.run(&profile)).without_env("AWS_ENDPOINT_URL_STS");
            for (name, value) in *variables {
                run = run.env(name, here(value));
            }
            run.download(URI).assert_object(&object(SIZE));
            let target = if profile.contains("/sts/") { "/sts/" } else { "/" };
            let asked = machine.server.requests().iter().filter(|r| r.target == target).count();
            assert_eq!(asked, 1, "{:?}", machine.server.requests());
            assert_eq!(key_for(&machine, target).as_deref(), (!role.is_empty()).then_some("base"));
        }
    });
    // The proxy is not there: nothing is sent to AWS.
    let machine = Machine::new(false);
    let run = web_identity(&machine, machine.run("")).env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    let outcome = run.env("HTTPS_PROXY", NOBODY).env("AWS_MAX_ATTEMPTS", "1").download(URI);
    outcome.assert_failed(5, &[]);
    assert!(outcome.stderr.contains("sts.us-east-1.amazonaws.com"), "{}", outcome.stderr);
    assert_eq!(machine.server.requests().len(), 0);
}

#[test]
fn a_role_is_assumed_as_the_aws_cli_assumes_it() {
    let static_keys =
        |name: &str| format!("aws_access_key_id = {name}\naws_secret_access_key = {SECRET_KEY}\n");
    let keys = static_keys("base");
    let by_variable: Setup = |machine, run| {
        run.env("AWS_ROLE_ARN", "arn:aws:iam::1:role/r")
            .env("AWS_ENDPOINT_URL_STS", machine.server.endpoint())
    };
    let sts: Setup = |machine, run| run.env("AWS_ENDPOINT_URL_STS", machine.server.endpoint());
    // The profile, the key at STS, and the key at S3.
    let table: [(&str, (String, Setup, Option<&str>, &str)); 8] = [
        (
            "a token in the profile, a role in the environment",
            ("web_identity_token_file = TOKEN".to_owned(), by_variable, None, "web"),
        ),
        (
            "a loop that ends at keys",
            (
                format!("{ROLE}source_profile = b\n[profile b]\n{ROLE}source_profile = default\n{keys}"),
                sts,
                Some("base"),
                "role",
            ),
        ),
        ("itself", (format!("{ROLE}source_profile = default\n{keys}"), sts, Some("base"), "role")),
        (
            "a source beside keys, and no role",
            (format!("credential_source = Ec2InstanceMetadata\n{keys}"), sts, None, "base"),
        ),
        (
            "a source whose name has a hash",
            (
                format!("{ROLE}source_profile = acct #2\n[profile \"acct #2\"]\n{keys}"),
                sts,
                Some("base"),
                "role",
            ),
        ),
        (
            "a comment after the name of the source",
            (format!("{ROLE}source_profile = b # mine\n[profile b]\n{keys}"), sts, Some("base"), "role"),
        ),
        (
            "a source with a process",
            (
                format!(
                    "{ROLE}source_profile = b\n[profile b]\ncredential_process = echo '{{\"Version\": 1, \
                     \"AccessKeyId\": \"process\", \"SecretAccessKey\": \"{SECRET_KEY}\"}}'"
                ),
                sts,
                Some("process"),
                "role",
            ),
        ),
        (
            "a role of a role",
            (
                format!(
                    "{ROLE}source_profile = b\n[profile b]\n{ROLE}source_profile = c\n[profile c]\n{keys}"
                ),
                sts,
                Some("role"),
                "role",
            ),
        ),
    ];
    table::each(&table, |(profile, setup, at_sts, at_s3)| {
        let machine = Machine::new(false);
        let token = machine.file("profile-token", "a.b.c\n");
        let profile = profile.replace("TOKEN", &token.display().to_string());
        setup(&machine, machine.run(&profile)).download(URI).assert_object(&object(SIZE));
        assert_eq!(key_for(&machine, "/").as_deref(), *at_sts);
        assert_eq!(key_for(&machine, "/bucket/key").as_deref(), Some(*at_s3));
    });
}

#[test]
fn variables_of_a_web_identity_that_are_empty_count_as_unset() {
    // Another source is there, which takes the place of one that is not set up, and of no other.
    let table: [(&str, (Option<&str>, Option<&str>, Option<&str>)); 3] = [
        ("no token", (Some(""), Some("arn:aws:iam::1:role/r"), None)),
        ("an empty role", (None, Some(""), Some("AWS_ROLE_ARN is not set"))),
        ("no role", (None, None, Some("AWS_ROLE_ARN is not set"))),
    ];
    table::each(&table, |&(file, role, says)| {
        let machine = Machine::new(false);
        let run = container(&machine, web_identity(&machine, machine.run("")).without_env("AWS_ROLE_ARN"));
        let run = file.into_iter().fold(run, |run, file| run.env(TOKEN_FILE, file));
        let run = role.into_iter().fold(run, |run, role| run.env("AWS_ROLE_ARN", role));
        let outcome = run.download(URI);
        match says {
            None => {
                outcome.assert_object(&object(SIZE));
                assert_eq!(key_for(&machine, "/bucket/key").as_deref(), Some("container"));
            }
            Some(says) => {
                outcome.assert_failed(4, &[]);
                assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
                assert_eq!(machine.server.requests().len(), 0);
            }
        }
    });
}

/// Some of these were a panic of the AWS crates, or showed the token.
#[test]
fn what_no_role_can_be_assumed_with_is_named() {
    const BASE: &str = "\n[profile base]\naws_access_key_id = base\naws_secret_access_key = hunter2\n";
    let environment: Setup = |_, run| {
        run.env("AWS_ACCESS_KEY_ID", "A\nX")
            .env("AWS_SECRET_ACCESS_KEY", "hunter2")
            .args(["--profile", "default"])
    };
    let bogus: Setup = |machine, run| web_identity(machine, run).env("AWS_ENDPOINT_URL_STS", "bogus");
    let source = "source_profile = base\n";
    let web = "web_identity_token_file = TOKEN\n";
    let table: [(&str, (String, Setup, i32, &str)); 13] = [
        (
            "a control character in a source",
            (
                format!(
                    "{ROLE}{source}[profile base]\naws_access_key_id = A\u{7}K\naws_secret_access_key = hunter2"
                ),
                as_it_is,
                4,
                "control character",
            ),
        ),
        (
            "a line break in a source",
            (
                format!(
                    "{ROLE}{source}[profile base]\naws_access_key_id = A\n  K\naws_secret_access_key = hunter2"
                ),
                as_it_is,
                4,
                "line break",
            ),
        ),
        ("the environment", (format!("{ROLE}credential_source = Environment"), environment, 4, "line break")),
        (
            "no environment",
            (format!("{ROLE}credential_source = Environment"), as_it_is, 4, "AWS_ACCESS_KEY_ID is not set"),
        ),
        ("an unknown source", (format!("{ROLE}credential_source = Moon"), as_it_is, 4, "\"Moon\"")),
        ("no source", (ROLE.to_owned(), as_it_is, 4, "credential_source")),
        (
            "two sources",
            (format!("{ROLE}{source}credential_source = Environment{BASE}"), as_it_is, 4, "remove one"),
        ),
        (
            "a source without keys",
            (format!("{ROLE}{source}[profile base]\nregion = r"), as_it_is, 4, "\"base\" has no keys"),
        ),
        (
            "a duration",
            (format!("{ROLE}{source}duration_seconds = 1h{BASE}"), as_it_is, 2, "duration_seconds"),
        ),
        (
            "an endpoint in its section",
            (
                format!("{ROLE}{web}services = s\n[services s]\nsts =\n  endpoint_url = localhost:99"),
                as_it_is,
                2,
                "endpoint_url of sts in [services s]",
            ),
        ),
        (
            "an endpoint in the profile",
            (format!("{ROLE}{web}endpoint_url = 127.0.0.1:99"), as_it_is, 2, "endpoint_url of the profile"),
        ),
        ("no section", (format!("{ROLE}{web}services = nope"), as_it_is, 2, "no section [services nope]")),
        ("an endpoint in a variable", (String::new(), bogus, 2, "AWS_ENDPOINT_URL_STS")),
    ];
    table::each(&table, |(profile, setup, code, says)| {
        let machine = Machine::new(false);
        let token = machine.file("profile-token", "the.token.of.the.pod");
        let profile = profile.replace("TOKEN", &token.display().to_string());
        let outcome = setup(&machine, machine.run(&profile)).download(URI);
        outcome.assert_failed(*code, &[]);
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
        assert!(
            !outcome.stderr.contains("the.token") && !outcome.stderr.contains("panicked"),
            "{}",
            outcome.stderr
        );
        assert!(
            !outcome.stderr.contains("a.b.c") && !outcome.stderr.contains("sso login"),
            "{}",
            outcome.stderr
        );
        assert_eq!(machine.server.requests().len(), 0);
    });
}

#[test]
fn a_source_that_fails_after_all_attempts_is_not_the_fault_of_the_credentials() {
    const BUSY: &str =
        "<ErrorResponse><Error><Code>Throttling</Code><Message>slow</Message></Error></ErrorResponse>";
    let table: [(&str, (Setup, u16, &str)); 4] = [
        ("STS fails", (web_identity, 503, "<html>")),
        ("STS is busy", (web_identity, 400, BUSY)),
        ("the container's agent fails", (container, 502, "{\"message\": \"no\"}")),
        ("the container's agent is busy", (container, 429, "")),
    ];
    table::each(&table, |&(setup, status, body)| {
        let answer = move |_: &Request| Reply::status(status).body(body);
        let machine = Machine { folder: folder(), server: FaultServer::start(object(SIZE), answer) };
        let outcome = setup(&machine, machine.run("")).download(URI);
        outcome.assert_failed(5, &[]);
        assert_eq!(machine.server.requests().len(), 3, "{:?}", machine.server.requests());
        for wrong in ["token's file", "sso login", "AWS_CONTAINER_..."] {
            assert!(!outcome.stderr.contains(wrong), "{}", outcome.stderr);
        }
    });
}

#[test]
fn a_source_that_echoes_a_token_does_not_show_it() {
    let answer = |request: &Request| {
        let token = request.header("authorization").unwrap_or_default();
        Reply::status(403).body(format!("{{\"message\": \"bad token {token}!\"}}"))
    };
    let machine = Machine { folder: folder(), server: FaultServer::start(object(SIZE), answer) };
    let run = container(&machine, machine.run("")).env("AWS_CONTAINER_AUTHORIZATION_TOKEN", SESSION_TOKEN);
    let outcome = run.download(URI);
    outcome.assert_failed(4, &[]);
    assert!(outcome.stderr.contains("bad token [hidden]!"), "{}", outcome.stderr);
    // No password is in the name of a host that cannot be reached.
    for (name, disabled) in
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "true"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "false")]
    {
        let run: S3fcp = machine.run("").env(name, "http://user:hunter2@127.0.0.1:9/x");
        let outcome = run.env("AWS_EC2_METADATA_DISABLED", disabled).download(URI);
        outcome.assert_failed(4, &[]);
        assert!(outcome.stderr.contains(name), "{}", outcome.stderr);
    }
}
