//! The threads that fetch ranges: ranges begin and end while the one that observes changes how many threads get them.

use std::io;
use std::sync::Arc;

use shuttle::sync::mpsc;
use shuttle::thread;

use crate::load_balance::LoadBalance;

const RANGES: usize = 3;
const THREADS_MOST: usize = 3;

/// Returns the number of a further thread: so many are there before it.
fn further(started: &mut usize) -> io::Result<usize> {
    *started += 1;
    if *started < THREADS_MOST { Ok(*started) } else { Err(io::ErrorKind::WouldBlock.into()) }
}

/// Every range goes to a thread that was started, as many ranges are counted as are under way, and in the end there are none:
/// otherwise a thread would get fewer ranges for ever.
pub fn every_range_is_counted_once_while_threads_come_and_go() {
    let balance = Arc::new(LoadBalance::new(0));
    let (begun, ranges) = mpsc::channel();
    let starts = {
        let balance = Arc::clone(&balance);
        thread::spawn(move || {
            for _ in 0..RANGES {
                let (thread, guard) = balance.assign(|thread| *thread).expect("a thread");
                assert!(thread < balance.most(), "a thread that never got ranges");
                begun.send(guard).expect("a receiver");
            }
        })
    };
    // As the ranges end on the threads that fetch them.
    let ends = thread::spawn(move || ranges.into_iter().for_each(drop));
    let mut started = 0;
    for count in [2, THREADS_MOST + 1, 1] {
        let (_, now, _) = balance.set_count(count, || further(&mut started));
        assert_eq!(now, count.min(THREADS_MOST));
        let loads = balance.rebalance(|thread| if *thread == 1 { 1.0 } else { 0.3 });
        assert!(loads.ranges <= RANGES && loads.busy_shares.len() == now);
    }
    starts.join().expect("a thread that does not panic");
    ends.join().expect("a thread that does not panic");
    assert_eq!((balance.rebalance(|_| 0.0).ranges, balance.count(), balance.most()), (0, 1, THREADS_MOST));
}
