//! The cell for a waker that the product uses, with a point before each operation where another thread may run. The cell
//! itself is not explored: its authors did that, with loom.

use std::task::Waker;

use futures_util::task;
use shuttle::sync::atomic::{AtomicUsize, Ordering::SeqCst};

#[derive(Debug)]
pub(crate) struct AtomicWaker {
    operations: AtomicUsize,
    cell: task::AtomicWaker,
}

impl AtomicWaker {
    pub(crate) fn new() -> Self {
        Self { operations: AtomicUsize::new(0), cell: task::AtomicWaker::new() }
    }

    pub(crate) fn register(&self, waker: &Waker) {
        self.operations.fetch_add(1, SeqCst);
        self.cell.register(waker);
    }

    pub(crate) fn wake(&self) {
        self.operations.fetch_add(1, SeqCst);
        self.cell.wake();
    }
}
