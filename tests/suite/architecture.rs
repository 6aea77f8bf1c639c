//! The rule of the house, read from the `use` lines of src/: who may import whom, what a folder's face may hold, and
//! that every type name stands for one thing. docs/design/architecture.md explains it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::support::sources::{Source, sources};

/// Each room, and the rooms below it that it may import. Rooms that are single files stand here too.
const RULE: [(&str, &[&str]); 9] = [
    ("cli", &["client", "config", "download", "error", "events", "output", "s3", "transport"]),
    ("download", &["client", "config", "error", "events", "s3"]),
    ("client", &["config", "error", "events", "s3", "transport"]),
    ("config", &["error", "events", "s3", "transport"]),
    ("output", &["error", "s3"]),
    ("transport", &["error", "events"]),
    ("s3", &["error"]),
    ("events", &[]),
    ("error", &[]),
];

/// Files above all rooms: the crate's root, the binary, and the targets of the fuzzer.
const ABOVE: [&str; 3] = ["lib.rs", "main.rs", "fuzzing"];

/// The most entries that src/ has, so that it can be read at a glance.
const ENTRIES_MAX: usize = 12;

fn is_above(source: &Source) -> bool {
    ABOVE.iter().any(|above| source.path.starts_with(above))
}

fn assert_none(wrong: &[String], rule: &str) {
    assert!(wrong.is_empty(), "{rule}:\n  {}", wrong.join("\n  "));
}

#[test]
fn the_source_folder_can_be_read_at_a_glance() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let count = fs::read_dir(root).expect("src/ can be read").count();
    assert!(
        count <= ENTRIES_MAX,
        "src/ has {count} entries of at most {ENTRIES_MAX}: put new files into a room"
    );
}

#[test]
fn imports_go_downward_only() {
    let rule: BTreeMap<_, _> = RULE.into_iter().collect();
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !is_above(source)) {
        let room = source.room();
        let Some(allowed) = rule.get(room) else {
            wrong.push(format!("{}: no room is called {room}; add it to the rule", source.path.display()));
            continue;
        };
        for path in source.crate_paths() {
            let target = path.split("::").next().unwrap_or_default();
            if rule.contains_key(target) && target != room && !allowed.contains(&target) {
                wrong.push(format!(
                    "{} names crate::{path}: {room} may import {allowed:?}; move the code that needs both up, or what \
                     both need down",
                    source.path.display()
                ));
            }
        }
    }
    assert_none(&wrong, "an import goes upward or sideways");
}

#[test]
fn no_file_imports_the_face_of_its_own_folder() {
    let sources = sources();
    // The face of a folder is its mod.rs, or the file beside the folder that has its name.
    let faces: BTreeMap<String, BTreeSet<String>> =
        sources.iter().map(|source| (source.module(), defined_in(source).into_iter().collect())).collect();
    let mut wrong = Vec::new();
    for source in &sources {
        let module = source.module();
        for path in source.crate_paths() {
            let Some((face, name)) = path.rsplit_once("::") else { continue };
            let is_child = module.starts_with(&format!("{face}::"));
            if is_child && faces.get(face).is_some_and(|names| names.contains(name)) {
                wrong.push(format!(
                    "{} imports {name} from {face}, its folder's face: what children need stands in a file of its own",
                    source.path.display()
                ));
            }
        }
    }
    assert_none(&wrong, "a folder's face holds docs, mod, pub use, or code that no child imports");
}

#[test]
fn the_protocol_and_what_is_pure_name_no_runtime() {
    let mut wrong = Vec::new();
    for source in &sources() {
        let header =
            source.code.lines().take_while(|line| line.starts_with("//!")).collect::<Vec<_>>().join(" ");
        let is_pure = source.room() == "s3" || header.contains("Pure:") || header.contains("Pure.");
        if !is_pure {
            continue;
        }
        for line in source.lines() {
            for word in ["tokio", "hyper::", "hyper_util", "Instant::now", "SystemTime::now"] {
                if line.contains(word) {
                    wrong.push(format!("{}: {}", source.path.display(), line.trim()));
                }
            }
        }
    }
    assert_none(&wrong, "s3/ and what calls itself pure do no I/O, wait for nothing and read no clock");
}

#[test]
fn every_type_name_stands_for_one_thing() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in &sources() {
        for line in source.lines() {
            if let Some(name) = type_defined_by(line) {
                places.entry(name).or_default().push(source.path.display().to_string());
            }
        }
    }
    let twice: Vec<_> = places
        .iter()
        .filter(|(_, places)| places.len() > 1)
        .map(|(name, places)| format!("{name}: {}", places.join(", ")))
        .collect();
    assert_none(&twice, "a type's name is unique in the crate");
}

#[test]
fn every_file_begins_with_its_idea() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let headless: Vec<_> = sources()
        .iter()
        .filter(|source| !source.code.starts_with("//!"))
        .map(|source| root.join("src").join(&source.path).display().to_string())
        .collect();
    assert_none(&headless, "a file begins with //!, its idea in a sentence or two");
}

/// The names that a file defines at its top level.
fn defined_in(source: &Source) -> Vec<String> {
    source
        .lines()
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| {
            let line =
                line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub(super) ")).unwrap_or(line);
            let line = line.strip_prefix("pub ").unwrap_or(line);
            let line = line.strip_prefix("async ").unwrap_or(line);
            let rest = ["fn ", "struct ", "enum ", "trait ", "const ", "static ", "type "]
                .iter()
                .find_map(|keyword| line.strip_prefix(keyword))?;
            Some(word(rest))
        })
        .collect()
}

/// The type that a top-level line defines; aliases inside an `impl` are another trait's names.
fn type_defined_by(line: &str) -> Option<String> {
    if line.starts_with(' ') {
        return None;
    }
    let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub(super) ")).unwrap_or(line);
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let rest =
        ["struct ", "enum ", "trait ", "type "].iter().find_map(|keyword| line.strip_prefix(keyword))?;
    Some(word(rest))
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
