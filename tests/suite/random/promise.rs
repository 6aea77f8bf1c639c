//! The promise, as an oracle: which bytes a pipe, a file or a folder may have after a run, of objects that have two
//! versions each.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bytes::Bytes;

use crate::support::files::names;

/// The bytes that are wanted of each object, in both versions.
pub(super) struct Promise {
    objects: Vec<[Bytes; 2]>,
    /// The files of a folder that were whole.
    finished: RefCell<HashMap<String, Vec<u8>>>,
    may_replace: bool,
}

impl Promise {
    pub(super) fn of(objects: Vec<[Bytes; 2]>, may_replace: bool) -> Self {
        Self { objects, finished: RefCell::default(), may_replace }
    }

    #[track_caller]
    pub(super) fn check_pipe(&self, bytes: &[u8], is_success: bool, told: impl Fn() -> String) {
        let is_kept = is_one_of_each(bytes, &self.objects, is_success);
        assert!(is_kept, "{}: {}", pieces(bytes, &self.objects), told());
    }

    /// Checks a file with all objects, or its part; returns whether it is there.
    #[track_caller]
    pub(super) fn check_file(&self, file: &Path, is_success: bool, told: impl Fn() -> String) -> bool {
        check_one(file, &self.objects, is_success, &told)
    }

    /// Checks that each object has a file that is whole, or a beginning in its part; all have files after success.
    #[track_caller]
    pub(super) fn check_folder(
        &self,
        folder: &Path,
        is_success: bool,
        was_killed: bool,
        told: impl Fn() -> String,
    ) {
        for (number, object) in self.objects.iter().enumerate() {
            let name = format!("k{number}");
            let path = folder.join(&name);
            if check_one(&path, std::slice::from_ref(object), is_success, &told) {
                let bytes = fs::read(&path).expect("a file");
                let before = self.finished.borrow_mut().insert(name, bytes.clone());
                let is_same = before.is_none_or(|before| before == bytes);
                assert!(is_same || self.may_replace, "a FILE was replaced: {}", told());
            } else {
                let was_finished = self.finished.borrow().contains_key(&name);
                assert!(!was_finished, "{name} was there before: {}", told());
            }
        }
        // A run that is killed may leave a name that it was about to use.
        for name in names(folder).into_iter().filter(|_| !was_killed) {
            let number =
                name.strip_prefix('k').and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
            let is_object = number.is_some_and(|number| number < self.objects.len());
            let kind = name.split_once('.').map_or("", |(_, kind)| kind);
            let is_known = kind.is_empty() || (!is_success && ["part", "part.json"].contains(&kind));
            assert!(is_object && is_known, "{name} is left: {}", told());
        }
    }
}

/// Returns whether a whole file is in the folder.
pub(super) fn has_file(folder: &Path) -> bool {
    names(folder).iter().any(|name| !name.contains('.'))
}

/// Checks `file`, or what its part has; returns whether it is there.
#[track_caller]
fn check_one(file: &Path, objects: &[[Bytes; 2]], is_success: bool, told: &impl Fn() -> String) -> bool {
    if let Ok(bytes) = fs::read(file) {
        assert!(is_one_of_each(&bytes, objects, true), "FILE {}: {}", pieces(&bytes, objects), told());
        return true;
    }
    assert!(!is_success, "no FILE: {}", told());
    let part = file.with_added_extension("part");
    let left = fs::read(part).unwrap_or_default();
    assert!(is_one_of_each(&left, objects, false), "left {}: {}", pieces(&left, objects), told());
    false
}

/// Returns whether `bytes` are one version of each object, one after the other; or a beginning of that, where they need
/// not be `whole`.
fn is_one_of_each(bytes: &[u8], objects: &[[Bytes; 2]], whole: bool) -> bool {
    let Some((versions, rest)) = objects.split_first() else { return bytes.is_empty() };
    versions.iter().any(|version| match bytes.strip_prefix(version.as_ref()) {
        Some(after) => is_one_of_each(after, rest, whole),
        None => !whole && version.starts_with(bytes),
    })
}

/// Returns of which object and version `bytes` are, for people; what follows an object of another length is not found.
fn pieces(bytes: &[u8], objects: &[[Bytes; 2]]) -> String {
    let (mut at, mut told) = (0, format!("of {} bytes", bytes.len()));
    for (number, versions) in objects.iter().enumerate() {
        let len = versions[0].len();
        let own = &bytes[at.min(bytes.len())..(at + len).min(bytes.len())];
        let mut last = None;
        for (offset, byte) in own.iter().enumerate() {
            let version = (0..2).find(|&version| versions[version].get(offset) == Some(byte));
            if last != Some(version) {
                // Writing into a string cannot fail.
                let _ = write!(told, ", k{number} from {offset} version {version:?}");
                last = Some(version);
            }
        }
        at += len;
    }
    told
}

#[test]
fn one_version_of_each_object_is_distinguished_from_a_mix() {
    let objects = [["aaa", "bb"], ["cc", "dd"]]
        .map(|versions| versions.map(|version| Bytes::from_static(version.as_bytes())));
    for (bytes, is_whole, is_begun) in [
        ("aaacc", true, true),
        ("bbdd", true, true),
        ("bbd", false, true),
        ("aa", false, true),
        ("", false, true),
        ("aab", false, false),
        ("aaacd", false, false),
        ("aaaccc", false, false),
    ] {
        assert_eq!(is_one_of_each(bytes.as_bytes(), &objects, true), is_whole, "{bytes}");
        assert_eq!(is_one_of_each(bytes.as_bytes(), &objects, false), is_begun, "{bytes}");
    }
}
