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
use crate::output::sidecar::{self, LoadedSidecar, SidecarState};

/// Progress that a crash of the system may lose, plus whatever the disk has not flushed.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);

/// The sidecar of a download that is running, shared with the thread.
#[derive(Debug, Clone)]
pub(super) struct SidecarFile {
    state: Arc<Mutex<SidecarState>>,
    /// The sidecar that this run has found or written last; `None` if there is none. As long as it is open, no file that
    /// somebody else moves to its name has its inode.
    file: Arc<Mutex<Option<File>>>,
    folder: Arc<Folder>,
    name: Arc<OsStr>,
}

/// The running thread. It ends at the first sync that fails: the system reports each error once, to the first that
/// asks.
#[derive(Debug)]
pub(super) struct Checkpoints {
    stop: Sender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl SidecarFile {
    /// Reads the sidecar `name`, and begins with `state`.
    pub(super) fn open(
        folder: &Arc<Folder>,
        name: OsString,
        state: SidecarState,
    ) -> io::Result<(Self, LoadedSidecar)> {
        let (found, file) = sidecar::load(folder, &name)?;
        let (state, file) = (Arc::new(Mutex::new(state)), Arc::new(Mutex::new(file)));
        Ok((Self { state, file, folder: Arc::clone(folder), name: name.into() }, found))
    }

    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    pub(super) fn state(&self) -> MutexGuard<'_, SidecarState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self) -> MutexGuard<'_, Option<File>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the sidecar was there, or this run has made it.
    pub(super) fn exists(&self) -> bool {
        self.file().is_some()
    }

    /// Makes the sidecar, which must not exist.
    pub(super) fn create(&self) -> io::Result<()> {
        self.save(&self.state(), false)
    }

    /// Removes the sidecar, unless somebody else's file has its name.
    pub(super) fn remove(&self) {
        if let Some(file) = self.file().take() {
            // A sidecar that stays would harm nobody.
            let _ = sidecar::remove(&self.folder, &self.name, &file);
        }
    }

    fn save(&self, state: &SidecarState, sync: bool) -> io::Result<()> {
        let mut file = self.file();
        *file = Some(sidecar::save(&self.folder, &self.name, state, sync, file.as_ref())?);
        Ok(())
    }

    /// Changes the state and writes it. It need not be on disk: the first checkpoint brings it there before the bytes,
    /// and after that a crash of the system leaves a sidecar of the same objects, with fewer bytes that count.
    pub(super) fn change(&self, change: impl FnOnce(&mut SidecarState)) -> io::Result<()> {
        let mut state = self.state();
        change(&mut state);
        self.save(&state, false)
    }

    /// Waits until what is written so far is on disk, and notes it. An error is one of the part file or its folder.
    fn checkpoint(&self, part: &File) -> io::Result<()> {
        let length = part.metadata()?.len();
        let synced = self.state().synced;
        if length == synced {
            return Ok(());
        }
        if synced == 0 {
            // Some file systems bring the synced file alone to the disk: after a power cut its bytes would be beside no
            // sidecar, or that of another object.
            let saved = self.save(&self.state(), true);
            if saved.is_err() {
                // The bytes wait too, for the next checkpoint.
                return Ok(());
            }
            self.folder.sync()?;
        }
        part.sync_data()?;
        let mut state = self.state();
        state.synced = length;
        // Without the note a crash of the system costs more bytes, and no more.
        let _ = self.save(&state, true);
        Ok(())
    }
}

impl Checkpoints {
    /// Starts the thread for `part`; `None` where the system has no thread to give, and nothing is noted.
    pub(super) fn start(part: Arc<File>, sidecar: SidecarFile) -> Option<Self> {
        Self::start_every(CHECKPOINT_INTERVAL, part, sidecar)
    }

    fn start_every(interval: Duration, part: Arc<File>, sidecar: SidecarFile) -> Option<Self> {
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                if let Err(e) = sidecar.checkpoint(&part) {
                    let _ = sidecar.change(SidecarState::distrust);
                    return Err(e);
                }
            }
            Ok(())
        };
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(run).ok()?;
        Some(Self { stop, thread })
    }

    /// Ends the thread and waits for it: it changes the sidecar no more. Fails if a sync of the part file has failed,
    /// which no later sync would report.
    pub(super) fn end(self) -> io::Result<()> {
        let Self { stop, thread } = self;
        drop(stop);
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the checkpoint thread failed")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::helper_names::sidecar_name;
    use std::io::Write;

    #[test]
    fn a_checkpoint_notes_what_is_on_disk() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Arc::new(Folder::of(&temporary.path().join("x")).unwrap());
        let mut part = Arc::new(File::create(temporary.path().join("x.part")).unwrap());
        let name = sidecar_name(OsStr::new("x.part"));
        let sidecar_file = SidecarFile::open(&folder, name, SidecarState::new("aws")).unwrap().0;
        sidecar_file.checkpoint(&part).unwrap();
        let load = || sidecar::load(&folder, sidecar_file.name()).unwrap().0;
        assert_eq!(load(), LoadedSidecar::Missing, "there is nothing to note");
        for bytes in [5, 7] {
            part.write_all(&vec![0; bytes]).unwrap();
            sidecar_file.checkpoint(&part).unwrap();
            let LoadedSidecar::State(state) = load() else { panic!("no sidecar") };
            assert_eq!(state.synced, part.metadata().unwrap().len());
        }
        Checkpoints::start(part, sidecar_file.clone()).unwrap().end().unwrap();
    }

    #[test]
    fn no_bytes_are_noted_before_their_sidecar_is_on_disk() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Arc::new(Folder::of(&temporary.path().join("x")).unwrap());
        let mut part = File::create(temporary.path().join("x.part")).unwrap();
        part.write_all(b"bytes").unwrap();
        let name = sidecar_name(OsStr::new("x.part"));
        let in_the_way = temporary.path().join(&name);
        let sidecar_file = SidecarFile::open(&folder, name, SidecarState::new("aws")).unwrap().0;
        std::fs::create_dir(&in_the_way).unwrap();
        sidecar_file.checkpoint(&part).unwrap();
        assert_eq!(sidecar_file.state().synced, 0);
        std::fs::remove_dir(&in_the_way).unwrap();
        sidecar_file.checkpoint(&part).unwrap();
        assert_eq!(sidecar_file.state().synced, 5);
    }

    /// A socket cannot be synced (`EINVAL`, fsync(2)): it stands for a disk that reports an error once.
    #[test]
    fn a_sync_that_failed_is_an_error_of_the_end() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Arc::new(Folder::of(&temporary.path().join("x")).unwrap());
        let name = sidecar_name(OsStr::new("x.part"));
        let sidecar_file = SidecarFile::open(&folder, name, SidecarState::new("aws")).unwrap().0;
        sidecar_file.state().synced = 1;
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let part = Arc::new(File::from(std::os::fd::OwnedFd::from(socket)));
        let checkpoints =
            Checkpoints::start_every(Duration::from_millis(1), part, sidecar_file.clone()).unwrap();
        while !checkpoints.thread.is_finished() {
            std::thread::yield_now();
        }
        assert!(checkpoints.end().is_err());
        assert_eq!(sidecar_file.state().synced, 1);
    }
}
