//! The names of the files of a run with `-o DIR/`: no two of its files have a name in common.
//!
//! A file has three names while it is written: its own, and those of its part file and its sidecar. Another object may
//! have the key `x.part`: the finished file of that would be taken for the part file of `x`.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use crate::error::{Error, Result};
use crate::output::folder::name_bytes_max;
use crate::output::helper_names::{HELPER_SUFFIXES, stem};
use crate::output::path::file_name;
use crate::s3::address::source::Source;

/// The names that the files of a run have had. Of each a hash of eight bytes is kept, because a list may have a
/// million: with that many, one is refused without need with a probability of 1 in 10 million.
///
/// The names of a file's helpers follow from one stem, which is the file's name unless that is too long. So it is
/// enough to keep the names and the stems.
pub(crate) struct FileNames {
    name_bytes_max: usize,
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl FileNames {
    /// Returns the names of a run, which has no file yet in `folder`.
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            name_bytes_max: name_bytes_max(folder),
            hasher: RandomState::default(),
            hashes: HashSet::default(),
        }
    }

    /// Adds the file of `source`. Fails if it would have a name in common with an earlier one.
    pub(crate) fn add(&mut self, source: &Source) -> Result<()> {
        let name = file_name(source)?;
        let stem = self.stem(&name);
        let clash = if self.has(&name) {
            Some(format!("another object would have the same file name, {name:?}"))
        } else if self.has(&stem) || self.is_helper(&name) {
            Some(format!(
                "the part file or sidecar of another object would have the same file name, {name:?}"
            ))
        } else {
            let helpers = HELPER_SUFFIXES.map(|suffix| format!("{stem}{suffix}"));
            let taken = helpers.into_iter().find(|helper| self.has(helper));
            taken.map(|taken| {
                format!("its part file or sidecar would have the file name of another object, {taken:?}")
            })
        };
        if let Some(what) = clash {
            return Err(Error::usage(what).on(source).with_hint("download them into different folders"));
        }
        self.hashes.insert(self.hash(&name));
        self.hashes.insert(self.hash(&stem));
        Ok(())
    }

    /// Returns whether a helper of an earlier file has this name.
    fn is_helper(&self, name: &str) -> bool {
        let stems = HELPER_SUFFIXES.iter().filter_map(|suffix| name.strip_suffix(suffix));
        // A name that is too long is no stem, though a file may have it.
        stems.into_iter().any(|stem| self.has(stem) && self.stem(stem) == stem)
    }

    /// Returns the beginning of the names of all helpers of the file `name`.
    fn stem(&self, name: &str) -> String {
        stem(name.as_ref(), self.name_bytes_max).to_string_lossy().into_owned()
    }

    fn has(&self, name: &str) -> bool {
        self.hashes.contains(&self.hash(name))
    }

    fn hash(&self, name: &str) -> u64 {
        self.hasher.hash_one(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> FileNames {
        FileNames::of(&std::env::temp_dir())
    }

    #[test]
    fn names_that_clash_are_refused_whatever_is_before_them() {
        let mut names = names();
        for (source, is_new) in [
            ("s3://b/a/k", true),
            ("s3://b/a/l", true),
            ("s3://c/k", false),
            ("https://h/x/k?y=z", false),
            ("https://h/k%20", true),
            ("s3://b/k ", false),
            ("s3://b/K", true),
        ] {
            let added = names.add(&source.parse().expect("a source"));
            assert_eq!(added.is_ok(), is_new, "{source}");
            if let Err(error) = added {
                assert_eq!(error.exit_code(), 2);
            }
        }
    }

    #[test]
    fn a_file_and_the_helpers_of_another_one_never_have_the_same_name() {
        let long = "l".repeat(250);
        let stem = names().stem(&long);
        assert_ne!(stem, long);
        let of_long = |suffix: &str| format!("{stem}{suffix}");
        let no_helper = format!("{long}.part");
        for (one, other, is_clash) in [
            ("x", "x.part", true),
            ("x", "x.part.json", true),
            ("x", "x.part.json~", true),
            ("x.part", "x.part.part", true),
            ("x.part.json", "x.part.json.part", true),
            (&long, &stem, true),
            (&long, &of_long(".part"), true),
            (&long, &of_long(".part.json"), true),
            (&long, &no_helper, false),
            ("x.part", "x.part.json", false),
            ("x", "x.json", false),
            ("x", "y.part", false),
            ("x", "x.part2", false),
            ("x", "x.part.part", false),
            ("x", ".part", false),
        ] {
            for pair in [[one, other], [other, one]] {
                let mut names = names();
                names.add(&"s3://b/before".parse().expect("a source")).expect("a name");
                let [first, second] = pair.map(|key| format!("s3://b/{key}").parse().expect("a source"));
                names.add(&first).expect("a name");
                names.add(&"s3://b/between".parse().expect("a source")).expect("a name");
                let added = names.add(&second);
                assert_eq!(added.is_err(), is_clash, "{pair:?}");
                if let Err(error) = added {
                    assert_eq!(error.exit_code(), 2);
                }
            }
        }
    }
}
