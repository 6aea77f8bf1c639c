//! The concurrency limit: a controller and a busy server move it while ranges take permits and give them back.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;

use futures_util::FutureExt as _;
use shuttle::{future, thread};

use crate::limit::ConcurrencyLimit;

const RANGES: usize = 3;
/// The most that the controller below ever allows, a successor included.
const ALLOWED_MOST: usize = 4;

/// Returns how many permits can be had now.
fn free(limit: &Arc<ConcurrencyLimit>) -> usize {
    let mut held = Vec::new();
    while let Some(Some(permit)) = limit.acquire().now_or_never() {
        held.push(permit);
    }
    held.len()
}

/// However it is moved, all ranges get their permits, and in the end there are as many as are allowed: none is lost, and
/// none is there twice.
pub fn no_permit_is_lost_while_the_limit_moves() {
    let limit = ConcurrencyLimit::new(1);
    let in_use = Arc::new(AtomicUsize::new(0));
    let ranges: Vec<_> = (0..RANGES)
        .map(|_| {
            let (limit, in_use) = (Arc::clone(&limit), Arc::clone(&in_use));
            thread::spawn(move || {
                for _ in 0..2 {
                    let permit = future::block_on(limit.acquire()).expect("the limit is open");
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
    limit.set_successor(true);
    limit.set_target(1);
    limit.set_successor(false);
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

/// Closing the limit ends every wait.
pub fn closing_wakes_all_that_wait() {
    let limit = ConcurrencyLimit::new(1);
    let held = limit.acquire().now_or_never().flatten();
    assert!(held.is_some());
    let waiting: Vec<_> = (0..RANGES)
        .map(|_| {
            let limit = Arc::clone(&limit);
            thread::spawn(move || drop(future::block_on(limit.acquire())))
        })
        .collect();
    limit.close();
    for thread in waiting {
        thread.join().expect("a thread that does not panic");
    }
    drop(held);
    assert!(future::block_on(limit.acquire()).is_none());
}

/// A retreat reaches the ordered stream, which may be about to wait.
pub fn the_ordered_stream_sees_a_retreat() {
    let limit = ConcurrencyLimit::new(1);
    let stream = {
        let limit = Arc::clone(&limit);
        thread::spawn(move || {
            future::block_on(poll_fn(|cx| {
                limit.register_consumer(cx.waker());
                match limit.take_retreat() {
                    Some(1) => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            }));
        })
    };
    limit.retreat_to(2);
    limit.retreat_to(1);
    stream.join().expect("a thread that does not panic");
    assert_eq!(limit.take_retreat(), None);
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
