//! The queue between the task of a range and the ordered stream, on different threads.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures_util::FutureExt as _;
use shuttle::{future, thread};

use crate::frame::Frame;
use crate::frame_queue::{FrameReceiver, FrameSender, frame_queue};
use crate::slab::Slabs;
use crate::window::{MemoryWindow, OutputPosition};

const BYTES: &[u8] = b"abcdef";
/// Large enough that no reservation waits.
const WINDOW: u64 = 100;

fn put(sender: &FrameSender, window: &MemoryWindow, at: usize) {
    let room = window.reserve(OutputPosition::default(), 1).now_or_never().expect("memory");
    let piece = &BYTES[at..=at];
    if at.is_multiple_of(3) {
        sender.push(Frame::new(Bytes::from_static(piece), room));
    } else {
        sender.pack(piece, (BYTES.len() - at) as u64, room);
    }
    sender.set_received(at as u64 + 1);
}

/// Reads to the end; returns the bytes, and whether the end was a good one.
fn read(receiver: &mut FrameReceiver) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    loop {
        match future::block_on(poll_fn(|cx| receiver.poll_frame(cx))) {
            Some(Ok(frame)) => bytes.extend_from_slice(&frame),
            Some(Err(_)) => return (bytes, false),
            None => return (bytes, true),
        }
    }
}

fn free(window: &MemoryWindow) -> u64 {
    window.reserve(OutputPosition::default(), usize::MAX).now_or_never().map_or(0, |all| all.bytes() as u64)
}

/// All bytes arrive in order and then the end, while the range becomes the front one and waits for the reader.
pub fn bytes_come_in_order_and_neither_side_sleeps_on() {
    let window = MemoryWindow::new(WINDOW);
    let (sender, mut receiver) = frame_queue(Arc::<Slabs>::default());
    let control = receiver.control();
    let task = {
        let window = window.clone();
        thread::spawn(move || {
            for at in 0..BYTES.len() {
                future::block_on(sender.wait_for_consumer());
                put(&sender, &window, at);
            }
            sender.finish(Ok(()));
        })
    };
    let front = thread::spawn(move || {
        control.set_front();
        control.received()
    });
    assert_eq!(read(&mut receiver), (BYTES.to_vec(), true));
    task.join().expect("a thread that does not panic");
    assert!(front.join().expect("a thread that does not panic") <= BYTES.len() as u64);
    assert_eq!(free(&window), WINDOW);
}

/// A task that ends without a word is an error after its bytes, at whatever moment the reader looks.
pub fn a_task_that_dies_is_an_error_after_its_bytes() {
    let window = MemoryWindow::new(WINDOW);
    let (sender, mut receiver) = frame_queue(Arc::<Slabs>::default());
    let task = {
        let window = window.clone();
        thread::spawn(move || {
            put(&sender, &window, 0);
            put(&sender, &window, 1);
        })
    };
    assert_eq!(read(&mut receiver), (BYTES[..2].to_vec(), false));
    task.join().expect("a thread that does not panic");
}

/// A task that waits until its range is the front one is woken.
pub fn becoming_the_front_range_wakes_the_task() {
    let (sender, receiver) = frame_queue(Arc::<Slabs>::default());
    let control = receiver.control();
    let task = thread::spawn(move || {
        future::block_on(poll_fn(
            |cx| if sender.poll_is_front(cx) { Poll::Ready(()) } else { Poll::Pending },
        ));
    });
    assert!(control.set_front());
    assert!(!control.set_front());
    task.join().expect("a thread that does not panic");
    drop(receiver);
}

/// A range that is cancelled keeps no memory, although the receiving end lives on and the task may be in the middle of
/// putting bytes in.
pub fn a_cancelled_range_keeps_no_memory() {
    let window = MemoryWindow::new(WINDOW);
    let (sender, receiver) = frame_queue(Arc::<Slabs>::default());
    let control = receiver.control();
    let task = {
        let window = window.clone();
        thread::spawn(move || (0..4).for_each(|at| put(&sender, &window, at)))
    };
    control.cancel();
    assert!(receiver.is_cancelled());
    task.join().expect("a thread that does not panic");
    assert_eq!(free(&window), WINDOW, "bytes that nobody will read are held");
}
