//! Temporary files and folders, and runs of the program that write to a file.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use tempfile::{NamedTempFile, TempDir};

use super::fault_server::FaultServer;
use super::object::CHUNK;
use super::run::{Outcome, Running, S3fcp, URI};

/// Creates a folder, which is removed with its content when it is dropped.
pub(crate) fn folder() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

/// Creates a file with this text, which is removed when it is dropped.
pub(crate) fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a file");
    fs::write(&file, text).expect("a file that can be written");
    file
}

/// Returns the names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// Waits until the file has at least this many bytes.
pub(crate) fn wait_for(file: &Path, bytes: u64) {
    while fs::metadata(file).map_or(0, |file| file.len()) < bytes {
        thread::sleep(Duration::from_millis(2));
    }
}

/// Prepares a run that writes to the file `out`; the object is still missing from its arguments.
pub(crate) fn run(server: &FaultServer, out: &Path, args: &[&str]) -> S3fcp {
    S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["-o".as_ref(), out.as_os_str()]).args(args)
}

/// Starts a run that downloads an object to the file `out`.
pub(crate) fn start(server: &FaultServer, out: &Path, args: &[&str]) -> Running {
    run(server, out, args).args([URI]).start()
}

/// Asserts success with nothing on stdout and stderr, as it must be when the bytes go to a file.
#[track_caller]
pub(crate) fn assert_good(outcome: &Outcome) {
    assert_eq!((outcome.code(), outcome.stderr.as_str(), outcome.stdout.len()), (Some(0), "", 0));
}
