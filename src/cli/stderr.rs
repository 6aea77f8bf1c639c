//! stderr, for lines that come while progress bars may be there: they stand above them, and none is torn.
//!
//! It knows the bars on show, if any, and gets whole lines. What cannot be written is lost: a terminal that went away is
//! no reason to fail a download.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::MultiProgress;

static BARS: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// From now on lines stand above `bars`; `None` where there are none any more.
pub(crate) fn shares_with(bars: Option<&MultiProgress>) {
    *BARS.lock().unwrap_or_else(PoisonError::into_inner) = bars.cloned();
}

/// Where lines go.
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
