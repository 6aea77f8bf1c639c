//! `--in-place`: one piece of a file that other processes write to as well, each byte at its offset in the object.
//!
//! Nothing is truncated, renamed or locked: the other pieces are being written at the same time. So the file may be there
//! already, and is written without `--force`. In a folder that others write to it may be theirs, or a link to another file
//! of this user's: it has to be one that this user has made.

use std::fs::{self, File, Metadata};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::error::Result;
use crate::output::folder::{Folder, SAFELY, close_shared, not_opened, sync_name, why_foreign};
use crate::output::part_file::set_modified;
use crate::output::path::OutputPath;
use crate::output::path_error::{failed, unusable};
use crate::output::permissions::NEW_FILE_MODE;

/// The file, open for one piece.
#[derive(Debug)]
pub(crate) struct InPlace {
    file: Arc<File>,
    place: OutputPath,
    /// Offset of the first byte of the piece.
    start: u64,
}

impl InPlace {
    /// Opens the file, creating it if necessary.
    pub(super) fn open(place: OutputPath) -> Result<Self> {
        if let Some(link) = &place.link {
            return Err(unusable(link, "a symbolic link, which --in-place does not follow")
                .with_hint("name the file that it leads to"));
        }
        place.existing.as_ref().map_or(Ok(()), |found| check_seekable(found, &place.path))?;
        let file = open_or_create(&place.path).map_err(|e| failed(&place.path, "open", e))?;
        let found = file.metadata().map_err(|e| failed(&place.path, "access", e))?;
        check_seekable(&found, &place.path)?;
        // Users cannot make devices, and those that they may write to belong to root.
        if found.is_file()
            && let Some(why) = why_foreign(&found, owner_at(&place.path))
        {
            return Err(failed(&place.path, "write in place to", io::Error::other(why))
                .with_hint("remove it first, or write to another file"));
        }
        Ok(Self { file: Arc::new(file), place, start: 0 })
    }

    /// Announces that the bytes which follow are those from `start` on of an object of `size` bytes.
    pub(super) fn begin(&mut self, start: u64, size: u64) -> Result<()> {
        let length = self.file.metadata().map_err(|e| self.failed("access", e))?.len();
        if length > size {
            let why = format!("larger than the object ({length} > {size} bytes)");
            return Err(
                unusable(&self.place.path, &why).with_hint("remove it first, or write to another file")
            );
        }
        self.start = start;
        let sought = (&*self.file).seek(SeekFrom::Start(start));
        sought.map(drop).map_err(|e| self.failed("write to", e))
    }

    /// Returns the open file, for the writer.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Returns the path for messages.
    pub(super) fn path(&self) -> &Path {
        &self.place.path
    }

    /// Brings the piece, which is complete, to the disk, and gives the file the time `modified` if there is one.
    pub(super) fn finish(self, modified: Option<SystemTime>) -> Result<()> {
        set_modified(&self.file, modified).map_err(|e| self.failed("set the time of", e))?;
        let file = Arc::clone(&self.file);
        let synced = file.sync_all().and_then(|()| match self.place.existing {
            Some(_) => Ok(()),
            None => sync_name(&self.place.path),
        });
        synced.map_err(|e| self.failed("sync", e))?;
        self.check_piece()?;
        let Self { file: own, place, .. } = self;
        drop(own);
        close_shared(file).map_err(|e| failed(&place.path, "sync", e))
    }

    /// Fails if the name is no longer that of the file which was written, or its bytes are no longer in it. Zeros in
    /// their place, after it was truncated and written on, do not show.
    fn check_piece(&self) -> Result<()> {
        let written = self.file.metadata().map_err(|e| self.failed("access", e))?;
        let named = match fs::metadata(&self.place.path) {
            Ok(named) => Some(named),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(self.failed("access", e)),
        };
        let is_same = |named: &Metadata| (named.dev(), named.ino()) == (written.dev(), written.ino());
        if !named.as_ref().is_some_and(is_same) {
            let why = "replaced or removed by another process during the download";
            return Err(unusable(&self.place.path, why));
        }
        // Each write ends there. A piece without bytes makes the file no longer.
        let end = (&*self.file).stream_position().map_err(|e| self.failed("access", e))?;
        if written.is_file() && end > self.start && written.len() < end {
            let why = "truncated by another process during the download";
            return Err(unusable(&self.place.path, why));
        }
        Ok(())
    }

    fn failed(&self, action: &str, cause: io::Error) -> crate::error::Error {
        failed(&self.place.path, action, cause)
    }
}

fn check_seekable(found: &Metadata, path: &Path) -> Result<()> {
    if found.is_file() || found.file_type().is_block_device() {
        return Ok(());
    }
    Err(unusable(path, "not seekable: --in-place needs a regular file or a block device"))
}

/// Opens the file `path` to write, and follows no link at its last name. A process that writes another piece may make it
/// at any moment.
fn open_or_create(path: &Path) -> io::Result<File> {
    let open = |flags| {
        let flags = OFlags::WRONLY | SAFELY | flags;
        rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(NEW_FILE_MODE))
    };
    let opened = match open(OFlags::empty()) {
        Err(Errno::NOENT) => open(OFlags::CREATE),
        opened => opened,
    };
    opened.map(File::from).map_err(not_opened)
}

/// Returns the owner of a file that this process makes beside `path`: the user, where it can make none.
fn owner_at(path: &Path) -> u32 {
    Folder::of(path).map_or_else(|_| rustix::process::geteuid().as_raw(), |folder| folder.owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_piece_is_complete_only_if_it_is_in_the_file_of_that_name() {
        type Change = fn(&Path);
        let table: [(&str, Change, Option<&str>); 8] = [
            ("nothing", |_| {}, None),
            (
                "a longer file",
                |path| File::options().write(true).open(path).unwrap().set_len(100).unwrap(),
                None,
            ),
            ("another link", |path| fs::hard_link(path, path.with_extension("2")).unwrap(), None),
            ("removed", |path| fs::remove_file(path).unwrap(), Some("removed")),
            ("renamed", |path| fs::rename(path, path.with_extension("2")).unwrap(), Some("removed")),
            (
                "replaced",
                |path| {
                    fs::rename(path, path.with_extension("2")).unwrap();
                    fs::copy(path.with_extension("2"), path).unwrap();
                },
                Some("replaced"),
            ),
            (
                "a link that leads elsewhere",
                |path| {
                    fs::rename(path, path.with_extension("2")).unwrap();
                    fs::write(path.with_extension("3"), "0123456789").unwrap();
                    symlink(path.with_extension("3"), path).unwrap();
                },
                Some("replaced"),
            ),
            (
                "truncated",
                |path| File::options().write(true).open(path).unwrap().set_len(6).unwrap(),
                Some("truncated"),
            ),
        ];
        for (case, change, message) in table {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("f");
            let sources = ["s3://b/k".parse().unwrap()];
            let mut piece = InPlace::open(OutputPath::of(&path, &sources).unwrap()).unwrap();
            piece.begin(3, 10).unwrap();
            (&*piece.file()).write_all(b"3456").unwrap();
            change(&path);
            let error = piece.finish(None).err();
            assert_eq!(error.is_some(), message.is_some(), "{case}: {error:?}");
            if let (Some(error), Some(message)) = (error, message) {
                assert_eq!(error.kind(), ErrorKind::Output, "{case}");
                assert!(error.to_string().contains(message), "{case}: {error}");
            }
        }
    }

    #[test]
    fn a_piece_without_bytes_leaves_a_file_that_ends_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let sources = ["s3://b/k".parse().unwrap()];
        let place = OutputPath::of(&folder.path().join("f"), &sources).unwrap();
        let mut piece = InPlace::open(place).unwrap();
        piece.begin(10, 10).unwrap();
        piece.finish(None).unwrap();
        assert_eq!(fs::metadata(folder.path().join("f")).unwrap().len(), 0);
    }
}
