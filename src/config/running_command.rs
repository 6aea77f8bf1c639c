//! The commands of `credential_process` that are running. They are killed, with what they started, when nobody waits for
//! them any more, and at the latest when the program ends.

use std::fs::File;
use std::io;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// Those that are running; `None` after the end. Tasks on other threads are not dropped when the program ends.
static RUNNING: Mutex<Option<Vec<Pid>>> = Mutex::new(Some(Vec::new()));

/// A command that is killed when this is dropped.
#[derive(Debug)]
pub(super) struct RunningCommand {
    pub(super) child: Child,
    /// Where a signal goes: to its process group, or to it alone.
    target: Pid,
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
        let child = command.kill_on_drop(true).spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.ok_or_else(|| io::Error::other("it has no process id"))?;
        let target = Pid::from_raw(if has_group { -id } else { id });
        running.push(target);
        Ok(Self { child, target })
    }

    /// Waits for its end. What it left in the background stays.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        forget(self.target);
        Ok(status)
    }
}

impl Drop for RunningCommand {
    fn drop(&mut self) {
        if forget(self.target) {
            // It may have ended.
            let _ = kill(self.target, Signal::SIGKILL);
        }
    }
}

/// Kills all that are running, because the program ends. None is started after this.
pub(crate) fn kill_all() {
    for target in running().take().unwrap_or_default() {
        let _ = kill(target, Signal::SIGKILL);
    }
}

/// Removes a command and returns whether it was there.
fn forget(target: Pid) -> bool {
    let mut running = running();
    let Some(running) = &mut *running else { return false };
    let place = running.iter().position(|other| *other == target);
    place.map(|place| running.swap_remove(place)).is_some()
}

fn running() -> MutexGuard<'static, Option<Vec<Pid>>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
