//! One piece of a file that others write to as well: each byte goes to the offset that it has in the object.
//!
//! It opens the file, made if need be, and syncs it. It never truncates, renames or locks: the other pieces are
//! being written at the same time.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::error::Result;
use crate::output::path::{OutputPath, failed, unusable};

/// The file, open for one piece.
#[derive(Debug)]
pub(crate) struct InPlace {
    file: File,
    place: OutputPath,
}

impl InPlace {
    pub(super) fn open(place: OutputPath) -> Result<Self> {
        let is_seekable = place
            .existing
            .as_ref()
            .is_none_or(|found| found.is_file() || found.file_type().is_block_device());
        if !is_seekable {
            return Err(unusable(&place.path, "bytes cannot be put in their places there"));
        }
        let file = File::options().write(true).create(true).truncate(false).open(&place.path);
        let file = file.map_err(|e| failed(&place.path, "it could not be opened", e))?;
        Ok(Self { file, place })
    }

    /// The bytes that come next are those from `start` on of an object of `size` bytes.
    pub(super) fn begin(&mut self, start: u64, size: u64) -> Result<()> {
        let length = self.file.metadata().map_err(|e| self.failed("it cannot be looked at", e))?.len();
        if length > size {
            let why = format!("it has {length} bytes, and the object {size}: it would not be the object");
            return Err(unusable(&self.place.path, &why).with_hint("remove it first"));
        }
        let sought = self.file.seek(SeekFrom::Start(start));
        sought.map(drop).map_err(|e| self.failed("it could not be written", e))
    }

    pub(super) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    pub(super) fn path(&self) -> &Path {
        &self.place.path
    }

    /// The piece is all there.
    pub(super) fn finish(self) -> Result<()> {
        self.file.sync_all().map_err(|e| self.failed("it could not be brought to the disk", e))
    }

    fn failed(&self, what: &str, cause: io::Error) -> crate::error::Error {
        failed(&self.place.path, what, cause)
    }
}
