//! `credential_process`: a command of the profile that prints keys as JSON.
//!
//! It is run here and not by the AWS crates, because they neither stop a command that waits for a person nor read the
//! dates that some commands print.
//!
//! Source: AWS SDKs and Tools Reference Guide, "Process credential provider".

use std::process::Stdio;

use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use serde_json::Value;

use crate::config::provider_answer::KeyDocument;
use crate::error::printable::printable;

/// Runs `command` by the shell and reads the keys that it prints. The command is killed when this is dropped.
pub(super) async fn run(command: &str) -> Result<Keys, CredentialsError> {
    let output = tokio::process::Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|e| CredentialsError::provider_error(format!("cannot start credential_process: {e}")))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let reason = printable(stderr.trim());
        return Err(CredentialsError::provider_error(format!(
            "credential_process failed ({}): {reason}",
            output.status
        )));
    }
    parse(&output.stdout).map_err(|reason| {
        CredentialsError::provider_error(format!("credential_process printed no valid keys: {reason}"))
    })
}

/// Reads the keys. The message never quotes the output, which may hold a secret.
fn parse(stdout: &[u8]) -> Result<Keys, String> {
    let answer = KeyDocument::parse(stdout)?;
    let is_version_1 = match answer.field("Version") {
        Some(Value::Number(number)) => number.as_f64() == Some(1.0),
        Some(Value::String(text)) => text.trim() == "1",
        _ => false,
    };
    if !is_version_1 {
        return Err("Version is not 1".to_owned());
    }
    answer.keys("SessionToken", "CredentialProcess")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read_as_the_aws_cli_reads_them() {
        const KEYS: &str = r#""AccessKeyId": "a", "SecretAccessKey": "s""#;
        for output in [
            format!("{{\"Version\": 1, {KEYS}}}"),
            format!("\u{feff}{{\"Version\": 1, {KEYS}}}\r\n"),
            format!("{{\"Version\": \"1\", {KEYS}}}"),
            format!("{{\"version\": 1, {}}}", KEYS.to_lowercase()),
            format!("{{\"Version\": 1, {KEYS}, \"SessionToken\": null, \"Expiration\": null}}"),
            format!("{{\"Version\": 1, {KEYS}, \"SessionToken\": \"\", \"Expiration\": \"\"}}"),
            format!("{{\"Version\": 1, {KEYS}, \"Expiration\": \"2030-01-01T02:05:06+0100\"}}"),
            format!("{{\"Version\": 1, {KEYS}, \"Expiration\": \"2030-01-01T02:05:06UTC\"}}"),
            format!("{{\"Version\": 1, {KEYS}, \"Expiration\": 1893459906}}"),
            "{\"Version\": 1, \"AccessKeyId\": \"a\\n\", \"SecretAccessKey\": \" s\"}".to_owned(),
        ] {
            let keys = parse(output.as_bytes()).unwrap_or_else(|e| panic!("{output}: {e}"));
            assert_eq!((keys.access_key_id(), keys.secret_access_key()), ("a", "s"), "{output}");
            assert_eq!(keys.session_token(), None, "{output}");
            assert_eq!(
                keys.expiry().is_some(),
                output.contains("2030") || output.contains("18934"),
                "{output}"
            );
        }
    }

    #[test]
    fn a_bad_output_is_named_without_quoting_it() {
        for (output, reason) in [
            ("", "not JSON"),
            ("hunter2", "not JSON"),
            ("[\"hunter2\"]", "not a JSON object"),
            ("{\"AccessKeyId\": \"hunter2\", \"SecretAccessKey\": \"hunter2\"}", "Version"),
            ("{\"Version\": 2, \"AccessKeyId\": \"hunter2\", \"SecretAccessKey\": \"hunter2\"}", "Version"),
            ("{\"Version\": 1, \"SecretAccessKey\": \"hunter2\"}", "AccessKeyId is missing"),
            ("{\"Version\": 1, \"AccessKeyId\": \"hunter2\"}", "SecretAccessKey is missing"),
            (
                "{\"Version\": 1, \"AccessKeyId\": \"hunter2\", \"SecretAccessKey\": 5}",
                "SecretAccessKey is missing",
            ),
            (
                "{\"Version\": 1, \"AccessKeyId\": \"a\", \"SecretAccessKey\": \"b\", \"Expiration\": \"soon\"}",
                "soon",
            ),
        ] {
            let error = parse(output.as_bytes()).unwrap_err();
            assert!(error.contains(reason) && !error.contains("hunter2"), "{output}: {error}");
        }
    }
}
