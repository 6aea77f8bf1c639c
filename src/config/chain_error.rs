//! The error for missing credentials: which sources were asked, how each of them failed, and a remedy.
//!
//! No key passes through here, so none can show in a message.

use std::error::Error as StdError;
use std::fmt;
use std::iter::successors;

use aws_credential_types::provider::error::CredentialsError;

use crate::error::{Error, ErrorKind};
use crate::events::CREDENTIALS;
use tracing::debug;

/// The sources that had no credentials, each with its reason. It travels as the source of a [`CredentialsError`],
/// the only error type that the AWS crates' trait allows.
#[derive(Debug)]
pub(super) struct ProviderTrace(Vec<(String, String)>);

impl ProviderTrace {
    /// Creates a trace without any source.
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a source and the reason why it has no credentials.
    pub(super) fn add(&mut self, source: impl Into<String>, error: &CredentialsError) {
        let (source, reason) = (source.into(), causes(error).unwrap_or_else(|| "no keys".to_owned()));
        debug!(target: CREDENTIALS, source, reason, "no credentials here");
        self.0.push((source, reason));
    }

    /// Returns the error for a search that no source could answer.
    pub(super) fn into_error(self) -> CredentialsError {
        CredentialsError::not_loaded(self)
    }

    /// Returns the error for `source`, which is configured but failed.
    pub(super) fn failed(source: impl Into<String>, error: &CredentialsError) -> CredentialsError {
        let mut trace = Self::new();
        trace.add(source, error);
        CredentialsError::provider_error(trace)
    }
}

impl fmt::Display for ProviderTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (source, reason)) in self.0.iter().enumerate() {
            write!(f, "{}{source}: {reason}", if n == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl StdError for ProviderTrace {}

/// Converts the AWS crates' error into this crate's.
pub(super) fn credentials_error(error: &CredentialsError) -> Error {
    let reason = causes(error).map_or_else(String::new, |reason| format!(": {reason}"));
    if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
        return Error::new(ErrorKind::Access, format!("no credentials found{reason}")).with_hint(
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run `aws sso login` or `aws login`, choose a --profile, \
             or use --no-sign-request for a public object",
        );
    }
    let from = if error.source().is_some_and(<dyn StdError>::is::<ProviderTrace>) {
        reason.replacen(": ", " from ", 1)
    } else {
        reason
    };
    Error::new(ErrorKind::Access, format!("the credentials could not be loaded{from}"))
        .with_hint("if a session has expired, renew it with `aws sso login` or `aws login`")
}

/// Returns the messages of the error's causes in one line, without duplicates. A `CredentialsError`'s own text is
/// generic and skipped.
fn causes(error: &CredentialsError) -> Option<String> {
    let mut messages: Vec<String> = Vec::new();
    for text in successors(error.source(), |&e| e.source())
        .filter(|e| !e.is::<CredentialsError>())
        .map(ToString::to_string)
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
