//! The AWS configuration files in the forms in which people have them: whose key signs, or what the message says.

use std::os::unix::fs::PermissionsExt;

use crate::support::fault_server::FaultServer;
use crate::support::files::folder;
use crate::support::object::{SIZE, object};
use crate::support::run::{Outcome, S3fcp, URI};
use crate::support::table;

/// Two files, the name of the profile or an empty text, and the key that signs.
struct Case {
    config: &'static [u8],
    credentials: &'static [u8],
    profile: &'static str,
    key: &'static str,
}

const fn config(config: &'static [u8], key: &'static str) -> Case {
    Case { config, credentials: b"", profile: "", key }
}

const fn named(config: &'static [u8], profile: &'static str, key: &'static str) -> Case {
    Case { config, credentials: b"", profile, key }
}

const fn credentials(credentials: &'static [u8], profile: &'static str, key: &'static str) -> Case {
    Case { config: b"", credentials, profile, key }
}

/// Runs with these two files; returns the outcome and the key that signed, with `+` and the token if there is one.
fn run(config: &[u8], credentials: &[u8], profile: &str) -> (Outcome, Option<String>) {
    let server = FaultServer::healthy();
    let folder = folder();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    };
    let mut run = S3fcp::at(&server.endpoint())
        .without_env("AWS_ACCESS_KEY_ID")
        .without_env("AWS_SECRET_ACCESS_KEY")
        .env("AWS_CONFIG_FILE", file("config", config))
        .env("AWS_SHARED_CREDENTIALS_FILE", file("credentials", credentials));
    if !profile.is_empty() {
        run = run.args(["--profile", profile]);
    }
    let outcome = run.download(URI);
    let get = server.gets().into_iter().next();
    let key = get.and_then(|get| {
        let authorization = get.header("authorization")?.to_owned();
        let key = authorization.split_once("Credential=")?.1.split_once('/')?.0;
        let token = get.header("x-amz-security-token").map_or_else(String::new, |token| format!("+{token}"));
        Some(format!("{key}{token}"))
    });
    (outcome, key)
}

/// Downloads with the files of each case; their key signs.
fn check(table: &[(&str, Case)]) {
    table::each(table, |case| {
        let (outcome, key) = run(case.config, case.credentials, case.profile);
        outcome.assert_object(&object(SIZE));
        assert_eq!(key.as_deref(), Some(case.key));
    });
}

#[test]
fn lines_are_read_as_the_aws_cli_reads_them() {
    check(&[
        ("plain", config(b"[default]\naws_access_key_id=k\naws_secret_access_key=s\n", "k")),
        ("no final line break", config(b"[default]\naws_access_key_id=k\naws_secret_access_key=s", "k")),
        ("CRLF", config(b"[default]\r\naws_access_key_id=k\r\naws_secret_access_key=s\r\n", "k")),
        ("byte order mark", config(b"\xef\xbb\xbf[default]\naws_access_key_id=k\naws_secret_access_key=s\n", "k")),
        ("indented keys", config(b"[default]\n  aws_access_key_id = k\n  aws_secret_access_key = s\n", "k")),
        ("tabs", config(b"[default]\n\taws_access_key_id\t=\tk\n\taws_secret_access_key\t=\ts\n", "k")),
        ("an indented header", config(b"  [default]\n  aws_access_key_id = k\n  aws_secret_access_key = s\n", "k")),
        ("keys indented less and less", config(b"[default]\n   region = r\n  aws_access_key_id = k\n aws_secret_access_key = s\n", "k")),
        ("text after the header", config(b"[default] trailing\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("a comment after the header", config(b"[default] # mine\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("spaces in the header", config(b"[ default ]\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("profile default", config(b"[profile default]\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("colons", config(b"[default]\naws_access_key_id: k\naws_secret_access_key: s\n", "k")),
        ("upper-case keys", config(b"[default]\nAWS_ACCESS_KEY_ID = k\nAws_Secret_Access_Key = s\n", "k")),
        ("a Latin-1 comment", config(b"# Schl\xfcssel\n[default]\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("a Latin-1 value", config(b"[default]\nnote = Z\xfcrich\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("carriage returns", config(b"[default]\raws_access_key_id=k\raws_secret_access_key=s\r", "k")),
        ("line breaks of several kinds", config(b"[default]\r\naws_access_key_id = k\raws_secret_access_key = s\n", "k")),
        ("no-break spaces", config("[default]\n\u{a0}aws_access_key_id =\u{a0}k\n\u{a0}aws_secret_access_key = s\n".as_bytes(), "k")),
        ("a section for all", named(b"[DEFAULT]\naws_access_key_id = k\naws_secret_access_key = old\n[profile p]\naws_secret_access_key = s\n", "p", "k")),
        ("a section for all credentials", credentials(b"[DEFAULT]\naws_secret_access_key = s\n[p]\naws_access_key_id = k\n", "p", "k")),
        ("a section without a name", config(b"[profile]\nregion = r\n[ ]\nregion = r\n[default]\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("a token by its older name", config(b"[default]\naws_access_key_id = k\naws_secret_access_key = s\naws_security_token = t\n", "k+t")),
        ("a token by both names", credentials(b"[default]\naws_security_token = old\naws_session_token = t\naws_access_key_id = k\naws_secret_access_key = s\n", "", "k+t")),
        ("a switch that is off", config(b"[default]\nuse_dualstack_endpoint = no\nuse_fips_endpoint = 0\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("a zero in a comment", config(b"# a\0b\n[default]\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("a zero after a section", config(b"[default]\0\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("a zero in another value", config(b"[profile q]\nregion = r\0\n[default]\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("zeros at the end", config(b"[default]\naws_access_key_id = k\naws_secret_access_key = s\n;\0\0\0\n", "k")),
        ("a zero in the comment of the other file", config(b"[default]\naws_access_key_id = k\naws_secret_access_key = s\n#\0\n", "k")),
        ("a UTF-8 comment", config("# Schlüssel 🔑\n[default]\naws_access_key_id = k\naws_secret_access_key = s\n".as_bytes(), "k")),
        ("comments of both kinds", config(b"; one\n# two\n[default]\n  # three\naws_access_key_id = k\n; four\naws_secret_access_key = s\n", "k")),
        ("a comment after a value", config(b"[default]\naws_access_key_id = k # mine\naws_secret_access_key = s ; mine\n", "k")),
        ("a hash in a value", config(b"[default]\naws_access_key_id = k#1\naws_secret_access_key = s\n", "k#1")),
        ("an equals sign in a value", config(b"[default]\naws_access_key_id = k=\naws_secret_access_key = s==\n", "k=")),
        ("blank lines", config(b"\n\n[default]\n\naws_access_key_id = k\n\n\naws_secret_access_key = s\n\n", "k")),
        ("a section twice", config(b"[default]\naws_access_key_id = k\n[profile p]\nregion = r\n[default]\naws_secret_access_key = s\n", "k")),
        ("a section by both of its names", config(b"[default]\naws_access_key_id = old\naws_secret_access_key = old\naws_session_token = old\n[profile default]\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("a section by both of its names, the other way round", config(b"[profile default]\naws_access_key_id = old\naws_session_token = old\n[default]\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("a key twice", config(b"[default]\naws_access_key_id = old\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("an empty setting", config(b"[default]\nregion =\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("a foreign section first", config(b"[Someone's Mac]\nkey = value\n[default]\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("a plugins section", config(b"[plugins]\ncli_legacy_plugin_path = /x\n[default]\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("a preview section", config(b"[preview]\ncloudfront = true\n[default]\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("an unclosed quote in a header", config(b"[profile Someone's]\nregion = r\n[default]\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
    ]);
}

#[test]
fn blocks_and_names_of_profiles_are_read_as_the_aws_cli_reads_them() {
    check(&[
        ("a comment in the s3 block", config(b"[default]\ns3 =\n  # fast\n  max_concurrent_requests = 4\n  ; faster\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("a comment after a value of the s3 block", config(b"[default]\ns3 =\n  max_concurrent_requests = 4 # four\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("a blank line in the s3 block", config(b"[default]\ns3 =\n  max_concurrent_requests = 4\n\n  multipart_chunksize = 8MB\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("tabs in the s3 block", config(b"[default]\ns3=\n\tmax_concurrent_requests=4\naws_access_key_id=k\naws_secret_access_key=s\n", "k")),
        ("words in the s3 block", config(b"[default]\ns3 =\n  nonsense\n  max_concurrent_requests = 4\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("an indented s3 block", config(b"[default]\n  s3 =\n    max_concurrent_requests = 4\n  aws_access_key_id = k\n  aws_secret_access_key = s\n", "k")),
        ("other blocks", config(b"[default]\nemr =\n  service_role = r\naws_access_key_id = k\naws_secret_access_key = s\n", "k")),
        ("a named profile", named(b"[profile p]\naws_access_key_id = k\naws_secret_access_key = s\n", "p", "k")),
        ("two spaces", named(b"[profile   p]\naws_access_key_id = k\naws_secret_access_key = s\n", "p", "k")),
        ("quotes", named(b"[profile \"p\"]\naws_access_key_id = k\naws_secret_access_key = s\n", "p", "k")),
        ("quotes and a space", named(b"[profile \"my prof\"]\naws_access_key_id = k\naws_secret_access_key = s\n", "my prof", "k")),
        ("single quotes", named(b"[profile 'my prof']\naws_access_key_id = k\naws_secret_access_key = s\n", "my prof", "k")),
        ("an escaped space", named(b"[profile my\\ prof]\naws_access_key_id = k\naws_secret_access_key = s\n", "my prof", "k")),
        ("an apostrophe", named(b"[profile \"Someone's Mac\"]\naws_access_key_id = k\naws_secret_access_key = s\n", "Someone's Mac", "k")),
        ("brackets", named(b"[profile \"a[1]\"]\naws_access_key_id = k\naws_secret_access_key = s\n", "a[1]", "k")),
        ("letters", named("[profile \"Büro\"]\naws_access_key_id = k\naws_secret_access_key = s\n".as_bytes(), "Büro", "k")),
        ("a percent sign", named(b"[profile a%20b]\naws_access_key_id = k\naws_secret_access_key = s\n", "a%20b", "k")),
        ("an address", named(b"[profile me@example.com]\naws_access_key_id = k\naws_secret_access_key = s\n", "me@example.com", "k")),
    ]);
}

#[test]
fn two_files_and_processes_are_read_as_the_aws_cli_reads_them() {
    check(&[
        ("credentials", credentials(b"[default]\naws_access_key_id = k\naws_secret_access_key = s\n", "", "k")),
        ("credentials by name", credentials(b"[p]\naws_access_key_id = k\naws_secret_access_key = s\n", "p", "k")),
        ("credentials with a space", credentials(b"[my prof]\naws_access_key_id = k\naws_secret_access_key = s\n", "my prof", "k")),
        ("credentials with an apostrophe", credentials(b"[Someone's Mac]\naws_access_key_id = k\naws_secret_access_key = s\n", "Someone's Mac", "k")),
        ("credentials that are indented", credentials(b" [p]\n  aws_access_key_id = k\n  aws_secret_access_key = s\n", "p", "k")),
        ("credentials with a byte order mark", credentials(b"\xef\xbb\xbf[p]\naws_access_key_id = k\naws_secret_access_key = s\n", "p", "k")),
        (
            "credentials before the configuration",
            Case {
                config: b"[default]\naws_access_key_id = old\naws_secret_access_key = old\nregion = r\n",
                credentials: b"[default]\naws_access_key_id = k\naws_secret_access_key = s\n",
                profile: "",
                key: "k",
            },
        ),
        (
            "a token of the other file",
            Case {
                config: b"[default]\naws_access_key_id = old\naws_secret_access_key = old\naws_session_token = old\n",
                credentials: b"[default]\naws_access_key_id = k\naws_secret_access_key = s\n",
                profile: "",
                key: "k",
            },
        ),
        (
            "a secret alone in the credentials",
            Case {
                config: b"[default]\naws_access_key_id = k\naws_secret_access_key = s\n",
                credentials: b"[default]\naws_secret_access_key = old\naws_session_token = old\n",
                profile: "",
                key: "k",
            },
        ),
        (
            "empty keys in the credentials",
            Case {
                config: b"[default]\naws_access_key_id = k\naws_secret_access_key = s\n",
                credentials: b"[default]\naws_access_key_id =\naws_secret_access_key =\n",
                profile: "",
                key: "k",
            },
        ),
        (
            "halves in two files",
            Case {
                config: b"[profile my p]\nregion = r\n[profile \"my p\"]\nregion = r\n",
                credentials: b"[my p]\naws_access_key_id = k\naws_secret_access_key = s\n",
                profile: "my p",
                key: "k",
            },
        ),
        (
            "a process",
            config(b"[default]\ncredential_process = echo '{\"Version\": 1, \"AccessKeyId\": \" k\", \"SecretAccessKey\": \"s\", \"Expiration\": \"2999-01-01 00:00:00+0100\"}'\n", "k"),
        ),
        (
            "a process with a date in UTC",
            named(b"[profile p q]\n[profile 'p q']\n  credential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"k\", \"SecretAccessKey\": \"s\", \"Expiration\": \"2999-01-01T00:00:00UTC\"}'\n", "p q", "k"),
        ),
        (
            "a process with a semicolon and a hash",
            config(b"[default]\ncredential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"k\", \"SecretAccessKey\": \"s\", \"Note\": \"a #b ;c\"}'\n", "k"),
        ),
        (
            "a process with a comment",
            config(b"[default]\ncredential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"k\", \"SecretAccessKey\": \"s\"}' # of the vault\n", "k"),
        ),
        (
            "a process beside keys of the same file",
            config(b"[default]\naws_access_key_id = old\naws_secret_access_key = old\ncredential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"k\", \"SecretAccessKey\": \"s\"}'\n", "k"),
        ),
        (
            "a process below keys in the credentials",
            Case {
                config: b"[default]\ncredential_process = false\n",
                credentials: b"[default]\naws_access_key_id = k\naws_secret_access_key = s\n",
                profile: "",
                key: "k",
            },
        ),
    ]);
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_its_line_or_reason() {
    let table: [(&str, (&[u8], &str, i32, &[&str])); 17] = [
        ("no bracket", (b"[default\nregion = x", "", 2, &["line 1 of", "/config", "closing"])),
        ("no equals sign", (b"[default]\nregion = x\nnonsense\n", "", 2, &["line 3 of", "key = value"])),
        ("no section", (b"region = x\n", "", 2, &["line 1 of", "[default]"])),
        ("UTF-16", (b"\xff\xfe[\0d\0e\0f\0a\0u\0l\0t\0]\0", "p", 2, &["\"p\"", "/config cannot be read", "UTF-16"])),
        ("UTF-16 without a profile", (b"\xff\xfe[\0d\0]\0", "", 4, &["/config cannot be read", "UTF-16"])),
        ("UTF-16 without a mark", (b"[\0d\0e\0f\0a\0u\0l\0t\0]\0", "p", 2, &["/config cannot be read", "UTF-16"])),
        ("a zero in a key", (b"[default]\naws_access_key_id = a\0b\naws_secret_access_key = s\n", "", 4, &["access key ID", "control character"])),
        ("a profile that is not there", (b"[profile q]\nregion = x\n", "p", 2, &["\"p\"", "/config was read", "/credentials", "list-profiles"])),
        ("a section without its kind", (b"[p]\nregion = x\n", "p", 2, &["\"p\"", "[p] must be called [profile p]"])),
        ("half a pair", (b"[default]\naws_access_key_id = a\n", "", 4, &["aws_secret_access_key is missing beside", "the configuration file", "complete the pair"])),
        ("a switch that is neither on nor off", (b"[default]\nuse_fips_endpoint = perhaps\n", "", 2, &["use_fips_endpoint", "true or false"])),
        ("a line break in a key", (b"[default]\naws_access_key_id = a\n  b\naws_secret_access_key = s\n", "", 4, &["access key ID", "line break", "\"default\""])),
        ("a control character in a secret", (b"[default]\naws_access_key_id = a\naws_secret_access_key = hunter2\x01\n", "", 4, &["secret access key", "control character"])),
        ("a letter in a token", (b"[default]\naws_access_key_id = a\naws_secret_access_key = s\naws_session_token = hunter2\xc3\xa4\n", "", 4, &["session token", "ASCII"])),
        ("MFA", (b"[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = b\nmfa_serial = arn:aws:iam::1:mfa/me\n[profile b]\naws_access_key_id = a\naws_secret_access_key = s\n", "", 4, &["MFA device arn:aws:iam::1:mfa/me", "export-credentials"])),
        ("a loop", (b"[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = b\n[profile b]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = default\n", "", 4, &["loop", "default -> b -> default"])),
        ("a process with a line break in a key", (b"[default]\ncredential_process = echo '{\"Version\": 1, \"AccessKeyId\": \"a\\u0001\", \"SecretAccessKey\": \"s\"}'\n", "", 4, &["access key ID", "control character"])),
    ];
    table::each(&table, |&(config, profile, code, says)| {
        let (outcome, key) = run(config, b"", profile);
        outcome.assert_failed(code, &[]);
        for part in says {
            assert!(outcome.stderr.contains(part), "no {part:?} in {}", outcome.stderr);
        }
        assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
        assert_eq!(key, None, "nothing was sent");
    });
}

/// `AWS_CONFIG_FILE` as people set it where no shell expands it.
#[test]
fn variables_in_the_path_of_a_file_are_replaced() {
    let folder = folder();
    let at = folder.path().to_str().expect("a name in UTF-8");
    std::fs::create_dir(folder.path().join("p")).expect("a folder");
    for name in ["config", "p/config"] {
        let keys = "[profile p]\naws_access_key_id = k\naws_secret_access_key = s\n";
        std::fs::write(folder.path().join(name), keys).expect("a file");
    }
    for path in
        ["$FOLDER/config", "${FOLDER}/config", "~/config", "$FOLDER/${P}/config", "${FOLDER}/$P/config"]
    {
        let server = FaultServer::healthy();
        for name in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"] {
            let run = S3fcp::at(&server.endpoint())
                .without_env("AWS_ACCESS_KEY_ID")
                .without_env("AWS_SECRET_ACCESS_KEY")
                .env("HOME", at)
                .env("FOLDER", at)
                .env("P", "p")
                .env(name, "p")
                .env("AWS_CONFIG_FILE", path);
            run.download(URI).assert_object(&object(SIZE));
        }
    }
    // The system knows the home of its users, where a service has no variable for it.
    let run = S3fcp::at("http://127.0.0.1:1").without_env("HOME").without_env("AWS_CONFIG_FILE");
    let outcome = run.args(["--profile", "no such profile"]).download(URI);
    outcome.assert_failed(2, &[]);
    assert!(outcome.stderr.contains("/.aws/config "), "{}", outcome.stderr);
    let outcome = S3fcp::at("http://127.0.0.1:1")
        .env("AWS_CONFIG_FILE", "$NOT_SET/${NEITHER}/$/config")
        .args(["--profile", "p"])
        .download(URI);
    outcome.assert_failed(2, &[]);
    assert!(outcome.stderr.contains("$NOT_SET/${NEITHER}/$/config does not exist"), "{}", outcome.stderr);
}

#[test]
fn keys_in_the_environment_with_control_characters_are_named() {
    for (name, value, says) in [
        ("AWS_ACCESS_KEY_ID", "a\nb", "access key ID contains a line break"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2\u{1}x", "secret access key contains a control character"),
        ("AWS_SESSION_TOKEN", "hunter2\r\nx", "session token contains a line break"),
    ] {
        let outcome = S3fcp::at("http://127.0.0.1:1").env(name, value).download(URI);
        outcome.assert_failed(4, &[]);
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
        assert!(
            outcome.stderr.contains("the environment") && !outcome.stderr.contains("hunter2"),
            "{}",
            outcome.stderr
        );
    }
}

/// Rust's and the AWS crates' `var` treat such a variable as unset: another profile, or no proxy, would take its place.
#[test]
fn a_variable_that_is_not_utf_8_is_named_and_not_ignored() {
    use std::os::unix::ffi::OsStrExt as _;

    let bad = std::ffi::OsStr::from_bytes(b"hunter2\xff");
    for (name, code) in [
        ("AWS_ACCESS_KEY_ID", 4),
        ("AWS_SECRET_ACCESS_KEY", 4),
        ("AWS_SESSION_TOKEN", 4),
        ("AWS_PROFILE", 2),
        ("AWS_REGION", 2),
        ("AWS_CA_BUNDLE", 2),
        ("AWS_CONFIG_FILE", 2),
        ("AWS_ENDPOINT_URL_S3", 2),
        ("http_proxy", 2),
        ("NO_PROXY", 2),
        ("ALL_PROXY", 2),
    ] {
        for args in [&[][..], &["--info"]] {
            let server = FaultServer::healthy();
            let outcome = S3fcp::at(&server.endpoint()).env(name, bad).args(args).download(URI);
            outcome.assert_failed(code, &[]);
            let says = format!("{name} is not valid UTF-8");
            assert!(
                outcome.stderr.contains(&says) && !outcome.stderr.contains("hunter2"),
                "{}",
                outcome.stderr
            );
            assert_eq!(server.requests().len(), 0, "{name}");
        }
    }
    // Keys that are not used, and variables of others.
    let server = FaultServer::healthy();
    for (name, option) in [("AWS_ACCESS_KEY_ID", "--no-sign-request"), ("LANG", "-q"), ("PROXY", "-q")] {
        let outcome = S3fcp::at(&server.endpoint()).env(name, bad).args([option]).download(URI);
        outcome.assert_object(&object(SIZE));
    }
}

#[test]
fn a_folder_or_a_file_without_permission_in_the_place_of_a_file_is_named() {
    let folder = folder();
    let denied = folder.path().join("denied");
    std::fs::write(&denied, "[profile p]\nregion = x\n").expect("a file");
    std::fs::set_permissions(&denied, std::fs::Permissions::from_mode(0o000)).expect("a mode");
    // Root may read everything.
    let is_denied = std::fs::read(&denied).is_err();
    for (path, says) in [(folder.path(), "Is a directory"), (denied.as_path(), "Permission denied")] {
        if says.starts_with("Permission") && !is_denied {
            continue;
        }
        let outcome = S3fcp::at("http://127.0.0.1:1")
            .env("AWS_CONFIG_FILE", path)
            .args(["--profile", "p"])
            .download(URI);
        outcome.assert_failed(2, &[]);
        assert!(
            outcome.stderr.contains("cannot be read") && outcome.stderr.contains(says),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn an_sts_that_cannot_be_reached_is_a_network_error_that_names_it() {
    let profile = b"[default]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = b\n\
                    [profile b]\naws_access_key_id = a\naws_secret_access_key = s\n";
    let folder = folder();
    let file = folder.path().join("config");
    std::fs::write(&file, profile).expect("a file");
    let outcome = S3fcp::at("http://127.0.0.1:1")
        .without_env("AWS_ACCESS_KEY_ID")
        .without_env("AWS_SECRET_ACCESS_KEY")
        .env("AWS_CONFIG_FILE", &file)
        .env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
        .env("AWS_MAX_ATTEMPTS", "1")
        .download(URI);
    outcome.assert_failed(5, &[]);
    assert!(outcome.stderr.contains("cannot connect to 127.0.0.1:9"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("sso login"), "{}", outcome.stderr);
}
