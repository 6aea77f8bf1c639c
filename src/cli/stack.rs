//! The stack of the program: where `ulimit -s` leaves the first thread too little, another thread runs it.
//!
//! The first thread's stack overflows below some 100 KiB, and most of the program's other threads have two MiB whatever the
//! limit is.

use std::thread;

use rustix::process::{Resource, getrlimit};

use crate::error::{Error, ErrorKind, Result};

/// As much as the standard library gives to a thread.
const STACK_BYTES: usize = 2 << 20;

/// Calls `run` with a stack that is large enough.
pub(crate) fn with_enough<T: Send>(run: impl FnOnce() -> T + Send) -> Result<T> {
    if getrlimit(Resource::Stack).current.is_none_or(|bytes| bytes >= STACK_BYTES as u64) {
        return Ok(run());
    }
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run);
        // A panic has ended the process.
        let ended = thread.and_then(|thread| thread.join().map_err(|_| std::io::Error::other("it panicked")));
        ended.map_err(|e| {
            Error::new(
                ErrorKind::Other,
                "the stack is too small, and no thread with a larger one can be started",
            )
            .with_source(e)
            .with_hint("raise the limit (ulimit -s)")
        })
    })
}
