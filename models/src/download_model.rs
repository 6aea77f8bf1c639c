//! A whole download: the ordered stream as it is, over tasks of ranges that run at the same time, within the limit and the
//! window, while a controller and a busy server move the limit.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use shuttle::sync::atomic::AtomicBool;
use shuttle::{future, thread};

use crate::counters::Counters;
use crate::error::ErrorKind;
use crate::limit::ConcurrencyLimit;
use crate::ordered::OrderedRanges;
use crate::plan::Plan;
use crate::range::ByteRange;
use crate::range_task::context::{DownloadContext, Limits};
use crate::window::{MemoryWindow, OutputPosition};

const OBJECT: &[u8] = b"abcdefghijkl";
const CHUNK: u64 = 4;
/// Less than two ranges.
const WINDOW: u64 = 7;

fn context(connections: usize) -> DownloadContext {
    DownloadContext {
        object: Bytes::from_static(OBJECT),
        fails_at: None,
        may_retreat: false,
        permits: ConcurrencyLimit::new(connections),
        window: MemoryWindow::new(WINDOW),
        counters: Counters::default(),
        limits: Limits { chunk: CHUNK, adaptive: true },
        has_failed: AtomicBool::new(false),
        is_plain: AtomicBool::new(false),
    }
}

fn ranges(context: &Arc<DownloadContext>) -> OrderedRanges {
    let mut ranges = OrderedRanges::new(context);
    ranges.follow(Plan::new(ByteRange::new(0, OBJECT.len() as u64), CHUNK, None));
    ranges
}

/// Reads at most `most` frames; returns the bytes, and the kind of the error that ended them.
fn read(context: &DownloadContext, ranges: &mut OrderedRanges, most: usize) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    for _ in 0..most {
        match future::block_on(poll_fn(|cx| ranges.poll_frame(cx))) {
            Some(Ok(frame)) => {
                let held = context.counters.held();
                // Bytes that a cancelled task counts in its last moment are in no figure of bytes thrown away.
                assert!(held <= WINDOW || context.may_retreat, "{held} bytes are held");
                bytes.extend_from_slice(&frame);
                context.counters.add_yielded(frame.len());
            }
            Some(Err(error)) => return (bytes, Some(error.kind())),
            None => break,
        }
    }
    (bytes, None)
}

/// Asserts that all memory is free again, and all permits, once every task has ended.
fn assert_all_came_back(context: &DownloadContext) {
    let free = || {
        let all = context.window.reserve(OutputPosition::default(), usize::MAX).now_or_never();
        all.map_or(0, |all| all.bytes() as u64)
    };
    let came_back = || (context.permits.in_use(), free()) == (0, WINDOW);
    // Tasks that were ended have to run once more.
    (0..1000).take_while(|_| !came_back()).for_each(|_| thread::yield_now());
    assert!(came_back(), "a permit or memory is lost");
}

/// All bytes, in order, each once, never more of them held than the window has, while the number of connections changes.
pub fn every_byte_is_delivered_in_order_within_the_window() {
    let context = Arc::new(context(2));
    let controller = {
        let context = Arc::clone(&context);
        thread::spawn(move || {
            context.permits.set_target(3);
            context.permits.halve();
            context.permits.grow();
            context.permits.set_target(1);
        })
    };
    let mut ranges = ranges(&context);
    assert_eq!(read(&context, &mut ranges, usize::MAX), (OBJECT.to_vec(), None));
    controller.join().expect("a thread that does not panic");
    drop(ranges);
    assert_all_came_back(&context);
    let counters = &context.counters;
    assert_eq!((counters.fetched(), counters.yielded(), counters.held()), (12, 12, 0));
}

/// Retreats cancel ranges in the middle of what they do: their bytes come again, in their place.
pub fn ranges_that_are_cancelled_are_planned_again() {
    let context = Arc::new(DownloadContext { may_retreat: true, ..context(3) });
    context.permits.orders.set_steered();
    let controller = {
        let context = Arc::clone(&context);
        thread::spawn(move || {
            context.permits.set_target(1);
            context.permits.order_retreat(1);
            context.permits.set_target(2);
            context.permits.order_retreat(2);
        })
    };
    let mut ranges = ranges(&context);
    assert_eq!(read(&context, &mut ranges, usize::MAX), (OBJECT.to_vec(), None));
    controller.join().expect("a thread that does not panic");
    drop(ranges);
    assert_all_came_back(&context);
}

/// A range that fails for good: what comes before it is delivered, then its error, and nothing is waited for that will not
/// come.
pub fn a_range_that_fails_ends_the_download_after_the_bytes_before_it() {
    let context = Arc::new(DownloadContext { fails_at: Some(6), ..context(2) });
    let mut ranges = ranges(&context);
    assert_eq!(read(&context, &mut ranges, usize::MAX), (OBJECT[..6].to_vec(), Some(ErrorKind::Network)));
    drop(ranges);
    assert_all_came_back(&context);
}

/// Whoever leaves in the middle leaves no task, no permit and no memory.
pub fn a_download_that_is_dropped_leaves_nothing() {
    let context = Arc::new(context(2));
    let mut ranges = ranges(&context);
    let (bytes, _) = read(&context, &mut ranges, 1);
    assert!(OBJECT.starts_with(&bytes));
    drop(ranges);
    assert_all_came_back(&context);
}
