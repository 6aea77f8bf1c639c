//! Keys by IAM Identity Center: the token's file in the spellings that tools write, its renewal, and a folder that
//! cannot be written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tempfile::TempDir;

use crate::support::fault_server::{FaultServer, Reply, Request};
use crate::support::files::folder;
use crate::support::object::{SIZE, object};
use crate::support::run::{Outcome, S3fcp, SECRET_KEY, SESSION_TOKEN, URI};
use crate::support::table;

const START_URL: &str = "https://example.awsapps.com/start";
const FUTURE: &str = "2999-01-01T00:00:00Z";
const PAST: &str = "2001-01-01T00:00:00Z";

/// A home folder with a configuration and a token, and a server that is S3, the portal and the token service.
struct Home {
    folder: TempDir,
    server: FaultServer,
}

impl Home {
    fn new(profile: &str, name: &str, token: &str) -> Self {
        let folder = folder();
        let cache = folder.path().join(".aws/sso/cache");
        fs::create_dir_all(&cache).expect("a folder");
        fs::write(folder.path().join(".aws/config"), profile).expect("a file");
        let home = Self { folder, server: FaultServer::start(object(SIZE), answer) };
        fs::write(home.token(name), token).expect("a file");
        home
    }

    fn token(&self, name: &str) -> PathBuf {
        let digest = hex::encode(Sha1::digest(name));
        self.folder.path().join(".aws/sso/cache").join(digest + ".json")
    }

    fn run(&self) -> Outcome {
        S3fcp::at(&self.server.endpoint())
            .without_env("AWS_ACCESS_KEY_ID")
            .without_env("AWS_SECRET_ACCESS_KEY")
            .without_env("AWS_CONFIG_FILE")
            .env("HOME", self.folder.path())
            .env("AWS_ENDPOINT_URL_SSO", self.server.endpoint())
            .env("AWS_ENDPOINT_URL_SSO_OIDC", self.server.endpoint())
            .env("AWS_ENDPOINT_URL_STS", self.server.endpoint())
            .download(URI)
    }

    /// Returns the tokens that the portal saw.
    fn bearers(&self) -> Vec<String> {
        let requests = self.server.requests();
        let of_portal = requests.iter().filter(|request| request.target.starts_with("/federation/"));
        of_portal
            .map(|request| request.header("x-amz-sso_bearer_token").unwrap_or_default().to_owned())
            .collect()
    }

    fn renewals(&self) -> usize {
        self.server.requests().iter().filter(|request| request.target == "/token").count()
    }
}

fn answer(request: &Request) -> Reply {
    if request.target.starts_with("/federation/credentials?") {
        let keys = json!({"roleCredentials": {
            "accessKeyId": "sso", "secretAccessKey": SECRET_KEY, "sessionToken": SESSION_TOKEN,
            "expiration": 32_472_144_000_000_u64,
        }});
        return match request.header("x-amz-sso_bearer_token") {
            Some("good" | "renewed") => Reply::status(200).body(keys.to_string()),
            Some("forbidden") => Reply::status(403).body("{\"message\": \"No access\"}"),
            Some("failing") => Reply::status(500).body("{\"message\": \"oops\"}"),
            Some(SESSION_TOKEN) => {
                Reply::status(403).body(format!("{{\"message\": \"not {SESSION_TOKEN}\"}}"))
            }
            _ => Reply::status(401).body("{\"message\": \"Session token not found or invalid\"}"),
        };
    }
    if request.target == "/token" {
        return Reply::status(200)
            .body("{\"accessToken\": \"renewed\", \"expiresIn\": 28800, \"refreshToken\": \"next\"}");
    }
    if request.method == "POST" {
        return Reply::status(200).body("no answer of STS");
    }
    Reply::ok()
}

const SESSION: &str = "[default]\nsso_session = s\nsso_account_id = 1\nsso_role_name = my role\n\
    [sso-session s]\nsso_region = us-east-1\nsso_start_url = https://example.awsapps.com/start\n";

fn legacy() -> String {
    format!(
        "[default]\nsso_start_url = {START_URL}\nsso_region = us-east-1\nsso_account_id = 1\nsso_role_name = my role\n"
    )
}

fn token(access_token: &str, expires_at: &str) -> Value {
    json!({"accessToken": access_token, "expiresAt": expires_at, "region": "us-east-1", "startUrl": START_URL})
}

fn renewable(access_token: &str, expires_at: &str) -> Value {
    let mut token = token(access_token, expires_at);
    token["refreshToken"] = "first".into();
    token["clientId"] = "client".into();
    token["clientSecret"] = "hunter2".into();
    token["registrationExpiresAt"] = FUTURE.into();
    token
}

#[test]
fn tokens_are_read_in_the_spellings_that_tools_write() {
    let dates = [
        ("Z", FUTURE),
        ("UTC", "2999-01-01T00:00:00UTC"),
        ("an offset", "2999-01-01T00:00:00+00:00"),
        ("an offset without colon", "2999-01-01T00:00:00+0100"),
        ("fractions", "2999-01-01T00:00:00.123456Z"),
        ("a space", "2999-01-01 00:00:00"),
    ];
    table::each(&dates, |date| {
        for (profile, name) in [(legacy(), START_URL), (SESSION.to_owned(), "s")] {
            let home = Home::new(&profile, name, &token("good", date).to_string());
            home.run().assert_object(&object(SIZE));
            assert_eq!(home.bearers(), ["good"]);
            let query = "/federation/credentials?role_name=my%20role&account_id=1";
            assert!(home.server.requests().iter().any(|request| request.target == query));
            let get = home.server.gets().into_iter().rfind(|get| get.target == "/bucket/key").expect("a GET");
            assert!(get.header("authorization").is_some_and(|header| header.contains("Credential=sso/")));
        }
    });
    let with_mark = format!("\u{feff}{}\r\n", token(" good\n", FUTURE));
    Home::new(SESSION, "s", &with_mark).run().assert_object(&object(SIZE));
}

#[test]
fn a_token_that_has_expired_is_renewed_and_saved() {
    let home = Home::new(SESSION, "s", &renewable("old", PAST).to_string());
    home.run().assert_object(&object(SIZE));
    assert_eq!((home.bearers(), home.renewals()), (vec!["renewed".to_owned()], 1));
    let saved: Value = serde_json::from_slice(&fs::read(home.token("s")).expect("a file")).expect("JSON");
    assert_eq!((&saved["accessToken"], &saved["refreshToken"]), (&"renewed".into(), &"next".into()));
    assert_eq!((&saved["clientId"], &saved["startUrl"]), (&"client".into(), &START_URL.into()));
    let mode = fs::metadata(home.token("s")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The next run takes it from there.
    home.run().assert_object(&object(SIZE));
    assert_eq!(home.renewals(), 1);
}

#[test]
fn a_renewed_token_that_cannot_be_saved_is_used_with_a_warning() {
    // A file in the place of the folder's temporary names cannot be made by anybody, root included.
    let home = Home::new(SESSION, "s", &renewable("old", PAST).to_string());
    let cache = home.token("s");
    let text = fs::read(&cache).expect("a file");
    let folder = cache.parent().expect("a folder").to_owned();
    let mounted = std::process::Command::new("chattr")
        .arg("+i")
        .arg(&folder)
        .stderr(std::process::Stdio::null())
        .status();
    let is_immutable = mounted.is_ok_and(|status| status.success());
    if !is_immutable {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).expect("permissions");
    }
    let outcome = home.run();
    let _ = std::process::Command::new("chattr")
        .arg("-i")
        .arg(&folder)
        .stderr(std::process::Stdio::null())
        .status();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("permissions");
    outcome.assert_object(&object(SIZE));
    assert_eq!(home.bearers(), ["renewed"]);
    if fs::read(&cache).expect("a file") == text {
        assert!(outcome.stderr.contains("could not be saved"), "{}", outcome.stderr);
    } else {
        crate::support::notes::tell(
            "SKIPPED an SSO cache that cannot be written: this user may write anywhere",
        );
    }
}

#[test]
fn a_session_that_is_over_says_how_to_log_in() {
    let mut no_registration = renewable("old", PAST);
    no_registration["registrationExpiresAt"] = PAST.into();
    let table: [(&str, (String, String, &str)); 6] = [
        ("never logged in", (SESSION.to_owned(), String::new(), "cannot be used")),
        ("expired", (SESSION.to_owned(), token("old", PAST).to_string(), "has expired")),
        ("the older form", (legacy(), renewable("old", PAST).to_string(), "has expired")),
        ("no registration", (SESSION.to_owned(), no_registration.to_string(), "has expired")),
        ("ended", (SESSION.to_owned(), token("ended", FUTURE).to_string(), "has expired")),
        (
            "no role",
            (
                SESSION.to_owned(),
                token("forbidden", FUTURE).to_string(),
                "my role in account 1: HTTP 403: No access",
            ),
        ),
    ];
    table::each(&table, |(profile, token, says)| {
        let name = if profile.contains("sso_session") { "s" } else { START_URL };
        let home = Home::new(profile, name, token);
        let outcome = home.run();
        outcome.assert_failed(4, &[]);
        assert!(outcome.stderr.contains(says) && outcome.stderr.contains("hint: "), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
        assert_eq!(home.server.gets().iter().filter(|get| get.target == "/bucket/key").count(), 0);
    });
}

/// No login helps against these.
#[test]
fn what_is_wrong_with_a_profile_or_a_service_has_a_hint_that_fits() {
    let without = |line: &str| SESSION.replace(line, "");
    let table: [(&str, (String, &str, i32, &str)); 6] = [
        ("no account", (without("sso_account_id = 1\n"), "good", 4, "complete the profile")),
        ("no role", (without("sso_role_name = my role\n"), "good", 4, "complete the profile")),
        (
            "no section",
            (SESSION.replace("[sso-session s]", "[sso-session t]"), "good", 4, "no section [sso-session s]"),
        ),
        ("not assigned", (SESSION.to_owned(), "forbidden", 4, "that the role is assigned to you")),
        ("a token that is echoed", (SESSION.to_owned(), SESSION_TOKEN, 4, "HTTP 403: not [hidden]")),
        ("a service that fails", (SESSION.to_owned(), "failing", 5, "HTTP 500: oops")),
    ];
    table::each(&table, |(profile, bearer, code, says)| {
        let home = Home::new(profile, "s", &token(bearer, FUTURE).to_string());
        let outcome = home.run();
        outcome.assert_failed(*code, &[]);
        assert!(outcome.stderr.contains(says) && outcome.stderr.contains("hint: "), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("expired"), "{}", outcome.stderr);
    });
}

#[test]
fn the_portal_is_asked_where_the_settings_say() {
    let table: [(&str, (&str, Option<&str>)); 4] = [
        ("the profile", ("endpoint_url = HERE\n", None)),
        (
            "its section",
            (
                "services = mine\n[services mine]\nsso =\n  endpoint_url = HERE\nsso_oidc =\n  endpoint_url = HERE\n",
                None,
            ),
        ),
        ("the variable for all", ("", Some("HERE"))),
        ("no URL", ("", Some("bogus"))),
    ];
    table::each(&table, |&(settings, variable)| {
        let home = Home::new(SESSION, "s", &renewable("old", PAST).to_string());
        let here = |text: &str| text.replace("HERE", &home.server.endpoint());
        let profile = SESSION.replace("[sso-session s]", &format!("{}[sso-session s]", here(settings)));
        fs::write(home.folder.path().join(".aws/config"), profile).expect("a file");
        let run = S3fcp::at(&home.server.endpoint())
            .without_env("AWS_ACCESS_KEY_ID")
            .without_env("AWS_SECRET_ACCESS_KEY")
            .without_env("AWS_CONFIG_FILE")
            .env("HOME", home.folder.path());
        let outcome =
            variable.into_iter().fold(run, |run, url| run.env("AWS_ENDPOINT_URL", here(url))).download(URI);
        if variable == Some("bogus") {
            outcome.assert_failed(2, &[]);
            assert!(outcome.stderr.contains("in AWS_ENDPOINT_URL:"), "{}", outcome.stderr);
        } else {
            outcome.assert_object(&object(SIZE));
            assert_eq!((home.bearers(), home.renewals()), (vec!["renewed".to_owned()], 1));
        }
    });
}

#[test]
fn a_role_is_assumed_with_the_keys_of_a_session() {
    let profile = format!(
        "{}[profile r]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = default\nregion = us-east-1\n",
        SESSION.replace("[sso-session s]", "region = us-east-1\n[sso-session s]")
    );
    let home = Home::new(&profile, "s", &token("good", FUTURE).to_string());
    let outcome = S3fcp::at(&home.server.endpoint())
        .without_env("AWS_ACCESS_KEY_ID")
        .without_env("AWS_SECRET_ACCESS_KEY")
        .without_env("AWS_CONFIG_FILE")
        .env("HOME", home.folder.path())
        .env("AWS_ENDPOINT_URL_SSO", home.server.endpoint())
        .env("AWS_ENDPOINT_URL_STS", home.server.endpoint())
        .env("AWS_MAX_ATTEMPTS", "1")
        .args(["--profile", "r"])
        .download(URI);
    // This server is no STS: what counts is who asked it.
    assert_eq!(outcome.code(), Some(4), "{}", outcome.stderr);
    let requests = home.server.requests();
    let asked = requests
        .iter()
        .find(|request| request.method == "POST" && request.target == "/")
        .expect("a request to STS");
    assert!(asked.header("authorization").is_some_and(|header| header.contains("Credential=sso/")));
}
