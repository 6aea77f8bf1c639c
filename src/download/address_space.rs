//! The limit on the address space of this process (`ulimit -v`), which batch schedulers set.
//!
//! The system refuses memory beyond it, and an allocation that is refused ends the process. So it holds for explicit
//! numbers too. Besides the memory that is resident it counts what is only mapped: the program, its libraries, and the
//! stack of each thread.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, rlim_t};

use crate::download::threads::ThreadCount;
use crate::error::{Error, ErrorKind, Result};

/// The address space of the program at its start, where the system does not say.
const MAPPED: u64 = 16 << 20;
/// The stack of a thread.
const STACK: u64 = 2 << 20;
/// Where the number of threads is found by trying, their stacks take at most one in so many parts.
const STACKS_DIVISOR: u64 = 8;
/// The least that a download needs beyond what is mapped at the start. Measured: with the smallest window the address space
/// grew by 14 MiB.
const LEAST: u64 = 18 << 20;

/// Returns what the limit, if there is one, leaves beyond what is mapped at the first call, in bytes. The answer stays, because
/// what depends on it has to fit together.
pub(crate) fn available() -> Option<u64> {
    static AVAILABLE: OnceLock<Option<u64>> = OnceLock::new();
    *AVAILABLE.get_or_init(|| Some(limit()?.saturating_sub(mapped().unwrap_or(MAPPED))))
}

fn limit() -> Option<u64> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let (soft, _) = getrlimit(Resource::RLIMIT_AS).ok()?;
    (soft != rlim_t::MAX).then_some(soft)
}

fn mapped() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// Checks that there is room for a download.
pub(crate) fn check_room() -> Result<()> {
    match available() {
        Some(available) if available < LEAST => {
            let missing = LEAST - available;
            let enough = limit().unwrap_or(0).saturating_add(missing).div_ceil(1 << 20) << 10;
            Err(Error::new(ErrorKind::Other, "this process may have too little address space")
                .with_hint(format!("raise the limit to {enough} or more (ulimit -v)")))
        }
        _ => Ok(()),
    }
}

/// Returns how much of `available` there is for memory beside the stacks of so many `threads`.
pub(crate) fn memory_within(available: u64, threads: ThreadCount) -> u64 {
    available.saturating_sub(match threads {
        ThreadCount::Runtime => 0,
        ThreadCount::Adaptive => available / STACKS_DIVISOR,
        ThreadCount::Exactly(count) => STACK.saturating_mul(count.get() as u64),
    })
}

/// Returns the most threads whose stacks fit where their number is found by trying.
pub(crate) fn threads_max() -> usize {
    available().map_or(usize::MAX, |available| {
        usize::try_from(available / STACKS_DIVISOR / STACK).unwrap_or(usize::MAX).max(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroUsize;

    #[test]
    fn stacks_have_their_room() {
        let exactly = |count| ThreadCount::Exactly(NonZeroUsize::new(count).unwrap());
        for (available, threads, mib) in [
            (64, ThreadCount::Runtime, 64),
            (64, ThreadCount::Adaptive, 56),
            (64, exactly(4), 56),
            (64, exactly(1000), 0),
            (16 << 10, ThreadCount::Adaptive, 14 << 10),
        ] {
            assert_eq!(memory_within(available << 20, threads) >> 20, mib, "{available} MiB, {threads:?}");
        }
    }
}
