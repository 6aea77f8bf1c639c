//! Downloads: one object as an ordered stream, and several of them concatenated.

pub(crate) mod address_space;
pub(crate) mod client;
pub(crate) mod concurrency;
pub(crate) mod context;
pub(crate) mod counters;
pub(crate) mod discovery;
pub(crate) mod fetch;
pub(crate) mod group;
#[cfg(test)]
pub(crate) mod in_process;
pub(crate) mod limits;
pub(crate) mod machine_memory;
pub(crate) mod memory;
pub(crate) mod meter;
mod object_ahead;
pub(crate) mod object_requests;
pub(crate) mod options;
pub(crate) mod ordered;
pub(crate) mod pending_head;
pub(crate) mod plan;
pub(crate) mod requested;
pub(crate) mod sequence;
mod start_mode;
pub(crate) mod steering;
pub(crate) mod stream;
pub(crate) mod sync;
pub(crate) mod threads;
pub(crate) mod transfer_stats;
pub(crate) mod verdict;
pub(crate) mod verify;
