//! Servers that are programs of their own: finding them, and running one for as long as a test needs it.
//!
//! A process is killed when its handle is dropped; all it writes is kept for messages. Nothing is installed here:
//! tests/servers.sh does that.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::files::folder;
use crate::support::notes::tell;

/// Far beyond what any server needs to start, also on a loaded machine.
const START_LIMIT: Duration = Duration::from_mins(1);
/// The interval between two looks at whether a server is ready.
const LOOK: Duration = Duration::from_millis(20);

/// The program `name` in this version, as the first line that `version_of` gets from it says: where
/// tests/servers.sh puts it, or on the PATH.
pub(super) fn installed(name: &str, version: &str, version_of: impl Fn(&Path) -> Command) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target folder");
    let ours = ["python/bin", "bin", ""].map(|folder| target.join("servers").join(folder));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = ours.into_iter().chain(std::env::split_paths(&path));
    let is_it = |program: &PathBuf| {
        let said = version_of(program).output().map(|output| output.stdout).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let mut words =
            said.lines().next().unwrap_or_default().split(|c: char| c != '.' && !c.is_ascii_digit());
        words.any(|word| word == version)
    };
    folders.map(|folder| folder.join(name)).find(|program| program.is_file() && is_it(program))
}

/// The folder of Debian's packages of `name` that tests/servers.sh has taken apart, if they have this version.
pub(crate) fn unpacked(name: &str, version: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target folder");
    let root = target.join("servers/debian").join(name);
    (fs::read_to_string(root.join("version")).ok()? == version).then_some(root)
}

/// The environment in which programs of such a folder find their libraries: those of the system beside their own.
pub(crate) fn libraries(root: &Path) -> String {
    // Debian names the folders after the architecture.
    let folder = format!("{}-linux-gnu", std::env::consts::ARCH);
    let folders = ["usr/lib", "lib"].map(|lib| root.join(lib).join(&folder).display().to_string());
    format!("{0}:{0}/ceph:{1}", folders[0], folders[1])
}

/// A command with arguments.
pub(super) fn command(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

/// A loopback port that is free now, for a program that cannot choose one itself.
///
/// It is below the ports that systems choose from (32768 on Linux by default), and no test gets it a second time:
/// otherwise a server of another test that asks the system for any port could take it in the meantime, and be taken
/// for the program.
pub(crate) fn free_port() -> u16 {
    const PORTS: Range<u16> = 12_000..32_000;
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // Test runs at the same time begin at different places.
    let first =
        u16::try_from(std::process::id() % u32::from(PORTS.end - PORTS.start)).expect("a small number");
    loop {
        let taken = TAKEN.fetch_add(1, Relaxed);
        assert!(
            taken < PORTS.end - PORTS.start,
            "no free loopback port from {} to {}",
            PORTS.start,
            PORTS.end
        );
        let port = PORTS.start + (first + taken) % (PORTS.end - PORTS.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A running program, with all that it writes in a file.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    _folder: TempDir,
}

impl Process {
    /// Starts `program`; `environment` is all that it has beside the PATH and an empty home.
    pub(crate) fn start(
        program: &Path,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = folder();
        let log = folder.path().join("log");
        let file = File::create(&log).expect("a file");
        let child = Command::new(program)
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.path())
            .envs(environment.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", program.display()));
        Self { child, log, _folder: folder }
    }

    /// Waits until the program has a listener at this loopback port; `false` if it ended instead.
    pub(crate) fn listens(&mut self, port: u16) -> bool {
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if self.has_ended() {
                return false;
            }
            if begun.elapsed() > START_LIMIT {
                tell(&format!("no listener in time: {}", self.log()));
                return false;
            }
            thread::sleep(LOOK);
        }
        true
    }

    /// Waits until the program has written `before` and, after it, an address up to the next character of
    /// `after`.
    pub(super) fn address(&mut self, before: &str, after: &[char]) -> String {
        let address = self.wait_for(before, |log| {
            let (_, rest) = log.split_once(before)?;
            rest.split_once(after).map(|(address, _)| address.to_owned())
        });
        address.unwrap_or_else(|| panic!("ended without {before:?}: {}", self.log()))
    }

    /// Waits until the program has written `line`; `false` if it ended instead.
    pub(crate) fn says(&mut self, line: &str) -> bool {
        self.wait_for(line, |log| log.contains(line).then_some(())).is_some()
    }

    /// Returns the program's output so far.
    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits for what `found` finds in the program's output; `None` if it ended without.
    fn wait_for<T>(&mut self, what: &str, found: impl Fn(&str) -> Option<T>) -> Option<T> {
        let begun = Instant::now();
        loop {
            let ended = self.has_ended();
            let found = found(&self.log());
            if found.is_some() || ended {
                return found;
            }
            if begun.elapsed() > START_LIMIT {
                tell(&format!("no {what:?} in time: {}", self.log()));
                return None;
            }
            thread::sleep(LOOK);
        }
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either can fail only because it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
