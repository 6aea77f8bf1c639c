//! `--in-place`: one piece of a file that other processes write to as well, each byte at its offset in the object.
//!
//! Nothing is truncated, renamed or locked: the other pieces are being written at the same time.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::Result;
use crate::output::folder::{close_shared, sync_name};
use crate::output::part_file::set_modified;
use crate::output::path::OutputPath;
use crate::output::path_error::{failed, unusable};

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
        let is_seekable = place
            .existing
            .as_ref()
            .is_none_or(|found| found.is_file() || found.file_type().is_block_device());
        if !is_seekable {
            return Err(unusable(
                &place.path,
                "not seekable: --in-place needs a regular file or a block device",
            ));
        }
        let file = File::options().write(true).create(true).truncate(false).open(&place.path);
        let file = file.map_err(|e| failed(&place.path, "open", e))?;
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
        let is_same = |named: &fs::Metadata| (named.dev(), named.ino()) == (written.dev(), written.ino());
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
