//! The message after a download that stopped before its end: how far it came, and the command that continues from
//! there.
//!
//! Pure.

use std::fmt::Write;

use crate::cli::resume::commands::is_repeatable;
use crate::cli::resume::stopped_download::StoppedDownload;
use crate::s3::address::source::Source;

/// How a stopped download can be continued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResumeHint {
    /// How far the download came, and the command, as lines for people; or the reason why there is no command.
    pub(crate) message: String,
    /// The command as words for programs; `None` if there is none.
    pub(crate) words: Option<Vec<String>>,
}

impl ResumeHint {
    /// Returns how to continue; `None` if nothing was delivered yet, or nothing is left.
    pub(crate) fn of(stopped: &StoppedDownload<'_>) -> Option<Self> {
        Some(Self { message: stopped.message()?, words: stopped.words() })
    }
}

impl StoppedDownload<'_> {
    /// Returns the lines to show, each with its newline; `None` if nothing was delivered yet, or nothing is left.
    pub(super) fn message(&self) -> Option<String> {
        if !self.can_continue() {
            return None;
        }
        let reached = self.reached();
        let mut text = if reached == self.range.end && self.has_rest() {
            format!("  stopped after {}", self.current())
        } else if let Some(size) = self.info.known_size() {
            format!("  stopped at byte {reached} of {size}")
        } else {
            format!("  stopped at byte {reached}")
        };
        if (self.listed.is_some() || self.has_file_each()) && reached < self.range.end {
            let _ = write!(text, " of {}", self.current());
        }
        if let Some(listed) = self.listed {
            let _ = write!(text, ", {}, {} bytes in all", listed.list.place(listed.line), listed.written);
        }
        if let Some(etag) = self.info.etag.as_deref().filter(|etag| is_repeatable(etag)) {
            let _ = write!(text, ", ETag {etag}");
        }
        match self.command_line(true) {
            Ok(command) => {
                let list = if self.asks_for_list() { ", with the list as stdin again" } else { "" };
                let condition = if !self.can_be_resumed() && self.file.is_none() && self.is_interrupted {
                    ", if the reader has taken all bytes before it"
                } else {
                    ""
                };
                let query = if self.asks_for_secrets() {
                    ", with the URL's query (or a new URL's) in place of the dots"
                } else {
                    ""
                };
                let key = if self.asks_for_key() { ", with --sse-c-key and the key added" } else { "" };
                let unverified =
                    if self.can_be_resumed() { "" } else { " (the result is not verified end to end)" };
                let _ = write!(
                    text,
                    "\n  To continue from there{condition}{query}{key}{list}{unverified}:\n    {command}\n"
                );
            }
            Err(why) => {
                let _ = writeln!(text, "\n  it cannot be continued safely: {why}");
            }
        }
        Some(text)
    }

    /// Returns whether the command needs the list at its stdin.
    fn asks_for_list(&self) -> bool {
        let is_needed = self.can_be_resumed() || self.has_rest();
        self.listed.is_some_and(|listed| is_needed && !listed.is_rereadable)
    }

    /// Returns whether the command lacks the key of encrypted objects: one that was typed itself is not repeated.
    fn asks_for_key(&self) -> bool {
        let key = self.invocation.settings.sse_c_key.as_ref();
        let is_needed = self.listed.is_some() || self.repeated().iter().any(|source| source.url().is_none());
        is_needed && key.is_some_and(|key| key.file().is_none())
    }

    /// Returns the arguments that the command has again.
    fn repeated(&self) -> &[Source] {
        let sources = &self.invocation.sources;
        let remaining = self.rest.len() + usize::from(self.reached() < self.range.end);
        if self.can_be_resumed() { sources } else { &sources[sources.len().saturating_sub(remaining)..] }
    }

    /// Returns whether the command has a URL whose query is not shown.
    fn asks_for_secrets(&self) -> bool {
        if self.listed.is_some() {
            let has_query = self.current().url().is_some_and(|url| url.query().is_some());
            return has_query && !self.can_be_resumed() && self.reached() < self.range.end;
        }
        self.repeated().iter().any(|source| source.url().is_some_and(|url| url.query().is_some()))
    }
}
