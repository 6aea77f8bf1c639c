//! The name of the file that stdout is redirected to, for a command that continues it.

use std::fs;
use std::io::{self, Seek as _};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Returns the path of the regular file that stdout is and that ends where this process has written last; `None` if it
/// is not one, if the file has no name any more, if it has bytes after those (`1<> FILE`), or if the system cannot say
/// (only Linux can).
pub(crate) fn stdout_file() -> Option<PathBuf> {
    let mut file = fs::File::from(io::stdout().as_fd().try_clone_to_owned().ok()?);
    let stdout = file.metadata().ok()?;
    let is_at_its_end = file.stream_position().is_ok_and(|position| position == stdout.len());
    let path = fs::read_link("/proc/self/fd/1").ok()?;
    let named = fs::metadata(&path).ok()?;
    // The name may have gone to another file since.
    let is_same = (stdout.dev(), stdout.ino()) == (named.dev(), named.ino());
    (stdout.is_file() && is_same && is_at_its_end).then_some(path)
}
