//! The plan that cuts an object into the ranges that are requested.

use crate::s3::range::ByteRange;

/// The first of the chunks that start together has one in so many parts of a chunk's size.
const FIRST_CHUNK_DIVISOR: u64 = 16;
/// So many have chunks of full size from the start: they are a trial on what may be a slow link far away, and the next
/// requests are answered a latency after it. At 1 Gbit/s and 100 ms the link was empty for most of that.
const FULL_SIZED: u64 = 4;
/// With at most this many ranges at a time, memory is no concern: a large one is at most a quarter of the window.
pub(crate) const FEW_RANGES: u64 = 3;

/// Cuts what is left of an object into chunks, in order, each when it is about to be requested.
#[derive(Debug)]
pub(crate) struct Plan {
    left: ByteRange,
    chunk: u64,
    /// Where sizes may differ: the size of a chunk while few are fetched at a time.
    large: Option<u64>,
    /// Set if all that is left is one chunk.
    is_one: bool,
}

impl Plan {
    /// Plans chunks of `chunk` bytes for all of `range`. With `large`, sizes may differ: chunks have that size while few are
    /// fetched at a time.
    pub(crate) fn new(range: ByteRange, chunk: u64, large: Option<u64>) -> Self {
        Self { left: range, chunk: chunk.max(1), large, is_one: false }
    }

    /// Returns whether every byte is in a chunk.
    pub(crate) fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    /// Returns how many bytes are in no chunk yet.
    pub(crate) fn left(&self) -> u64 {
        self.left.len()
    }

    /// Returns where the next chunk begins.
    pub(crate) fn start(&self) -> u64 {
        self.left.start()
    }

    /// Plans everything from `start` on again: ranges from there on were cancelled.
    pub(crate) fn rewind(&mut self, start: u64) {
        self.left = ByteRange::new(start.min(self.left.start()), self.left.end());
    }

    /// Plans all that is left as one chunk.
    pub(crate) fn set_one(&mut self) {
        self.is_one = true;
    }

    /// Returns the next chunk, one of `concurrent` that are fetched at the same time; `None` when all are planned. It is the
    /// one of this `number`, from 0, after the first chunk of the run. Sizes are bounded by `chunk_max`, and by `large_max`
    /// where few are fetched at a time.
    pub(crate) fn next(
        &mut self,
        number: u64,
        concurrent: u64,
        chunk_max: u64,
        large_max: u64,
    ) -> Option<ByteRange> {
        let chunk = self.chunk.min(chunk_max).max(1);
        let size = match self.large {
            _ if self.is_one => u64::MAX,
            // A connection by itself idles between two requests, so fewer and larger ones save time.
            Some(large) if concurrent <= FEW_RANGES => large.min(large_max).max(1),
            // Connections that start together would end together, the last one's bytes waiting for all others: their first
            // chunks grow from a small one, so that they end, and start again, in order.
            Some(_) if number < concurrent && concurrent > FULL_SIZED => {
                let first = chunk / FIRST_CHUNK_DIVISOR;
                (first + (chunk - first) / concurrent * number).max(1)
            }
            _ => chunk,
        };
        let chunk =
            ByteRange::new(self.left.start(), self.left.start().saturating_add(size).min(self.left.end()));
        self.left = self.left.remainder(chunk.len());
        (!chunk.is_empty()).then_some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_plan_covers_its_range_once_in_order(
            start in 0_u64..1 << 50,
            len in 0_u64..100_000,
            size in 1_u64..5_000,
            graded: bool,
            concurrent in 1_u64..100,
        ) {
            let range = ByteRange::new(start, start + len);
            let large = graded.then_some(4 * size);
            let mut plan = Plan::new(range, size, large);
            let chunks: Vec<_> =
                (0..).map_while(|number| plan.next(number, concurrent, u64::MAX, u64::MAX)).collect();
            let mut at = range.start();
            for c in &chunks {
                prop_assert_eq!(c.start(), at);
                let most = match large {
                    Some(large) if concurrent <= FEW_RANGES => large,
                    _ => size,
                };
                prop_assert!(!c.is_empty() && c.len() <= most);
                at = c.end();
            }
            prop_assert_eq!(at, range.end());
            if !graded {
                prop_assert_eq!(chunks.len() as u64, len.div_ceil(size));
            }
        }
    }
}
