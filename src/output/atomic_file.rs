//! Names of files: opened for one process alone, given in one moment, and brought to the disk.
//!
//! Each is a few calls of the system; which file is meant, and when, is decided elsewhere.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::Result;
use crate::output::path::{failed, unusable};

/// Opens `part`, made if need be, for this process alone.
pub(super) fn locked(part: &Path) -> Result<File> {
    loop {
        // A link could lead anywhere, and a pipe would be waited for.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(part, flags, Mode::from_raw_mode(0o666));
        let file = File::from(file.map_err(|e| failed(part, "it could not be opened", e.into()))?);
        let opened = file.metadata().map_err(|e| failed(part, "it cannot be looked at", e))?;
        if !opened.is_file() {
            return Err(unusable(part, "it is no regular file"));
        }
        // Not every file system has locks.
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Err(unusable(part, "another process is writing it"));
        }
        // Who had it before may have renamed it to FILE since.
        match fs::symlink_metadata(part) {
            Ok(named) if (named.dev(), named.ino()) == (opened.dev(), opened.ino()) => return Ok(file),
            _ => {}
        }
    }
}

/// Renames, but never onto what is there.
pub(super) fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        match rustix::fs::renameat_with(CWD, from, CWD, to, rustix::fs::RenameFlags::NOREPLACE) {
            // Not every file system can.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            renamed => return renamed.map_err(Into::into),
        }
    }
    if to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    rustix::fs::renameat(CWD, from, CWD, to).map_err(Into::into)
}

/// Brings the name to the disk, where that is possible.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(folder) = File::open(folder) else { return Ok(()) };
    match folder.sync_all() {
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_opened_once_and_a_name_given_once() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let first = locked(&a).unwrap();
        assert!(locked(&a).unwrap_err().to_string().contains("another process"));
        rename_to_new(&a, &b).unwrap();
        sync_folder(&b).unwrap();
        assert!(!a.exists() && b.exists());
        drop(first);
        drop(locked(&a).unwrap());
        assert_eq!(rename_to_new(&a, &b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(a.exists());
        fs::remove_file(&a).unwrap();
        std::os::unix::fs::symlink(&b, &a).unwrap();
        assert!(locked(&a).is_err(), "a link could lead anywhere");
    }
}
