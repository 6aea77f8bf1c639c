//! Which file `-o` means: a folder takes the last name of the key or URL, and links are followed.
//!
//! It gets a path as it was typed and looks at the file system. It never opens, makes or changes anything.

use std::borrow::Cow;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::error::printable::Visible;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::address::source::Source;

/// Links that are followed before it is taken for a circle, as Linux does.
const LINKS_MAX: usize = 40;

/// A file that bytes are to go to, and what is there now.
#[derive(Debug)]
pub(super) struct OutputPath {
    pub(super) path: PathBuf,
    pub(super) existing: Option<Metadata>,
}

impl OutputPath {
    /// What `path` means for the objects `uris`. A folder, or what ends like one, takes the last name of a single
    /// key or URL.
    pub(super) fn of(path: &Path, uris: &[Source]) -> Result<Self> {
        let is_folder = fs::metadata(path).is_ok_and(|found| found.is_dir());
        let names_folder = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if names_folder && !is_folder {
            return Err(unusable(path, "there is no such folder"));
        }
        let path = if is_folder { path.join(&*name(path, uris)?) } else { path.to_owned() };
        let existing = match fs::metadata(&path) {
            Ok(found) if found.is_dir() => return Err(unusable(&path, "it is a folder")),
            Ok(found) => Some(found),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(failed(&path, "it cannot be looked at", e)),
        };
        // A device is opened by the name it has: what its link says may be no path at all.
        let is_regular = existing.as_ref().is_none_or(Metadata::is_file);
        Ok(Self { path: if is_regular { followed(path) } else { path }, existing })
    }
}

/// The last name of a key or URL; only one that stays in its folder.
fn name<'a>(folder: &Path, uris: &'a [Source]) -> Result<Cow<'a, str>> {
    let [uri] = uris else {
        return Err(Error::usage(format!("several objects go into one file: {} is a folder", shown(folder)))
            .with_hint("name a file, or run s3fcp for each object"));
    };
    let name = uri.last_name();
    let mut parts = Path::new(&*name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) if !name.contains(['/', '\0']) => Ok(name),
        _ => Err(Error::usage("its last name is no name for a file")
            .on(uri)
            .with_hint("name the file: -o DIR/NAME")),
    }
}

/// Where the file itself is: it takes its folder's room and is renamed there.
fn followed(mut path: PathBuf) -> PathBuf {
    for _ in 0..LINKS_MAX {
        let Ok(next) = fs::read_link(&path) else { break };
        path = path.parent().map_or(next.clone(), |folder| folder.join(&next));
    }
    path
}

/// A path for a message: nothing in it moves the cursor of a terminal.
pub(super) fn shown(path: &Path) -> String {
    Visible(&path.to_string_lossy()).to_string()
}

/// An error of the output that only the user can put right.
pub(super) fn unusable(path: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Output, format!("{}: {why}", shown(path)))
}

/// The same with what the system said.
pub(super) fn failed(path: &Path, what: &str, cause: io::Error) -> Error {
    unusable(path, what).with_source(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn uri(key: &str) -> Source {
        format!("s3://b/{key}").parse().unwrap()
    }

    #[test]
    fn a_folder_takes_the_last_name_of_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let with_slash = PathBuf::from(format!("{}/", folder.path().display()));
        for path in [folder.path(), &with_slash] {
            for (key, name) in [("k", "k"), ("a/b c.tar", "b c.tar"), ("a//é", "é"), ("..a", "..a")] {
                let place = OutputPath::of(path, &[uri(key)]).unwrap();
                assert_eq!(place.path, folder.path().join(name));
                assert!(place.existing.is_none());
            }
            for key in ["a/", "a/..", ".", "a/\0b"] {
                let error = OutputPath::of(path, &[uri(key)]).unwrap_err();
                assert_eq!(error.exit_code(), 2, "{key:?}: {error}");
            }
            assert_eq!(OutputPath::of(path, &[uri("a"), uri("b")]).unwrap_err().exit_code(), 2);
        }
        for (url, name) in [
            ("https://h/a/b%20c.tar?X-Amz-Signature=/x", Some("b c.tar")),
            ("https://h/a/%ff", Some("%ff")),
            ("https://h", None),
            ("https://h/a/?x", None),
            ("https://h/a/%2e%2e", None),
            ("https://h/..%2Fa", None),
            ("https://h/a%2F.", None),
            ("https://h/%00", None),
        ] {
            let place = OutputPath::of(folder.path(), &[url.parse().unwrap()]);
            assert_eq!(
                place.ok().map(|place| place.path),
                name.map(|name| folder.path().join(name)),
                "{url}"
            );
        }
        let nowhere = PathBuf::from(format!("{}/none/", folder.path().display()));
        assert_eq!(OutputPath::of(&nowhere, &[uri("k")]).unwrap_err().exit_code(), 8);
        fs::create_dir(folder.path().join("k")).unwrap();
        assert!(
            OutputPath::of(folder.path(), &[uri("k")]).unwrap_err().to_string().contains("it is a folder")
        );
    }

    #[test]
    fn links_are_followed_also_to_what_is_not_there_yet() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink("b", at("a")).unwrap();
        symlink(at("c"), at("b")).unwrap();
        let place = OutputPath::of(&at("a"), &[uri("k")]).unwrap();
        assert_eq!((place.path, place.existing.is_none()), (at("c"), true));
        fs::write(at("c"), "x").unwrap();
        let place = OutputPath::of(&at("a"), &[uri("k")]).unwrap();
        assert_eq!((place.path, place.existing.is_some()), (at("c"), true));
        symlink("circle", at("circle")).unwrap();
        assert_eq!(OutputPath::of(&at("circle"), &[uri("k")]).unwrap_err().exit_code(), 8);
        symlink("/dev/null", at("null")).unwrap();
        assert_eq!(OutputPath::of(&at("null"), &[uri("k")]).unwrap().path, at("null"));
    }
}
