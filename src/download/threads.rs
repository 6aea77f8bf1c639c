//! The threads that fetch ranges: the one that the download runs in, and further ones.
//!
//! Each further thread has a runtime of its own, which waits for its own sockets. A connection is read by the thread that
//! opened it, and threads share nothing but what the ranges of a download share. A range goes to the thread that has the
//! fewest of them, weighed by how busy each one is. docs/design/threads-and-memory.md has the measurements.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{info, trace};

use crate::download::concurrency::thread_controller::{BUSY_SHARE, ThreadController, ThreadSample};
use crate::events::LEVEL;

/// Number of tasks that a runtime polls before it checks I/O and timers. One poll of a range moves up to 256 KiB: with
/// tokio's default of 61 a busy download would keep the bytes of the front range waiting for milliseconds.
pub(crate) const EVENT_INTERVAL: u32 = 8;

/// How often the threads are observed.
const SAMPLE: Duration = Duration::from_millis(25);
/// How much the weight of a thread changes with each sample: by e to the power of this times the difference of how busy
/// it is and all are on the average. After some 100 ms all are equally busy.
const WEIGHT_GAIN: f64 = 1.0;
/// The gain of the thread that the download runs in, and how busy the others are when its weight stays as it is.
const FIRST_GAIN: f64 = 2.0;
const ENOUGH_TIME: f64 = 0.6;
/// The least weight: a thread that other work keeps busy gets few ranges.
const WEIGHT_MIN: f64 = 0.02;

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
    threads: Mutex<Vec<FetchThread>>,
    /// How many of them get further ranges now, and the most that have.
    used: AtomicUsize,
    most: AtomicUsize,
    /// Bytes received by all of them.
    received: AtomicU64,
    /// Set while one of them has no time left.
    is_busy: AtomicBool,
    /// Processor time of the process until the last sample, in nanoseconds.
    processor_time: AtomicU64,
    /// The thread whose range ended last: its connection is idle.
    freed: AtomicUsize,
}

/// A runtime, and how it is used.
struct FetchThread {
    handle: Handle,
    /// How many ranges it fetches.
    ranges: Arc<AtomicUsize>,
    /// Its part of the ranges, relative to other threads.
    weight: f64,
    /// How long it had worked at the last sample.
    worked: Duration,
    /// Ends the thread when it is dropped; `None` for the one that the download runs in.
    _stop: Option<oneshot::Sender<()>>,
}

impl FetchThreads {
    /// Starts what `count` says; the calling thread's runtime is the first one. `None` if only that one is used.
    pub(crate) fn start(count: ThreadCount) -> Option<Arc<Self>> {
        let (exactly, controller) = match count {
            ThreadCount::Runtime | ThreadCount::Exactly(NonZeroUsize::MIN) => return None,
            ThreadCount::Exactly(count) => (count.get(), None),
            ThreadCount::Adaptive => {
                // Within the affinity mask and the quotas of cgroups.
                let max = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
                if max == 1 {
                    return None;
                }
                (1, Some(ThreadController::new(max)))
            }
        };
        let threads = Arc::new(Self {
            threads: Mutex::new(vec![FetchThread::new(Handle::current(), None)]),
            used: AtomicUsize::new(1),
            most: AtomicUsize::new(1),
            received: AtomicU64::new(0),
            is_busy: AtomicBool::new(false),
            processor_time: AtomicU64::new(0),
            freed: AtomicUsize::new(0),
        });
        threads.set(exactly);
        tokio::spawn(observe(Arc::downgrade(&threads), controller));
        Some(threads)
    }

    /// Returns how many threads get ranges.
    pub(crate) fn count(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Returns how many threads got ranges at the most.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
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
    pub(crate) fn spawn<F>(self: &Arc<Self>, fetch: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let threads = self.threads();
        let freed = self.freed.load(Ordering::Relaxed);
        let share = |index: usize, thread: &FetchThread| {
            let ranges = u32::try_from(thread.ranges.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
            // Among equals the one with an idle connection, else any but the first, which has other work.
            (f64::from(ranges) + 1.0) / thread.weight - if index == freed { 1e-3 } else { 0.0 }
        };
        let least = threads[..self.count().min(threads.len())]
            .iter()
            .enumerate()
            .rev()
            .min_by(|(a, thread_a), (b, thread_b)| share(*a, thread_a).total_cmp(&share(*b, thread_b)));
        let Some((index, thread)) = least else { return tokio::spawn(fetch) };
        thread.ranges.fetch_add(1, Ordering::Relaxed);
        let fetched = RangeGuard { threads: Arc::clone(self), index, ranges: Arc::clone(&thread.ranges) };
        thread.handle.spawn(async move {
            let _fetched = fetched;
            fetch.await;
        })
    }

    /// Sets how many threads get ranges; returns how many do, fewer where no further one can be made.
    fn set(&self, count: usize) -> usize {
        let mut threads = self.threads();
        while threads.len() < count {
            match start_thread() {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    info!(target: LEVEL, threads = threads.len(), reason = %error, "no further thread can be made");
                    break;
                }
            }
        }
        let count = count.min(threads.len());
        let before = self.used.swap(count, Ordering::Relaxed);
        self.most.fetch_max(count, Ordering::Relaxed);
        if count != before {
            info!(target: LEVEL, threads = count, before, "threads changed");
        }
        count
    }

    /// Measures how busy the threads were since the last sample, `elapsed` ago, and moves ranges to those that have time.
    fn sample(&self, at: Duration, elapsed: Duration) -> ThreadSample {
        let mut threads = self.threads();
        let count = self.count().min(threads.len());
        let mut shares = Vec::with_capacity(count);
        for thread in threads.iter_mut() {
            let worked = thread.handle.metrics().worker_total_busy_duration(0);
            let share = worked.saturating_sub(thread.worked).as_secs_f64() / elapsed.as_secs_f64();
            thread.worked = worked;
            shares.push(share.min(1.0));
        }
        let ranges = threads.iter().map(|thread| thread.ranges.load(Ordering::Relaxed)).sum();
        let shares = &shares[..count];
        let (busiest, busy) = (shares.iter().copied().fold(0.0, f64::max), shares.iter().sum::<f64>());
        self.is_busy.store(busiest >= BUSY_SHARE, Ordering::Relaxed);
        let [first, others @ ..] = &mut threads[..count] else { return ThreadSample::default() };
        if !others.is_empty() {
            let average = (busy - shares[0]) / f64::from(u32::try_from(others.len()).unwrap_or(u32::MAX));
            for (thread, share) in others.iter_mut().zip(&shares[1..]) {
                // Where all have time, all get equally many.
                let change = if busiest >= BUSY_SHARE { average - share } else { 1.0 - thread.weight };
                thread.change_weight(WEIGHT_GAIN * change);
            }
            let heaviest = others.iter().map(|thread| thread.weight).fold(WEIGHT_MIN, f64::max);
            for thread in others.iter_mut() {
                thread.weight = (thread.weight / heaviest).min(1.0);
            }
            // The first one also feeds the output, which everything waits for: it helps only where the others have no
            // time left.
            first.change_weight(FIRST_GAIN * (average - ENOUGH_TIME));
        }
        trace!(target: LEVEL, threads = count, ?shares, first = first.weight, "sample of threads");
        let busiest =
            busiest.min(self.used_of_one(elapsed) / f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
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

    fn threads(&self) -> MutexGuard<'_, Vec<FetchThread>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FetchThread {
    fn new(handle: Handle, stop: Option<oneshot::Sender<()>>) -> Self {
        Self { handle, ranges: Arc::default(), weight: 1.0, worked: Duration::ZERO, _stop: stop }
    }

    fn change_weight(&mut self, by: f64) {
        self.weight = (self.weight * by.exp()).clamp(WEIGHT_MIN, 1.0);
    }
}

/// A range that a thread fetches.
struct RangeGuard {
    threads: Arc<FetchThreads>,
    index: usize,
    ranges: Arc<AtomicUsize>,
}

impl Drop for RangeGuard {
    fn drop(&mut self) {
        self.ranges.fetch_sub(1, Ordering::Relaxed);
        self.threads.freed.store(self.index, Ordering::Relaxed);
    }
}

/// Observes the threads for as long as they are used, and changes their number as `controller` says.
async fn observe(threads: Weak<FetchThreads>, mut controller: Option<ThreadController>) {
    let began = Instant::now();
    let mut last = began;
    loop {
        sleep(SAMPLE).await;
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
    }
}

fn start_thread() -> io::Result<FetchThread> {
    let runtime = Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    // Where no thread can be made, its closure is dropped here, and tokio panics where a runtime is dropped inside of another.
    let shared = Arc::new(Mutex::new(Some(runtime)));
    let runtime = Arc::clone(&shared);
    let run = move || {
        let Some(runtime) = take(&runtime) else { return };
        // An error means that the sender was dropped, which ends the thread.
        let _ = runtime.block_on(stopped);
        runtime.shutdown_background();
    };
    if let Err(error) = std::thread::Builder::new().name("fetch".into()).spawn(run) {
        if let Some(runtime) = take(&shared) {
            runtime.shutdown_background();
        }
        return Err(error);
    }
    Ok(FetchThread::new(handle, Some(stop)))
}

fn take(runtime: &Mutex<Option<Runtime>>) -> Option<Runtime> {
    runtime.lock().unwrap_or_else(PoisonError::into_inner).take()
}
