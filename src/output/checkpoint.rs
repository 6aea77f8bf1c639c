//! What is on disk, noted now and then in the sidecar while the download goes on.
//!
//! A thread of its own, because waiting for a disk takes as long as it takes. It gets the file that the writer
//! writes to and the state that is kept; it never writes bytes of an object.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::output::sidecar::{self, SidecarState};

/// How much of a download a crash of the system may cost, but for what a slow disk is behind.
const INTERVAL: Duration = Duration::from_secs(10);

/// The state, shared with the thread.
#[derive(Debug, Clone)]
pub(super) struct SidecarFile {
    state: Arc<Mutex<SidecarState>>,
    path: Arc<Path>,
}

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Checkpoints {
    _stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl SidecarFile {
    pub(super) fn new(state: SidecarState, path: PathBuf) -> Self {
        Self { state: Arc::new(Mutex::new(state)), path: path.into() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn state(&self) -> MutexGuard<'_, SidecarState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and keeps it. Nothing need be on disk: after a crash of the system what was there before, or
    /// nothing, is as good.
    pub(super) fn change(&self, change: impl FnOnce(&mut SidecarState)) -> io::Result<()> {
        let mut state = self.state();
        change(&mut state);
        sidecar::save(&self.path, &state, false)
    }

    /// Waits until what is written so far is on disk, and notes it.
    fn checkpoint(&self, part: &File) -> io::Result<()> {
        let length = part.metadata()?.len();
        if length == self.state().synced {
            return Ok(());
        }
        part.sync_data()?;
        let mut state = self.state();
        state.synced = length;
        sidecar::save(&self.path, &state, true)
    }
}

impl Checkpoints {
    /// Watches over `part`. Where the system gives no thread, nothing is noted.
    pub(super) fn start(part: File, kept: SidecarFile) -> Option<Self> {
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                // What a disk has to say will be said at the end, or by a write.
                let _ = kept.checkpoint(&part);
            }
        };
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(run).ok()?;
        Some(Self { _stop: stop, thread })
    }

    /// Ends the thread, and waits for what it does now: nothing is kept by it any more.
    pub(super) fn end(self) {
        let Self { _stop: stop, thread } = self;
        drop(stop);
        let _ = thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_checkpoint_notes_what_is_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.part");
        let mut part = File::create(&path).unwrap();
        let kept = SidecarFile::new(SidecarState::new(), sidecar::path(&path));
        kept.checkpoint(&part).unwrap();
        assert!(sidecar::load(kept.path()).is_none(), "there is nothing to note");
        for bytes in [5, 7] {
            part.write_all(&vec![0; bytes]).unwrap();
            kept.checkpoint(&part).unwrap();
            assert_eq!(sidecar::load(kept.path()).unwrap().synced, part.metadata().unwrap().len());
        }
        let checkpoints = Checkpoints::start(part, kept).unwrap();
        checkpoints.end();
    }
}
