//! The locks, atomics and wakers of the state that threads share. The models in `models/` compile the same files with
//! others, whose every operation is a point where another thread may run.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
pub(crate) use std::sync::{Mutex, MutexGuard};

pub(crate) use futures_util::task::AtomicWaker;
