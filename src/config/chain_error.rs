//! Why there are no credentials: which sources were asked, what each of them said, and what to do about it.
//!
//! It gets the answers of `sources.rs` and hands on an error in this crate's terms. Keys never come this way.

use std::error::Error as StdError;
use std::fmt;
use std::iter::successors;

use aws_credential_types::provider::error::CredentialsError;

use crate::error::{Error, ErrorKind};
use crate::events::CREDENTIALS;
use tracing::debug;

/// What was asked in vain, as a cause inside a [`CredentialsError`], which alone fits the AWS crates' trait.
#[derive(Debug)]
pub(super) struct ProviderTrace(Vec<(String, String)>);

impl ProviderTrace {
    /// Nobody yet.
    pub(super) fn nobody() -> Self {
        Self(Vec::new())
    }

    /// Adds a source, and why it has nothing.
    pub(super) fn add(&mut self, source: impl Into<String>, error: &CredentialsError) {
        let (source, why) = (source.into(), causes(error).unwrap_or_else(|| "no keys".to_owned()));
        debug!(target: CREDENTIALS, source, reason = why, "no credentials here");
        self.0.push((source, why));
    }

    /// No source has any.
    pub(super) fn in_vain(self) -> CredentialsError {
        CredentialsError::not_loaded(self)
    }

    /// `source`, which is set up, failed.
    pub(super) fn failed(source: impl Into<String>, error: &CredentialsError) -> CredentialsError {
        let mut one = Self::nobody();
        one.add(source, error);
        CredentialsError::provider_error(one)
    }
}

impl fmt::Display for ProviderTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (source, why)) in self.0.iter().enumerate() {
            write!(f, "{}{source}: {why}", if n == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl StdError for ProviderTrace {}

/// The error for who wanted credentials.
pub(super) fn refused(error: &CredentialsError) -> Error {
    let why = causes(error).map_or_else(String::new, |why| format!(": {why}"));
    if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
        return Error::new(ErrorKind::Access, format!("no credentials found{why}")).with_hint(
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run `aws sso login` or `aws login`, choose a --profile, \
             or use --no-sign-request for a public object",
        );
    }
    let from = if error.source().is_some_and(<dyn StdError>::is::<ProviderTrace>) {
        why.replacen(": ", " from ", 1)
    } else {
        why
    };
    Error::new(ErrorKind::Access, format!("the credentials could not be loaded{from}"))
        .with_hint("where a session has expired, `aws sso login` or `aws login` renews it")
}

/// The texts behind `error`, each once. Its own, and that of others of its kind, says no more than that it is one.
fn causes(error: &CredentialsError) -> Option<String> {
    let mut said: Vec<String> = Vec::new();
    for text in successors(error.source(), |&e| e.source())
        .filter(|e| !e.is::<CredentialsError>())
        .map(ToString::to_string)
    {
        if !said.iter().any(|before| before.contains(&text)) {
            said.push(text);
        }
    }
    // A message may come from a process or a server: it goes to a terminal, in one line.
    let line =
        said.join(": ").split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}
