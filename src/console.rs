//! stderr, for lines that come while a progress bar may be there: they stand above it, and none is torn.
//!
//! It knows the bar on show, if any, and gets whole lines. What cannot be written is lost: a terminal that went away is
//! no reason to fail a download.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// From now on lines stand above `bar`; `None` where there is no bar any more.
pub(crate) fn shares_with(bar: Option<&ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar.cloned();
}

/// Where lines go.
pub(crate) struct Console;

impl Write for Console {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let write = || {
            let _ = io::stderr().write_all(lines);
        };
        match &*BAR.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
