//! The file that `-o` means: a folder takes the last name of the key or URL, and links are followed.
//!
//! A link to one of this process's descriptors (`/dev/stdout`, `/dev/fd/3`) means the descriptor, not the file that it
//! was opened by: that has an offset, and may be open to append. Nothing is opened, made or changed here.

use std::borrow::Cow;
use std::fs::{self, Metadata};
use std::io;
use std::os::fd::RawFd;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::output::path_error::{failed, unusable};
use crate::s3::address::source::Source;

/// The hint for a folder that is missing.
pub(super) const CREATE_FOLDER: &str = "create the folder first, with mkdir -p";

/// Links that are followed before they count as a circle, as on Linux.
const LINKS_MAX: usize = 40;

/// A file that bytes are to go to, and what is there now.
#[derive(Debug)]
pub(super) struct OutputPath {
    pub(super) path: PathBuf,
    pub(super) existing: Option<Metadata>,
    /// The descriptor of this process that the path leads to.
    pub(super) descriptor: Option<RawFd>,
    /// The name that was meant, if that is a link.
    pub(super) link: Option<PathBuf>,
}

impl OutputPath {
    /// Resolves `path` for the bytes of `sources`. In a folder a single one has the last name of its key or URL.
    pub(super) fn of(path: &Path, sources: &[Source]) -> Result<Self> {
        if let Some(descriptor) = followed(path.to_owned()).1 {
            let (path, existing, link) = (path.to_owned(), None, Some(path.to_owned()));
            return Ok(Self { path, existing, descriptor: Some(descriptor), link });
        }
        let path = match sources {
            [source] if is_folder(path)? => path.join(&*file_name(source)?),
            _ if is_folder(path)? => return Err(unusable(path, "is a folder")),
            _ => path.to_owned(),
        };
        let existing = match fs::metadata(&path) {
            Ok(found) if found.is_dir() => return Err(unusable(&path, "is a folder")),
            Ok(found) => Some(found),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(failed(&path, "access", e)),
        };
        // A device is opened by the name it has: what its link says need not be a path.
        let is_regular = existing.as_ref().is_none_or(Metadata::is_file);
        let link = path.is_symlink().then(|| path.clone());
        let path = if is_regular { followed(path).0 } else { path };
        Ok(Self { path, existing, descriptor: None, link })
    }
}

/// Returns whether `path` means a folder, in which each object has its own file.
pub(crate) fn is_folder(path: &Path) -> Result<bool> {
    if followed(path.to_owned()).1.is_some() {
        return Ok(false);
    }
    let is_folder = fs::metadata(path).is_ok_and(|found| found.is_dir());
    if !is_folder && path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(unusable(path, "no such folder").with_hint(CREATE_FOLDER));
    }
    Ok(is_folder)
}

/// Returns the name that `source` has as a file in a folder: the last name of its key or URL, if that stays in the
/// folder.
pub(crate) fn file_name(source: &Source) -> Result<Cow<'_, str>> {
    let name = source.last_name();
    let mut parts = Path::new(&*name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) if !name.contains(['/', '\0']) => Ok(name),
        _ => Err(Error::usage("the last segment of the key or URL is not a valid file name")
            .on(source)
            .with_hint("choose a name with -o DIR/NAME")),
    }
}

/// Follows links to the file itself, in whose folder the part file is made and renamed, or to a descriptor.
fn followed(mut path: PathBuf) -> (PathBuf, Option<RawFd>) {
    for _ in 0..LINKS_MAX {
        let descriptor = descriptor(&path);
        let Ok(next) = fs::read_link(&path) else { return (path, descriptor) };
        if descriptor.is_some() {
            return (path, descriptor);
        }
        path = path.parent().map_or(next.clone(), |folder| folder.join(&next));
    }
    (path, None)
}

/// Returns the number of the descriptor that `path` stands for: a name in the folder of this process's descriptors, in
/// whatever way that is reached (`/dev/fd`, `/proc/self/fd`, `/proc/PID/fd`, `/proc/thread-self/fd`).
fn descriptor(path: &Path) -> Option<RawFd> {
    let name = path.file_name()?.to_str()?;
    let number = name.parse().ok().filter(|number: &RawFd| number.to_string() == name)?;
    let folder = fs::canonicalize(path.parent()?).ok()?;
    let own = ["/proc/self/fd", "/dev/fd", "/proc/thread-self/fd"];
    own.iter().any(|own| fs::canonicalize(own).is_ok_and(|own| own == folder)).then_some(number)
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
            assert_eq!(OutputPath::of(path, &[uri("a"), uri("b")]).unwrap_err().exit_code(), 8);
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
        assert!(OutputPath::of(folder.path(), &[uri("k")]).unwrap_err().to_string().contains("is a folder"));
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
