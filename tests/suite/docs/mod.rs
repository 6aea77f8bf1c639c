//! The documentation, held to what it says: every command block of README.md and docs/ is run as it is typed, or
//! carries the reason why not; links lead somewhere; tables list what the program has.

mod dockerfile;
#[cfg(target_os = "linux")]
mod image;
#[cfg(target_os = "linux")]
mod jobs;
mod links;
#[cfg(target_os = "linux")]
mod listing;
mod markdown;
mod options;
mod pictures;
#[cfg(target_os = "linux")]
mod run;
mod tasks;

use std::path::{Path, PathBuf};

/// Returns the root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the path of a program that tests/servers.sh installs by pip.
fn by_pip(program: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("servers");
    target.join("python").join("bin").join(program)
}

/// Returns the pages for users: README.md, CONTRIBUTING.md, SECURITY.md and docs/, those that are there, by their paths
/// below the root.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    add_pages(Path::new("docs"), &mut pages);
    for name in ["README.md", "CONTRIBUTING.md", "SECURITY.md"] {
        if root().join(name).is_file() {
            pages.push(name.into());
        }
    }
    pages.sort();
    assert!(pages.len() > 15, "pages are missing: {pages:?}");
    pages
}

fn add_pages(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() {
            add_pages(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}

/// Returns the text of a page.
fn text(page: &Path) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|e| panic!("{}: {e}", page.display()))
}

#[test]
fn the_readme_is_short() {
    let lines = text(Path::new("README.md")).lines().count();
    assert!(lines <= 180, "{lines} lines: what is not needed at first belongs to docs/");
}
