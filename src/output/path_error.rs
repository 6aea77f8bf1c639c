//! Errors about a path that the user named, in words that are safe on a terminal.

use std::io;
use std::path::Path;

use crate::error::printable::Visible;
use crate::error::{Error, ErrorKind};

/// Returns a path for a message, with control characters made visible.
pub(super) fn shown(path: &Path) -> String {
    Visible(&path.to_string_lossy()).to_string()
}

/// Returns an error of the output that only the user can put right.
pub(super) fn unusable(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Output, format!("{}: {why}", shown(path)))
}

/// Returns an error of the output with its cause in the system.
pub(super) fn failed(path: &Path, what: &str, cause: io::Error) -> Error {
    unusable(path, what).with_source(cause)
}

/// Returns the error for a file that is there and may not be replaced.
pub(super) fn exists(path: &Path) -> Error {
    unusable(path, "it exists already").with_hint("--force replaces it, once the new one is whole")
}
