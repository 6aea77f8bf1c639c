//! Errors about a path that the user named, in words that are safe on a terminal.

use std::io;
use std::path::Path;

use crate::error::printable::Visible;
use crate::error::{Error, ErrorKind};

/// The hint for a FILE that is in the way of a new one.
pub(super) const FORCE_HINT: &str = "--force replaces it once the new file is complete";

/// Returns a path for a message, with control characters made visible.
pub(super) fn shown(path: &Path) -> String {
    Visible(&path.to_string_lossy()).to_string()
}

/// Returns the error `PATH: WHY`, for an output that only the user can put right.
pub(crate) fn unusable(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Output, format!("{}: {why}", shown(path)))
}

/// Returns the error `cannot ACTION PATH: CAUSE`, for what the system refuses.
pub(super) fn failed(path: &Path, action: &str, cause: io::Error) -> Error {
    Error::new(ErrorKind::Output, format!("cannot {action} {}", shown(path))).with_source(cause)
}

/// Returns the error for a file that is there and may not be replaced.
pub(super) fn exists(path: &Path) -> Error {
    unusable(path, "already exists").with_hint(FORCE_HINT)
}
