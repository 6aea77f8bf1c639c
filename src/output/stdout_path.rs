//! Which file stdout is, for a command that continues it.
//!
//! It asks the system and never opens or changes anything.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The path of the regular file that stdout is; `None` where it is none, or the system does not tell (it is
/// Linux that does), or the file has no name any more.
pub(crate) fn stdout_file() -> Option<PathBuf> {
    let stdout = fs::File::from(io::stdout().as_fd().try_clone_to_owned().ok()?).metadata().ok()?;
    let path = fs::read_link("/proc/self/fd/1").ok()?;
    let named = fs::metadata(&path).ok()?;
    // The name may have gone to another file since.
    let is_same = (stdout.dev(), stdout.ino()) == (named.dev(), named.ino());
    (stdout.is_file() && is_same).then_some(path)
}
