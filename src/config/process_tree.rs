//! A process and all that were started by it, to be killed where no process group holds them and no others.
//!
//! Linux lists who started whom; elsewhere only the process itself is killed. A process whose parent has ended counts no
//! longer, and neither does one in a session of its own, with all below it: it was made to outlive the command, as a
//! browser is that was opened to sign in.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Kills `root` and all below it in its session. They are stopped first, so that none starts another one while they are
/// looked for.
pub(super) fn kill_tree(root: Pid) {
    let session = parent_and_session(root).map(|(_, session)| session);
    let mut found = Vec::new();
    let mut next = vec![root];
    loop {
        // Those that cannot be stopped have ended, and their ids may be other processes' soon, or are another user's.
        next.retain(|id| kill(*id, Signal::SIGSTOP).is_ok());
        if next.is_empty() {
            break;
        }
        found.append(&mut next);
        let is_next = |id: Pid| {
            parent_and_session(id).is_some_and(|(parent, of)| found.contains(&parent) && Some(of) == session)
        };
        next = processes().filter(|id| !found.contains(id) && is_next(*id)).collect();
    }
    for id in found {
        let _ = kill(id, Signal::SIGKILL);
    }
}

/// Returns the ids of all processes.
fn processes() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw))
}

/// Returns who started the process `id`, and its session (`proc_pid_stat(5)`).
fn parent_and_session(id: Pid) -> Option<(Pid, Pid)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before the last parenthesis may have any letters. The state, the parent, the group and the session follow.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some((Pid::from_raw(parent), Pid::from_raw(session)))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    #[test]
    fn all_in_the_session_of_the_root_end_and_a_session_of_its_own_lives() {
        // Those that are to end have the pipe open.
        let script = "sleep 60 & setsid sh -c 'echo $$; exec sleep 60 > /dev/null' & sh -c 'sleep 60; :'; :";
        let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut pipe = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        pipe.read_line(&mut line).unwrap();
        let detached = Pid::from_raw(line.trim().parse().unwrap());

        let began = Instant::now();
        kill_tree(Pid::from_raw(i32::try_from(child.id()).unwrap()));
        pipe.read_to_end(&mut Vec::new()).unwrap();
        assert!(began.elapsed() < Duration::from_secs(30), "something is left");
        assert!(!child.wait().unwrap().success());

        let stat = fs::read_to_string(format!("/proc/{detached}/stat")).unwrap();
        let state = stat.rsplit_once(')').unwrap().1.trim_start().chars().next();
        assert!(!matches!(state, Some('T' | 'Z' | 'X')), "neither stopped nor killed: {stat}");
        kill(detached, Signal::SIGKILL).unwrap();
    }
}
