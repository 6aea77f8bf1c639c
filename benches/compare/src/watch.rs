//! An eye on a client while it runs: how much memory it has at its peak, and whether it ever ends.
//!
//! The client leads a process group of its own, so that all its children end with it.

use std::fs;
use std::process::Child;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// Between two looks; the peak that Linux keeps is a mark that never falls, so that only what comes in the last of
/// them can be missed.
const PAUSE: Duration = Duration::from_millis(5);

/// A thread that watches one process.
pub(crate) struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<Watched>,
}

/// What was seen.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Watched {
    /// The largest resident set of the process or of a child of it, in bytes; `None` where the system does not say.
    pub(crate) peak: Option<u64>,
    /// It was ended for taking too long.
    pub(crate) ended: bool,
}

impl Watch {
    /// Watches `child`, and ends it with its process group when it runs for longer than `limit`.
    pub(crate) fn start(child: &Child, limit: Duration) -> Self {
        let pid = Pid::from_child(child);
        let (stop, stopped) = mpsc::channel();
        let deadline = Instant::now() + limit;
        let thread = thread::spawn(move || {
            let mut watched = Watched::default();
            loop {
                watched.peak = watched.peak.max(peak(pid.as_raw_pid()));
                if !watched.ended && Instant::now() >= deadline {
                    watched.ended = kill_process_group(pid, Signal::KILL).is_ok();
                }
                if stopped.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout) {
                    return watched;
                }
            }
        });
        Self { stop, thread }
    }

    /// Ends the watch. The process must not have been waited for yet: its number could be another's.
    pub(crate) fn stop(self) -> Watched {
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}

/// The peak of the process or of one that it started, whichever is larger: some clients are a script which starts the
/// program proper. The figure of `wait4` would count what this process held before the `exec`.
fn peak(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|pid| peak(pid.parse().ok()?));
    children.chain([kib * 1024]).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    #[test]
    fn what_takes_too_long_is_ended() {
        let mut child = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let watch = Watch::start(&child, Duration::from_millis(20));
        let pid = Pid::from_child(&child);
        let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(pid), options).unwrap();
        let watched = watch.stop();
        assert!(watched.ended);
        assert!(!child.wait().unwrap().success());
        if cfg!(target_os = "linux") {
            assert!(watched.peak.is_some_and(|peak| peak > 100 << 10), "{watched:?}");
        }
    }
}
