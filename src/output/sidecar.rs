//! The file format of the sidecar: which objects the bytes of `FILE.part` belong to.
//!
//! One line of JSON beside the part file, replaced as a whole. It is made before the part file and removed before it,
//! so that a part file with bytes is never without one. What a later run may conclude from it is decided in
//! `resume.rs`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use crate::output::folder::Folder;
use crate::output::helper_names::{random_name, unfinished_sidecar_name};
use crate::output::part_identity::PartIdentity;
use crate::s3::address::source::Source;
use crate::s3::object::ObjectInfo;
use crate::s3::range_spec::RangeSpec;

/// Format 1 did not note the endpoint.
const FORMAT: u32 = 2;

/// More than 10,000 objects with the longest keys need.
const SIDECAR_BYTES_MAX: u64 = 32 << 20;

/// How every sidecar begins; distinguishes a damaged one from a file of the user's.
const FIRST_BYTES: &[u8] = b"{\"format\":";

/// Mode of the sidecar: keys may be confidential.
const PRIVATE: u32 = 0o600;

/// The content of a sidecar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SidecarState {
    format: u32,
    /// Identifies the boot of the system that wrote the bytes, where there is such an id.
    pub(super) boot: Option<String>,
    /// Number of bytes known to be on disk.
    pub(super) synced: u64,
    /// Identity of the store; absent in format 1.
    #[serde(default)]
    pub(super) endpoint: Option<String>,
    /// In the order of their bytes; the last object may be there in part.
    pub(super) objects: Vec<SidecarObject>,
    /// The part file that it was made for; absent in format 2 of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<PartIdentity>,
    /// The part file when the last run ended that came to its end: a file that differs was written to since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stopped: Option<FileIdentity>,
    /// The complete file that was about to be renamed to FILE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) renamed: Option<FileIdentity>,
}

/// One object whose bytes are in the part file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SidecarObject {
    /// Its [identity](Source::identity), which has no secret.
    pub(super) uri: String,
    /// The range as the user wrote it; `None` for the whole object.
    pub(super) asked: Option<String>,
    pub(crate) etag: Option<String>,
    pub(crate) version_id: Option<String>,
    /// Size of the whole object in bytes.
    pub(super) size: u64,
    /// Offset in the file of the first byte; absent in format 2 of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<u64>,
    /// Offset in the object of the first byte.
    pub(crate) start: u64,
    /// Offset in the object after the last byte.
    pub(crate) end: u64,
}

/// A file as it was at one moment: any later write changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileIdentity {
    device: u64,
    inode: u64,
    pub(super) size: u64,
    modified_seconds: i64,
    modified_nanoseconds: i64,
}

/// The state of a sidecar's name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LoadedSidecar {
    Missing,
    /// A sidecar that a crash of the system or a user damaged.
    Damaged,
    State(Box<SidecarState>),
}

impl SidecarState {
    pub(super) fn new(endpoint: &str) -> Self {
        let endpoint = Some(endpoint.to_owned());
        Self {
            format: FORMAT,
            boot: boot(),
            synced: 0,
            endpoint,
            objects: Vec::new(),
            part: None,
            stopped: None,
            renamed: None,
        }
    }

    /// Returns how many bytes the file has once all of its objects are whole; `None` if the size of one is not known.
    pub(super) fn bytes(&self) -> Option<u64> {
        let is_known = |piece: &SidecarObject| piece.size != ObjectInfo::SIZE_UNKNOWN;
        let add = |sum: u64, piece: &SidecarObject| sum.checked_add(piece.len()).filter(|_| is_known(piece));
        self.objects.iter().try_fold(0, add)
    }

    /// Adds the object whose bytes follow.
    pub(super) fn add(&mut self, piece: SidecarObject) {
        self.objects.push(SidecarObject { at: self.bytes(), ..piece });
    }

    /// Returns whether the system has been up since the bytes were written, as far as is known.
    pub(super) fn is_of_this_boot(&self) -> bool {
        self.boot.is_some() && self.boot == boot()
    }

    /// Notes that only what was synced before is certain to be on disk.
    pub(super) fn distrust(&mut self) {
        (self.boot, self.renamed) = (None, None);
    }

    /// Marks the bytes, which were checked, as those of this boot.
    pub(super) fn of_this_boot(mut self) -> Self {
        (self.boot, self.format, self.stopped, self.renamed) = (boot(), FORMAT, None, None);
        self
    }
}

impl SidecarObject {
    pub(super) fn new(
        source: &Source,
        asked: Option<RangeSpec>,
        info: &ObjectInfo,
        range: &std::ops::Range<u64>,
    ) -> Self {
        Self {
            uri: source.identity(),
            asked: asked.map(|range| range.to_string()),
            etag: info.etag.clone(),
            version_id: info.version_id.clone(),
            size: info.size,
            at: None,
            start: range.start,
            end: range.end,
        }
    }

    /// Returns the number of bytes that the file has of the object once it is whole.
    pub(super) fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

impl FileIdentity {
    pub(super) fn of(found: &std::fs::Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified_seconds: found.mtime(),
            modified_nanoseconds: found.mtime_nsec(),
        }
    }
}

/// Reads the sidecar `name`, and returns the file too, if there is one. Fails if it is not one that s3fcp made for this
/// user.
pub(super) fn load(folder: &Folder, name: &OsStr) -> io::Result<(LoadedSidecar, Option<File>)> {
    let Some(file) = folder.open_own(name, 0)? else { return Ok((LoadedSidecar::Missing, None)) };
    if file.metadata()?.len() > SIDECAR_BYTES_MAX {
        return Err(io::Error::other("it is too large for a sidecar"));
    }
    let mut bytes = Vec::new();
    (&file).take(SIDECAR_BYTES_MAX).read_to_end(&mut bytes)?;
    let loaded = match serde_json::from_slice::<SidecarState>(&bytes) {
        Ok(state) if (1..=FORMAT).contains(&state.format) => LoadedSidecar::State(Box::new(state)),
        _ if looks_like_sidecar(&bytes) => LoadedSidecar::Damaged,
        _ => return Err(io::Error::other("it is not a sidecar of s3fcp")),
    };
    Ok((loaded, Some(file)))
}

/// Returns whether `bytes` may be what is left of a sidecar. Some file systems show zeros after a crash.
fn looks_like_sidecar(bytes: &[u8]) -> bool {
    let compared = bytes.len().min(FIRST_BYTES.len());
    bytes[..compared] == FIRST_BYTES[..compared] || bytes.iter().all(|byte| *byte == 0)
}

/// Writes the sidecar `name` in the place of `old`, and returns the new file; with `sync` it is on disk afterwards. What
/// has the name and is not `old` stays, and is an error.
pub(super) fn save(
    folder: &Folder,
    name: &OsStr,
    state: &SidecarState,
    sync: bool,
    old: Option<&File>,
) -> io::Result<File> {
    let mut line = serde_json::to_vec(state)?;
    line.push(b'\n');
    let (mut file, new) = create(folder, unfinished_sidecar_name(name))?;
    let saved =
        file.write_all(&line).and_then(|()| if sync { file.sync_data() } else { Ok(()) }).and_then(|()| {
            match old.filter(|_| folder.has(name)) {
                Some(old) if folder.is_named(name, old) => folder.rename(&new, name),
                Some(_) => Err(io::Error::other("it was replaced by another process during the download")),
                None => folder.rename_to_new(&new, name),
            }
        });
    if saved.is_err() && folder.is_named(&new, &file) {
        let _ = folder.remove(&new);
    }
    saved.map(|()| file)
}

/// Makes the file that is renamed to the sidecar. A leftover of a run that was killed gives way; if the name is taken
/// by something else, another one is used.
fn create(folder: &Folder, new: OsString) -> io::Result<(File, OsString)> {
    remove_leftover(folder, &new);
    match folder.create_new(&new, PRIVATE) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let other = random_name();
            Ok((folder.create_new(&other, PRIVATE)?, other))
        }
        created => Ok((created?, new)),
    }
}

fn remove_leftover(folder: &Folder, new: &OsStr) {
    let Ok(Some(file)) = folder.open_own(new, 0) else { return };
    let mut bytes = Vec::new();
    let read = (&file).take(FIRST_BYTES.len() as u64).read_to_end(&mut bytes);
    if read.is_ok() && looks_like_sidecar(&bytes) && folder.is_named(new, &file) {
        let _ = folder.remove(new);
    }
}

/// Removes the sidecar `name`, if it is still the file `own`, and what a run that was killed left of it.
pub(super) fn remove(folder: &Folder, name: &OsStr, own: &File) -> io::Result<()> {
    remove_leftover(folder, &unfinished_sidecar_name(name));
    if folder.is_named(name, own) { folder.remove(name) } else { Ok(()) }
}

/// Returns the id of this boot of the system; only Linux has one.
pub(super) fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn state(uri: &str) -> SidecarState {
        let info = ObjectInfo { size: 10, etag: Some("\"e\"".to_owned()), ..ObjectInfo::default() };
        let mut state = SidecarState::new("http://h");
        state.objects.push(SidecarObject::new(&uri.parse().unwrap(), None, &info, &(0..10)));
        state
    }

    #[test]
    fn a_sidecar_is_read_as_it_was_written_and_is_private() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::of(&temporary.path().join("x")).unwrap();
        let name = OsStr::new("x.part.json");
        assert_eq!(load(&folder, name).unwrap().0, LoadedSidecar::Missing);
        let state = state("s3://b/a \"é\"\n");
        let mut last = None;
        for sync in [false, true, false] {
            last = Some(save(&folder, name, &state, sync, last.as_ref()).unwrap());
            assert_eq!(load(&folder, name).unwrap().0, LoadedSidecar::State(Box::new(state.clone())));
        }
        assert!(save(&folder, name, &state, false, None).is_err());
        let path = temporary.path().join(name);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let last = last.unwrap();
        remove(&folder, name, &last).unwrap();
        remove(&folder, name, &last).unwrap();
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
        save(&folder, name, &state, false, Some(&last)).unwrap();
    }

    #[test]
    fn what_was_moved_to_the_name_is_neither_replaced_nor_removed() {
        type Put = fn(&std::path::Path);
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        let folder = Folder::of(&at("x")).unwrap();
        let name = OsStr::new("x.part.json");
        let table: [(&str, Put); 4] = [
            ("a file", |path| {
                fs::write(path.with_extension("new"), "mine").unwrap();
                fs::rename(path.with_extension("new"), path).unwrap();
            }),
            ("a new file", |path| fs::remove_file(path).and_then(|()| fs::write(path, "mine")).unwrap()),
            ("a copy", |path| {
                fs::copy(path, path.with_extension("new")).unwrap();
                fs::rename(path.with_extension("new"), path).unwrap();
            }),
            ("a link", |path| {
                fs::rename(path, path.with_extension("old")).unwrap();
                symlink(path.with_extension("old"), path).unwrap();
            }),
        ];
        for (case, put) in table {
            let own = save(&folder, name, &state("s3://b/k"), false, None).unwrap();
            put(&at("x.part.json"));
            let before = fs::read(at("x.part.json")).unwrap();
            let error = save(&folder, name, &state("s3://b/l"), false, Some(&own)).unwrap_err();
            assert!(error.to_string().contains("replaced by another process"), "{case}: {error}");
            remove(&folder, name, &own).unwrap();
            assert_eq!(fs::read(at("x.part.json")).unwrap(), before, "{case}");
            fs::remove_file(at("x.part.json")).unwrap();
            let _ = fs::remove_file(at("x.part.old"));
            assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "{case}");
        }
    }

    #[test]
    fn damage_is_distinguished_from_a_file_of_the_users() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::of(&temporary.path().join("x")).unwrap();
        let name = OsStr::new("x.part.json");
        let zeros = "\0".repeat(100);
        let of_the_future = serde_json::to_string(&SidecarState { format: 9, ..state("s3://b/k") }).unwrap();
        for (text, is_damaged) in [
            ("", true),
            ("{", true),
            ("{\"format\":1,", true),
            (&zeros, true),
            (&of_the_future, true),
            ("{}", false),
            ("[1]", false),
            ("my notes", false),
        ] {
            fs::write(temporary.path().join(name), text).unwrap();
            let found = load(&folder, name).ok().map(|(found, _)| found);
            assert_eq!(found, is_damaged.then_some(LoadedSidecar::Damaged), "{text:?}");
        }
        let large = File::create(temporary.path().join(name)).unwrap();
        large.set_len(SIDECAR_BYTES_MAX + 1).unwrap();
        assert!(load(&folder, name).is_err());
    }

    #[test]
    fn names_of_helpers_that_lead_elsewhere_or_are_taken_are_left_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        let folder = Folder::of(&at("x")).unwrap();
        let name = OsStr::new("x.part.json");
        fs::write(at("victim"), "mine").unwrap();
        let plant: [fn(&std::path::Path); 4] = [
            |new| symlink("victim", new).unwrap(),
            |new| fs::hard_link(new.with_file_name("victim"), new).unwrap(),
            |new| fs::write(new, "mine").unwrap(),
            |new| fs::create_dir(new).unwrap(),
        ];
        for (number, plant) in plant.iter().enumerate() {
            plant(&at("x.part.json~"));
            let own = save(&folder, name, &state("s3://b/k"), false, None).unwrap();
            assert!(matches!(load(&folder, name).unwrap().0, LoadedSidecar::State(_)));
            assert_eq!(fs::read(at("victim")).unwrap(), b"mine", "{number}");
            assert!(fs::symlink_metadata(at("x.part.json~")).is_ok(), "{number}");
            let _ = fs::remove_file(at("x.part.json~")).or_else(|_| fs::remove_dir(at("x.part.json~")));
            remove(&folder, name, &own).unwrap();
            assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1, "{number}");
        }
        // The leftover of a run that was killed gives way.
        fs::write(at("x.part.json~"), "{\"form").unwrap();
        save(&folder, name, &state("s3://b/k"), false, None).unwrap();
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 2);
    }
}
