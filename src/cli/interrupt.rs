//! SIGINT, SIGTERM and SIGHUP: the first one can be waited for, so that a download ends with a message; a second one,
//! or any while nobody waits, gets the default action and ends the process immediately, whatever that is doing.
//!
//! `tokio::signal` has no such second signal. Signals that this process was started to ignore stay ignored. The first
//! process of a container (PID 1) has no default actions: there the handler ends the process itself, with the exit
//! status that a shell would show.

use std::io;
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::{flag, low_level};

/// Other signals whose default action ends a process. Nobody waits for them.
const OTHER_FATAL: [i32; 4] = [SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2];

/// Handlers of the three signals, until the process ends.
#[derive(Debug)]
pub(crate) struct Interrupt {
    /// Readable after a signal.
    woken: UnixStream,
    signal: Arc<AtomicUsize>,
    /// Set if the next signal gets the default action.
    by_default: Arc<AtomicBool>,
    /// Set if the first signal never gets it.
    is_reported: bool,
}

impl Interrupt {
    /// Installs the handlers. Until the first [`received`](Self::received), signals get their default actions; if the
    /// end `is_reported` to a program, the first one is kept until somebody waits.
    pub(crate) fn install(is_reported: bool) -> io::Result<Self> {
        // With a handler, a write beyond a file size limit fails with EFBIG instead of ending the process. Programs
        // that this one starts get the default action back, which they would not if the signal were ignored.
        flag::register(SIGXFSZ, Arc::default())?;
        // Ignored, as some parents leave it, the system would take the exit status of `credential_process` away.
        flag::register(SIGCHLD, Arc::default())?;
        for number in OTHER_FATAL {
            if is_init() && !is_ignored(number) {
                flag::register_conditional_shutdown(number, 128 + number, Arc::new(AtomicBool::new(true)))?;
            }
        }
        let (woken, waker) = UnixStream::pair()?;
        woken.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        let signal = Arc::new(AtomicUsize::new(0));
        let by_default = Arc::new(AtomicBool::new(!is_reported));
        for number in [SIGINT, SIGTERM, SIGHUP] {
            if is_ignored(number) {
                continue;
            }
            // The handlers run in this order: the first signal that is waited for finds the flag cleared.
            if is_init() {
                flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&by_default))?;
            } else {
                flag::register_conditional_default(number, Arc::clone(&by_default))?;
            }
            flag::register(number, Arc::clone(&by_default))?;
            flag::register_usize(number, Arc::clone(&signal), usize::try_from(number).unwrap_or(0))?;
            low_level::pipe::register(number, waker.try_clone()?)?;
        }
        Ok(Self { woken, signal, by_default, is_reported })
    }

    /// Waits for the first signal and returns its number. Must be called in a tokio runtime with I/O enabled. When the
    /// future is dropped, signals get their default actions again.
    pub(crate) async fn received(&self) -> i32 {
        let _restore = (!self.is_reported).then(|| DefaultWhenDropped(&self.by_default));
        let woken = self.woken.try_clone().and_then(tokio::net::UnixStream::from_std);
        // Without it no signal can be seen: they keep their default actions.
        let Ok(woken) = woken else { return std::future::pending().await };
        if !self.is_reported {
            self.by_default.store(false, Ordering::SeqCst);
        }
        loop {
            let readable = woken.readable().await;
            let signal = self.signal.load(Ordering::SeqCst);
            if signal != 0 {
                return i32::try_from(signal).unwrap_or(SIGTERM);
            }
            if readable.is_err() || woken.try_read(&mut [0]).is_ok_and(|n| n == 0) {
                // All three are ignored, so that no handler keeps the other end open.
                std::future::pending::<()>().await;
            }
        }
    }
}

struct DefaultWhenDropped<'a>(&'a AtomicBool);

impl Drop for DefaultWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Ends the process by the default action of `signal`; as PID 1, which has none, with the exit status that a shell
/// shows for it. (`emulate_default_handler` would abort there, which a container reports as a crash.)
pub(crate) fn end_process_by(signal: i32) -> ! {
    if !is_init() {
        let _ = low_level::emulate_default_handler(signal);
    }
    low_level::exit(128 + signal)
}

fn is_init() -> bool {
    process::id() == 1
}

/// Returns whether this process was started with `signal` ignored, as `nohup` and shells do for background jobs.
fn is_ignored(signal: i32) -> bool {
    use nix::libc;
    #[expect(unsafe_code, reason = "no crate queries the disposition of a signal without setting one")]
    // SAFETY: a null pointer for the new action makes this a query; the answer is written to `now`, a plain struct of
    // the right type, for which zeroes are valid.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_IGN
    }
}
