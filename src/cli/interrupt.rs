//! SIGINT and SIGTERM, once there is something to tell before the end.
//!
//! It lets the first one of them be waited for, and leaves the second, and all when nobody waits any more, to the
//! system, which ends the process at once whatever that is doing. Signals that this process was started to ignore stay ignored. It never ends
//! anything itself.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// Both signals, watched until this is dropped.
#[derive(Debug)]
pub(crate) struct Interrupt {
    /// Readable once a signal came.
    woken: tokio::net::UnixStream,
    signal: Arc<AtomicUsize>,
    /// Whether the system is to do what it does by itself.
    by_default: Arc<AtomicBool>,
}

impl Interrupt {
    /// Watches for them. Must be called in a tokio runtime with I/O enabled.
    pub(crate) fn watch() -> io::Result<Self> {
        let (woken, waker) = UnixStream::pair()?;
        woken.set_nonblocking(true)?;
        let woken = tokio::net::UnixStream::from_std(woken)?;
        let signal = Arc::new(AtomicUsize::new(0));
        let by_default = Arc::new(AtomicBool::new(false));
        for (number, value) in [(SIGINT, 2), (SIGTERM, 15)] {
            if is_ignored(number) {
                continue;
            }
            // Done in this order at each signal: the first one finds the flag not set.
            flag::register_conditional_default(number, Arc::clone(&by_default))?;
            flag::register(number, Arc::clone(&by_default))?;
            flag::register_usize(number, Arc::clone(&signal), value)?;
            low_level::pipe::register(number, waker.try_clone()?)?;
        }
        Ok(Self { woken, signal, by_default })
    }

    /// Waits for the first one and returns its number.
    pub(crate) async fn received(&self) -> i32 {
        loop {
            // The other end is kept by the handlers, and lasts as long as the process.
            let woken = self.woken.readable().await;
            let signal = self.signal.load(Ordering::SeqCst);
            if signal != 0 {
                return i32::try_from(signal).unwrap_or(SIGTERM);
            }
            if woken.is_err() || self.woken.try_read(&mut [0]).is_ok_and(|n| n == 0) {
                // Both are ignored: nothing will come.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.by_default.store(true, Ordering::SeqCst);
    }
}

/// Whether whoever started the process has it ignore the signal, as a shell does for its background.
fn is_ignored(signal: i32) -> bool {
    use nix::libc;
    #[expect(unsafe_code, reason = "no crate asks for the disposition of a signal without setting one")]
    // SAFETY: a null pointer for the new action makes it a question; the answer goes into `now`, a plain struct
    // of the right type, which zeroes are valid for.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_IGN
    }
}
