//! stderr shared between log lines and progress bars: lines appear above the bars, and are never torn.
//!
//! Write errors are ignored: a terminal that went away is no reason to fail a download.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::MultiProgress;

static BARS: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Makes lines appear above `bars` from now on; `None` ends that.
pub(crate) fn shares_with(bars: Option<&MultiProgress>) {
    *BARS.lock().unwrap_or_else(PoisonError::into_inner) = bars.cloned();
}

/// Writes the last text of the process. Other threads that would write to stderr after it wait until the process has
/// ended, so that nothing follows. If stderr is full or closed, that changes nothing.
pub(crate) fn write_last(text: &[u8]) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text);
    std::mem::forget(stderr);
}

/// The writer of log lines.
pub(crate) struct Console;

impl Write for Console {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let write = || {
            let _ = io::stderr().write_all(lines);
        };
        match &*BARS.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
