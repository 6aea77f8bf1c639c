//! One run of one client: started, drained, watched, and what it cost.
//!
//! A client that fails is a result and not an error: the others continue.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::Result;
use crate::cores::SlowCores;
use crate::drain::{Drain, Drained};
use crate::server::{Seen, Server};
use crate::tool::wrap;
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

/// Where a client runs, and what becomes of its output.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) drain: Drain<'a>,
    /// The cores that it has; those of the machine if `None`.
    pub(crate) cores: Option<&'a SlowCores>,
}

impl<'a> From<Drain<'a>> for Setting<'a> {
    fn from(drain: Drain<'a>) -> Self {
        Self { drain, cores: None }
    }
}

/// Runs `command` against `server` in a setting.
pub(crate) fn run(command: Command, server: &Server, setting: Setting<'_>) -> Result<Run> {
    run_within(LIMIT, command, server, setting)
}

/// Runs `command` as [`run`] does, and ends it after another limit.
pub(crate) fn run_within(
    limit: Duration,
    command: Command,
    server: &Server,
    setting: Setting<'_>,
) -> Result<Run> {
    let drain = setting.drain;
    let counts = server.count_anew();
    let (pipe, stdout) = io::pipe()?;
    enlarge(&pipe);
    let stdout = match drain {
        Drain::Null => Stdio::from(File::options().write(true).open("/dev/null")?),
        _ => Stdio::from(stdout),
    };
    let mut stderr = tempfile::tempfile()?;
    // One child at a time is waited for, so the difference is its own.
    let cpu_before = Cpu::of_children()?;

    let mut command = if setting.cores.is_some() { held(&command) } else { command };
    let stdin = if setting.cores.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut began = Instant::now();
    let mut child = command
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr.try_clone()?)
        .process_group(0)
        .spawn()
        .map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    // It holds the writing end too.
    drop(command);
    let placement = setting.cores.map(|cores| cores.admit(&child)).transpose()?;
    if let Some(mut stdin) = child.stdin.take() {
        began = Instant::now();
        stdin.write_all(b"\n")?;
    }
    let watch = Watch::start(&child, limit);
    let drained = drain.run(pipe, began);
    waitid(WaitId::Pid(Pid::from_child(&child)), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    let wall = began.elapsed();
    let watched = watch.stop();
    drop(placement);
    let status = child.wait()?;

    let drained = drained?;
    // Where nobody reads, only the exit code says that every byte was written.
    let size = if matches!(drain, Drain::Null) { 0 } else { server.object().size };
    let failure = failure(limit, status, watched, &drained, size, &mut stderr);
    Ok(Run {
        cpu: Cpu::of_children()?.since(cpu_before),
        wall,
        first_byte: drained.first_byte,
        peak: watched.peak,
        seen: counts.seen(),
        failure,
    })
}

/// A command that waits for a line on its stdin, so that it can be put into its place before it begins.
fn held(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "read -r _; exec \"$@\" </dev/null", "sh"]);
    wrap(shell, command)
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
        run(command, &server, Setting::from(Drain::Discard)).unwrap()
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
