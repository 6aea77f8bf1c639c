//! Settings from flags, environment and profile: which one wins, and which values are errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_credential_types::Credentials as Keys;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::*;
use crate::config::aws_files::AwsFile;

/// An environment and files for one test, and the number of HTTP calls made.
#[derive(Default)]
struct World<'a> {
    settings: Settings,
    env: &'a [(&'a str, &'a str)],
    config: &'a str,
    credentials: &'a str,
    calls: Arc<AtomicUsize>,
}

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "env-key"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];

impl World<'_> {
    async fn load(&self) -> Result<Config> {
        let files = AwsFiles {
            config: AwsFile::Bytes(self.config.into()),
            credentials: AwsFile::Bytes(self.credentials.into()),
        };
        let calls = self.calls.clone();
        load_from(&self.settings, &Env::from_slice(self.env), files, |_| {
            http_client_fn(move |_, _| SharedHttpConnector::new(Nobody(calls.clone())))
        })
        .await
    }

    async fn key(&self) -> Result<String> {
        let identity = self.load().await?.credentials.current().await?.unwrap();
        Ok(identity.data::<Keys>().unwrap().access_key_id().to_owned())
    }

    async fn endpoint(&self) -> Result<Option<String>> {
        Ok(self.load().await?.endpoint.map(|uri| uri.to_string()))
    }
}

/// A server that is never reached.
#[derive(Debug)]
struct Nobody(Arc<AtomicUsize>);

impl HttpConnector for Nobody {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        self.0.fetch_add(1, Ordering::SeqCst);
        HttpConnectorFuture::ready(Err(ConnectorError::user("no such host".into())))
    }
}

#[tokio::test]
async fn region_flag_then_environment_then_profile_then_the_default() {
    let both = [KEYS[0], KEYS[1], ("AWS_REGION", "r2"), ("AWS_DEFAULT_REGION", "r3")];
    let second = [KEYS[0], KEYS[1], ("AWS_REGION", " "), ("AWS_DEFAULT_REGION", "r3")];
    let profile = "[default]\nregion = r4\n[profile p]\nregion = r5";
    let named = Settings { profile: Some("p".into()), ..Settings::default() };
    let flag = Settings { region: Some("r1".into()), ..Settings::default() };
    for (settings, env, config, region) in [
        (&flag, &both[..], profile, "r1"),
        (&Settings::default(), &both, profile, "r2"),
        (&Settings::default(), &second, profile, "r3"),
        (&Settings::default(), &KEYS, profile, "r4"),
        (&Settings { no_sign_request: true, ..named }, &KEYS, profile, "r5"),
        (&Settings::default(), &KEYS, "", "us-east-1"),
    ] {
        let world = World { settings: settings.clone(), env, config, ..World::default() };
        let config = world.load().await.unwrap();
        assert_eq!(config.region.as_str(), region);
        assert_eq!(world.calls.load(Ordering::SeqCst), 0, "no request is made if keys are configured");
    }
    let world = World { env: &[KEYS[0], KEYS[1], ("AWS_REGION", "us-east-1.evil")], ..World::default() };
    assert_eq!(world.load().await.unwrap_err().exit_code(), 2);
}

#[tokio::test]
async fn endpoint_flag_then_environment_then_profile() {
    const PROFILE: &str = "[default]\nendpoint_url = http://profile\nservices = mine\n\
         [services mine]\ns3 =\n  endpoint_url = http://profile-s3:9000/prefix\n";
    const PLAIN: &str = "[default]\nendpoint_url = http://profile\n";
    let s3 = ("AWS_ENDPOINT_URL_S3", "http://env-s3");
    let all = ("AWS_ENDPOINT_URL", "http://env");
    let ignore = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    let flag = Settings { endpoint: Some("https://flag".into()), ..Settings::default() };
    let ignoring = &format!("{PROFILE}[profile i]\nignore_configured_endpoint_urls = True\n");
    let profile_i = Settings { profile: Some("i".into()), no_sign_request: true, ..Settings::default() };
    for (settings, env, config, endpoint) in [
        (&flag, &[KEYS[0], KEYS[1], s3, ignore][..], PROFILE, Some("https://flag/")),
        (&Settings::default(), &[KEYS[0], KEYS[1], s3, all], PROFILE, Some("http://env-s3/")),
        (&Settings::default(), &[KEYS[0], KEYS[1], all], PROFILE, Some("http://env/")),
        (&Settings::default(), &KEYS, PROFILE, Some("http://profile-s3:9000/prefix")),
        (&Settings::default(), &KEYS, PLAIN, Some("http://profile/")),
        (&Settings::default(), &[KEYS[0], KEYS[1], s3, all, ignore], PROFILE, None),
        (&profile_i, &[all], ignoring, None),
        (&Settings::default(), &KEYS, "", None),
    ] {
        let world = World { settings: settings.clone(), env, config, ..World::default() };
        assert_eq!(world.endpoint().await.unwrap().as_deref(), endpoint);
    }
    let world =
        World { env: &[KEYS[0], KEYS[1], ("AWS_ENDPOINT_URL", "localhost:9000")], ..World::default() };
    let error = world.load().await.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("AWS_ENDPOINT_URL"), "{error}");
}

#[tokio::test]
async fn keys_in_the_environment_precede_the_profile_but_not_the_profile_flag() {
    const CREDENTIALS: &str = "[default]\naws_access_key_id = file-key\naws_secret_access_key = hunter2\n\
         [p]\naws_access_key_id = p-key\naws_secret_access_key = hunter2\n";
    let p = Settings { profile: Some("p".into()), ..Settings::default() };
    for (settings, env, key) in [
        (&Settings::default(), &KEYS[..], "env-key"),
        (&Settings::default(), &[KEYS[0], KEYS[1], ("AWS_PROFILE", "p")], "env-key"),
        (&Settings::default(), &[("AWS_PROFILE", "p")], "p-key"),
        (&Settings::default(), &[("AWS_PROFILE", "")], "file-key"),
        (&Settings::default(), &[], "file-key"),
        (&p, &KEYS, "p-key"),
    ] {
        let world = World { settings: settings.clone(), env, credentials: CREDENTIALS, ..World::default() };
        assert_eq!(world.key().await.unwrap(), key);
        assert_eq!(world.calls.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn keys_come_from_a_credential_process() {
    let config = "[default]\ncredential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"process-key\", \
                  \"SecretAccessKey\": \"hunter2\", \"Expiration\": \"2999-01-01T00:00:00Z\"}'";
    let world = World { config, ..World::default() };
    assert_eq!(world.key().await.unwrap(), "process-key");

    let failing = World {
        config: "[default]\ncredential_process = sh -c 'echo no token >&2; exit 1'",
        ..World::default()
    };
    let error = failing.load().await.unwrap_err();
    assert_eq!(error.exit_code(), 4);
    let message = error.to_string();
    assert!(message.contains("no token") && message.contains("run the command by itself"), "{message}");
    assert_eq!(failing.calls.load(Ordering::SeqCst), 0, "a source that fails ends the search");
}

#[tokio::test]
async fn a_refresh_reads_the_files_again() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let write = |key| {
        let text = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = hunter2\n");
        std::fs::write(&file, text).unwrap();
    };
    write("first");
    let files = AwsFiles {
        config: AwsFile::Bytes(Vec::new()),
        credentials: AwsFile::Path(Some(file.path().to_owned()), None),
    };
    let settings = Settings { region: Some("r".into()), ..Settings::default() };
    let config = load_from(&settings, &Env::from_slice(&[]), files, ProviderClient::shared).await.unwrap();
    let first = config.credentials.current().await.unwrap().unwrap();
    write("second");
    config.credentials.refresh(&first).await;
    let second = config.credentials.current().await.unwrap().unwrap();
    assert_eq!(first.data::<Keys>().unwrap().access_key_id(), "first");
    assert_eq!(second.data::<Keys>().unwrap().access_key_id(), "second");
}

#[tokio::test]
async fn unsigned_requests_ask_no_source() {
    let settings = Settings { no_sign_request: true, ..Settings::default() };
    // Neither a broken process nor half a pair of keys is an error then.
    for env in [&[][..], &KEYS, &KEYS[..1]] {
        let world = World {
            settings: settings.clone(),
            env,
            config: "[default]\ncredential_process = exit 1",
            ..World::default()
        };
        let config = world.load().await.unwrap();
        assert!(config.credentials.is_anonymous());
        assert!(config.credentials.current().await.unwrap().is_none());
        assert_eq!(world.calls.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn bad_values_are_errors_and_not_panics() {
    for (env, config, profile, code, text) in [
        (&[("AWS_MAX_ATTEMPTS", "0")][..], "", None, 2, "AWS_MAX_ATTEMPTS"),
        (&[("AWS_MAX_ATTEMPTS", "many")], "", None, 2, "many"),
        (&[("AWS_RETRY_MODE", "bogus")], "", None, 2, "AWS_RETRY_MODE"),
        (&[], "[default]\nmax_attempts = -1", None, 2, "max_attempts"),
        (&[], "[default]\nretry_mode = often", None, 2, "retry_mode"),
        (&[], "[default\nregion = x", None, 2, "configuration"),
        (&[("AWS_PROFILE", "typo")], "[profile p]\nregion = x", None, 2, "typo"),
        (&KEYS, "[profile p]\nregion = x", Some("typo"), 2, "list-profiles"),
        (&KEYS[..1], "", None, 4, "AWS_SECRET_ACCESS_KEY"),
        (
            &[],
            "[default]\nsource_profile = b\nrole_arn = arn:aws:iam::1:role/r\n",
            None,
            4,
            "no profile \"b\"",
        ),
    ] {
        let settings = Settings { profile: profile.map(str::to_owned), ..Settings::default() };
        let error = World { settings, env, config, ..World::default() }.load().await.unwrap_err();
        assert_eq!(error.exit_code(), code, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
    for mode in ["standard", "adaptive", "legacy", "Standard"] {
        let world = World { env: &[KEYS[0], KEYS[1], ("AWS_RETRY_MODE", mode)], ..World::default() };
        world.load().await.unwrap();
    }
}

#[tokio::test]
async fn ca_bundle_flag_then_environment_then_profile() {
    let flag = Settings { ca_bundle: Some("/flag".into()), ..Settings::default() };
    let variable = [KEYS[0], KEYS[1], ("AWS_CA_BUNDLE", "/env")];
    let config = "[default]\nca_bundle = /profile";
    for (settings, env, path, setting) in [
        (&flag, &variable[..], "/flag", "--ca-bundle"),
        (&Settings::default(), &variable, "/env", "AWS_CA_BUNDLE"),
        (&Settings::default(), &KEYS, "/profile", "ca_bundle of the profile \"default\""),
    ] {
        let world = World { settings: settings.clone(), env, config, ..World::default() };
        let config = world.load().await.unwrap();
        let want = CaBundle::new(path, setting);
        assert_eq!(config.tls.bundle(), Some(&want));
    }
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let env = [KEYS[0], KEYS[1], ("AWS_SESSION_TOKEN", "hunter3")];
    let config = World { env: &env, ..World::default() }.load().await.unwrap();
    let shown = format!("{config:?} {:?}", config.credentials.current().await.unwrap());
    assert!(!shown.contains("hunter"), "{shown}");
}

#[tokio::test]
async fn without_any_source_the_error_says_what_to_do() {
    let world = World { env: &[("AWS_EC2_METADATA_DISABLED", "true")], ..World::default() };
    let error = world.load().await.unwrap_err();
    assert_eq!(error.exit_code(), 4);
    let message = error.to_string();
    for part in [
        "no credentials found: the environment (AWS_ACCESS_KEY_ID): not set; the profile \"default\": ",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "no AWS_CONTAINER_CREDENTIALS_ variable",
        "IMDS disabled",
        "--no-sign-request",
    ] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    assert_eq!(message.lines().count(), 2, "{message}");
    assert_eq!(world.calls.load(Ordering::SeqCst), 0);
}
