//! The concurrency limit: a controller and a busy server move it while ranges take permits and give them back.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;

use futures_util::FutureExt as _;
use shuttle::{future, thread};

use crate::limit::ConcurrencyLimit;
use crate::window::OutputPosition;

const RANGES: u64 = 3;
/// The most that the controller below ever allows.
const ALLOWED_MOST: usize = 3;

fn at(offset: u64) -> OutputPosition {
    OutputPosition { object: 0, offset }
}

/// Returns how many permits can be had now.
fn free(limit: &Arc<ConcurrencyLimit>) -> usize {
    let held: Vec<_> = std::iter::from_fn(|| limit.try_acquire(0)).collect();
    held.len()
}

/// However it is moved, all ranges get their permits, and in the end there are as many as are allowed: none is lost, and
/// none is there twice.
pub fn no_permit_is_lost_while_the_limit_moves() {
    let limit = ConcurrencyLimit::new(1);
    let in_use = Arc::new(AtomicUsize::new(0));
    let ranges: Vec<_> = (0..RANGES)
        .map(|range| {
            let (limit, in_use) = (Arc::clone(&limit), Arc::clone(&in_use));
            thread::spawn(move || {
                for _ in 0..2 {
                    let permit = future::block_on(limit.acquire(at(range)));
                    assert!(
                        in_use.fetch_add(1, SeqCst) < ALLOWED_MOST,
                        "more permits than were ever allowed"
                    );
                    thread::yield_now();
                    in_use.fetch_sub(1, SeqCst);
                    drop(permit);
                }
            })
        })
        .collect();
    let server = {
        let limit = Arc::clone(&limit);
        thread::spawn(move || {
            limit.halve();
            limit.grow();
        })
    };
    limit.set_target(3);
    limit.set_target(1);
    limit.set_target(2);
    for thread in ranges.into_iter().chain([server]) {
        thread.join().expect("a thread that does not panic");
    }
    while limit.is_halved() {
        limit.grow();
    }
    assert_eq!((limit.target(), limit.in_use()), (2, 0));
    assert_eq!(free(&limit), 2);
    assert!(limit.most() <= ALLOWED_MOST);
}

/// A range that stops waiting, for it has become the front one or was cancelled, leaves its turn to the next.
pub fn a_range_that_stops_waiting_leaves_its_turn_to_the_next() {
    let limit = ConcurrencyLimit::new(1);
    let held = limit.try_acquire(0);
    let stops = {
        let limit = Arc::clone(&limit);
        thread::spawn(move || {
            let mut wait = Box::pin(limit.acquire(at(1)));
            let _ = (&mut wait).now_or_never();
            thread::yield_now();
            drop(wait);
        })
    };
    let waits = {
        let limit = Arc::clone(&limit);
        thread::spawn(move || drop(future::block_on(limit.acquire(at(2)))))
    };
    drop(held);
    stops.join().expect("a thread that does not panic");
    waits.join().expect("a thread that does not panic");
    assert_eq!((limit.in_use(), free(&limit)), (0, 1));
}

/// A permit that comes back reaches the ordered stream, which may be about to wait; it takes it for the ranges of one object
/// after those of another, as it takes what a range that gave up waiting leaves.
pub fn the_ordered_stream_gets_permits_that_come_back() {
    let limit = ConcurrencyLimit::new(2);
    let held = [limit.try_acquire(0), limit.try_acquire(0)];
    let stream = {
        let limit = Arc::clone(&limit);
        thread::spawn(move || {
            let mut taken = Vec::new();
            future::block_on(poll_fn(|cx| {
                limit.register_consumer(cx.waker());
                taken.extend(std::iter::from_fn(|| limit.try_acquire(0)));
                if taken.len() == 2 { Poll::Ready(()) } else { Poll::Pending }
            }));
        })
    };
    let again = {
        let limit = Arc::clone(&limit);
        thread::spawn(move || drop(future::block_on(limit.acquire(at(1)))))
    };
    for permit in held {
        thread::spawn(move || drop(permit));
    }
    stream.join().expect("a thread that does not panic");
    again.join().expect("a thread that does not panic");
    assert!(limit.in_use() == 0 && limit.most() == 2);
}

/// A retreat reaches the ordered stream, which may be about to wait.
pub fn the_ordered_stream_sees_a_retreat() {
    let limit = ConcurrencyLimit::new(1);
    let stream = {
        let limit = Arc::clone(&limit);
        thread::spawn(move || {
            future::block_on(poll_fn(|cx| {
                limit.register_consumer(cx.waker());
                match limit.orders.take_retreat() {
                    Some(1) => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            }));
        })
    };
    limit.order_retreat(2);
    limit.order_retreat(1);
    stream.join().expect("a thread that does not panic");
    assert_eq!(limit.orders.take_retreat(), None);
}

/// A number that is raised reaches the ordered stream, which may be about to wait.
pub fn the_ordered_stream_sees_a_new_number() {
    let limit = ConcurrencyLimit::new(1);
    let stream = {
        let limit = Arc::clone(&limit);
        thread::spawn(move || {
            future::block_on(poll_fn(|cx| {
                limit.register_consumer(cx.waker());
                if limit.target() == 2 { Poll::Ready(()) } else { Poll::Pending }
            }));
        })
    };
    limit.set_target(2);
    stream.join().expect("a thread that does not panic");
}
