//! What this process can run out of, whatever it is about to do: open files, and threads or processes.
//!
//! Any file, pipe or connection may be the one for which none is left. That is no fault of its own: an error with such a
//! cause is this process's (exit code 1), and names the limit to raise. [`Error::with_source`](super::Error::with_source)
//! asks here.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use nix::errno::Errno;

/// The remedy where no further file can be opened.
const OPEN_FILES_HINT: &str = "raise the limit on open files (ulimit -n)";
/// The remedy where no further thread or process can be started.
const THREADS_HINT: &str = "raise the limit on processes and threads (ulimit -u, or the pids limit of the container), or \
                            the one on memory (ulimit -v)";

/// The system has refused a thread or a process.
#[derive(Debug)]
struct NoThread;

impl fmt::Display for NoThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no further thread or process can be started")
    }
}

impl StdError for NoThread {}

/// Returns `error`, with which a thread or a process was refused, in a form that is not mistaken for EAGAIN of a file.
pub(crate) fn of_thread(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::Error::new(error.kind(), NoThread) } else { error }
}

/// Returns a copy of `error`, which is a shortage if that is one.
pub(crate) fn copy_of(error: &io::Error) -> io::Error {
    if let Some(code) = error.raw_os_error() {
        return io::Error::from_raw_os_error(code);
    }
    if is_no_thread(error) {
        return io::Error::new(error.kind(), NoThread);
    }
    io::Error::new(error.kind(), error.to_string())
}

/// Returns what helps if `error`, or one of its causes, is a shortage.
pub(crate) fn remedy(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    std::iter::successors(Some(error), |&error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .find_map(remedy_of_io)
}

fn remedy_of_io(error: &io::Error) -> Option<&'static str> {
    if is_no_thread(error) {
        return Some(THREADS_HINT);
    }
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMFILE | Errno::ENFILE) => Some(OPEN_FILES_HINT),
        // What it wraps is exposed by get_ref, not by source.
        _ => error.get_ref().and_then(|inner| remedy(inner)),
    }
}

fn is_no_thread(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn StdError + Send + Sync>::is::<NoThread>)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};

    #[test]
    fn an_error_whose_cause_is_a_shortage_is_this_processs_own() {
        let os = |code: Errno| io::Error::from_raw_os_error(code as i32);
        for (cause, exit_code, hint) in [
            (os(Errno::EMFILE), 1, "ulimit -n"),
            (os(Errno::ENFILE), 1, "ulimit -n"),
            (io::Error::other(os(Errno::EMFILE)), 1, "ulimit -n"),
            (of_thread(os(Errno::EAGAIN)), 1, "ulimit -u"),
            (io::Error::other(of_thread(os(Errno::EAGAIN))), 1, "ulimit -u"),
            (copy_of(&of_thread(os(Errno::EAGAIN))), 1, "ulimit -u"),
            (copy_of(&os(Errno::EMFILE)), 1, "ulimit -n"),
            (os(Errno::EAGAIN), 2, "its own"),
            (of_thread(os(Errno::ENOENT)), 2, "its own"),
        ] {
            let shown = cause.to_string();
            let error = Error::new(ErrorKind::Usage, "it failed").with_source(cause).with_hint("its own");
            assert_eq!(error.exit_code(), exit_code, "{shown}");
            assert!(error.hint().is_some_and(|shown| shown.contains(hint)), "{shown}: {error}");
        }
    }
}
