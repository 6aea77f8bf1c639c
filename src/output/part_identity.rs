//! Whether a file of the name `FILE.part` is the one that its sidecar was made for.
//!
//! A run that was killed leaves both, and somebody may put a file of his own in the place of the part file, or write a
//! new beginning into it. So the sidecar notes the file's inode, and its first bytes before they are written: a part
//! file with bytes begins as the note says. There is none beside a part file that an older version began, until it is
//! continued. Inodes alone prove nothing: a new file often gets that of the one that was removed, and a copy of both
//! files has others, as all files have after a mount of some file systems. First bytes alone do not either: many files
//! of one kind begin alike.
//!
//! Not recognised is what was written over the part file in place and begins with the same bytes, such as the zeros of a
//! disk image: it counts as the part file.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use std::ffi::OsStr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::output::path_error::unusable;
use crate::output::sidecar::LoadedSidecar;

/// Bytes that are noted: the header of an archive, and some of what is in it.
const NOTED_BYTES_MAX: usize = 1024;

/// The inode and the first bytes of a part file, as its sidecar notes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartIdentity {
    inode: u64,
    /// All of them, as long as there are few.
    #[serde(with = "base64_text")]
    first_bytes: Vec<u8>,
}

/// Whose file has the name of the part file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartOrigin {
    /// The one that the sidecar was made for, or one without bytes.
    Own,
    /// Another file, which begins as that did: a copy, or one that was moved together with the sidecar. The object
    /// shows whether it may be continued, and nothing whether it may be discarded.
    Moved,
    /// Somebody else's. This is what its sidecar lacks.
    Foreign(&'static str),
}

impl PartIdentity {
    /// Returns the identity of `file`, of which the first `length` bytes are known to be the object's.
    pub(super) fn of(file: &File, length: u64) -> io::Result<Self> {
        let count = usize::try_from(length).unwrap_or(NOTED_BYTES_MAX).min(NOTED_BYTES_MAX);
        Ok(Self { inode: file.metadata()?.ino(), first_bytes: first_bytes(file, count)? })
    }

    /// Returns it with the inode that was `noted` before, if one was: a copy that is continued is a copy for the next
    /// run too.
    pub(super) fn noted_as(self, noted: Option<&Self>) -> Self {
        let inode = noted.map_or(self.inode, |noted| noted.inode);
        Self { inode, ..self }
    }

    /// Adds `bytes`, which are to be appended to the file.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let count = NOTED_BYTES_MAX.saturating_sub(self.first_bytes.len()).min(bytes.len());
        self.first_bytes.extend_from_slice(&bytes[..count]);
    }

    /// Returns whether no more bytes are noted.
    pub(super) fn is_complete(&self) -> bool {
        self.first_bytes.len() >= NOTED_BYTES_MAX
    }

    /// Compares `file`, of which `certain` bytes have not been lost by a crash of the system: after them, some file
    /// systems show zeros.
    fn origin_of(&self, file: &File, certain: u64) -> io::Result<PartOrigin> {
        let found = file.metadata()?;
        let noted = &self.first_bytes;
        let begins = first_bytes(file, noted.len())?;
        let is_right =
            |(at, (noted, found)): (u64, (&u8, &u8))| noted == found || (*found == 0 && at >= certain);
        let is_noted = self.is_complete() || found.len() <= noted.len() as u64 || certain < found.len();
        Ok(if !is_noted || !(0..).zip(noted.iter().zip(&begins)).all(is_right) {
            PartOrigin::Foreign("its first bytes are not those noted in the")
        } else if found.ino() == self.inode {
            PartOrigin::Own
        } else {
            PartOrigin::Moved
        })
    }
}

impl PartOrigin {
    /// Returns whose file `file` is, beside which `sidecar` was found.
    pub(super) fn of(file: &File, sidecar: &LoadedSidecar) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::Own);
        }
        match sidecar {
            LoadedSidecar::Missing => Ok(Self::Foreign("there is no")),
            // It was made before the part file, which somebody else may have made then.
            LoadedSidecar::State(state) if state.objects.is_empty() => {
                Ok(Self::Foreign("no object is noted in the"))
            }
            // Older versions did not note it.
            LoadedSidecar::State(state) => state.part.as_ref().map_or(Ok(Self::Own), |part| {
                part.origin_of(file, if state.is_of_this_boot() { u64::MAX } else { state.synced })
            }),
            LoadedSidecar::Damaged => Ok(Self::Own),
        }
    }

    /// Fails if nothing in the file may be used. `sidecar` is the name of the sidecar.
    pub(super) fn check_is_usable(self, path: &Path, sidecar: &OsStr) -> Result<()> {
        let Self::Foreign(lacks) = self else { return Ok(()) };
        let sidecar = sidecar.to_string_lossy();
        let why = format!("already exists, and was not made by s3fcp: {lacks} {sidecar} beside it");
        Err(unusable(path, &why).with_hint("move it away, or write to another file"))
    }

    /// Fails if the bytes of the file may not be discarded.
    pub(super) fn check_is_own(self, path: &Path, sidecar: &OsStr) -> Result<()> {
        self.check_is_usable(path, sidecar)?;
        if self == Self::Own {
            return Ok(());
        }
        let why =
            format!("already exists, and is another file than {} was made for", sidecar.to_string_lossy());
        Err(unusable(path, &why).with_hint(
            "--continue resumes it while the object is the same; else move it away, or write to another file",
        ))
    }
}

/// Bytes in JSON.
mod base64_text {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        BASE64_STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Reads the first `count` bytes of `file`, fewer if it ends before.
fn first_bytes(file: &File, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let mut len = 0;
    while len < count {
        match file.read_at(&mut bytes[len..], len as u64) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sidecar::{SidecarObject, SidecarState};
    use crate::s3::object::ObjectInfo;
    use std::io::Write as _;

    fn object() -> Vec<u8> {
        (0..5000_u32).flat_map(u32::to_le_bytes).map(|byte| byte.wrapping_mul(31) | 1).collect()
    }

    fn state(part: Option<PartIdentity>) -> SidecarState {
        let info = ObjectInfo { size: 20_000, etag: Some("\"e\"".to_owned()), ..ObjectInfo::default() };
        let mut state = SidecarState::new("http://h");
        state.add(SidecarObject::new(&"s3://b/k".parse().unwrap(), None, &info, &(0..info.size)));
        state.part = part;
        state
    }

    #[test]
    fn bytes_are_noted_until_there_are_enough() {
        let mut file = tempfile::tempfile().unwrap();
        let mut identity = PartIdentity::of(&file, 0).unwrap();
        for frame in [1, 0, 9, 5000, 1] {
            let at = identity.first_bytes.len();
            identity.add(&object()[at..at + frame]);
        }
        assert!(identity.first_bytes == object()[..NOTED_BYTES_MAX] && identity.is_complete());
        file.write_all(&object()).unwrap();
        for (length, count) in [(0, 0), (10, 10), (1024, 1024), (20_000, 1024)] {
            assert_eq!(PartIdentity::of(&file, length).unwrap().first_bytes, object()[..count]);
        }
    }

    #[test]
    fn a_part_file_is_the_one_of_its_sidecar_by_its_inode_and_its_first_bytes() {
        const FOREIGN: PartOrigin = PartOrigin::Foreign("its first bytes are not those noted in the");
        let with = |at: usize, byte: u8| {
            let mut bytes = object();
            bytes[at] = byte;
            bytes
        };
        // The bytes noted and those in the file, whether its inode is noted, and after a crash how many were synced.
        for (case, noted, bytes, is_same, other_boot, want) in [
            ("as it was written", 1024, object(), true, None, PartOrigin::Own),
            ("a kill before the bytes that are noted", 1024, vec![], true, None, PartOrigin::Own),
            ("a kill among them", 1024, object()[..7].to_vec(), true, None, PartOrigin::Own),
            ("fewer than are noted at most", 7, object()[..7].to_vec(), true, None, PartOrigin::Own),
            ("more than are noted", 7, object(), true, None, FOREIGN),
            ("none are noted", 0, b"mine".to_vec(), true, None, FOREIGN),
            ("written anew", 1024, b"mine".to_vec(), true, None, FOREIGN),
            ("one bit", 1024, with(1023, 0), true, None, FOREIGN),
            ("what follows", 1024, with(1024, 0), true, None, PartOrigin::Own),
            ("another file", 1024, b"mine".to_vec(), false, None, FOREIGN),
            ("another file, which is empty", 1024, vec![], false, None, PartOrigin::Own),
            ("a copy", 1024, object(), false, None, PartOrigin::Moved),
            ("a copy after a restart", 1024, object(), false, Some(0), PartOrigin::Moved),
            ("zeros after a crash", 1024, vec![0; 5000], true, Some(0), PartOrigin::Own),
            ("zeros behind what was synced", 1024, with(1000, 0), true, Some(1000), PartOrigin::Own),
            ("zeros in what was synced", 1024, with(1000, 0), true, Some(1001), FOREIGN),
            ("other bytes after a crash", 1024, b"mine".to_vec(), true, Some(0), FOREIGN),
            ("a note that was lost by a crash", 7, object(), true, Some(7), PartOrigin::Own),
        ] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&object()).unwrap();
            let mut part = PartIdentity::of(&file, noted).unwrap();
            part.inode ^= u64::from(!is_same);
            file.set_len(0).unwrap();
            file.write_at(&bytes, 0).unwrap();
            let mut state = state(Some(part));
            if let Some(synced) = other_boot {
                state.distrust();
                state.synced = synced;
            }
            let state = serde_json::from_slice(&serde_json::to_vec(&state).unwrap()).unwrap();
            assert_eq!(PartOrigin::of(&file, &LoadedSidecar::State(state)).unwrap(), want, "{case}");
        }
    }

    #[test]
    fn a_sidecar_without_the_note_or_that_is_damaged_is_believed() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"bytes").unwrap();
        for (sidecar, is_own) in [
            (LoadedSidecar::State(Box::new(state(None))), true),
            (LoadedSidecar::Damaged, true),
            (LoadedSidecar::Missing, false),
            (LoadedSidecar::State(Box::new(SidecarState::new("http://h"))), false),
        ] {
            assert_eq!(PartOrigin::of(&file, &sidecar).unwrap() == PartOrigin::Own, is_own, "{sidecar:?}");
        }
    }
}
