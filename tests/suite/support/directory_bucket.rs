//! A directory bucket (S3 Express One Zone) and the sessions that it is read with.

use super::run::Outcome;

pub(crate) const BUCKET: &str = "data--usw2-az1--x-s3";
pub(crate) const URI: &str = "s3://data--usw2-az1--x-s3/key";

/// Returns whether a request with this target asks for a session.
pub(crate) fn is_session_request(target: &str) -> bool {
    target.ends_with("?session")
}

/// Asserts that neither the messages nor the log have a secret of a session, of s3server or of a scripted server.
#[track_caller]
pub(crate) fn assert_session_hidden(outcome: &Outcome) {
    outcome.assert_hides(&["SESSIONSECRET", "SESSIONTOKEN/", "TOKEN-"]);
}
