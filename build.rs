//! The part of `--version` beyond the number: the commit and its date, and the target.
//!
//! It gets them from git, from the note that `cargo package` leaves in a crate, or from who builds; where none of them
//! knows, there is no commit. It hands on `S3FCP_VERSION` and `S3FCP_TARGET` as the compiler's environment, runs again
//! only when HEAD moves, and never looks at a clock: the same commit gives the same program.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A build from an archive names it here: `S3FCP_COMMIT="$(git log -1 --format='%h %cs')"`.
const GIVEN: &str = "S3FCP_COMMIT";
/// Digits of a commit's hash; git shows more where they are not unique.
const DIGITS: usize = 10;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={GIVEN}");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let given = env::var(GIVEN).ok().map(|given| given.trim().to_owned()).filter(|given| !given.is_empty());
    let commit = given.or_else(|| of_a_crate(&root)).or_else(|| of_a_checkout(&root));
    // One line, whatever was given: more of them would be more instructions to cargo.
    let commit = commit.map(|commit| format!(" ({})", commit.replace(char::is_control, " ")));
    let number = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    println!("cargo::rustc-env=S3FCP_VERSION={number}{}", commit.unwrap_or_default());
    println!("cargo::rustc-env=S3FCP_TARGET={}", env::var("TARGET").unwrap_or_default());
}

/// `.cargo_vcs_info.json` of a crate from a registry: `{"git": {"sha1": "..."}, ...}`.
fn of_a_crate(root: &Path) -> Option<String> {
    let note = fs::read_to_string(root.join(".cargo_vcs_info.json")).ok()?;
    let (_, rest) = note.split_once("\"sha1\"")?;
    let hash = rest.split('"').find(|part| part.len() == 40)?;
    hash.chars().all(|digit| digit.is_ascii_hexdigit()).then(|| hash[..DIGITS].to_owned())
}

/// The last commit, and its date, of the repository whose top this folder is. A crate that is unpacked somewhere below
/// another repository does not name that one's.
fn of_a_checkout(root: &Path) -> Option<String> {
    let top = PathBuf::from(git(root, &["rev-parse", "--show-toplevel"])?);
    if fs::canonicalize(top).ok()? != fs::canonicalize(root).ok()? {
        return None;
    }
    // HEAD is rewritten when it names another branch, and its log whenever it moves.
    for file in ["HEAD", "logs/HEAD"] {
        let file = git(root, &["rev-parse", "--git-path", file])?;
        // What is not there would count as changed each time.
        if root.join(&file).exists() {
            println!("cargo::rerun-if-changed={file}");
        }
    }
    git(root, &["log", "-1", &format!("--abbrev={DIGITS}"), "--format=%h %cs"])
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(root).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Run by tests/suite, which has this file as a module.
#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder outside of this repository")
    }

    fn commit(root: &Path) -> bool {
        let made = Command::new("git")
            .current_dir(root)
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"])
            .args(["commit", "--quiet", "--allow-empty", "--no-verify", "-m", "first"])
            .env("GIT_COMMITTER_DATE", "2001-02-03T04:05:06Z")
            .status();
        made.is_ok_and(|status| status.success())
    }

    #[test]
    fn a_checkout_names_its_commit_and_no_other_repository_s() {
        let top = folder();
        if git(top.path(), &["init", "--quiet"]).is_none() {
            crate::support::notes::tell("SKIPPED commit of a checkout: there is no git");
            return;
        }
        assert_eq!(of_a_checkout(top.path()), None, "nothing was committed");
        assert!(commit(top.path()));
        let said = of_a_checkout(top.path()).expect("a commit");
        let (hash, date) = said.split_once(' ').expect("a hash and a date");
        assert!(git(top.path(), &["rev-parse", "HEAD"]).is_some_and(|full| full.starts_with(hash)), "{said}");
        assert_eq!((hash.len(), date), (DIGITS, "2001-02-03"));

        let below = top.path().join("vendor/s3fcp");
        fs::create_dir_all(&below).expect("a folder");
        assert_eq!(of_a_checkout(&below), None);
    }

    #[test]
    fn without_git_or_a_note_there_is_no_commit() {
        let root = folder();
        assert_eq!(of_a_checkout(root.path()), None);
        assert_eq!(of_a_checkout(Path::new("/no/such/folder")), None);
        assert_eq!(of_a_crate(root.path()), None);
    }

    #[test]
    fn a_crate_from_a_registry_names_the_commit_in_its_note() {
        let root = folder();
        for (note, commit) in [
            (
                r#"{"git": {"sha1": "0123456789abcdef0123456789abcdef01234567"}, "path_in_vcs": ""}"#,
                Some("0123456789"),
            ),
            (r#"{"git": {"sha1": "é123456789abcdef0123456789abcdef0123456"}}"#, None),
            (r#"{"git": {"sha1": ""}}"#, None),
            (r#"{"path_in_vcs": "0123456789abcdef0123456789abcdef01234567"}"#, None),
            ("", None),
        ] {
            fs::write(root.path().join(".cargo_vcs_info.json"), note).expect("a file");
            assert_eq!(of_a_crate(root.path()).as_deref(), commit, "{note}");
        }
    }
}
