//! A FILE that an earlier run may have finished, and the proof of it.
//!
//! `--continue` of a finished download succeeds without one, so that a job may always be retried. The proof is an
//! extended attribute of FILE: what it was made of, and the file's device, inode, size and time of modification, which
//! a copy or a later write changes. A run that ended between the rename and its last step left the sidecar, which says
//! the same. It holds only as long as the store still has that version.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::output::block_reader::BlockReader;
use crate::output::folder::{Folder, WRITABLE_BY_OTHERS};
use crate::output::helper_names::{part_name, sidecar_name};
use crate::output::path::OutputPath;
use crate::output::path_error::{FORCE_HINT, failed, unusable};
use crate::output::resume::DownloadRequest;
use crate::output::sidecar::{self, FileIdentity, LoadedSidecar, SidecarObject, SidecarState};

/// Linux lets users set attributes of this namespace.
#[cfg(any(target_os = "linux", target_os = "android"))]
const ATTRIBUTE: &str = "user.s3fcp";

/// The largest value of an attribute that Linux allows, in bytes.
#[cfg(any(target_os = "linux", target_os = "android"))]
const ATTRIBUTE_BYTES_MAX: usize = 64 << 10;

/// A FILE that is there.
#[derive(Debug)]
pub(crate) struct FinishedFile {
    path: PathBuf,
    file: Arc<File>,
    /// The objects that it is proven to have been made of.
    pub(crate) proven: Option<Vec<SidecarObject>>,
    pub(crate) size: u64,
}

impl FinishedFile {
    /// Looks for a finished FILE for `request`; `None` if there is none, or a part file that continues.
    pub(super) fn find(place: &OutputPath, request: DownloadRequest<'_>) -> Result<Option<Self>> {
        let path = &place.path;
        let (Some(_), Some(name)) = (&place.existing, path.file_name()) else { return Ok(None) };
        let folder = Folder::of(path)?;
        let part = part_name(name, folder.name_bytes_max);
        if folder.has(&part) {
            return Ok(None);
        }
        let file = File::open(path).map_err(|e| failed(path, "read", e))?;
        let found = file.metadata().map_err(|e| failed(path, "read", e))?;
        let sidecar = sidecar_name(&part);
        let noted = match sidecar::load(&folder, &sidecar) {
            Ok((LoadedSidecar::State(state), _)) => Some(*state),
            _ => None,
        };
        // Another owner could attach any proof to it.
        let is_own = found.uid() == folder.owner && found.mode() & WRITABLE_BY_OTHERS == 0;
        let proven = [proof_of(&file), noted]
            .into_iter()
            .flatten()
            .find(|state| is_own && proves(state, &found, request))
            .map(|state| state.objects);
        Ok(Some(Self { path: path.clone(), file: Arc::new(file), proven, size: found.len() }))
    }

    /// Returns a reader of the `count` bytes from `start` on.
    pub(crate) fn read(&self, start: u64, count: u64) -> BlockReader {
        BlockReader::new(Arc::clone(&self.file), &self.path, start, count)
    }

    /// Does what a run that ended right after the rename left undone: FILE's name may not be on disk, and the sidecar
    /// is there still.
    pub(crate) fn clean_up(&self) -> Result<()> {
        if let (Ok(folder), Some(name)) = (Folder::of(&self.path), self.path.file_name()) {
            let sidecar = sidecar_name(&part_name(name, folder.name_bytes_max));
            if let Ok((LoadedSidecar::State(_), Some(file))) = sidecar::load(&folder, &sidecar) {
                folder.sync().map_err(|e| failed(&self.path, "sync the folder of", e))?;
                let _ = sidecar::remove(&folder, &sidecar, &file);
            }
        }
        Ok(())
    }

    /// Returns the error for a FILE that is there and not known to be the object.
    pub(crate) fn unproven(&self, why: &str) -> Error {
        unusable(&self.path, &format!("already exists, and {why}")).with_hint(FORCE_HINT)
    }
}

fn proves(state: &SidecarState, found: &Metadata, request: DownloadRequest<'_>) -> bool {
    state.renamed.as_ref() == Some(&FileIdentity::of(found))
        && state.is_all_of(request)
        && state.bytes() == Some(found.len())
}

/// Attaches to `file`, which is complete, what it was made of. Without it, a later `--continue` has to compare.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn attach_proof(file: &File, state: &SidecarState) {
    // An attribute has little room.
    let mut state = state.clone();
    state.part = None;
    if let Ok(value) = serde_json::to_vec(&state) {
        let _ = rustix::fs::fsetxattr(file, ATTRIBUTE, &value, rustix::fs::XattrFlags::empty());
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn proof_of(file: &File) -> Option<SidecarState> {
    let mut value = vec![0; ATTRIBUTE_BYTES_MAX];
    let len = rustix::fs::fgetxattr(file, ATTRIBUTE, &mut value[..]).ok()?;
    serde_json::from_slice(value.get(..len)?).ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn attach_proof(_: &File, _: &SidecarState) {}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn proof_of(_: &File) -> Option<SidecarState> {
    None
}
