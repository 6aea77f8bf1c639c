//! A gate that a test opens, so that the test and not the clock decides the order of events.
//!
//! It starts closed, opens once and stays open. It never times out; a server that waits for it stops waiting when the
//! server is dropped.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// A gate that is closed until somebody opens it. Clones are the same gate.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(crate) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Opens the gate for everybody, now and later.
    pub(crate) fn open(&self) {
        self.0.close();
    }

    /// Returns once the gate is open. The semaphore never has a permit: it ends by being closed.
    pub(super) async fn passed(&self) {
        let _closed = self.0.acquire().await;
    }
}
