//! The name of the file that stdout is redirected to, for a command that continues it.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Returns the path of the regular file that stdout is; `None` if it is not one, if the file has no name any more, or
/// if the system cannot say (only Linux can).
pub(crate) fn stdout_file() -> Option<PathBuf> {
    let stdout = fs::File::from(io::stdout().as_fd().try_clone_to_owned().ok()?).metadata().ok()?;
    let path = fs::read_link("/proc/self/fd/1").ok()?;
    let named = fs::metadata(&path).ok()?;
    // The name may have gone to another file since.
    let is_same = (stdout.dev(), stdout.ino()) == (named.dev(), named.ino());
    (stdout.is_file() && is_same).then_some(path)
}
