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
