//! One error type for the whole crate: what failed (`kind` and a sentence), on which object, what the service answered,
//! after how many attempts, and what to try next.
//!
//! Its message has one to three lines. It never contains credentials, request headers or signed URLs.

mod kind;
pub(crate) mod printable;
mod service_error;
pub(crate) mod shortage;

use std::error::Error as StdError;
use std::fmt;
use std::io;

pub use crate::error::kind::ErrorKind;
use crate::error::printable::{printable, printable_within};
pub use crate::error::service_error::ServiceError;

/// A `Result` whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The longest sentence of an error, in characters. Most quote at most a key (1024 bytes) or an `ETag`.
const WHAT_CHARS_MAX: usize = 1500;

/// The reason why a download, or a step of it, failed.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    what: String,
    object: Option<String>,
    service: Option<ServiceError>,
    attempts: u32,
    retryable: bool,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error of `kind` that is not retryable. Its message is `OBJECT: what`, or `what` alone if no object is
    /// [named](Self::on).
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            what: what.into(),
            object: None,
            service: None,
            attempts: 0,
            retryable: false,
            hint: None,
            source: None,
        }))
    }

    /// Creates an error for a transient failure of the network, which is retryable.
    pub(crate) fn network(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Network, what).retryable(true)
    }

    /// Creates an error for bad arguments or configuration.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, what)
    }

    /// Creates an error for output that could not be written.
    #[must_use]
    pub(crate) fn output(cause: io::Error) -> Self {
        Self::new(ErrorKind::Output, "cannot write the output").with_source(cause)
    }

    /// Creates an error for a task of this process that ended without a result.
    pub(crate) fn ended_early() -> Self {
        Self::new(ErrorKind::Other, "a part of the download ended early")
    }

    /// Puts the name of an operation in front of the sentence.
    #[must_use]
    pub(crate) fn in_operation(mut self, operation: &str) -> Self {
        self.0.what = format!("{operation}: {}", self.0.what);
        self
    }

    /// Replaces kind and sentence, for a caller that knows more about the request.
    #[must_use]
    pub(crate) fn reworded(mut self, kind: ErrorKind, what: impl Into<String>) -> Self {
        (self.0.kind, self.0.what) = (kind, what.into());
        self
    }

    /// Returns an error with this content, for others who waited for the same thing. Of the underlying errors it keeps
    /// the text only.
    #[must_use]
    pub(crate) fn duplicate(&self) -> Self {
        let e = &*self.0;
        Self(Box::new(Inner {
            kind: e.kind,
            what: e.what.clone(),
            object: e.object.clone(),
            service: e.service.clone(),
            attempts: e.attempts,
            retryable: e.retryable,
            hint: e.hint.clone(),
            source: e.source.as_ref().map(|source| source.to_string().into()),
        }))
    }

    /// Sets whether the same request may succeed when it is sent again.
    #[must_use]
    pub(crate) fn retryable(mut self, yes: bool) -> Self {
        self.0.retryable = yes;
        self
    }

    /// Adds the underlying error, which is shown after the sentence. If it is a [`shortage`] of this process, that decides
    /// what helps, and whose fault it is.
    #[must_use]
    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = source.into();
        if let Some(hint) = shortage::remedy(&*source) {
            (self.0.kind, self.0.retryable) = (ErrorKind::Other, false);
            self.0.hint = Some(hint.to_owned());
        }
        self.0.source = Some(source);
        self
    }

    /// Adds the service's error response.
    #[must_use]
    pub(crate) fn with_service(mut self, service: ServiceError) -> Self {
        self.0.service = Some(service);
        self
    }

    /// Returns whether the service asked for fewer requests, or was too busy for this one.
    #[must_use]
    pub fn is_throttling(&self) -> bool {
        self.service().is_some_and(ServiceError::is_throttling)
    }

    /// Names the object (an `s3://` URI or a URL); the first name given stays.
    #[must_use]
    pub(crate) fn on(mut self, object: impl fmt::Display) -> Self {
        self.0.object.get_or_insert_with(|| object.to_string());
        self
    }

    /// Adds the place in a list that names the object, after its name.
    #[must_use]
    pub(crate) fn listed_at(mut self, place: &str) -> Self {
        self.0.object = Some(match self.0.object.take() {
            Some(object) => format!("{object} ({place})"),
            None => place.to_owned(),
        });
        self
    }

    /// Sets how many attempts were made in total.
    #[must_use]
    pub(crate) fn after_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Adds a hint on what to try next; the first one, which is nearest to the cause, stays.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert(hint.into());
        self
    }

    /// Sets the hint on what to try next, in place of an earlier one.
    #[must_use]
    pub(crate) fn with_better_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Returns the object that the error is about, if it is about one.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        self.0.object.as_deref()
    }

    /// Returns what to try next, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Returns the kind of failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the service's error response, if there was one.
    #[must_use]
    pub fn service(&self) -> Option<&ServiceError> {
        self.0.service.as_ref()
    }

    /// Returns whether the same request may succeed when it is sent again, on another connection.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// Returns whether credentials that were valid no longer are: S3 reports them as expired, or their source has no
    /// new ones.
    #[must_use]
    pub fn is_expiry(&self) -> bool {
        let expired = |s: &ServiceError| matches!(s.code(), "ExpiredToken" | "TokenRefreshRequired");
        self.0.kind == ErrorKind::Access && self.service().is_none_or(expired)
    }

    /// Returns whether the output was a pipe that its reader has closed, which is an end rather than a failure.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        let cause = self.0.source.as_deref().and_then(|s| s.downcast_ref::<io::Error>());
        self.0.kind == ErrorKind::Output && cause.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Returns the exit status for this error: see [`ErrorKind::exit_code`].
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.0.kind.exit_code()
    }
}

/// Writes one to three lines: what failed on which object and what the service answered; the number of attempts; what
/// to try.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &*self.0;
        if let Some(object) = &e.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&printable_within(&e.what, WHAT_CHARS_MAX))?;
        if let Some(service) = &e.service {
            if let Some(code) = &service.code {
                write!(f, ": {code}")?;
            }
            write!(f, " (HTTP {}", service.status)?;
            if let Some(id) = &service.request_id {
                write!(f, ", request id {id}")?;
            }
            f.write_str(")")?;
            if let Some(message) = &service.message {
                write!(f, ": {message}")?;
            }
        }
        // Causes often repeat the text of their own causes: each text is shown once.
        let mut shown = String::new();
        let mut cause = e.source.as_deref().map(|s| s as &dyn StdError);
        while let Some(c) = cause {
            let text = printable(&c.to_string());
            if !shown.contains(&text) {
                write!(f, ": {text}")?;
                shown.push_str(&text);
            }
            cause = c.source();
        }
        if e.attempts > 1 {
            write!(f, "\n  gave up after {} attempts", e.attempts)?;
        }
        if let Some(hint) = &e.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|s| s as &(dyn StdError + 'static))
    }
}

/// Converts for readers and writers, such as `StreamReader` of tokio-util or a decoder. The error itself is inside, and
/// [`io::Error::downcast`] returns it.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::Access => io::ErrorKind::PermissionDenied,
            ErrorKind::Usage => io::ErrorKind::InvalidInput,
            ErrorKind::Integrity => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_object_code_request_attempts_and_hint_in_three_lines() {
        let error = Error::new(ErrorKind::NotFound, "no such object")
            .on("s3://b/k")
            .with_service(ServiceError {
                status: 404,
                code: Some("NoSuchKey".into()),
                message: Some("The specified key does not exist.".into()),
                request_id: Some("4442587FB7D0A2F9".into()),
                ..ServiceError::default()
            })
            .after_attempts(2)
            .with_hint("check the key");
        assert_eq!(
            error.to_string(),
            "s3://b/k: no such object: NoSuchKey (HTTP 404, request id 4442587FB7D0A2F9): The specified key does not exist.\n  \
             gave up after 2 attempts\n  hint: check the key"
        );
        assert_eq!(error.exit_code(), 3);
    }

    #[test]
    fn causes_are_shown_once_each() {
        let inner = io::Error::new(io::ErrorKind::ConnectionReset, "reset by peer");
        let outer = Error::network("reading the body failed").with_source(inner);
        assert!(outer.is_retryable());
        assert_eq!(outer.to_string(), "reading the body failed: reset by peer");
    }

    #[test]
    fn readers_get_it_whole_and_their_own_kind() {
        for (kind, of_io) in [
            (ErrorKind::NotFound, io::ErrorKind::NotFound),
            (ErrorKind::Access, io::ErrorKind::PermissionDenied),
            (ErrorKind::Integrity, io::ErrorKind::InvalidData),
            (ErrorKind::Network, io::ErrorKind::Other),
        ] {
            let error = io::Error::from(Error::new(kind, "it failed").on("s3://b/k"));
            assert_eq!((error.kind(), error.to_string().as_str()), (of_io, "s3://b/k: it failed"));
            assert_eq!(error.downcast::<Error>().expect("the error itself").kind(), kind);
        }
    }
}
