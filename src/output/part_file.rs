//! `FILE.part`: the bytes of a FILE that is not whole yet, and the moment in which it becomes FILE.
//!
//! It gets what is to be downloaded and says where that goes on; at the end it syncs and renames. There is never a
//! FILE that looks whole and is not: whenever the process or the system ends, what is left is `FILE.part` with its
//! sidecar, or FILE.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::output::atomic_file::{locked, rename_to_new, sync_folder};
use crate::output::checkpoint::{Checkpoints, SidecarFile};
use crate::output::path::{OutputPath, failed, shown, unusable};
use crate::output::sidecar::{self, ResumePoint, SidecarObject, SidecarState};
use crate::s3::address::source::Source;
use crate::s3::object::ObjectInfo;
use crate::s3::range_spec::RangeSpec;

/// What is read back at once, in bytes.
const READ_BACK: usize = 256 << 10;

/// A `FILE.part` that no other process writes to.
#[derive(Debug)]
pub(crate) struct PartFile {
    file: File,
    place: OutputPath,
    /// What it is called.
    path: PathBuf,
    replace: bool,
    kept: SidecarFile,
    /// The piece that is gone on with, until it begins.
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

/// What there is of a download.
#[derive(Debug)]
pub(crate) enum ExistingPart {
    /// Nothing that counts.
    Nothing,
    /// This much.
    Some(ResumePoint),
    /// Something that cannot be used, and why.
    Useless(&'static str),
}

impl PartFile {
    /// Opens what `place` stands for, and locks it. `replace` says that there may be a FILE already.
    pub(super) fn open(place: OutputPath, replace: bool) -> Result<Self> {
        if place.existing.is_some() && !replace {
            return Err(exists(&place.path));
        }
        let path = part_of(&place.path);
        let file = locked(&path)?;
        let kept = SidecarFile::new(SidecarState::new(), sidecar::path(&path));
        Ok(Self { file, place, path, replace, kept, resumed: None, checkpoints: None })
    }

    /// What there is of `range` of the objects `uris`.
    pub(super) fn left(&self, uris: &[Source], range: Option<RangeSpec>) -> Result<ExistingPart> {
        let length = self.file.metadata().map_err(|e| self.failed("it cannot be looked at", e))?.len();
        let Some(state) = sidecar::load(self.kept.path()) else {
            let why = "nothing tells what it is of";
            return Ok(if length == 0 { ExistingPart::Nothing } else { ExistingPart::Useless(why) });
        };
        Ok(match state.resume(length, uris, range) {
            Ok(None) => ExistingPart::Nothing,
            Ok(Some(resume)) => ExistingPart::Some(resume),
            Err(why) => ExistingPart::Useless(why),
        })
    }

    /// Keeps what `resume` found, and writes behind it.
    pub(super) fn resume(&mut self, resume: &ResumePoint) -> Result<()> {
        let mut state = sidecar::load(self.kept.path()).unwrap_or_else(SidecarState::new);
        state.objects.truncate(resume.complete + usize::from(resume.within.is_some()));
        state.synced = state.synced.min(resume.length);
        self.cut(resume.length)?;
        self.kept = SidecarFile::new(state.of_this_boot(), self.kept.path().to_owned());
        self.resumed = resume.within.as_ref().map(|(piece, _)| piece.clone());
        self.keep(|_| {})
    }

    /// Throws away what there is. The bytes go first: what is kept of them must never outlive them.
    pub(super) fn start_over(&mut self) -> Result<()> {
        self.cut(0)?;
        self.resumed = None;
        self.keep(|state| *state = SidecarState::new())
    }

    /// From here on the bytes are those of `range` of the object that `info` describes.
    pub(super) fn begin(&mut self, object: &ObjectFacts<'_>) -> Result<()> {
        if self.checkpoints.is_none()
            && let Ok(file) = self.file.try_clone()
        {
            self.checkpoints = Checkpoints::start(file, self.kept.clone());
        }
        if let Some(piece) = self.resumed.take() {
            return if piece.is_of(object.info, object.range.end) {
                Ok(())
            } else {
                Err(Error::new(ErrorKind::Changed, "the object is not the one that was begun"))
            };
        }
        let piece = SidecarObject::new(object.source, object.asked, object.info, &object.range);
        self.keep(|state| state.objects.push(piece))
    }

    /// Reads the `count` bytes from `start` on, which an earlier run wrote, for `each`. A disk is waited for on another
    /// thread: meanwhile the download goes on.
    pub(super) async fn read_back(
        &self,
        start: u64,
        count: u64,
        mut each: impl AsyncFnMut(&[u8]),
    ) -> Result<()> {
        let failed = |e| self.failed("it could not be read", e);
        let mut file = self.file.try_clone().map_err(failed)?;
        let (mut bytes, mut at, end) = (vec![0; READ_BACK], start, start + count);
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(READ_BACK).min(READ_BACK);
            let read = tokio::task::spawn_blocking(move || {
                let read = file.read_at(&mut bytes[..most], at);
                (file, bytes, read)
            });
            let read = read.await.map_err(|_| failed(io::Error::other("the reader died")))?;
            let count = match read.2 {
                Ok(0) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
                Err(e) => return Err(failed(e)),
            };
            (file, bytes) = (read.0, read.1);
            each(&bytes[..count]).await;
            at += count as u64;
        }
        Ok(())
    }

    /// The same file for the writer.
    pub(super) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// What the bytes are in until the end.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it has no bytes.
    pub(super) fn is_nothing(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.len() == 0)
    }

    /// The bytes are all there and right: they become FILE.
    pub(super) fn finish(mut self) -> Result<()> {
        self.checkpoints.take().into_iter().for_each(Checkpoints::end);
        if let Some(existing) = &self.place.existing {
            // Who reads FILE reads the new one, too.
            let _ = self.file.set_permissions(existing.permissions());
        }
        self.file.sync_all().map_err(|e| self.failed("it could not be brought to the disk", e))?;
        self.rename()?;
        sync_folder(&self.place.path).map_err(|e| failed(&self.place.path, "its name may be lost", e))?;
        // FILE is there: what was kept of it harms nobody.
        let _ = sidecar::remove(self.kept.path());
        Ok(())
    }

    /// The download ended in its middle: what is there stays, unless it `is_wrong` or is nothing.
    pub(super) fn abandon(mut self, is_wrong: bool) {
        if is_wrong || self.is_nothing() {
            self.checkpoints.take().into_iter().for_each(Checkpoints::end);
            // It is locked still: nobody else writes to it.
            let _ = fs::remove_file(&self.path);
            let _ = sidecar::remove(self.kept.path());
        }
    }

    fn rename(&self) -> Result<()> {
        if self.replace {
            return fs::rename(&self.path, &self.place.path)
                .map_err(|e| self.failed("it could not be renamed", e));
        }
        match rename_to_new(&self.path, &self.place.path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                let hint = format!("the whole object is in {}", shown(&self.path));
                Err(unusable(&self.place.path, "it was made by somebody else meanwhile").with_hint(hint))
            }
            renamed => renamed.map_err(|e| self.failed("it could not be renamed", e)),
        }
    }

    fn cut(&mut self, length: u64) -> Result<()> {
        let cut = self.file.set_len(length).and_then(|()| self.file.seek(SeekFrom::Start(length)));
        cut.map(drop).map_err(|e| self.failed("it could not be written", e))
    }

    fn keep(&self, change: impl FnOnce(&mut SidecarState)) -> Result<()> {
        self.kept.change(change).map_err(|e| failed(self.kept.path(), "it could not be written", e))
    }

    fn failed(&self, what: &str, cause: io::Error) -> Error {
        failed(&self.path, what, cause)
    }
}

/// Whether FILE is there and all of `range` of the objects `uris`: a run was ended in the moment between renaming
/// it and forgetting what it was made of.
pub(super) fn is_done(place: &OutputPath, uris: &[Source], range: Option<RangeSpec>) -> bool {
    let part = part_of(&place.path);
    let (Some(existing), Some(state)) = (&place.existing, sidecar::load(&sidecar::path(&part))) else {
        return false;
    };
    let is_done = !part.exists() && state.is_all(existing.len(), uris, range);
    if is_done {
        let _ = sidecar::remove(&sidecar::path(&part));
    }
    is_done
}

fn part_of(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    part.into()
}

pub(super) fn exists(path: &Path) -> Error {
    unusable(path, "it exists already").with_hint("--force replaces it, once the new one is whole")
}
