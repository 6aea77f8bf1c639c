//! The commands of `credential_process` that are running. They are killed, with what they started, when nobody waits for
//! them any more, and at the latest when the program ends.

use std::fs::File;
use std::io;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::config::process_tree::kill_tree;
use crate::error::shortage;

/// Those that are running; `None` after the end. Tasks on other threads are not dropped when the program ends.
static RUNNING: Mutex<Option<Vec<Target>>> = Mutex::new(Some(Vec::new()));

/// A command that is killed when this is dropped.
#[derive(Debug)]
pub(super) struct RunningCommand {
    pub(super) child: Child,
    target: Target,
}

/// The processes to kill.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    Group(Pid),
    Tree(Pid),
}

impl Target {
    fn kill(self) {
        match self {
            // It may have ended.
            Self::Group(id) => drop(killpg(id, Signal::SIGKILL)),
            Self::Tree(root) => kill_tree(root),
        }
    }
}

impl RunningCommand {
    /// Starts `command` in a process group of its own. With a terminal it stays in this program's: it may ask for a
    /// code there, which only the group in the foreground can, and Ctrl-C reaches it anyway.
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        let has_group = File::open("/dev/tty").is_err();
        if has_group {
            command.process_group(0);
        }
        let mut running = running();
        let Some(running) = &mut *running else {
            return Err(io::Error::other("the program is ending"));
        };
        let child = command.kill_on_drop(true).spawn().map_err(shortage::of_thread)?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.ok_or_else(|| io::Error::other("it has no process id"))?;
        let id = Pid::from_raw(id);
        let target = if has_group { Target::Group(id) } else { Target::Tree(id) };
        running.push(target);
        Ok(Self { child, target })
    }

    /// Waits for its end. What it left in the background stays.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        // Also if that failed: somebody else may have reaped it, and its id may be another process's by then.
        forget(self.target);
        status
    }
}

impl Drop for RunningCommand {
    fn drop(&mut self) {
        if forget(self.target) {
            self.target.kill();
        }
    }
}

/// Kills all that are running, because the program ends. None is started after this.
pub(crate) fn kill_all() {
    for target in running().take().unwrap_or_default() {
        target.kill();
    }
}

/// Removes a command and returns whether it was there.
fn forget(target: Target) -> bool {
    let mut running = running();
    let Some(running) = &mut *running else { return false };
    let place = running.iter().position(|other| *other == target);
    place.map(|place| running.swap_remove(place)).is_some()
}

fn running() -> MutexGuard<'static, Option<Vec<Target>>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
