//! One run of one client: started, drained, watched, and what it cost.
//!
//! Gets a command and a server, hands on a [`Run`]. A client that fails is a result and not an error: the others go on.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::Result;
use crate::drain::{Drain, Drained};
use crate::server::{Seen, Server};
use crate::watch::{Watch, Watched};

/// What a run may take: the slowest honest one, a straggler's, takes less than a minute.
pub(crate) const LIMIT: Duration = Duration::from_mins(5);

/// What one download cost.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// CPU time of the client and of its own children.
    pub(crate) cpu: Cpu,
    /// From the start of the process to its end.
    pub(crate) wall: Duration,
    /// From the start of the process to its first byte in the pipe.
    pub(crate) first_byte: Option<Duration>,
    /// Peak resident memory in bytes.
    pub(crate) peak: Option<u64>,
    /// What the server saw.
    pub(crate) seen: Seen,
    /// Why it does not count, if it does not.
    pub(crate) failure: Option<String>,
}

/// CPU time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Cpu {
    /// In user mode, in seconds.
    pub(crate) user: f64,
    /// In the kernel, in seconds.
    pub(crate) system: f64,
}

impl Cpu {
    /// Of all children that were waited for.
    fn of_children() -> Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let seconds = |time: nix::sys::time::TimeVal| {
            Duration::new(
                u64::try_from(time.tv_sec()).unwrap_or_default(),
                u32::try_from(time.tv_usec()).unwrap_or_default() * 1000,
            )
            .as_secs_f64()
        };
        Ok(Self { user: seconds(usage.user_time()), system: seconds(usage.system_time()) })
    }

    /// All of it, in seconds.
    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }

    fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }
}

/// Runs `command` against `server`, its stdout into `drain`.
pub(crate) fn run(command: Command, server: &Server, drain: Drain<'_>) -> Result<Run> {
    run_within(LIMIT, command, server, drain)
}

/// The same with another limit.
pub(crate) fn run_within(
    limit: Duration,
    mut command: Command,
    server: &Server,
    drain: Drain<'_>,
) -> Result<Run> {
    let counts = server.count_anew();
    let (pipe, stdout) = io::pipe()?;
    enlarge(&pipe);
    let mut stderr = tempfile::tempfile()?;
    // One child at a time is waited for, so the difference is its own.
    let cpu_before = Cpu::of_children()?;

    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr.try_clone()?)
        .process_group(0)
        .spawn()
        .map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    // It holds the writing end too.
    drop(command);
    let watch = Watch::start(&child, limit);
    let drained = drain.run(pipe, began);
    waitid(WaitId::Pid(Pid::from_child(&child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    let wall = began.elapsed();
    let watched = watch.stop();
    let status = child.wait()?;

    let drained = drained?;
    let failure = failure(limit, status, watched, &drained, server.object().size, &mut stderr);
    Ok(Run {
        cpu: Cpu::of_children()?.since(cpu_before),
        wall,
        first_byte: drained.first_byte,
        peak: watched.peak,
        seen: counts.seen(),
        failure,
    })
}

fn failure(
    limit: Duration,
    status: ExitStatus,
    watched: Watched,
    drained: &Drained,
    size: u64,
    stderr: &mut File,
) -> Option<String> {
    if watched.ended {
        return Some(format!("ended after {} s", limit.as_secs()));
    }
    if !status.success() {
        let mut said = Vec::new();
        let _ = stderr.rewind().and_then(|()| stderr.read_to_end(&mut said));
        let said = String::from_utf8_lossy(&said);
        let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
        return Some(format!("{status}: {}", lines.take(3).collect::<Vec<_>>().join(" | ")));
    }
    if let Some(at) = drained.wrong_at {
        return Some(format!("wrong from byte {at} on"));
    }
    (drained.bytes != size).then(|| format!("{} bytes of {size}", drained.bytes))
}

#[cfg(target_os = "linux")]
fn enlarge(pipe: &io::PipeReader) {
    // A smaller pipe measures as well, though with more switches.
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, crate::drain::PIPE);
}

#[cfg(not(target_os = "linux"))]
fn enlarge(_: &io::PipeReader) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Source;
    use crate::server::Pace;

    /// Runs a shell's script as if it were a client of an object of five bytes.
    fn shell(script: &str) -> Run {
        let object = Source::new(5).unwrap().object(5);
        let server = Server::start(object.clone(), Pace::default(), None).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, &server, Drain::Discard).unwrap()
    }

    #[test]
    fn a_run_counts_when_it_ends_well_and_all_bytes_came() {
        let run = shell("printf 12345");
        assert_eq!(run.failure, None);
        assert!(run.first_byte.is_some_and(|first| first <= run.wall));
        assert!(run.cpu.total() < 60.0);
    }

    #[test]
    fn what_went_wrong_is_said() {
        for (script, want) in [
            ("printf 1234", "4 bytes of 5"),
            ("printf 12345; echo; echo no such key >&2; exit 3", "exit status: 3: no such key"),
            ("kill -9 $$", "signal: 9 (SIGKILL): "),
        ] {
            assert_eq!(shell(script).failure.as_deref(), Some(want), "{script}");
        }
    }
}
