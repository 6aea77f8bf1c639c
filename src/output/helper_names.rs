//! The names of the files that a FILE has beside it until it is complete: its part file, the sidecar of that, and the
//! sidecar while it is written.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use sha2::{Digest, Sha256};

const PART_SUFFIX: &str = ".part";

/// The ends of the names of all helpers. The last one is the longest.
pub(super) const HELPER_SUFFIXES: [&str; 3] = [PART_SUFFIX, ".part.json", ".part.json~"];

const DIGEST_BYTES: usize = 8;

/// Returns the beginning of the names of all helpers of the file `name`: the file's name, cut so that theirs have at
/// most `name_bytes_max` bytes. A name that has to be cut ends in a digest of all of it.
pub(super) fn stem(name: &OsStr, name_bytes_max: usize) -> OsString {
    let [.., longest] = HELPER_SUFFIXES;
    if name.len() + longest.len() <= name_bytes_max {
        return name.to_owned();
    }
    let digest = hex::encode(&Sha256::digest(name.as_bytes())[..DIGEST_BYTES]);
    let kept_bytes = name_bytes_max.saturating_sub(longest.len() + digest.len() + 1);
    let text = name.to_string_lossy();
    let kept = text.floor_char_boundary(kept_bytes.min(text.len()));
    format!("{}~{digest}", &text[..kept]).into()
}

/// Returns the name of the part file of the file `name`.
pub(super) fn part_name(name: &OsStr, name_bytes_max: usize) -> OsString {
    with_suffix(&stem(name, name_bytes_max), PART_SUFFIX)
}

/// Returns the name of the sidecar of the part file `part`.
pub(super) fn sidecar_name(part: &OsStr) -> OsString {
    with_suffix(part, ".json")
}

/// Returns the name that the sidecar `sidecar` has while it is written.
pub(super) fn unfinished_sidecar_name(sidecar: &OsStr) -> OsString {
    with_suffix(sidecar, "~")
}

/// Returns a name that no other file has, for one that is not there for long.
pub(super) fn random_name() -> OsString {
    format!(".s3fcp-{:016x}", fastrand::u64(..)).into()
}

fn with_suffix(name: &OsStr, suffix: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(suffix);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffixes_are_those_of_all_helpers() {
        let part = part_name(OsStr::new("x"), 255);
        let sidecar = sidecar_name(&part);
        let unfinished = unfinished_sidecar_name(&sidecar);
        assert_eq!(
            [part, sidecar, unfinished],
            HELPER_SUFFIXES.map(|suffix| OsString::from(format!("x{suffix}")))
        );
        assert!(HELPER_SUFFIXES.is_sorted_by_key(|suffix| suffix.len()), "the last one is the longest");
    }

    #[test]
    fn helper_names_fit_into_the_folder_and_differ() {
        let mut seen = std::collections::HashSet::new();
        for (letter, counts) in [("x", 1..=255), ("é", 1..=127)] {
            for count in counts {
                let name = letter.repeat(count);
                let part = part_name(OsStr::new(&name), 255);
                let longest = unfinished_sidecar_name(&sidecar_name(&part));
                assert!(longest.len() <= 255, "{count}");
                assert_eq!(part.len() == name.len() + 5, name.len() <= 244, "{count}");
                assert!(seen.insert(part));
            }
        }
    }
}
