//! The error for missing credentials: which sources were asked, how each of them failed, and a remedy.
//!
//! No key passes through here, so none can show in a message. A text of the AWS crates that shows a request is left out.

use std::error::Error as StdError;
use std::fmt;
use std::iter::successors;

use aws_credential_types::provider::error::CredentialsError;

use crate::error::{Error, ErrorKind};
use crate::events::{CREDENTIALS, first_line};
use tracing::debug;

/// The sources that had no credentials, each with its reason. It travels as the source of a [`CredentialsError`],
/// the only error type that the AWS crates' trait allows.
#[derive(Debug)]
pub(super) struct ProviderTrace {
    sources: Vec<(String, String)>,
    /// Kind and hint of the error that ended the search, if it is one of this crate.
    own: Option<(ErrorKind, Option<String>)>,
}

impl ProviderTrace {
    /// Creates a trace without any source.
    pub(super) fn new() -> Self {
        Self { sources: Vec::new(), own: None }
    }

    /// Adds a source and the reason why it has no credentials.
    pub(super) fn add(&mut self, source: impl Into<String>, error: &CredentialsError) {
        let (source, reason) = (source.into(), causes(error).unwrap_or_else(|| "no keys".to_owned()));
        debug!(target: CREDENTIALS, source, reason, "no credentials here");
        self.sources.push((source, reason));
    }

    /// Returns the error for a search that no source could answer.
    pub(super) fn into_error(self) -> CredentialsError {
        CredentialsError::not_loaded(self)
    }

    /// Returns the error for `source`, which is configured but failed.
    pub(super) fn failed(source: impl Into<String>, error: &CredentialsError) -> CredentialsError {
        let mut trace = Self::new();
        trace.add(source, error);
        trace.own = own_error(error).map(|own| (own.kind(), own.hint().map(str::to_owned)));
        CredentialsError::provider_error(trace)
    }
}

impl fmt::Display for ProviderTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (source, reason)) in self.sources.iter().enumerate() {
            write!(f, "{}{source}: {reason}", if n == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl StdError for ProviderTrace {}

/// Converts the AWS crates' error into this crate's. A source that could not be reached is a network error.
pub(super) fn credentials_error(error: &CredentialsError) -> Error {
    let reason = causes(error).map_or_else(String::new, |reason| format!(": {reason}"));
    if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
        // A file of mode 0600 that was mounted into a container belongs to a user outside of it.
        let hint = if reason.contains("Permission denied") {
            "make the file readable for this user; in a container, run as its owner: --user \"$(id -u)\""
        } else {
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run `aws sso login` or `aws login`, choose a --profile, \
             or use --no-sign-request for a public object"
        };
        return Error::new(ErrorKind::Access, format!("no credentials found{reason}")).with_hint(hint);
    }
    let trace =
        successors(error.source(), |&e| e.source()).find_map(<dyn StdError>::downcast_ref::<ProviderTrace>);
    let (kind, own_hint) = match trace.and_then(|trace| trace.own.as_ref()) {
        Some((ErrorKind::Network, hint)) => (ErrorKind::Network, hint.as_deref().or(Some(UNREACHABLE_HINT))),
        Some((ErrorKind::Server, hint)) => (ErrorKind::Server, hint.as_deref().or(Some(FAILING_HINT))),
        // A shortage of this process, or a setting: no credentials would help.
        Some((kind @ (ErrorKind::Usage | ErrorKind::Other), hint)) => (*kind, hint.as_deref()),
        Some((_, hint)) => (ErrorKind::Access, hint.as_deref()),
        None => (ErrorKind::Access, None),
    };
    let hint = own_hint.or_else(|| (kind != ErrorKind::Usage).then(|| hint(&reason)));
    let from = if trace.is_some() { reason.replacen(": ", " from ", 1) } else { reason };
    let error = Error::new(kind, format!("cannot load the credentials{from}"));
    match hint {
        Some(hint) => error.with_hint(hint),
        // The message itself says what was expected.
        None => error,
    }
}

/// Returns what helps against a failure with this reason.
fn hint(reason: &str) -> &'static str {
    let lower = reason.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has(&["sts:", "accessdenied", "not authorized"]) {
        "the role's trust policy must allow this identity to assume the role, and the identity's own policy too"
    } else if has(&["web identity"]) {
        "check the token's file, which must hold one that is valid now, the role, and the role's trust policy"
    } else if has(&["line break", "control character", "not ascii", "is empty"]) {
        "write the keys again, without line breaks, quotes or spaces"
    } else if has(&["no login to the sso session", "/sso/cache/", "/login/cache/"]) {
        "log in with `aws sso login` or `aws login`"
    } else if has(&["credential_process"]) {
        "run the command by itself: it must print JSON with Version 1, AccessKeyId and SecretAccessKey, or renew its \
         login; no shell takes a part in it"
    } else if has(&["no answer within", "timed out"]) {
        "if the source waits for somebody to log in, do that before the download"
    } else if has(&["no such file"]) {
        "check the names and files that the profile refers to"
    } else {
        "if a session has expired, renew it with `aws sso login` or `aws login`"
    }
}

const UNREACHABLE_HINT: &str =
    "check the network connection and the proxy variables; the object itself was not requested";

const FAILING_HINT: &str =
    "the service that gives the credentials fails, or has too many requests: try again later";

/// Returns the error of this crate that `error` comes from.
fn own_error(error: &CredentialsError) -> Option<&Error> {
    successors(error.source(), |&e| e.source()).find_map(<dyn StdError>::downcast_ref::<Error>)
}

/// Returns the messages of the error's causes in one line, without duplicates. A `CredentialsError`'s own text is
/// generic and skipped.
fn causes(error: &CredentialsError) -> Option<String> {
    // The crates' texts around an error of our transport add nothing ("dispatch failure: io error").
    if let Some(ours) = own_error(error) {
        return Some(first_line(ours));
    }
    let mut messages: Vec<String> = Vec::new();
    for text in successors(error.source(), |&e| e.source())
        .filter(|e| !e.is::<CredentialsError>())
        .map(ToString::to_string)
        // The Debug form of a request of the crates, with its tokens.
        .filter(|text| !text.contains("SdkBody"))
    {
        if !messages.iter().any(|earlier| earlier.contains(&text)) {
            messages.push(text);
        }
    }
    // Messages of processes and servers are printed on a terminal, so control characters are removed.
    let line = messages
        .join(": ")
        .split(char::is_control)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_damaged_login_is_answered_by_a_login() {
        for (reason, shown) in [
            (
                ": the profile \"x\": no login to the SSO session: /h/.aws/sso/cache/a0.json: No such file",
                "sso login",
            ),
            (
                ": the profile \"x\": /h/.aws/sso/cache/a0.json cannot be used: the output is not JSON",
                "sso login",
            ),
            (": the profile \"x\": failed to read `/h/.aws/login/cache/67.json`: No such file", "aws login"),
            (
                ": the profile \"x\": credential_process printed no valid keys: the output is not JSON",
                "run the command",
            ),
        ] {
            assert!(hint(reason).contains(shown), "{reason}: {}", hint(reason));
        }
    }

    #[test]
    fn a_file_of_another_user_is_answered_by_whose_it_must_be() {
        for (reason, hint) in [
            ("/home/nonroot/.aws/credentials cannot be read: Permission denied (os error 13)", "--user"),
            ("not set", "AWS_ACCESS_KEY_ID"),
        ] {
            let mut trace = ProviderTrace::new();
            trace.add("the AWS configuration", &CredentialsError::not_loaded(reason));
            let error = credentials_error(&trace.into_error());
            assert!(error.to_string().contains(reason), "{error}");
            assert!(error.hint().is_some_and(|shown| shown.contains(hint)), "{error}");
        }
    }
}
