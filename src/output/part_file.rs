//! `FILE.part`: the bytes of a FILE that is not whole yet, and the moment in which it becomes FILE.
//!
//! There is never a FILE that looks whole and is not: whenever the process or the system ends, what is left is nothing,
//! `FILE.part` with its sidecar, or FILE. The order of the system calls is what guarantees it. To begin: sidecar, part.
//! At the end: sync, note, rename, sidecar. To give up: no bytes, no sidecar, no part. So a part file with bytes and
//! without a sidecar is not s3fcp's, and is never touched.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::{Error, ErrorKind, Result};
use crate::output::block_reader::BlockReader;
use crate::output::checkpoint::{Checkpoints, SidecarFile};
use crate::output::finished::attach_proof;
use crate::output::folder::{Folder, being_written, close, close_shared, lock, open_locked};
use crate::output::helper_names::{part_name, sidecar_name};
use crate::output::part_identity::{PartIdentity, PartOrigin};
use crate::output::path::OutputPath;
use crate::output::path_error::{exists, failed, shown, unusable};
use crate::output::permissions::{self, NEW_FILE_MODE, mode_of_existing};
use crate::output::resume::{DownloadRequest, ResumePoint};
use crate::output::run_files::RunFiles;
use crate::output::sidecar::{FileIdentity, LoadedSidecar, SidecarObject, SidecarState};
use crate::s3::address::source::Source;
use crate::s3::object::ObjectInfo;
use crate::s3::range_spec::RangeSpec;

/// A `FILE.part` that no other process writes to.
#[derive(Debug)]
pub(crate) struct PartFile {
    place: OutputPath,
    folder: Arc<Folder>,
    /// Name in the folder.
    name: OsString,
    /// Name for messages.
    path: PathBuf,
    /// The open file; `None` until the first response, if no earlier run left one.
    file: Option<Arc<File>>,
    /// Whose file it was when it was opened.
    origin: PartOrigin,
    /// Set once its first bytes are noted.
    is_noted: bool,
    replace: bool,
    /// The finished files of the run.
    run_files: RunFiles,
    /// The state of the sidecar's name before this run.
    found: LoadedSidecar,
    /// Without one, an empty part file is somebody else's.
    sidecar: SidecarFile,
    /// Identity of the store that is asked.
    endpoint: String,
    /// The object whose first bytes are there, until its rest begins.
    resumed: Option<SidecarObject>,
    checkpoints: Option<Checkpoints>,
}

/// The object whose bytes come next.
#[derive(Debug)]
pub(crate) struct ObjectFacts<'a> {
    pub(crate) source: &'a Source,
    /// The range that the user named.
    pub(crate) asked: Option<RangeSpec>,
    pub(crate) info: &'a ObjectInfo,
    /// The bytes that are delivered, by their offsets in the object.
    pub(crate) range: Range<u64>,
}

/// The remains of an earlier run.
#[derive(Debug)]
pub(crate) enum ExistingPart {
    /// Nothing.
    Nothing,
    /// A beginning that can be continued.
    Some(ResumePoint),
    /// Bytes that cannot be used, and why.
    Useless(&'static str),
}

impl PartFile {
    /// Finds what an earlier run left for the file `place` and locks it; makes nothing. With `replace` there may be a
    /// FILE already.
    pub(super) fn open(place: OutputPath, replace: bool, endpoint: &str) -> Result<Self> {
        let Some(file_name) = place.path.file_name().filter(|_| place.existing.is_none() || replace) else {
            return Err(exists(&place.path));
        };
        let folder = Arc::new(Folder::of(&place.path)?);
        let name = part_name(file_name, folder.name_bytes_max);
        let path = place.path.with_file_name(&name);
        let file = open_locked(&folder, &name, &path, mode_of_existing(&place, &folder))?.map(Arc::new);
        let sidecar_name = sidecar_name(&name);
        let (sidecar, found) = SidecarFile::open(&folder, sidecar_name.clone(), SidecarState::new(endpoint))
            .map_err(|e| failed(&place.path.with_file_name(&sidecar_name), "use", e))?;
        let origin = file.as_ref().map_or(Ok(PartOrigin::Own), |file| PartOrigin::of(file, &found));
        let origin = origin.map_err(|e| failed(&path, "read", e))?;
        origin.check_is_usable(&path, &sidecar_name)?;
        let endpoint = endpoint.to_owned();
        Ok(Self {
            place,
            folder,
            name,
            path,
            file,
            origin,
            is_noted: false,
            replace,
            run_files: RunFiles::default(),
            found,
            sidecar,
            endpoint,
            resumed: None,
            checkpoints: None,
        })
    }

    /// Makes it one of the files of a run, none of which replaces another one.
    pub(super) fn in_run(self, files: Option<&RunFiles>) -> Self {
        Self { run_files: files.cloned().unwrap_or_default(), ..self }
    }

    /// Returns what an earlier run left of `request`.
    pub(crate) fn left(&self, request: DownloadRequest<'_>) -> Result<ExistingPart> {
        let Some(file) = &self.file else { return Ok(ExistingPart::Nothing) };
        let found = FileIdentity::of(&file.metadata().map_err(|e| self.failed("access", e))?);
        if found.size == 0 {
            return Ok(ExistingPart::Nothing);
        }
        let LoadedSidecar::State(state) = &self.found else {
            return Ok(ExistingPart::Useless("the note beside it is damaged"));
        };
        // What follows the bytes of a run that noted its end was written by somebody else.
        let length = state.stopped.as_ref().map_or(found.size, |noted| found.size.min(noted.size));
        let is_untouched = state.stopped.as_ref() == Some(&found);
        Ok(match state.resume(length, request) {
            Ok(None) => ExistingPart::Nothing,
            Ok(Some(resume)) => ExistingPart::Some(ResumePoint { is_untouched, ..resume }),
            Err(why) => ExistingPart::Useless(why),
        })
    }

    /// Keeps the bytes up to `resume`, and continues after them.
    pub(crate) fn resume(&mut self, resume: &ResumePoint) -> Result<()> {
        let mut state = match &self.found {
            LoadedSidecar::State(state) => (**state).clone(),
            _ => SidecarState::new(&self.endpoint),
        };
        state.objects.truncate(resume.complete + usize::from(resume.within.is_some()));
        state.synced = state.synced.min(resume.length);
        self.narrow_permissions()?;
        self.truncate(resume.length)?;
        state.part = self.identity(resume.length)?.map(|part| part.noted_as(state.part.as_ref()));
        self.resumed = resume.within.as_ref().map(|(piece, _)| piece.clone());
        self.change_sidecar(|kept| *kept = state.of_this_boot())
    }

    /// Begins with no bytes. The sidecar comes first; of what there is, the bytes go first: what is noted of them must
    /// never outlive them.
    pub(crate) fn start_over(&mut self) -> Result<()> {
        (self.resumed, self.is_noted) = (None, false);
        self.origin.check_is_own(&self.path, self.sidecar.name())?;
        let is_new = !self.sidecar.exists();
        if is_new {
            self.sidecar.create().map_err(|e| match e.kind() {
                io::ErrorKind::AlreadyExists => self.taken(),
                _ => self.sidecar_failed(e),
            })?;
        }
        if self.file.is_some() {
            self.narrow_permissions()?;
            self.truncate(0)?;
            let endpoint = self.endpoint.clone();
            return self.change_sidecar(|state| *state = SidecarState::new(&endpoint));
        }
        let mode = mode_of_existing(&self.place, &self.folder);
        let mode = if self.place.existing.is_some() { mode } else { NEW_FILE_MODE };
        match self.folder.create_new(&self.name, mode) {
            Ok(file) if lock(&file) => self.file = Some(Arc::new(file)),
            Ok(_) => return Err(self.taken()),
            Err(e) => {
                // A sidecar that was there is left as it was found.
                if is_new {
                    self.sidecar.remove();
                }
                return Err(match e.kind() {
                    // A process that downloads to it would have made the sidecar first.
                    io::ErrorKind::AlreadyExists if is_new => {
                        unusable(&self.path, "created by somebody else during the download")
                            .with_hint("move it away, or write to another file")
                    }
                    io::ErrorKind::AlreadyExists => self.taken(),
                    _ => self.failed("create", e),
                });
            }
        }
        if is_new { Ok(()) } else { self.change_sidecar(|_| {}) }
    }

    /// Notes that the bytes which follow are those of `object`.
    pub(crate) fn begin(&mut self, object: &ObjectFacts<'_>) -> Result<()> {
        if self.checkpoints.is_none()
            && let Some(file) = &self.file
        {
            self.checkpoints = Checkpoints::start(Arc::clone(file), self.sidecar.clone());
        }
        if let Some(piece) = self.resumed.take() {
            return if piece.is_of(object.info, object.range.end) {
                Ok(())
            } else {
                Err(Error::new(ErrorKind::Changed, "the object is not the one that the earlier run began"))
            };
        }
        let piece = SidecarObject::new(object.source, object.asked, object.info, &object.range);
        let identity = self.identity(0)?;
        let mut state = self.sidecar.state();
        state.add(piece);
        if state.part.is_none() {
            // It is written with the first bytes.
            state.part = identity;
            return Ok(());
        }
        drop(state);
        self.change_sidecar(|_| {})
    }

    /// Notes that `bytes` are about to be written.
    pub(crate) fn announce(&mut self, bytes: &[u8]) -> Result<()> {
        if self.is_noted || bytes.is_empty() {
            return Ok(());
        }
        self.change_sidecar(|state| state.part.iter_mut().for_each(|part| part.add(bytes)))?;
        self.is_noted = self.sidecar.state().part.as_ref().is_none_or(PartIdentity::is_complete);
        Ok(())
    }

    /// Returns a reader of the `count` bytes from `start` on, which an earlier run wrote.
    pub(crate) fn read_back(&self, start: u64, count: u64) -> Result<BlockReader> {
        let file = self.file().map_err(|e| self.failed("read", e))?;
        Ok(BlockReader::new(file, &self.path, start, count))
    }

    /// Returns the open file, for the writer.
    pub(super) fn file(&self) -> io::Result<Arc<File>> {
        Ok(Arc::clone(self.file.as_ref().ok_or(io::ErrorKind::NotFound)?))
    }

    /// Returns the name of the part file for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns whether there are no bytes.
    pub(crate) fn is_empty(&self) -> bool {
        self.file.as_ref().is_none_or(|file| file.metadata().is_ok_and(|found| found.len() == 0))
    }

    /// Turns the part file, whose bytes are complete and right, into FILE, which gets the time `modified`, if there is
    /// one.
    pub(super) fn finish(mut self, modified: Option<SystemTime>) -> Result<()> {
        let synced = self.checkpoints.take().map_or(Ok(()), Checkpoints::end);
        synced.map_err(|e| self.not_synced(e))?;
        let file = self.file().map_err(|e| self.failed("access", e))?;
        if modified.is_some() {
            // Bytes that some file systems write later would change the time again.
            file.sync_data().map_err(|e| self.not_synced(e))?;
        }
        // Before the identity of the file is noted, of which the time is a part.
        set_modified(&file, modified).map_err(|e| self.failed("set the time of", e))?;
        let found = file.metadata().map_err(|e| self.failed("access", e))?;
        if self.sidecar.state().bytes().is_some_and(|bytes| bytes != found.len()) {
            return Err(unusable(&self.path, "changed by another process during the download"));
        }
        self.change_sidecar(|state| state.renamed = Some(FileIdentity::of(&found)))?;
        attach_proof(&file, &self.sidecar.state());
        permissions::keep(&file, &found, &self.place);
        file.sync_all().map_err(|e| self.not_synced(e))?;
        // NFS and FUSE report at every close what an earlier write could not do. The other descriptor keeps the lock.
        file.try_clone().and_then(close).map_err(|e| self.not_synced(e))?;
        self.rename()?;
        self.folder.sync().map_err(|e| failed(&self.place.path, "sync the folder of", e))?;
        self.sidecar.remove();
        self.file = None;
        close_shared(file).map_err(|e| failed(&self.place.path, "close", e))
    }

    /// Ends a download that is not complete, and returns whether nothing of it is left. Its bytes stay, unless there are
    /// none, or they are wrong and nobody else's ([`PartOrigin::Own`]).
    pub(super) fn abandon(mut self, is_wrong: bool) -> bool {
        let may_discard = is_wrong && self.origin == PartOrigin::Own;
        if !may_discard && !self.is_empty() {
            self.note_end();
            return false;
        }
        let _ = self.checkpoints.take().map(Checkpoints::end);
        // It is still locked: no other process writes to it.
        let Some(file) = self.file.as_ref().filter(|_| self.sidecar.exists()) else { return true };
        let _ = file.set_len(0);
        self.sidecar.remove();
        if self.folder.is_named(&self.name, file) {
            let _ = self.folder.remove(&self.name);
        }
        true
    }

    /// Notes the part file as it is, so that what somebody else writes to it later shows. Without the note, the next run
    /// compares its last bytes.
    fn note_end(&self) {
        let has_begun = !self.sidecar.state().objects.is_empty();
        let found = self.file.as_ref().filter(|_| has_begun).and_then(|file| file.metadata().ok());
        if let Some(found) = found {
            let _ = self.sidecar.change(|state| state.stopped = Some(FileIdentity::of(&found)));
        }
    }

    /// Gives the file the name FILE, if it is the one that was written.
    fn rename(&self) -> Result<()> {
        let Some(to) = self.place.path.file_name() else { return Err(exists(&self.place.path)) };
        let is_named = |name: &OsStr| self.file.as_ref().is_some_and(|file| self.folder.is_named(name, file));
        if !is_named(&self.name) {
            return Err(unusable(&self.path, "replaced or removed by another process during the download"));
        }
        let renamed = if self.replace {
            if let Some(found) = self.folder.stat(to) {
                let checked = self.run_files.check(&found);
                checked.map_err(|e| failed(&self.place.path, "replace", e))?;
            }
            self.folder.rename(&self.name, to)
        } else {
            self.folder.rename_to_new(&self.name, to)
        };
        match renamed {
            Ok(()) if is_named(to) => {
                self.folder.stat(to).iter().for_each(|file| self.run_files.add(file));
                Ok(())
            }
            Ok(()) => Err(unusable(&self.place.path, "replaced by another process during the download")),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let hint = format!("the whole object is in {}", shown(&self.path));
                let why = "created by another process during the download";
                Err(unusable(&self.place.path, why).with_hint(hint))
            }
            Err(e) => Err(self.failed("rename", e)),
        }
    }

    /// Returns what identifies the part file, whose first `length` bytes are right.
    fn identity(&self, length: u64) -> Result<Option<PartIdentity>> {
        let identity = self.file.as_ref().map(|file| PartIdentity::of(file, length)).transpose();
        identity.map_err(|e| self.failed("read", e))
    }

    fn truncate(&self, length: u64) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let truncated = file.set_len(length).and_then(|()| (&**file).seek(SeekFrom::Start(length)));
        truncated.map(drop).map_err(|e| self.failed("write to", e))
    }

    fn narrow_permissions(&self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let narrowed = permissions::narrow(file, &self.place, &self.folder);
        narrowed.map_err(|e| self.failed("set the permissions of", e))
    }

    fn change_sidecar(&self, change: impl FnOnce(&mut SidecarState)) -> Result<()> {
        self.sidecar.change(change).map_err(|e| self.sidecar_failed(e))
    }

    fn sidecar_failed(&self, cause: io::Error) -> Error {
        failed(&self.path.with_file_name(self.sidecar.name()), "write to", cause)
    }

    /// Returns the error for bytes that may not be on the disk, and notes that: the system reports it once, and shows
    /// the bytes as if they were there.
    fn not_synced(&self, cause: io::Error) -> Error {
        // Where that fails too, the message still says what happened.
        let _ = self.sidecar.change(SidecarState::distrust);
        self.failed("sync", cause)
    }

    fn taken(&self) -> Error {
        being_written(&self.path)
    }

    fn failed(&self, action: &str, cause: io::Error) -> Error {
        failed(&self.path, action, cause)
    }
}

/// Sets the time of the last modification of `file`, if there is one to set.
pub(super) fn set_modified(file: &File, modified: Option<SystemTime>) -> io::Result<()> {
    modified.map_or(Ok(()), |time| file.set_modified(time))
}

#[cfg(test)]
mod tests;
