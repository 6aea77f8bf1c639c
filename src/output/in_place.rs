//! `--in-place`: one piece of a file that other processes write to as well, each byte at its offset in the object.
//!
//! Nothing is truncated, renamed or locked: the other pieces are being written at the same time.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
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
}

impl InPlace {
    /// Opens the file, made if need be.
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
        Ok(Self { file: Arc::new(file), place })
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
        let Self { file, place } = self;
        let synced = file.sync_all().and_then(|()| close_shared(file)).and_then(|()| match place.existing {
            Some(_) => Ok(()),
            None => sync_name(&place.path),
        });
        synced.map_err(|e| failed(&place.path, "sync", e))
    }

    fn failed(&self, action: &str, cause: io::Error) -> crate::error::Error {
        failed(&self.place.path, action, cause)
    }
}
