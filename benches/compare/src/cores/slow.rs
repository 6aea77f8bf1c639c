//! Slow cores: control groups that may use a part of a real core each.
//!
//! Each thread of a client is put into one of them as it appears, in turn, and stays there. So a machine with several cores is
//! played by a small one, as long as all of them together are less than what it has. Versions 1 and 2 of cgroups differ in
//! the names of their files, and in that version 2 wants a group above them that the process is in.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Result;

/// How often a group gets its share of processor time, in microseconds: often, so that it looks like a steady, slow core.
const PERIOD_US: u32 = 10_000;
/// Between two looks for new threads: at the start, when most threads are made, and later.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(10)];
const START: Duration = Duration::from_millis(300);

/// Groups that are gone when this is dropped.
pub(crate) struct SlowCores {
    version: Version,
    parent: Option<PathBuf>,
    groups: Vec<PathBuf>,
}

/// The version of cgroups that limits processor time here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    /// The file of a group that takes the number of a thread.
    fn threads(self) -> &'static str {
        match self {
            Self::One => "tasks",
            Self::Two => "cgroup.threads",
        }
    }
}

impl SlowCores {
    /// Makes `count` groups of `speed` of a real core each.
    pub(crate) fn new(count: u32, speed: f64) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let (version, root) = controller(&mounts).ok_or("no cgroups are mounted")?;
        Self::below(&root, version, count, speed)
            .map_err(|error| format!("cgroups below {} cannot be used: {error}", root.display()).into())
    }

    fn below(root: &Path, version: Version, count: u32, speed: f64) -> io::Result<Self> {
        let name = root.join(format!("s3fcp-compare-{}", std::process::id()));
        let mut made = Self { version, parent: None, groups: Vec::new() };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of the period")]
        let quota = (f64::from(PERIOD_US) * speed) as u32;
        match version {
            Version::One => {
                for number in 0..count {
                    let group = PathBuf::from(format!("{}-{number}", name.display()));
                    fs::create_dir_all(&group)?;
                    made.groups.push(group.clone());
                    fs::write(group.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
                    fs::write(group.join("cpu.cfs_quota_us"), quota.to_string())?;
                }
            }
            Version::Two => {
                fs::write(root.join("cgroup.subtree_control"), "+cpu")?;
                fs::create_dir_all(&name)?;
                made.parent = Some(name.clone());
                for number in 0..count {
                    let group = name.join(number.to_string());
                    fs::create_dir_all(&group)?;
                    made.groups.push(group.clone());
                    // Threads of one process may be in different groups only where the groups are threaded.
                    fs::write(group.join("cgroup.type"), "threaded")?;
                }
                fs::write(name.join("cgroup.subtree_control"), "+cpu")?;
                for group in &made.groups {
                    fs::write(group.join("cpu.max"), format!("{quota} {PERIOD_US}"))?;
                }
            }
        }
        Ok(made)
    }

    /// Puts the process into the first group, and whatever threads it and its children make later into the others, in turn.
    pub(crate) fn admit(&self, child: &Child) -> io::Result<Placement> {
        let process = child.id();
        if let Some(parent) = &self.parent {
            fs::write(parent.join("cgroup.procs"), process.to_string())?;
        }
        let files: Vec<_> = self.groups.iter().map(|group| group.join(self.version.threads())).collect();
        if let Some(first) = files.first() {
            fs::write(first, process.to_string())?;
        }
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let began = Instant::now();
            let mut seen = vec![process];
            loop {
                place(process, &files, &mut seen);
                let pause = PAUSES[usize::from(began.elapsed() > START)];
                if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Ok(Placement { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for SlowCores {
    fn drop(&mut self) {
        for group in self.groups.iter().chain(&self.parent) {
            // It holds a process that has just ended for some moments more.
            let began = Instant::now();
            while fs::remove_dir(group).is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
                && began.elapsed() < Duration::from_secs(1)
            {
                thread::sleep(PAUSES[1]);
            }
        }
    }
}

/// The thread that puts threads into their groups, until this is dropped.
pub(crate) struct Placement {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Placement {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Puts the threads of a process and of its children that were not seen before into the next groups.
fn place(process: u32, groups: &[PathBuf], seen: &mut Vec<u32>) {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return };
    for task in tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok()) {
        if !seen.contains(&task) {
            // One that has ended meanwhile needs no place.
            let _ = fs::File::options()
                .write(true)
                .open(&groups[seen.len() % groups.len()])
                .and_then(|mut file| file.write_all(task.to_string().as_bytes()));
            seen.push(task);
        }
        let children =
            fs::read_to_string(format!("/proc/{process}/task/{task}/children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            place(child, groups, seen);
        }
    }
}

/// Returns where processor time is limited: version 1 with its controller `cpu`, or else version 2.
fn controller(mounts: &str) -> Option<(Version, PathBuf)> {
    let fields = || mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let one = fields().find(|mount| {
        matches!(mount[..], [_, _, "cgroup", options, ..] if options.split(',').any(|option| option == "cpu"))
    });
    let two = || fields().find(|mount| matches!(mount[..], [_, _, "cgroup2", ..]));
    let place = |mount: Vec<&str>| mount.get(1).map(PathBuf::from);
    match one {
        Some(mount) => Some((Version::One, place(mount)?)),
        None => Some((Version::Two, place(two()?)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controller_is_found_among_the_mounts() {
        let one = "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpuacct,cpu 0 0";
        let other = "cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0";
        let two = "cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0";
        for (mounts, expected) in [
            (vec![two, other, one], Some((Version::One, "/sys/fs/cgroup/cpu,cpuacct"))),
            (vec![other, two], Some((Version::Two, "/sys/fs/cgroup"))),
            (vec![other, "proc /proc proc rw 0 0", ""], None),
        ] {
            let expected = expected.map(|(version, path)| (version, PathBuf::from(path)));
            assert_eq!(controller(&mounts.join("\n")), expected);
        }
    }

    #[test]
    fn groups_have_their_share_and_the_process_is_in_the_first() {
        for (version, limit, quota, entered) in [
            (Version::One, "-1/cpu.cfs_quota_us", "2000", "-0/tasks"),
            (Version::Two, "/1/cpu.max", "2000 10000", "/0/cgroup.threads"),
        ] {
            // A folder of plain files stands for the cgroup file system.
            let root = tempfile::tempdir().unwrap();
            let cores = SlowCores::below(root.path(), version, 2, 0.2).unwrap();
            let path =
                |rest: &str| format!("{}/s3fcp-compare-{}{rest}", root.path().display(), std::process::id());
            assert_eq!(fs::read_to_string(path(limit)).unwrap(), quota);
            let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
            drop(cores.admit(&child).unwrap());
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(fs::read_to_string(path(entered)).unwrap(), child.id().to_string());
            if version == Version::Two {
                assert_eq!(fs::read_to_string(path("/cgroup.procs")).unwrap(), child.id().to_string());
                assert_eq!(fs::read_to_string(path("/1/cgroup.type")).unwrap(), "threaded");
            }
            fs::remove_dir_all(root.path()).unwrap();
        }
    }
}
