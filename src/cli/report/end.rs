//! How a run ended, for the last line of `--progress=json` and for `--stats=json`.
//!
//! The keys and their types are stable: `exit_code` (number), `error` (object or `null`) and `resume` (array of strings
//! or `null`).

use serde::Serialize;

use crate::error::Error;
use crate::events;

/// The end of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct EndReport {
    /// The exit status that a shell shows; 128 and the signal's number where a signal ends the process.
    pub(crate) exit_code: u8,
    /// Why the run failed.
    pub(crate) error: Option<ErrorReport>,
    /// The command that delivers the rest, one word an element. Unless it writes to a file itself, its stdout is to be
    /// appended to what was delivered. The query of a URL is not repeated.
    pub(crate) resume: Option<Vec<String>>,
}

/// An error, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ErrorReport {
    /// Such as `network` or `not_found`: the name of the [`ErrorKind`](crate::ErrorKind).
    kind: &'static str,
    /// The service's error code, such as `NoSuchKey`.
    code: Option<String>,
    /// One line for people.
    message: String,
    /// The object that it is about.
    object: Option<String>,
    /// The HTTP status.
    status: Option<u16>,
    request_id: Option<String>,
    hint: Option<String>,
}

impl From<&Error> for ErrorReport {
    fn from(error: &Error) -> Self {
        let service = error.service();
        Self {
            kind: error.kind().name(),
            code: service.and_then(|service| service.code.clone()),
            message: events::first_line(error),
            object: error.object().map(str::to_owned),
            status: service.map(|service| service.status),
            request_id: service.and_then(|service| service.request_id.clone()),
            hint: error.hint().map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, ServiceError};

    #[test]
    fn the_keys_are_stable_and_unknown_values_are_null() {
        let service = ServiceError {
            status: 404,
            code: Some("NoSuchKey".into()),
            request_id: Some("id".into()),
            ..ServiceError::default()
        };
        let error = Error::new(ErrorKind::NotFound, "no such object").on("s3://b/k").with_service(service);
        let failed = EndReport { exit_code: 3, error: Some((&error).into()), resume: None };
        for (end, json) in [
            (EndReport::default(), r#"{"exit_code":0,"error":null,"resume":null}"#),
            (
                failed,
                concat!(
                    r#"{"exit_code":3,"error":{"kind":"not_found","code":"NoSuchKey","#,
                    r#""message":"s3://b/k: no such object: NoSuchKey (HTTP 404, request id id)","#,
                    r#""object":"s3://b/k","status":404,"request_id":"id","hint":null},"resume":null}"#
                ),
            ),
        ] {
            assert_eq!(serde_json::to_string(&end).unwrap(), json);
        }
    }
}
