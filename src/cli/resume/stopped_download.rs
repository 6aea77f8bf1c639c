//! The facts of a download that stopped before its end, from which a later run may continue.
//!
//! Pure.

use std::ops::Range;
use std::path::Path;

use crate::cli::invocation::Invocation;
use crate::cli::source_list::SourceList;
use crate::error::{Error, ErrorKind};
use crate::s3::address::source::Source;
use crate::s3::object::ObjectInfo;

/// A download that stopped before its end.
#[derive(Debug, Clone)]
pub(crate) struct StoppedDownload<'a> {
    /// The options of the run.
    pub(crate) invocation: &'a Invocation,
    /// The object.
    pub(crate) info: &'a ObjectInfo,
    /// The bytes to deliver, as offsets in the object.
    pub(crate) range: Range<u64>,
    /// Number of these bytes that were delivered.
    pub(crate) delivered: u64,
    /// The objects that were to follow.
    pub(crate) rest: &'a [Source],
    /// Where the run was in its list of sources, if it has one.
    pub(crate) listed: Option<ListPosition<'a>>,
    /// The files that `--continue` resumes from.
    pub(crate) files: ResumableFiles,
    /// Set if the version in `info` is no longer the newest.
    pub(crate) is_by_version: bool,
    /// Set if the reader of a pipe may have been ended by the same signal.
    pub(crate) is_interrupted: bool,
    /// The file at stdout, if it is one.
    pub(crate) file: Option<&'a Path>,
}

/// The files that a run with `--continue` resumes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResumableFiles {
    /// None: the bytes went to a stream.
    None,
    /// None, and no stream has the bytes: there are none yet, or other processes write to the file too.
    Unusable,
    /// One, with the bytes of all objects.
    One,
    /// One for each object; those before the current one are complete.
    Each,
}

impl ResumableFiles {
    /// Returns whether `--continue` resumes from a file.
    pub(crate) fn are_some(self) -> bool {
        matches!(self, Self::One | Self::Each)
    }
}

/// Where a run was in its list of sources when it ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListPosition<'a> {
    pub(crate) list: &'a SourceList,
    /// The object that was under way, or the last one that was, and its line.
    pub(crate) source: &'a Source,
    pub(crate) line: u64,
    /// Set if no object follows it.
    pub(crate) is_last: bool,
    /// Set if the list is a file that can be read once more.
    pub(crate) is_rereadable: bool,
    /// Bytes that all objects together have brought.
    pub(crate) written: u64,
}

/// Returns whether a download that `error` ended may be continued: what was delivered is right, and the same request
/// may succeed later. One that `can_be_resumed` may also be continued after a full disk.
pub(crate) fn is_resumable(error: &Error, can_be_resumed: bool) -> bool {
    match error.kind() {
        // An error of the system may pass; an unusable name does not.
        ErrorKind::Output => can_be_resumed && std::error::Error::source(error).is_some(),
        ErrorKind::Changed | ErrorKind::Integrity | ErrorKind::Usage => false,
        // Credentials are renewed, permissions and objects are restored, and the version is pinned.
        _ => true,
    }
}

impl StoppedDownload<'_> {
    /// Returns whether something was delivered, and something is left.
    pub(super) fn can_continue(&self) -> bool {
        match self.files {
            ResumableFiles::One | ResumableFiles::Each => true,
            ResumableFiles::Unusable => false,
            ResumableFiles::None if self.reached() < self.range.end => self.delivered > 0,
            // The next object could not be started.
            ResumableFiles::None => self.has_rest(),
        }
    }

    /// Returns whether objects were to follow, as far as is known.
    pub(super) fn has_rest(&self) -> bool {
        self.listed.map_or(!self.rest.is_empty(), |listed| !listed.is_last)
    }

    /// Returns the offset in the object up to which bytes were delivered.
    pub(super) fn reached(&self) -> u64 {
        self.range.start.saturating_add(self.delivered).min(self.range.end)
    }

    /// Returns the object that was under way, or the last one that was.
    pub(super) fn current(&self) -> &Source {
        if let Some(listed) = self.listed {
            return listed.source;
        }
        let sources = &self.invocation.sources;
        &sources[sources.len().saturating_sub(self.rest.len() + 1)]
    }

    /// Returns whether `--continue` resumes from a file.
    pub(super) fn can_be_resumed(&self) -> bool {
        self.files.are_some()
    }

    /// Returns whether each object has a file of its own.
    pub(super) fn has_file_each(&self) -> bool {
        self.files == ResumableFiles::Each
    }
}
