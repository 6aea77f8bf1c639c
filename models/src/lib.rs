//! The state that the threads of a download share, under a scheduler that explores in which order they run.
//!
//! The files of the product are compiled here as they are, over shuttle's locks and atomics: before each operation on one of
//! them another thread may run. A model starts a few threads that use such a file as the engine does, and asserts what must
//! hold in every order. A thread that waits for ever is a deadlock, which shuttle reports.

#![allow(dead_code, reason = "the models use a part of each file")]

#[path = "../../src/download/concurrency/controller_orders.rs"]
mod controller_orders;
#[path = "../../src/download/counters.rs"]
mod counters;
#[path = "../../src/error/mod.rs"]
mod error;
#[path = "../../src/download/memory/frame.rs"]
mod frame;
#[path = "../../src/download/fetch/frame_queue.rs"]
mod frame_queue;
#[path = "../../src/download/concurrency/limit.rs"]
mod limit;
#[path = "../../src/download/ordered.rs"]
mod ordered;
#[path = "../../src/download/threads/load_balance.rs"]
mod load_balance;
#[path = "../../src/download/plan.rs"]
mod plan;
#[path = "../../src/s3/range.rs"]
mod range;
#[path = "../../src/download/memory/slab.rs"]
mod slab;
#[path = "../../src/download/concurrency/trial_backoff.rs"]
mod trial_backoff;
#[path = "../../src/download/concurrency/thread_controller.rs"]
mod thread_controller;
#[path = "../../src/download/memory/window.rs"]
mod window;

/// The paths by which these files name each other.
mod download {
    pub(crate) use crate::range_task::context;
    pub(crate) use crate::plan;

    pub(crate) mod concurrency {
        pub(crate) use crate::{controller_orders, limit, thread_controller, trial_backoff};
    }
    pub(crate) mod fetch {
        pub(crate) use crate::range_task;
        pub(crate) use crate::range_task::{RangeBody, RangeFuture, RangeHandle, start};
    }
    pub(crate) mod memory {
        pub(crate) use crate::{frame, slab, window};
    }
    pub(crate) mod sync {
        pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
        pub(crate) use shuttle::sync::{Mutex, MutexGuard};

        pub(crate) use crate::waker::AtomicWaker;
    }
}

mod s3 {
    pub(crate) use crate::range;
}

mod range_task;
mod waker;

pub mod download_model;
pub mod explore;
pub mod limit_model;
pub mod queue_model;
pub mod threads_model;
pub mod window_model;
