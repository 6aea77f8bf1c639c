//! The memory window: ranges on several threads ask for memory, get it by order in the output, give it back in parts, or
//! give up, while the front range moves on and the window grows.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use futures_util::task::noop_waker;
use shuttle::{future, thread};

use crate::window::{MemoryWindow, OutputPosition, Reservation};

/// The size of the window at first, and what it grows by, in bytes.
const BYTES: u64 = 8;
const MORE: u64 = 4;

fn at(offset: u64) -> OutputPosition {
    OutputPosition { object: 0, offset }
}

/// Memory that is held, as the ranges see it.
#[derive(Clone, Default)]
struct Held(Arc<AtomicUsize>);

impl Held {
    fn add(&self, reservation: &Reservation) {
        assert!(reservation.bytes() > 0, "a reservation of nothing");
        let held = self.0.fetch_add(reservation.bytes(), SeqCst) + reservation.bytes();
        assert!(held as u64 <= BYTES + MORE, "{held} bytes are held");
    }

    fn give_back(&self, reservation: Reservation) {
        self.0.fetch_sub(reservation.bytes(), SeqCst);
        drop(reservation);
    }
}

/// Returns how much is free.
fn free(window: &MemoryWindow) -> usize {
    window.set_front(at(0));
    let all = future::block_on(window.reserve(at(0), usize::MAX));
    all.bytes()
}

/// Every range gets memory in the end, never more than there is, and all of it comes back.
pub fn all_ranges_get_memory_and_never_more_than_there_is() {
    let window = MemoryWindow::new(BYTES);
    let held = Held::default();
    let ranges: Vec<_> = [0, 10, 20, 30]
        .map(|start| {
            let (window, held) = (window.clone(), held.clone());
            thread::spawn(move || {
                for bytes in [5, 3] {
                    let mut reservation = future::block_on(window.reserve(at(start), bytes));
                    held.add(&reservation);
                    let part = reservation.split(2);
                    held.give_back(part);
                    if reservation.bytes() > 0 {
                        held.give_back(reservation);
                    }
                }
            })
        })
        .into();
    window.set_front(at(10));
    window.widen_to(BYTES + MORE);
    window.set_front(at(30));
    for thread in ranges {
        thread.join().expect("a thread that does not panic");
    }
    assert!(!window.is_full());
    assert_eq!(free(&window) as u64, BYTES + MORE);
}

/// A range that gives up waiting, before or after its turn has come, holds up nobody.
pub fn a_range_that_gives_up_holds_up_nobody() {
    let window = MemoryWindow::new(BYTES);
    let first = future::block_on(window.reserve(at(0), 6));
    let gives_up = {
        let window = window.clone();
        thread::spawn(move || {
            let mut wait = pin!(window.reserve(at(10), 5));
            let waker = noop_waker();
            let now = wait.as_mut().poll(&mut Context::from_waker(&waker));
            thread::yield_now();
            matches!(now, Poll::Ready(_))
        })
    };
    let waits = {
        let window = window.clone();
        thread::spawn(move || future::block_on(window.reserve(at(20), 4)).bytes())
    };
    thread::yield_now();
    drop(first);
    assert_eq!(waits.join().expect("a thread that does not panic"), 4);
    gives_up.join().expect("a thread that does not panic");
    assert!(!window.is_full());
    assert_eq!(free(&window) as u64, BYTES);
}

/// Memory that suffices for two wakes both, although one is woken and has to wake the other.
pub fn memory_for_two_wakes_both() {
    let window = MemoryWindow::new(BYTES);
    let first = future::block_on(window.reserve(at(0), 7));
    let waiting = [10, 20].map(|start| {
        let window = window.clone();
        thread::spawn(move || future::block_on(window.reserve(at(start), 3)))
    });
    thread::yield_now();
    drop(first);
    // Each keeps what it got until both have it.
    let held = waiting.map(|thread| thread.join().expect("a thread that does not panic"));
    assert_eq!(held.map(|reservation| reservation.bytes()), [3, 3]);
    assert_eq!(free(&window) as u64, BYTES);
}

/// The front range gets memory although all others together want more than there is and keep what they have until they
/// have been the front range themselves.
pub fn the_front_range_always_gets_memory() {
    let window = MemoryWindow::new(BYTES);
    let ranges = [10, 20, 30].map(|start| {
        let window = window.clone();
        thread::spawn(move || future::block_on(window.reserve(at(start), 4)))
    });
    for (thread, start) in ranges.into_iter().zip([10, 20, 30]) {
        window.set_front(at(start));
        // Its bytes are delivered: only now is its memory free.
        let reservation = thread.join().expect("a thread that does not panic");
        assert!((1..=4).contains(&reservation.bytes()));
        drop(reservation);
        let more = future::block_on(window.reserve(at(start), 1));
        assert_eq!(more.bytes(), 1);
    }
    assert_eq!(free(&window) as u64, BYTES);
}
