//! Temporary files and folders, and runs of the program that write to a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tempfile::{NamedTempFile, TempDir};

use super::fault_server::{FaultServer, Gate, Reply, once};
use super::object::{CHUNK, SIZE, object};
use super::run::{Outcome, Running, S3fcp, URI};

/// Returns how many of `had` bytes, which a run left that was killed, the next one compares with the object.
pub(crate) fn compared(had: u64) -> u64 {
    had.min(16 << 10)
}

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

/// Makes a part of the file `out` one of `server`'s: the servers of the tests stand for one store, whose port differs.
/// One that a test said to be of another store stays so.
pub(crate) fn adopt(server: &FaultServer, out: &Path) {
    let Some(name) = out.file_name() else { return };
    let sidecar = out.with_file_name(format!("{}.part.json", name.display()));
    // Never a pipe or a device, for which a test would wait.
    let is_file = fs::symlink_metadata(&sidecar).is_ok_and(|found| found.is_file() && found.len() < 1 << 20);
    let Some(text) = is_file.then(|| fs::read(&sidecar).ok()).flatten() else { return };
    let Ok(mut state) = serde_json::from_slice::<serde_json::Value>(&text) else { return };
    let endpoint = server.endpoint();
    let is_of_tests = state["endpoint"].as_str().is_some_and(|noted| noted.contains("127.0.0.1"));
    if is_of_tests && state["endpoint"] != endpoint.as_str() {
        state["endpoint"] = endpoint.into();
        // As the program writes it: its first bytes show whether it is damaged.
        let rest = state.as_object_mut().expect("an object");
        let format = rest.remove("format").expect("a format");
        let rest = serde_json::to_string(rest).expect("JSON");
        fs::write(sidecar, format!("{{\"format\":{format},{}", &rest[1..])).expect("a sidecar");
    }
}

/// Prepares a run that writes to the file `out`; the object is still missing from its arguments.
pub(crate) fn run(server: &FaultServer, out: &Path, args: &[&str]) -> S3fcp {
    adopt(server, out);
    S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["-o".as_ref(), out.as_os_str()]).args(args)
}

/// Starts a run that downloads an object to the file `out`.
pub(crate) fn start(server: &FaultServer, out: &Path, args: &[&str]) -> Running {
    run(server, out, args).args([URI]).start()
}

/// A download to the file `out` of a folder of its own, which stands still in its fourth chunk.
pub(crate) struct PausedDownload {
    pub(crate) server: FaultServer,
    pub(crate) running: Running,
    pub(crate) out: PathBuf,
    pub(crate) part: PathBuf,
    /// Lets the download continue.
    pub(crate) more: Gate,
    pub(crate) folder: TempDir,
}

impl PausedDownload {
    /// The bytes that are in the part file by then.
    pub(crate) const BYTES: u64 = 3 * CHUNK + 10;

    /// Starts the download and waits until it stands still.
    pub(crate) fn start() -> Self {
        let folder = folder();
        let (out, part) = (folder.path().join("out"), folder.path().join("out.part"));
        let more = Gate::closed();
        let server = FaultServer::start(object(SIZE), once(3, Reply::ok().pause_after(10, &more)));
        let running = start(&server, &out, &[]);
        wait_for(&part, Self::BYTES);
        Self { server, running, out, part, more, folder }
    }
}

/// Asserts success with nothing on stdout and stderr, as it must be when the bytes go to a file.
#[track_caller]
pub(crate) fn assert_good(outcome: &Outcome) {
    assert_eq!((outcome.code(), outcome.stderr.as_str(), outcome.stdout.len()), (Some(0), "", 0));
}
