//! How much memory the system leaves to this process: that of the machine, and of each cgroup that it is in.
//!
//! A container sees its own cgroup as the root of `/sys/fs/cgroup`. Under systemd or Slurm, or with `--cgroupns=host`, it is
//! somewhere below, and every cgroup on the way may have a limit: the least counts. `/proc/self/cgroup` names the cgroup of
//! each hierarchy, and `/proc/self/mountinfo` where the hierarchies are mounted (cgroups(7), proc(5)).

use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use tracing::{Level, info};

use crate::events::DOWNLOAD;

/// The files with a limit, for each version. Above `memory.high` a process is not killed but slowed down to a crawl.
const LIMIT_FILES_V1: &[&str] = &["memory.limit_in_bytes"];
const LIMIT_FILES_V2: &[&str] = &["memory.max", "memory.high"];
/// Of most files this is all; the system says of each that it is empty.
const READ_BYTES: usize = 8 << 10;
const FILE_BYTES_MAX: u64 = 16 << 20;
/// The default takes one in so many parts of a cgroup's memory, and of the machine's, which other programs share.
const CGROUP_SHARE_DIVISOR: u64 = 4;
const MACHINE_SHARE_DIVISOR: u64 = 8;
/// No machine has as much.
const UNLIMITED: u64 = 1 << 60;

/// Returns the memory to use by default; `None` if the system does not say.
pub(crate) fn default_share() -> Option<u64> {
    share_under(Path::new("/"))
}

/// Reports the limit of the cgroup, if there is one. Reads it only if that is shown.
pub(crate) fn report_limit() {
    if tracing::enabled!(target: DOWNLOAD, Level::INFO)
        && let Some((limit, file)) = cgroup_limit(Path::new("/"))
    {
        let share = limit / CGROUP_SHARE_DIVISOR;
        info!(target: DOWNLOAD, limit, share, by = %file.display(), "a cgroup limits the memory");
    }
}

/// Returns the memory to use by default, where the files of the system are under `root`.
fn share_under(root: &Path) -> Option<u64> {
    let cgroup = cgroup_limit(root).map(|(limit, _)| limit / CGROUP_SHARE_DIVISOR);
    let machine = machine_total(root).map(|total| total / MACHINE_SHARE_DIVISOR);
    cgroup.into_iter().chain(machine).min()
}

/// Returns the memory of the machine, in bytes.
fn machine_total(root: &Path) -> Option<u64> {
    let text = read(&root.join("proc/meminfo"))?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024))
}

/// Returns the least memory limit of the cgroups that this process is in, in bytes, and the file that sets it.
fn cgroup_limit(root: &Path) -> Option<(u64, PathBuf)> {
    let mut limits = Vec::new();
    for (mount, folder, files) in memory_cgroups(root) {
        // Upwards: a limit holds for everything below it.
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(&mount)) {
            let limit = |file: &&str| {
                let file = folder.join(file);
                Some((read(&file)?.trim().parse::<u64>().ok()?, file))
            };
            // Version 1 writes a number beyond any memory where there is no limit.
            limits.extend(files.iter().filter_map(limit).filter(|(limit, _)| *limit < UNLIMITED));
        }
    }
    limits.into_iter().min_by_key(|(limit, _)| *limit)
}

/// Reads a file of the system in one step. The standard library takes as many as it does for an empty file that grows,
/// because of the size that the system states: a third of the system calls of a start.
fn read(path: &Path) -> Option<String> {
    let mut text = String::with_capacity(READ_BYTES);
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Returns where each hierarchy that limits memory is mounted, the folder of this process's cgroup in it, and the names of
/// the files with a limit.
fn memory_cgroups(root: &Path) -> Vec<(PathBuf, PathBuf, &'static [&'static str])> {
    let read = |file| read(&root.join(file)).unwrap_or_default();
    let (cgroups, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
    let mounts = mounts.lines().filter_map(Mount::parse);
    let found: Vec<_> = mounts
        .filter_map(|mount| {
            let path = cgroups.lines().find_map(|line| mount.path_in(line))?;
            let at = root.join(mount.at.trim_start_matches('/'));
            let folder = mount.folder(&at, path);
            Some((at, folder, if mount.is_version_2 { LIMIT_FILES_V2 } else { LIMIT_FILES_V1 }))
        })
        .collect();
    if found.is_empty() {
        // Without /proc: the place where containers see their own cgroup.
        let at = root.join("sys/fs/cgroup");
        let of_version_1 = at.join("memory");
        return vec![(at.clone(), at, LIMIT_FILES_V2), (of_version_1.clone(), of_version_1, LIMIT_FILES_V1)];
    }
    found
}

/// A mounted hierarchy of cgroups that limits memory.
struct Mount<'a> {
    /// The cgroup that is mounted, and where.
    cgroup: &'a str,
    at: &'a str,
    is_version_2: bool,
}

impl<'a> Mount<'a> {
    /// Reads a line of mountinfo: id, parent, device, root, mount point, options and tags, then after a dash the type, the
    /// source and the options of the file system, which name the controllers of a hierarchy of version 1.
    fn parse(line: &'a str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (cgroup, at) = (place.next()?, place.next()?);
        let mut kind = kind.split(' ');
        let is_version_2 = match kind.next()? {
            "cgroup2" => true,
            "cgroup" if kind.nth(1)?.split(',').any(|option| option == "memory") => false,
            _ => return None,
        };
        Some(Self { cgroup, at, is_version_2 })
    }

    /// Returns the path in a line of `/proc/self/cgroup` if that is of this hierarchy: its id, its controllers (none for
    /// version 2), and the path.
    fn path_in(&self, line: &'a str) -> Option<&'a str> {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let is_here = if self.is_version_2 {
            controllers.is_empty()
        } else {
            controllers.split(',').any(|controller| controller == "memory")
        };
        is_here.then_some(path)
    }

    /// Returns the folder of the cgroup `path` below the mount point `at`. A path outside of what is mounted, which another
    /// cgroup namespace shows, is the mounted cgroup as far as can be seen.
    fn folder(&self, at: &Path, path: &str) -> PathBuf {
        let below = Path::new(path).strip_prefix(self.cgroup).unwrap_or(Path::new(""));
        let is_plain = below.components().all(|part| matches!(part, Component::Normal(_)));
        if is_plain { at.join(below) } else { at.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const MIB: u64 = 1 << 20;

    /// A system's files: what is in each, by path.
    fn share(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        share_under(root.path())
    }

    const V2: &str = "29 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "30 29 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                      36 29 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    const HYBRID: &str = "36 29 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                          37 29 0:34 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_least_limit_of_the_cgroups_on_the_way_counts() {
        let mib = |mib: u64| (mib * MIB).to_string();
        let (small, large) = (mib(256), mib(4096));
        for (kind, files) in [
            (
                "a container",
                vec![
                    ("proc/self/cgroup", "0::/\n"),
                    ("proc/self/mountinfo", V2),
                    ("sys/fs/cgroup/memory.max", &small),
                ],
            ),
            ("without /proc", vec![("sys/fs/cgroup/memory.max", &small)]),
            ("version 1, without /proc", vec![("sys/fs/cgroup/memory/memory.limit_in_bytes", &small)]),
            (
                "systemd's MemoryMax=",
                vec![
                    ("proc/self/cgroup", "0::/user.slice/user-0.slice/run-u1.scope\n"),
                    ("proc/self/mountinfo", V2),
                    ("sys/fs/cgroup/user.slice/memory.max", "max\n"),
                    ("sys/fs/cgroup/user.slice/user-0.slice/run-u1.scope/memory.max", &small),
                ],
            ),
            (
                "a limit of the slice above",
                vec![
                    ("proc/self/cgroup", "0::/user.slice/run-u1.scope\n"),
                    ("proc/self/mountinfo", V2),
                    ("sys/fs/cgroup/user.slice/memory.max", &small),
                    ("sys/fs/cgroup/user.slice/run-u1.scope/memory.max", &large),
                ],
            ),
            (
                "systemd's MemoryHigh=",
                vec![
                    ("proc/self/cgroup", "0::/run-u1.scope\n"),
                    ("proc/self/mountinfo", V2),
                    ("sys/fs/cgroup/run-u1.scope/memory.high", &small),
                    ("sys/fs/cgroup/run-u1.scope/memory.max", "max"),
                ],
            ),
            (
                "Slurm, version 1",
                vec![
                    ("proc/self/cgroup", "5:cpuacct,cpu:/slurm\n4:memory:/slurm/uid_0/job_1/step_0\n"),
                    ("proc/self/mountinfo", V1),
                    ("sys/fs/cgroup/memory/slurm/uid_0/job_1/memory.limit_in_bytes", &small),
                    (
                        "sys/fs/cgroup/memory/slurm/uid_0/job_1/step_0/memory.limit_in_bytes",
                        "9223372036854771712",
                    ),
                ],
            ),
            (
                "both versions at the same time",
                vec![
                    ("proc/self/cgroup", "4:memory:/job\n0::/job\n"),
                    ("proc/self/mountinfo", HYBRID),
                    ("sys/fs/cgroup/memory/job/memory.limit_in_bytes", &small),
                    ("sys/fs/cgroup/unified/job/memory.max", &large),
                ],
            ),
            (
                "docker, version 1: its own cgroup is mounted, and the path is the host's",
                vec![
                    ("proc/self/cgroup", "4:memory:/docker/abc\n"),
                    (
                        "proc/self/mountinfo",
                        "36 29 0:33 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
                    ),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", &small),
                ],
            ),
            (
                "--cgroupns=host",
                vec![
                    ("proc/self/cgroup", "0::/system.slice/docker-abc.scope\n"),
                    ("proc/self/mountinfo", V2),
                    ("sys/fs/cgroup/system.slice/docker-abc.scope/memory.max", &small),
                ],
            ),
            (
                "a cgroup outside of the namespace",
                vec![
                    ("proc/self/cgroup", "0::/../../other\n"),
                    ("proc/self/mountinfo", V2),
                    ("sys/fs/cgroup/memory.max", &small),
                ],
            ),
        ] {
            assert_eq!(share(&files), Some(64 * MIB), "{kind}");
        }
    }

    #[test]
    fn the_file_that_sets_the_limit_is_known() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("sys/fs/cgroup");
        fs::create_dir_all(&folder).unwrap();
        for (file, text) in [("memory.max", "max"), ("memory.high", "1048576")] {
            fs::write(folder.join(file), text).unwrap();
        }
        assert_eq!(cgroup_limit(root.path()), Some((MIB, folder.join("memory.high"))));
    }

    #[test]
    fn a_machine_without_limits_is_shared_with_other_programs() {
        let meminfo = ("proc/meminfo", "MemTotal:        2097152 kB\nMemFree:   9 kB\n");
        assert_eq!(share(&[meminfo]), Some(256 * MIB));
        let files = [
            meminfo,
            ("proc/self/cgroup", "0::/\n"),
            ("proc/self/mountinfo", V2),
            ("sys/fs/cgroup/memory.max", "max"),
        ];
        assert_eq!(share(&files), Some(256 * MIB));
        let files = [
            meminfo,
            ("proc/self/cgroup", "0::/\n"),
            ("proc/self/mountinfo", V2),
            ("sys/fs/cgroup/memory.max", "268435456"),
        ];
        assert_eq!(share(&files), Some(64 * MIB));
        assert_eq!(share(&[]), None);
    }

    #[test]
    fn files_that_are_not_understood_are_no_limit() {
        for (cgroup, mounts, max) in [
            ("0::/\n", V2, "much"),
            ("nonsense", V2, "max"),
            ("0::/\n", "nonsense - cgroup2\n1 2 3 - cgroup\n", "max"),
            ("", "", ""),
        ] {
            let files = [
                ("proc/self/cgroup", cgroup),
                ("proc/self/mountinfo", mounts),
                ("sys/fs/cgroup/memory.max", max),
            ];
            assert_eq!(share(&files), None, "{cgroup:?} {mounts:?}");
        }
    }
}
