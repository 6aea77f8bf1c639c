//! The download itself: which requests it makes, in which order, how many at a time and in how much memory; and the
//! bytes that come of them.

mod concurrency;
mod connection_limits;
mod discovery;
mod end_to_end;
mod framing;
mod hedging;
mod listed;
mod memory;
mod memory_overhead;
mod no_bytes;
mod no_ranges;
mod order;
mod ranges;
mod rate_limit;
mod several;
mod shards;
mod short_responses;
mod threads;
mod throttling;
mod unproven;
mod verdict;
mod versions;
mod without_length;
