//! The program's own sources, for tests that hold the rules of the house.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of Rust.
pub(crate) struct Source {
    /// Relative to src/; of other files, to the package.
    pub(crate) path: PathBuf,
    /// Without the tests at its end.
    pub(crate) code: String,
}

impl Source {
    /// The folder of src/ that it is in, or its own name.
    pub(crate) fn room(&self) -> &str {
        let first = self.path.iter().next().and_then(|first| first.to_str()).expect("a path of letters");
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Returns the module's path below the crate.
    pub(crate) fn module(&self) -> String {
        let path = self.path.with_extension("");
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        parts.join("::").trim_end_matches("::mod").to_owned()
    }

    /// Returns the lines that are code: no comments.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.code.lines().filter(|line| !line.trim_start().starts_with("//"))
    }

    /// Returns every path below the crate that the code names; a list in braces as one path for each of its names.
    pub(crate) fn crate_paths(&self) -> Vec<String> {
        let text = self.lines().collect::<Vec<_>>().join("\n");
        let paths = text.match_indices("crate::").flat_map(|(at, _)| {
            let rest = &text[at + "crate::".len()..];
            let end =
                rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
            let path = rest[..end].trim_end_matches(':');
            let list = rest[end..].strip_prefix('{').and_then(|list| list.split_once('}'));
            match list {
                Some((names, _)) => {
                    names.split(',').map(|name| format!("{path}::{}", name.trim())).collect::<Vec<_>>()
                }
                None => vec![path.to_owned()],
            }
        });
        paths.collect()
    }
}

/// Returns whether the module in the file is declared for tests only, in the file that stands for its folder.
fn is_for_tests(file: &Path) -> bool {
    let (Some(folder), Some(name)) = (file.parent(), file.file_stem().and_then(|name| name.to_str())) else {
        return false;
    };
    [folder.join("mod.rs"), folder.with_extension("rs")].iter().any(|parent| {
        let text = fs::read_to_string(parent).unwrap_or_default();
        let mut lines =
            text.lines().map(|line| line.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) "));
        let declaration = format!("mod {name};");
        while let Some(line) = lines.next() {
            if line == "#[cfg(test)]" && lines.next() == Some(declaration.as_str()) {
                return true;
            }
        }
        false
    })
}

/// Calls `with` for each file of Rust below `folder`.
fn walk(folder: &Path, with: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            walk(&path, with);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            with(&path);
        }
    }
}

/// Reads all files of src/ that the product is made of, sorted by path: none that is there for tests only.
pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut |path| {
        if !is_for_tests(path) {
            let text = fs::read_to_string(path).expect("a file of text");
            let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
            let path = path.strip_prefix(&root).expect("a path in src/").to_owned();
            found.push(Source { path, code });
        }
    });
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Reads the tests, fixtures, benches and examples, but for the test that lists the phrases.
pub(crate) fn sources_elsewhere() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["tests", "fixtures", "benches", "examples"] {
        walk(&root.join(folder), &mut |path| {
            if !path.ends_with("tests/suite/prose.rs") {
                let code = fs::read_to_string(path).expect("a file of text");
                found.push(Source { path: path.strip_prefix(root).expect("a path in it").to_owned(), code });
            }
        });
    }
    found
}
