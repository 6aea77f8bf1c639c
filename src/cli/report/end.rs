//! How a run ended, for the last lines of `--progress=json` and `--stats=json`.
//!
//! The keys and their types are stable: `exit_code` (number), `error` (object or `null`) and `resume` (array of strings
//! or `null`).

use serde::Serialize;

use crate::error::{Error, ErrorKind};
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

/// The sentence and the tip of a command line that cannot be parsed; its usage is for people.
impl From<&clap::Error> for ErrorReport {
    fn from(refusal: &clap::Error) -> Self {
        let text = refusal.render().to_string();
        let one_line = |lines: &str| lines.split_whitespace().collect::<Vec<_>>().join(" ");
        let paragraphs: Vec<_> = text.split("\n\n").map(one_line).collect();
        let message = paragraphs.first().map_or("", String::as_str);
        let tip = paragraphs.iter().find_map(|paragraph| paragraph.strip_prefix("tip: "));
        Self {
            kind: ErrorKind::Usage.name(),
            code: None,
            message: message.strip_prefix("error: ").unwrap_or(message).to_owned(),
            object: None,
            status: None,
            request_id: None,
            hint: tip.map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Args;
    use crate::error::ServiceError;

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

    #[test]
    fn a_command_line_that_cannot_be_parsed_is_a_sentence_and_a_tip() {
        for (line, message, hint) in [
            (
                &["--chunksize", "1", "s3://b/k"][..],
                "unexpected argument '--chunksize' found",
                Some("--chunk-size"),
            ),
            (&[], "the following required arguments were not provided: <s3://BUCKET/KEY|URL>...", None),
            (
                &["-c", "0", "s3://b/k"],
                "invalid value '0' for '--concurrency <N>': 0 is not in 1..=1000",
                None,
            ),
        ] {
            let refusal =
                Args::try_parse_from(std::iter::once(&"s3fcp").chain(line)).expect_err("it is refused");
            let report = ErrorReport::from(&refusal);
            assert_eq!((report.kind, report.message.as_str()), ("usage", message));
            assert_eq!(report.hint.is_some(), hint.is_some(), "{report:?}");
            assert!(report.hint.unwrap_or_default().contains(hint.unwrap_or_default()), "{line:?}");
        }
    }
}
