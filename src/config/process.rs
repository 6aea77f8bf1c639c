//! `credential_process`: a command of the profile that prints keys as JSON.
//!
//! As in the AWS CLI no shell runs it: it is split into words where a shell would do that, and `&`, `;`, `$` and `*` in
//! them stay. It is run here and not by the AWS crates, because they neither stop a command that waits for a person nor
//! read the dates that some commands print.
//!
//! Sources: AWS SDKs and Tools Reference Guide, "Process credential provider"; botocore, `ProcessProvider`.

use std::io;
use std::process::{Output, Stdio};

use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use crate::config::provider_answer::KeyDocument;
use crate::config::running_command::RunningCommand;
use crate::error::printable::printable;
use crate::error::{Error, ErrorKind};

/// More than any keys have, in bytes.
const STDOUT_BYTES_MAX: u64 = 1 << 20;
/// More than any message shows, in bytes.
const STDERR_BYTES_MAX: u64 = 64 << 10;

/// Runs `command` and reads the keys that it prints. The command is killed, with what it started, when
/// this is dropped.
pub(super) async fn run(command: &str) -> Result<Keys, CredentialsError> {
    let output = output_of(command)
        .await
        .map_err(|e| Error::new(ErrorKind::Access, "cannot run credential_process").with_source(e))
        .map_err(CredentialsError::provider_error)?;
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

/// Runs `command` to its end. Fails if it prints more than keys could be; of its stderr the beginning is kept.
async fn output_of(command: &str) -> io::Result<Output> {
    let words = shlex::split(command).ok_or_else(|| io::Error::other("a quote in it is not closed"))?;
    let (program, arguments) = words.split_first().ok_or_else(|| io::Error::other("it is empty"))?;
    let mut program = Command::new(program);
    program.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = RunningCommand::start(&mut program)?;
    let (stdout, stderr) = (running.child.stdout.take(), running.child.stderr.take());
    let keys = async {
        let bytes = beginning_of(stdout, STDOUT_BYTES_MAX + 1).await?;
        if bytes.0.len() as u64 > STDOUT_BYTES_MAX {
            return Err(io::Error::other("it prints more than 1 MiB"));
        }
        Ok(bytes.0)
    };
    let messages = async {
        let (bytes, mut rest) = beginning_of(stderr, STDERR_BYTES_MAX).await?;
        if let Some(rest) = &mut rest {
            tokio::io::copy(rest, &mut tokio::io::sink()).await?;
        }
        Ok(bytes)
    };
    let (stdout, stderr) = tokio::try_join!(keys, messages)?;
    Ok(Output { status: running.wait().await?, stdout, stderr })
}

/// Reads up to `max` bytes, and returns them with the pipe.
async fn beginning_of<P: AsyncRead + Unpin>(pipe: Option<P>, max: u64) -> io::Result<(Vec<u8>, Option<P>)> {
    let mut bytes = Vec::new();
    let Some(mut pipe) = pipe else { return Ok((bytes, None)) };
    (&mut pipe).take(max).read_to_end(&mut bytes).await?;
    Ok((bytes, Some(pipe)))
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

    #[tokio::test]
    async fn a_command_may_print_without_end() {
        let error = run("cat /dev/zero").await.unwrap_err();
        let error = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.contains("more than 1 MiB"), "{error}");
        let keys = r#"{\"Version\":1,\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"s\"}"#;
        let talkative = format!("sh -c 'head -c 3000000 /dev/zero >&2; echo \"{keys}\"'");
        assert_eq!(run(&talkative).await.unwrap().access_key_id(), "a");
    }

    #[tokio::test]
    async fn no_shell_takes_a_part_in_the_words_of_a_command() {
        // It prints its arguments as a message.
        let shown = async |command: &str| {
            let error =
                run(&format!("sh -c 'printf \"<%s>\" \"$@\" >&2; exit 1' - {command}")).await.unwrap_err();
            std::error::Error::source(&error).unwrap().to_string()
        };
        for (command, arguments) in [
            ("--url https://h/?a=1&b=2", "<--url><https://h/?a=1&b=2>"),
            ("$HOME ~ * a;b", "<$HOME><~><*><a;b>"),
            ("'a b' \"c  d\" e\\ f", "<a b><c  d><e f>"),
            ("a\n--of b", "<a><--of><b>"),
        ] {
            let shown = shown(command).await;
            assert!(shown.ends_with(&format!(": {arguments}")), "{shown}");
        }
        for (command, says) in [("", "it is empty"), ("echo 'a", "not closed"), ("/no/such", "No such file")]
        {
            let error = run(command).await.unwrap_err();
            assert!(std::error::Error::source(&error).unwrap().to_string().contains(says), "{command}");
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
                "{\"Version\": 1, \"AccessKeyId\": \"a\", \"SecretAccessKey\": \"b\", \"Expiration\": \"hunter2\"}",
                "Expiration is not a date",
            ),
        ] {
            let error = parse(output.as_bytes()).unwrap_err();
            assert!(error.contains(reason) && !error.contains("hunter2"), "{output}: {error}");
        }
    }
}
