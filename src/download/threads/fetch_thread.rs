//! A thread that fetches ranges: a runtime that one thread runs.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// Number of tasks that a runtime polls before it checks I/O and timers. One poll of a range moves up to 256 KiB: with
/// tokio's default of 61 a busy download would keep the bytes of the front range waiting for milliseconds.
pub(crate) const EVENT_INTERVAL: u32 = 8;

/// A runtime, and how long it has worked.
pub(super) struct FetchThread {
    handle: Handle,
    /// How long it had worked when that was looked at last.
    worked: Duration,
    /// Ends the thread when it is dropped; `None` for the one that the download runs in.
    _stop: Option<oneshot::Sender<()>>,
}

impl FetchThread {
    /// The thread of a runtime that runs already.
    pub(super) fn of(handle: Handle) -> Self {
        Self { handle, worked: Duration::ZERO, _stop: None }
    }

    /// Starts a further thread.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        // Where no thread can be made, its closure is dropped here, and tokio panics where a runtime is dropped inside of
        // another.
        let shared = Arc::new(Mutex::new(Some(runtime)));
        let runtime = Arc::clone(&shared);
        let run = move || {
            let Some(runtime) = take(&runtime) else { return };
            // An error means that the sender was dropped, which ends the thread.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        };
        if let Err(error) = std::thread::Builder::new().name("fetch".into()).spawn(run) {
            if let Some(runtime) = take(&shared) {
                runtime.shutdown_background();
            }
            return Err(error);
        }
        Ok(Self { _stop: Some(stop), ..Self::of(handle) })
    }

    /// Returns the runtime, to start tasks on.
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Returns which part of the time since it was called last, `elapsed` ago, the thread has worked.
    pub(super) fn busy_share(&mut self, elapsed: Duration) -> f64 {
        let worked = self.handle.metrics().worker_total_busy_duration(0);
        let before = std::mem::replace(&mut self.worked, worked);
        worked.saturating_sub(before).as_secs_f64() / elapsed.as_secs_f64()
    }
}

fn take(runtime: &Mutex<Option<Runtime>>) -> Option<Runtime> {
    runtime.lock().unwrap_or_else(PoisonError::into_inner).take()
}
