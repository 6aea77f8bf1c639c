//! The permissions of a part file: those that a new file gets or, where it replaces FILE, those of FILE. At no moment can
//! somebody read the bytes who could not read FILE.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::output::folder::Folder;
use crate::output::path::OutputPath;

/// Permissions that a new file may have; the umask takes some of them away.
pub(super) const NEW_FILE_MODE: u32 = 0o666;

/// Returns the permissions of the FILE that is there, those of its group only if the new one gets that group; none if
/// there is no FILE, and never the set-user-ID bit.
pub(super) fn mode_of_existing(place: &OutputPath, folder: &Folder) -> u32 {
    let Some(existing) = &place.existing else { return 0 };
    mode_for_group(existing, folder.group)
}

/// Takes permissions away from the part file `file` that FILE does not give, before bytes come.
pub(super) fn narrow(file: &File, place: &OutputPath, folder: &Folder) -> io::Result<()> {
    if place.existing.is_none() {
        return Ok(());
    }
    let mode = file.metadata()?.mode() & 0o777 & mode_of_existing(place, folder);
    file.set_permissions(Permissions::from_mode(mode))
}

/// Gives `file`, of which `found` is known, the permissions of the FILE that it replaces. If FILE has another owner, the
/// permissions stay as they are.
pub(super) fn keep(file: &File, found: &Metadata, place: &OutputPath) {
    let same_owner = |existing: &&Metadata| existing.uid() == found.uid();
    if let Some(existing) = place.existing.as_ref().filter(same_owner) {
        let _ = file.set_permissions(Permissions::from_mode(mode_for_group(existing, found.gid())));
    }
}

/// Returns the permissions of `existing` for new content: those of the group only if the file has that `group`, and
/// never the set-user-ID bit.
fn mode_for_group(existing: &Metadata, group: u32) -> u32 {
    let mode = existing.mode() & 0o777;
    if existing.gid() == group { mode } else { mode & 0o707 }
}
