//! How many connections several threads need, so that none of them waits for bytes.

/// The threads that fetch.
#[derive(Debug)]
pub(super) struct ThreadSpread {
    threads: usize,
    /// Set while one of them has no time left.
    has_busy_thread: bool,
    /// Set once so many connections were tried that each thread has one.
    is_tried: bool,
}

impl Default for ThreadSpread {
    fn default() -> Self {
        Self { threads: 1, has_busy_thread: false, is_tried: false }
    }
}

impl ThreadSpread {
    /// Notes how many threads there are, and whether one of them has no time left; returns whether their number is another one.
    pub(super) fn set(&mut self, threads: usize, has_busy_thread: bool) -> bool {
        self.has_busy_thread = has_busy_thread;
        if threads == self.threads {
            return false;
        }
        (self.threads, self.is_tried) = (threads, false);
        true
    }

    /// Returns how many connections busy threads need, at most `max`.
    pub(super) fn connections(&self, max: usize) -> usize {
        if self.threads > 1 { (self.threads + self.threads.div_ceil(2)).min(max) } else { 1 }
    }

    /// Returns how many connections to try, once, where there are `connections` and a thread is busy.
    pub(super) fn take_untried(&mut self, connections: usize, max: usize) -> Option<usize> {
        let wanted = self.connections(max);
        if !self.has_busy_thread || self.is_tried || connections >= wanted {
            return None;
        }
        self.is_tried = true;
        Some(wanted)
    }
}
