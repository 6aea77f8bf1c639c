//! The permissions of a part file: those that a new file gets or, where it replaces FILE, those of FILE if that belongs to
//! the same user. At no moment can somebody else read the bytes who could not read FILE.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::output::folder::Folder;
use crate::output::path::OutputPath;

/// Permissions that a new file may have; the umask takes some of them away.
pub(super) const NEW_FILE_MODE: u32 = 0o666;

/// The permissions that an owner has of a file of his own which replaces somebody else's.
const OWNER_MODE: u32 = 0o600;
/// The permissions of such a FILE that count for the group and all others. Its owner would choose whether what this user
/// made can be executed, and who else may write to it.
const TAKEN_FROM_ANOTHER_OWNER: u32 = 0o064;

/// Returns the permissions that the FILE which is there allows its successor, those of its group only if that gets the
/// group; none if there is no FILE, and never the set-user-ID bit.
pub(super) fn mode_of_existing(place: &OutputPath, folder: &Folder) -> u32 {
    let Some(existing) = &place.existing else { return 0 };
    let mode = mode_for_group(existing, folder.group);
    if existing.uid() == folder.owner { mode } else { OWNER_MODE | mode & TAKEN_FROM_ANOTHER_OWNER }
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
