//! The folder of an output file. Its entries are opened, renamed and removed relative to one open descriptor, and links
//! at their names are never followed.
//!
//! Other users may write to the folder too (`/tmp`, a shared disk). A helper file that is there already is used only if
//! it is a regular file with one link whose owner is that of a file made here by this process: file systems such as
//! CIFS, vfat and NFS with root squashing report owners and modes of their own, so the process's user id proves
//! nothing.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::output::helper_names::random_name;
use crate::output::path::CREATE_FOLDER;
use crate::output::path_error::{failed, unusable};

/// Flags of every open: a link could lead anywhere, and opening a pipe would block.
pub(super) const SAFELY: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// The write permission of all users.
pub(super) const WRITABLE_BY_OTHERS: u32 = 0o002;

/// A process that was killed has its locks until the system has taken it down, and neither `timeout -s KILL` nor a
/// shell that was killed with it waits for that: a run that follows immediately would meet them.
const LOCK_WAIT: Duration = Duration::from_secs(2);
const LOCK_INTERVAL: Duration = Duration::from_millis(10);

/// An open folder in which this process can make files.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    /// Longest name in bytes.
    pub(super) name_bytes_max: usize,
    /// Owner of a file that this process makes here.
    pub(super) owner: u32,
    /// Group of a file that this process makes here.
    pub(super) group: u32,
    /// Mode of a file that this process makes here with 0600.
    private_mode: u32,
}

impl Folder {
    /// Opens the folder of the file `path`, and tries whether a file can be made there; none is left.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, folder, flags, Mode::empty()).map_err(|e| match e {
            Errno::NOENT | Errno::NOTDIR => {
                unusable(path, "its folder does not exist").with_hint(CREATE_FOLDER)
            }
            e => failed(path, "open the folder of", e.into()),
        })?;
        let probed = probe(&fd).and_then(|file| File::from(file).metadata());
        let probe = probed.map_err(|e| failed(path, "create a file in the folder of", e))?;
        let name_bytes_max = name_bytes_max(folder);
        let (owner, group, private_mode) = (probe.uid(), probe.gid(), probe.mode());
        Ok(Self { fd, name_bytes_max, owner, group, private_mode })
    }

    /// Opens the file `name` to read and write; `None` if there is none. Refuses a file that somebody else may have
    /// made. `allowed_mode` has permissions that others may have beside those that this folder gives every file.
    pub(super) fn open_own(&self, name: &OsStr, allowed_mode: u32) -> io::Result<Option<File>> {
        let file = match rustix::fs::openat(&self.fd, name, OFlags::RDWR | SAFELY, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(not_opened(e)),
        };
        let found = file.metadata()?;
        let open_to_all = found.mode() & WRITABLE_BY_OTHERS & !(self.private_mode | allowed_mode);
        let why = if !found.is_file() {
            "it is not a regular file"
        } else if let Some(why) = why_foreign(&found, self.owner) {
            why
        } else if open_to_all != 0 {
            "every user may write to it"
        } else {
            return Ok(Some(file));
        };
        Err(io::Error::other(why))
    }

    /// Makes the file `name`, which must not exist, with this mode less the umask.
    pub(super) fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | SAFELY;
        let file = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(mode & 0o777))?;
        Ok(file.into())
    }

    /// Returns whether the entry `name` is the open file `file`.
    pub(super) fn is_named(&self, name: &OsStr, file: &File) -> bool {
        let named = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        match (named, rustix::fs::fstat(file)) {
            (Ok(named), Ok(open)) => (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino),
            _ => false,
        }
    }

    /// Returns whether there is an entry `name`, be it a link to nothing.
    pub(super) fn has(&self, name: &OsStr) -> bool {
        self.stat(name).is_some()
    }

    /// Returns what the entry `name` is, a link itself.
    pub(super) fn stat(&self, name: &OsStr) -> Option<Stat> {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).ok()
    }

    /// Renames, replacing what is there.
    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to).map_err(Into::into)
    }

    /// Renames, but never onto what is there.
    pub(super) fn rename_to_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        {
            let only_new = rustix::fs::RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, only_new) {
                // Not every file system supports it.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
                renamed => return renamed.map_err(Into::into),
            }
        }
        if self.has(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.rename(from, to)
    }

    /// Removes the entry `name`, if there is one.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Brings the folder's names to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        sync_folder(self.fd.as_fd(), Path::new("."))
    }
}

/// Returns why the regular file `found` may be somebody else's, in a folder where the files of this process belong to
/// `owner`.
pub(super) fn why_foreign(found: &Metadata, owner: u32) -> Option<&'static str> {
    if found.uid() != owner {
        Some("it belongs to another user")
    } else if found.nlink() > 1 {
        Some("it has more than one link")
    } else {
        None
    }
}

/// Returns the error of an open that follows no link.
pub(super) fn not_opened(cause: Errno) -> io::Error {
    match cause {
        Errno::LOOP | Errno::MLINK => io::Error::other("it is a symbolic link"),
        e => e.into(),
    }
}

/// Locks `file` for this process; `false` if another one has it. Not every file system has locks.
pub(super) fn lock(file: &File) -> bool {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK)
}

/// Locks `file` for this process as [`lock`] does, and waits up to [`LOCK_WAIT`] for another one to let go of it.
fn lock_soon(file: &File) -> bool {
    let give_up = Instant::now() + LOCK_WAIT;
    while !lock(file) {
        if Instant::now() >= give_up {
            return false;
        }
        thread::sleep(LOCK_INTERVAL);
    }
    true
}

/// Opens the part file that an earlier run left, for this process alone.
pub(super) fn open_locked(
    folder: &Folder,
    name: &OsStr,
    path: &Path,
    allowed_mode: u32,
) -> Result<Option<File>> {
    loop {
        let opened = folder.open_own(name, allowed_mode);
        let Some(file) = opened.map_err(|e| failed(path, "use", e))? else { return Ok(None) };
        if !lock_soon(&file) {
            return Err(being_written(path));
        }
        // The process that had the lock may have renamed it to FILE since.
        if folder.is_named(name, &file) {
            return Ok(Some(file));
        }
    }
}

/// Returns the error for a part file that another process has locked.
pub(super) fn being_written(path: &Path) -> Error {
    unusable(path, "another process is writing to it")
        .with_hint("wait until it has ended, or write to another file")
}

/// Closes `file` and returns the error of close(2), in which NFS, FUSE and quotas report writes that failed.
pub(super) fn close(file: File) -> io::Result<()> {
    match nix::unistd::close(OwnedFd::from(file)) {
        // The descriptor is closed all the same (close(2), Linux).
        Ok(()) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Closes `file` as [`close`] does; another descriptor of it where somebody else has this one still.
pub(super) fn close_shared(file: Arc<File>) -> io::Result<()> {
    match Arc::try_unwrap(file) {
        Ok(file) => close(file),
        Err(file) => close(file.try_clone()?),
    }
}

/// Brings the name of the file `path`, which is new, to the disk.
pub(super) fn sync_name(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync_folder(CWD, folder.unwrap_or(Path::new(".")))
}

/// Brings the names in a folder to the disk. Not every file system can, and a folder may be writable and not readable.
fn sync_folder(at: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = match rustix::fs::openat(at, path, flags, Mode::empty()) {
        Err(Errno::ACCESS | Errno::PERM) => return Ok(()),
        opened => File::from(opened?),
    };
    match folder.sync_all() {
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Makes a file without a name; where the system has no such files, one with a name that is removed immediately.
fn probe(folder: &OwnedFd) -> io::Result<OwnedFd> {
    let mode = Mode::from_raw_mode(0o600);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::openat(folder.as_fd(), ".", flags, mode) {
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {}
            opened => return opened.map_err(Into::into),
        }
    }
    let name = random_name();
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | SAFELY;
    let file = rustix::fs::openat(folder.as_fd(), &name, flags, mode)?;
    rustix::fs::unlinkat(folder.as_fd(), &name, AtFlags::empty())?;
    Ok(file)
}

/// Returns how long a name in `folder` may be, in bytes.
pub(super) fn name_bytes_max(folder: &Path) -> usize {
    let found = rustix::fs::statvfs(folder).map_or(255, |found| found.f_namemax);
    usize::try_from(found).unwrap_or(255).clamp(64, 255)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_name_is_given_once_and_never_taken_from_another_file() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        let folder = Folder::of(&at("a")).unwrap();
        let [a, b] = ["a", "b"].map(OsStr::new);
        let first = folder.create_new(a, 0o600).unwrap();
        assert!(lock(&first) && !lock(&folder.open_own(a, 0).unwrap().unwrap()));
        folder.rename_to_new(a, b).unwrap();
        folder.sync().unwrap();
        assert!(!folder.has(a) && folder.is_named(b, &first));
        let second = folder.create_new(a, 0o600).unwrap();
        assert_eq!(folder.rename_to_new(a, b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(folder.create_new(b, 0o600).is_err() && folder.is_named(a, &second));
        folder.remove(a).unwrap();
        folder.remove(a).unwrap();
        assert!(!folder.is_named(a, &second) && folder.open_own(a, 0).unwrap().is_none());
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1, "the probe left nothing");
    }

    #[test]
    fn files_that_others_may_have_made_are_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        let folder = Folder::of(&at("x")).unwrap();
        for name in ["open", "group", "linked"] {
            fs::write(at(name), "bytes").unwrap();
        }
        fs::set_permissions(at("open"), fs::Permissions::from_mode(0o666)).unwrap();
        fs::set_permissions(at("group"), fs::Permissions::from_mode(0o664)).unwrap();
        fs::hard_link(at("linked"), at("other")).unwrap();
        symlink("group", at("link")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        nix_fifo(&at("fifo"));
        for (name, is_own) in [
            ("group", true),
            ("open", false),
            ("linked", false),
            ("other", false),
            ("link", false),
            ("dangling", false),
            ("folder", false),
            ("fifo", false),
        ] {
            assert_eq!(folder.open_own(OsStr::new(name), 0).is_ok(), is_own, "{name}");
            assert!(folder.create_new(OsStr::new(name), 0o600).is_err(), "{name}");
        }
        assert!(folder.open_own(OsStr::new("open"), 0o666).unwrap().is_some(), "as FILE is");
    }

    fn nix_fifo(path: &Path) {
        rustix::fs::mknodat(CWD, path, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    }
}
