//! What a script sees of a request, and what it may answer.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

/// A time that never comes.
pub(crate) const NEVER: Duration = Duration::MAX;

/// The usual time until a response or a connection begins.
pub(crate) const LATENCY: Duration = Duration::from_millis(25);

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct RecordedRequest {
    /// Counted from 0 over all connections, among the requests of its method.
    pub(crate) number: usize,
    /// Counted from 1, in the order in which they were dialled.
    pub(crate) connection: usize,
    /// Since the server was started.
    pub(crate) at: Duration,
    pub(crate) method: String,
    /// The bytes requested; all of the object where the request names none.
    pub(crate) range: Range<u64>,
    pub(super) head: String,
}

impl RecordedRequest {
    /// Returns whether it is a GET.
    pub(crate) fn is_get(&self) -> bool {
        self.method == "GET"
    }

    /// Returns the last part of the path.
    pub(crate) fn key(&self) -> &str {
        let target = self.head.split(' ').nth(1).unwrap_or_default();
        target.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The fate of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFate {
    Complete,
    /// The connection closes after so many bytes.
    CutAt(usize),
    /// After so many bytes nothing comes any more.
    SilentAt(usize),
    /// After so many bytes nothing comes for a while.
    PauseAt(usize, Duration),
}

/// The response to a request.
#[derive(Debug, Clone)]
pub(crate) struct ScriptedReply {
    /// The time until the response begins; [`NEVER`] for a connection that is silent.
    pub(crate) latency: Duration,
    /// 206 or 200, as it should be, if `None`.
    pub(crate) status: Option<u16>,
    /// These take the place of the headers of the same names; an empty value leaves one out.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The bytes of the object, if `None`.
    pub(crate) body: Option<Bytes>,
    pub(crate) bytes_per_second: Option<u64>,
    pub(crate) fate: BodyFate,
}

impl Default for ScriptedReply {
    fn default() -> Self {
        Self {
            latency: LATENCY,
            status: None,
            headers: Vec::new(),
            body: None,
            bytes_per_second: None,
            fate: BodyFate::Complete,
        }
    }
}

impl ScriptedReply {
    /// The bytes that were requested, at `bytes_per_second`.
    pub(crate) fn at_rate(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: Some(bytes_per_second), ..Self::default() }
    }

    /// The bytes that were requested, with another end.
    pub(crate) fn ending(fate: BodyFate) -> Self {
        Self { fate, ..Self::default() }
    }

    /// No response, and an open connection.
    pub(crate) fn never() -> Self {
        Self { latency: NEVER, ..Self::default() }
    }

    /// An error of S3.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let document = format!("<Error><Code>{code}</Code><Message>scripted</Message></Error>");
        Self { status: Some(status), body: Some(document.into()), ..Self::default() }
    }

    /// The reply with a header added, replaced, or left out where `value` is empty.
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The fate of a new connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ScriptedDial {
    Accept(Duration),
    Refuse,
    /// Neither an answer nor a refusal.
    Ignore,
}
