//! Where the bytes are to go, as the user said it: stdout, a file, or one piece of a shared file.
//!
//! Pure: what is there is the business of the sink.

use std::path::PathBuf;

/// Where bytes go.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Destination {
    /// To this process's stdout.
    Stdout {
        /// Also bytes that a terminal cannot show, where it is one.
        even_binary: bool,
    },
    /// To a file, or into a folder, by the last name of the key or URL.
    File {
        /// As it was typed.
        path: PathBuf,
        /// What is done with what is there already.
        existing: IfExists,
    },
}

/// What is done with what is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum IfExists {
    /// A file stays: it is an error. What is left of a download that was cut is thrown away.
    Fail {
        /// Go on with what is left of a download that was cut.
        resume: bool,
    },
    /// A file is replaced, in one moment, by one that is whole.
    Replace {
        /// Go on with what is left of a download that was cut.
        resume: bool,
    },
    /// Bytes are written into a file, each at the offset that it has in the object, and nothing else is changed.
    InPlace,
}

impl Destination {
    /// Whether what is left of an earlier download is gone on with.
    pub(crate) fn resumes(&self) -> bool {
        use IfExists::{Fail, Replace};
        matches!(self, Self::File { existing: Fail { resume: true } | Replace { resume: true }, .. })
    }

    /// The same target, going on with what is left of an earlier download.
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
