//! A process and all that were started by it, to be killed where no process group holds them and no others.
//!
//! Linux lists who started whom; elsewhere only the process itself is killed. A process whose parent has ended counts no
//! longer.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Kills `root` and all below it. They are stopped first, so that none starts another one while they are looked for.
pub(super) fn kill_tree(root: Pid) {
    let mut found = Vec::new();
    let mut next = vec![root];
    while !next.is_empty() {
        for id in &next {
            // It may have ended.
            let _ = kill(*id, Signal::SIGSTOP);
        }
        found.append(&mut next);
        next = processes()
            .filter(|(id, parent)| found.contains(parent) && !found.contains(id))
            .map(|p| p.0)
            .collect();
    }
    for id in found {
        let _ = kill(id, Signal::SIGKILL);
    }
}

/// Returns all processes, and who started each (`proc_pid_stat(5)`).
fn processes() -> impl Iterator<Item = (Pid, Pid)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|id: i32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name before the last parenthesis may have any letters.
        let parent = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some((Pid::from_raw(id), Pid::from_raw(parent)))
    })
}
