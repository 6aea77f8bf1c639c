//! The threads that fetch ranges: the one that the download runs in, and further ones.
//!
//! Each further thread has a runtime of its own, which waits for its own sockets. A connection is read by the thread that
//! opened it, and threads share nothing but what the ranges of a download share. A range goes to the thread that has the
//! fewest of them, weighed by how busy each one is. docs/design/threads-and-memory.md has the measurements.

pub(crate) mod fetch_thread;
mod load_balance;

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{info, trace};

use crate::download::address_space;
use crate::download::concurrency::thread_controller::{BUSY_SHARE, ThreadController, ThreadSample};
use crate::download::threads::fetch_thread::FetchThread;
use crate::download::threads::load_balance::LoadBalance;
use crate::events::LEVEL;

/// How often the threads are observed.
const SAMPLE: Duration = Duration::from_millis(25);

/// How many threads fetch the ranges of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ThreadCount {
    /// Those of the runtime that the download was started in.
    #[default]
    Runtime,
    /// One, or as many as pay, up to the processors that this process may use.
    Adaptive,
    /// So many.
    Exactly(NonZeroUsize),
}

/// Threads that fetch ranges.
pub(crate) struct FetchThreads {
    balance: Arc<LoadBalance<FetchThread>>,
    /// Bytes received by all of them.
    received: AtomicU64,
    /// Set while one of them has no time left.
    is_busy: AtomicBool,
    /// Processor time of the process until the last sample, in nanoseconds.
    processor_time: AtomicU64,
}

impl FetchThreads {
    /// Starts what `count` says; the calling thread's runtime is the first one. `None` if only that one is used.
    pub(crate) fn start(count: ThreadCount) -> Option<Arc<Self>> {
        let exactly = match count {
            ThreadCount::Runtime | ThreadCount::Exactly(NonZeroUsize::MIN) => return None,
            ThreadCount::Exactly(count) => Some(count.get()),
            ThreadCount::Adaptive => None,
        };
        let threads = Arc::new(Self {
            balance: Arc::new(LoadBalance::new(FetchThread::of(Handle::current()))),
            received: AtomicU64::new(0),
            is_busy: AtomicBool::new(false),
            processor_time: AtomicU64::new(0),
        });
        if let Some(count) = exactly {
            threads.set(count);
        }
        tokio::spawn(observe(Arc::downgrade(&threads), exactly.is_none()));
        Some(threads)
    }

    /// Returns how many threads get ranges.
    pub(crate) fn count(&self) -> usize {
        self.balance.count()
    }

    /// Returns how many threads got ranges at the most.
    pub(crate) fn most(&self) -> usize {
        self.balance.most()
    }

    /// Returns whether a thread has no time left.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Relaxed)
    }

    /// Counts bytes received.
    pub(crate) fn add_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Runs the fetch of a range on the thread that has the most time.
    pub(crate) fn spawn<F>(&self, fetch: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        match self.balance.assign(FetchThread::handle) {
            Some((handle, guard)) => handle.spawn(async move {
                let _guard = guard;
                fetch.await;
            }),
            None => tokio::spawn(fetch),
        }
    }

    /// Sets how many threads get ranges; returns how many do, fewer where no further one can be made.
    fn set(&self, count: usize) -> usize {
        let (before, count, failed) = self.balance.set_count(count, FetchThread::start);
        if let Some(error) = failed {
            info!(target: LEVEL, threads = count, reason = %error, "no further thread can be made");
        }
        if count != before {
            info!(target: LEVEL, threads = count, before, "threads changed");
        }
        count
    }

    /// Measures how busy the threads were since the last sample, `elapsed` ago, and moves ranges to those that have time.
    fn sample(&self, at: Duration, elapsed: Duration) -> ThreadSample {
        let loads = self.balance.rebalance(|thread| thread.busy_share(elapsed));
        let shares = loads.busy_shares;
        let (busiest, busy) = (shares.iter().copied().fold(0.0, f64::max), shares.iter().sum::<f64>());
        self.is_busy.store(busiest >= BUSY_SHARE, Ordering::Relaxed);
        trace!(target: LEVEL, threads = shares.len(), ?shares, "sample of threads");
        let count = u32::try_from(shares.len()).unwrap_or(u32::MAX);
        let busiest = busiest.min(self.used_of_one(elapsed) / f64::from(count));
        let ranges = loads.ranges;
        ThreadSample { at, bytes: self.received.load(Ordering::Relaxed), busiest, busy, ranges }
    }

    /// Returns the processor time that the process took since the last sample, as a part of that of one processor. A
    /// thread that waits for a processor seems busy, and further ones would wait too: so it is where the server runs on
    /// the same machine, or in a container with a quota.
    fn used_of_one(&self, elapsed: Duration) -> f64 {
        let Ok(used) = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID) else { return 1.0 };
        let nanoseconds = u64::try_from(used.num_nanoseconds()).unwrap_or(0);
        let before = self.processor_time.swap(nanoseconds, Ordering::Relaxed);
        Duration::from_nanos(nanoseconds.saturating_sub(before)).as_secs_f64() / elapsed.as_secs_f64()
    }
}

/// Observes the threads for as long as they are used, and changes their number if it is `adaptive`.
async fn observe(threads: Weak<FetchThreads>, adaptive: bool) {
    let began = Instant::now();
    let mut last = began;
    sleep(SAMPLE).await;
    // Within the affinity mask and the quotas of cgroups. A short run does not ask for them: that is a tenth of the system calls
    // of a start.
    let max = if adaptive { std::thread::available_parallelism().map_or(1, NonZeroUsize::get) } else { 1 };
    let max = max.min(address_space::threads_max());
    let mut controller = (max > 1).then(|| ThreadController::new(max));
    if adaptive && controller.is_none() {
        return;
    }
    loop {
        let Some(threads) = threads.upgrade() else { return };
        let now = Instant::now();
        let sample = threads.sample(now - began, now - std::mem::replace(&mut last, now));
        if let Some(controller) = &mut controller {
            let wanted = controller.observe(sample);
            if wanted != threads.count() {
                let count = threads.set(wanted);
                if count < wanted {
                    controller.set_max(count);
                }
            }
        }
        drop(threads);
        sleep(SAMPLE).await;
    }
}
