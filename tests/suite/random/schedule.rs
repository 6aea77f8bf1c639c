//! A download and its server, drawn from a seed.
//!
//! What happens to a request depends on the seed, on the request's last byte and on how often that byte was requested
//! before, but not on the order in which requests arrive: a seed gives the same schedule on any machine.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use s3fcp::{Hedge, Options};

use super::fault::{Drawn, Moment};
use crate::support::fault_server::Request;

/// The largest object, in bytes: some chunks of more than one read buffer each.
const SIZE_MAX: u64 = 300_000;
/// More chunks than concurrent requests, and still a small download.
const CHUNKS_MAX: u64 = 40;
/// More tries than a schedule has faults for one range.
const MANY_ATTEMPTS: u32 = 40;

#[derive(Debug, Clone)]
pub(super) struct Schedule {
    pub(super) seed: u64,
    /// The object's, in bytes.
    pub(super) size: u64,
    pub(super) chunk: u64,
    pub(super) concurrency: Option<usize>,
    pub(super) max_attempts: Option<u32>,
    /// Set if late bytes may be requested twice.
    pub(super) hedge: Hedge,
    /// The bytes of it that are wanted.
    pub(super) wanted: Range<u64>,
    /// The server knows them.
    pub(super) ranges: bool,
    /// Of a hundred requests so many have a fault.
    trouble: u8,
    /// From this try at a range on, all goes well.
    patience: usize,
    /// There may be faults that end the download.
    final_ones: bool,
    /// The consumer takes its time now and then, and goes away after so many bytes.
    pub(super) slow: bool,
    pub(super) leaves_after: Option<u64>,
}

impl Schedule {
    pub(super) fn drawn(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let size = match rng.u8(..10) {
            0 => rng.u64(..3),
            1..6 => rng.u64(1..20_000),
            _ => rng.u64(1..=SIZE_MAX),
        };
        let start = if rng.u8(..5) == 0 { rng.u64(..size.max(1)) } else { 0 };
        let end = if size > 0 && rng.u8(..5) == 0 { rng.u64(start + 1..=size) } else { size };
        let wanted = start..end;
        let least = size.div_ceil(CHUNKS_MAX).max(1);
        // Not only sizes that are nobody's: also those where an object ends with a chunk.
        let chunk = match rng.u8(..4) {
            0 => size.max(1),
            1 => size.div_ceil(rng.u64(1..=8)).max(least),
            _ => rng.u64(least..=(least * 20).min(SIZE_MAX)),
        };
        Self {
            seed,
            size,
            chunk,
            concurrency: (rng.u8(..5) > 0).then(|| rng.usize(1..=16)),
            wanted,
            hedge: if rng.u8(..4) == 0 { Hedge::Auto } else { Hedge::Off },
            max_attempts: *rng
                .choice(&[None, Some(1), Some(2), Some(3), Some(MANY_ATTEMPTS)])
                .unwrap_or(&None),
            ranges: rng.u8(..8) > 0,
            trouble: *rng.choice(&[0, 10, 30, 60]).unwrap_or(&0),
            patience: rng.usize(1..=4),
            final_ones: rng.u8(..4) == 0,
            slow: rng.u8(..6) == 0,
            leaves_after: (rng.u8(..12) == 0).then(|| rng.u64(..=size)),
        }
    }

    pub(super) fn options(&self) -> Options {
        let mut options = Options::default();
        options.concurrency = self.concurrency.and_then(NonZeroUsize::new);
        options.chunk_size = NonZeroU64::new(self.chunk);
        options.max_attempts = self.max_attempts.and_then(NonZeroU32::new);
        options.hedge = self.hedge;
        if self.wanted != (0..self.size) {
            let Range { start, end } = self.wanted;
            let range = if end == self.size { format!("{start}-") } else { format!("{start}-{}", end - 1) };
            options.range = Some(range.parse().expect("a range"));
        }
        // Longer than any machine makes a download wait that is not stalled.
        options.stall_timeout = Some(Duration::from_secs(1));
        options.first_byte_timeout = Some(Duration::from_secs(10));
        options
    }

    /// Returns whether a server without ranges sends exactly as many bytes as the first range has, or the range begins later:
    /// where HEAD fails, one GET more shows that this is the object.
    pub(super) fn may_look_like_a_part(&self) -> bool {
        let first = self.chunk.min(self.wanted.end - self.wanted.start);
        !self.ranges && (first == self.size || self.wanted.start > 0)
    }

    /// The number of requests when nothing goes wrong.
    pub(super) fn chunks(&self) -> u64 {
        if self.ranges { (self.wanted.end - self.wanted.start).div_ceil(self.chunk).max(1) } else { 1 }
    }

    /// Tries that a range has, in a row and without progress, before the first byte of all and later.
    pub(super) fn attempts(&self) -> (usize, usize) {
        self.max_attempts.map_or((4, 10), |n| (n as usize, n as usize))
    }

    /// Returns the server's reply to `request`.
    pub(super) fn fault(&self, request: &Request) -> Drawn {
        let end = request.range.as_ref().map_or(u64::MAX, |range| range.end);
        let which = [end, request.attempt as u64, u64::from(request.is_get())];
        let mixed = which.iter().fold(self.seed, |seed, part| Rng::with_seed(seed ^ part).u64(..));
        let mut rng = Rng::with_seed(mixed);
        let moment = Moment { request, size: self.size, ranges: self.ranges };
        if !request.is_get() {
            return moment.of_head(&mut rng);
        }
        let strikes = rng.u8(..100) < self.trouble && request.attempt < self.patience;
        match (strikes, self.final_ones && rng.u8(..4) == 0) {
            (false, _) => moment.odd(&mut rng),
            (true, false) => moment.transient(&mut rng),
            (true, true) => moment.last(&mut rng),
        }
    }
}
