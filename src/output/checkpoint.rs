//! Checkpoints: the sidecar notes every few seconds how much of the part file is on disk.
//!
//! A thread of its own does so, because a sync takes as long as the disk needs.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::output::folder::Folder;
use crate::output::sidecar::{self, SidecarState};

/// Progress that a crash of the system may lose, plus whatever the disk has not flushed.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);

/// The sidecar of a download that is running, shared with the thread.
#[derive(Debug, Clone)]
pub(super) struct SidecarFile {
    state: Arc<Mutex<SidecarState>>,
    folder: Arc<Folder>,
    name: Arc<OsStr>,
}

/// The running thread.
#[derive(Debug)]
pub(super) struct Checkpoints {
    _stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl SidecarFile {
    pub(super) fn new(folder: &Arc<Folder>, name: OsString, state: SidecarState) -> Self {
        Self { state: Arc::new(Mutex::new(state)), folder: Arc::clone(folder), name: name.into() }
    }

    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    pub(super) fn state(&self) -> MutexGuard<'_, SidecarState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the sidecar, which must not exist.
    pub(super) fn create(&self) -> io::Result<()> {
        sidecar::save(&self.folder, &self.name, &self.state(), false, true)
    }

    /// Changes the state and writes it. It need not be on disk: after a crash of the system the sidecar before it, or
    /// none, is as good.
    pub(super) fn change(&self, change: impl FnOnce(&mut SidecarState)) -> io::Result<()> {
        let mut state = self.state();
        change(&mut state);
        sidecar::save(&self.folder, &self.name, &state, false, false)
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
        sidecar::save(&self.folder, &self.name, &state, true, false)
    }
}

impl Checkpoints {
    /// Starts the thread for `part`; `None` if the system cannot start one, and nothing is noted.
    pub(super) fn start(part: File, sidecar: SidecarFile) -> Option<Self> {
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            while stopped.recv_timeout(CHECKPOINT_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                // An error of the disk is reported at the end, or by a write.
                let _ = sidecar.checkpoint(&part);
            }
        };
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(run).ok()?;
        Some(Self { _stop: stop, thread })
    }

    /// Ends the thread and waits for it: afterwards it does not change the sidecar.
    pub(super) fn end(self) {
        let Self { _stop: stop, thread } = self;
        drop(stop);
        let _ = thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sidecar::LoadedSidecar;
    use std::io::Write;

    #[test]
    fn a_checkpoint_notes_what_is_on_disk() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Arc::new(Folder::of(&temporary.path().join("x")).unwrap());
        let mut part = File::create(temporary.path().join("x.part")).unwrap();
        let name = sidecar::name(OsStr::new("x.part"));
        let sidecar_file = SidecarFile::new(&folder, name, SidecarState::new("aws"));
        sidecar_file.checkpoint(&part).unwrap();
        let load = || sidecar::load(&folder, sidecar_file.name()).unwrap();
        assert_eq!(load(), LoadedSidecar::Missing, "there is nothing to note");
        for bytes in [5, 7] {
            part.write_all(&vec![0; bytes]).unwrap();
            sidecar_file.checkpoint(&part).unwrap();
            let LoadedSidecar::State(state) = load() else { panic!("no sidecar") };
            assert_eq!(state.synced, part.metadata().unwrap().len());
        }
        Checkpoints::start(part, sidecar_file.clone()).unwrap().end();
    }
}
