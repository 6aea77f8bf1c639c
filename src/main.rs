//! The binary: the allocator's settings, and the way into [`s3fcp::cli`].

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let began = Instant::now();
    keep_freed_memory();
    s3fcp::cli::main(began, !stdout_was_closed::at_start())
}

/// Read buffers come and go, hundreds of KiB each: glibc would map and unmap them one by one, and every one would begin
/// with page faults (40,000 a GiB; without them a tenth less CPU at one connection).
///
/// Freed memory is kept for all threads together: with an arena for each of them, each keeps as much as it ever had at
/// the same time. Four threads took 27 to 36 MiB for a window of 8, the longer the more; with one arena 17, at the same
/// CPU.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_freed_memory() {
    const MMAP_FROM: i32 = 4 << 20;
    const TRIM_FROM: i32 = 32 << 20;
    const ARENAS: i32 = 1;
    #[expect(unsafe_code, reason = "no crate wraps mallopt(3)")]
    // SAFETY: no other thread runs yet, and all of them are parameters that glibc documents.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_FROM);
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

/// musl maps and unmaps everything from 128 KiB on, each time with fresh pages: 250,000 page faults a GiB, and half as
/// much CPU again (1.0 to 1.4 seconds a GiB where glibc as above takes 0.6 to 0.9). This one stays within a tenth of
/// glibc, and, without huge pages, within the memory that is promised.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_freed_memory() {}

/// A process may be started without a stdout (`>&-`). The standard library opens `/dev/null` in its place before
/// `main`, and every write succeeds. So this looks before that: the loader calls the functions of this section first.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
mod stdout_was_closed {
    use std::sync::atomic::{AtomicBool, Ordering};

    static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

    #[expect(unsafe_code, reason = "the only way to run before the standard library's start")]
    // SAFETY: the loader calls each entry of the section once, as a C function whose arguments it may ignore. This one
    // asks for a descriptor's flags and stores a bool; it needs nothing of the standard library's runtime.
    #[used]
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
    static LOOK: extern "C" fn() = look;

    extern "C" fn look() {
        let closed = rustix::io::fcntl_getfd(rustix::stdio::stdout()) == Err(rustix::io::Errno::BADF);
        WAS_CLOSED.store(closed, Ordering::Relaxed);
    }

    pub(super) fn at_start() -> bool {
        WAS_CLOSED.load(Ordering::Relaxed)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod stdout_was_closed {
    pub(super) fn at_start() -> bool {
        false
    }
}
