//! Keys of instance metadata, in the forms in which services and their substitutes answer.

use serde_json::Value;

use super::sources::keys;
use crate::support::fault_server::{FaultServer, Reply, Request};
use crate::support::object::{SIZE, object};
use crate::support::run::{Outcome, S3fcp, URI};

/// Answers of instance metadata, and of what stands in for it: kube2iam, mock servers, older services.
struct Metadata {
    token: Reply,
    roles: Reply,
    document: Reply,
}

impl Metadata {
    /// Runs without any other source on a machine with this metadata, which has its keys under the role's name,
    /// encoded.
    fn run(self, change: impl Fn(S3fcp) -> S3fcp) -> (Outcome, Vec<Request>) {
        const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
        let Self { token, roles, document } = self;
        let server = FaultServer::start(object(SIZE), move |request| match request.target.as_str() {
            "/latest/api/token" => token.clone(),
            "/latest/meta-data/placement/region" => Reply::status(200).body("eu-west-3\n"),
            ROLES => roles.clone(),
            target if target.starts_with(ROLES) => document.clone(),
            _ => Reply::ok(),
        });
        let run = S3fcp::at(&server.endpoint())
            .without_env("AWS_ACCESS_KEY_ID")
            .without_env("AWS_SECRET_ACCESS_KEY")
            .without_env("AWS_REGION")
            .without_env("AWS_EC2_METADATA_DISABLED")
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.endpoint());
        (change(run).download(URI), server.requests())
    }
}

fn text(text: impl Into<String>) -> Reply {
    Reply::status(200).body(text.into())
}

fn document(change: impl Fn(&mut Value)) -> Reply {
    let mut json = serde_json::from_str(&keys("instance")).expect("JSON");
    change(&mut json);
    text(json.to_string())
}

#[test]
fn metadata_is_read_in_the_forms_that_services_give_it() {
    let of_token = |token| Metadata { token, roles: text("role"), document: text(keys("instance")) };
    let of_roles =
        |roles: &str| Metadata { token: text("token"), roles: text(roles), document: text(keys("instance")) };
    let of_document = |document| Metadata { token: text("token"), roles: text("role"), document };
    let refused = |status| of_token(Reply::status(status).body("no such thing"));
    let table: Vec<(&str, Metadata, &str)> = vec![
        ("a token with a line break", of_token(text("token\n")), "role"),
        ("no token: 403", refused(403), "role"),
        ("no token: 404", refused(404), "role"),
        ("no token: 405", refused(405), "role"),
        ("no token: 501", refused(501), "role"),
        ("an empty token", of_token(text("")), "role"),
        ("a token with a control character", of_token(text("a\u{1}b")), "role"),
        ("no answer to the token", of_token(text("token").stall_after(0)), "role"),
        ("a line break after the role", of_roles("role\n"), "role"),
        ("two roles", of_roles("role\r\nother\r\n"), "role"),
        ("a space in the role", of_roles("my role"), "my%20role"),
        ("other letters in the role", of_roles("a/b?c#d%e\u{e9}"), "a%2Fb%3Fc%23d%25e%C3%A9"),
        ("a byte order mark", of_document(text(format!("\u{feff}{}\n", keys("instance")))), "role"),
        ("no code", of_document(document(|json| json["Code"] = Value::Null)), "role"),
        (
            "an offset",
            of_document(document(|json| json["Expiration"] = "2999-01-01T00:00:00+0100".into())),
            "role",
        ),
        ("no expiration", of_document(document(|json| json["Expiration"] = Value::Null)), "role"),
        ("a number", of_document(document(|json| json["Expiration"] = 32_472_144_000_i64.into())), "role"),
        (
            "expired by this clock",
            of_document(document(|json| json["Expiration"] = "2001-01-01T00:00:00Z".into())),
            "role",
        ),
        ("no token of a session", of_document(document(|json| json["Token"] = Value::Null)), "role"),
        ("lower case", of_document(text(keys("instance").replace("AccessKeyId", "accesskeyid"))), "role"),
        (
            "a line break in a key",
            of_document(document(|json| json["AccessKeyId"] = "instance\n".into())),
            "role",
        ),
    ];
    for (name, metadata, role) in table {
        let (outcome, requests) = metadata.run(|run| run);
        assert_eq!(outcome.code(), Some(0), "{name}: {}", outcome.stderr);
        let asked = |target: &str| requests.iter().filter(|request| request.target.ends_with(target)).count();
        assert_eq!(asked(&format!("/security-credentials/{role}")), 1, "{name}: {requests:?}");
        let signed = requests.iter().filter_map(|request| request.header("authorization"));
        let is_ours =
            |header: &str| header.contains("Credential=instance/") && header.contains("/eu-west-3/s3/");
        assert!(signed.clone().count() > 0 && signed.clone().all(is_ours), "{name}: {requests:?}");
    }
}

#[test]
fn metadata_that_cannot_be_used_is_named() {
    let of = |token, roles, document| Metadata { token, roles, document };
    let token = || text("token");
    let table: Vec<(&str, Metadata, &str)> = vec![
        ("no role", of(token(), Reply::status(404), text("")), "the instance has no role"),
        ("an empty list", of(token(), text("\n"), text("")), "the instance has no role"),
        (
            "a page for roles",
            of(token(), text("<html>log in</html>"), text("")),
            "the name of a role: <html>",
        ),
        ("a list of JSON", of(token(), text("{\"a\": 1}"), text("")), "name of a role"),
        (
            "no access without a token",
            of(Reply::status(403), Reply::status(401), text("")),
            "HTTP 401, also without a token (HTTP 403); inside a container, set the hop limit",
        ),
        ("a page for keys", of(token(), text("role"), text("<html>")), "not JSON"),
        (
            "a refused role",
            of(
                token(),
                text("role"),
                text("{\"Code\": \"AssumeRoleUnauthorizedAccess\", \"Message\": \"cannot assume\"}"),
            ),
            "AssumeRoleUnauthorizedAccess: cannot assume",
        ),
        ("an error", of(token(), text("role"), Reply::status(500).body("x")), "HTTP 500"),
        (
            "half a pair",
            of(token(), text("role"), text("{\"AccessKeyId\": \"a\"}")),
            "SecretAccessKey is missing",
        ),
        (
            "a line break inside a key",
            of(token(), text("role"), document(|json| json["AccessKeyId"] = "a\nb".into())),
            "line break",
        ),
    ];
    for (name, metadata, says) in table {
        let (outcome, requests) = metadata.run(|run| run);
        outcome.assert_failed(4, &[]);
        assert!(outcome.stderr.contains(says), "{name}: {}", outcome.stderr);
        assert!(requests.iter().all(|request| request.target != "/bucket/key"), "{name}");
    }
    let refused = || of(Reply::status(404), text("role"), text(keys("instance")));
    let (outcome, _) = refused().run(|run| run.env("AWS_EC2_METADATA_V1_DISABLED", "true"));
    outcome.assert_failed(4, &[]);
    assert!(outcome.stderr.contains("AWS_EC2_METADATA_V1_DISABLED"), "{}", outcome.stderr);
    for endpoint in ["localhost:1", "nonsense", "/latest"] {
        let (outcome, _) = refused().run(|run| run.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint));
        outcome.assert_failed(4, &[]);
        assert!(
            outcome.stderr.contains("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
            "{endpoint}: {}",
            outcome.stderr
        );
    }
}
