//! The files that a run has finished: none of them is replaced by another object of the same run.
//!
//! Names that differ can mean one file: a folder may not distinguish upper and lower case, and links lead to other
//! names.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::Stat;

/// The identities of finished files, shared by all objects of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunFiles(Arc<Mutex<HashSet<(u64, u64)>>>);

impl RunFiles {
    /// Fails if `found`, which is about to be replaced, is a file that this run has finished.
    pub(super) fn check(&self, found: &Stat) -> io::Result<()> {
        if self.lock().contains(&identity(found)) {
            let why =
                "another object of this run has been written to it, under a name that means the same file";
            return Err(io::Error::other(why));
        }
        Ok(())
    }

    /// Adds a file that is finished.
    pub(super) fn add(&self, file: &Stat) {
        self.lock().insert(identity(file));
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<(u64, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns device and inode. Their types differ between systems.
#[allow(
    clippy::unnecessary_cast,
    clippy::cast_sign_loss,
    reason = "on some systems they are smaller or signed"
)]
fn identity(file: &Stat) -> (u64, u64) {
    (file.st_dev as u64, file.st_ino as u64)
}
