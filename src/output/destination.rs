//! The destination that the user named: stdout, a file, or one piece of a shared file. What is there already is looked
//! at when the sink is opened.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

/// The destination of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Destination {
    /// This process's stdout.
    Stdout {
        /// Binary data goes to a terminal, too.
        even_binary: bool,
    },
    /// A file, or a folder, in which the last name of the key or URL is used.
    File {
        /// As it was typed.
        path: PathBuf,
        /// The treatment of a file that exists.
        existing: IfExists,
    },
}

/// The treatment of a file that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum IfExists {
    /// It stays, and the run fails. What an earlier run left of it is discarded.
    Fail {
        /// Continue what an earlier run left.
        resume: bool,
    },
    /// It is replaced by the new one, once that is whole.
    Replace {
        /// Continue what an earlier run left.
        resume: bool,
    },
    /// Bytes are written into it, each at its offset in the object, and nothing else is changed.
    InPlace,
}

impl Destination {
    /// Returns whether bytes go to this process's stdout.
    pub(crate) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout { .. })
    }

    /// Returns the named pipe that bytes go to, if they do: it opens only once it has a reader.
    pub(crate) fn named_pipe(&self) -> Option<&Path> {
        let Self::File { path, .. } = self else { return None };
        std::fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo()).then_some(path)
    }

    /// Returns whether what an earlier run left is continued.
    pub(crate) fn resumes(&self) -> bool {
        use IfExists::{Fail, Replace};
        matches!(self, Self::File { existing: Fail { resume: true } | Replace { resume: true }, .. })
    }

    /// Returns whether a file that is there may be replaced.
    pub(crate) fn replaces(&self) -> bool {
        matches!(self, Self::File { existing: IfExists::Replace { .. }, .. })
    }

    /// Returns this destination with `--continue`.
    #[must_use]
    pub(crate) fn resumed(&self) -> Self {
        let mut target = self.clone();
        if let Self::File { existing: IfExists::Fail { resume } | IfExists::Replace { resume }, .. } =
            &mut target
        {
            *resume = true;
        }
        target
    }
}

impl Default for Destination {
    fn default() -> Self {
        Self::Stdout { even_binary: false }
    }
}
