//! The names of the objects of a run, read one by one as they become known.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::Stream;

use crate::download::options::Options;
use crate::error::Result;
use crate::s3::address::source::Source;

/// An object to download, with a `note` that comes back when its turn has come.
pub(crate) struct ObjectRequest<T> {
    pub(crate) source: Source,
    /// Its own options, if they are not those of the run.
    pub(crate) options: Option<Options>,
    /// Bytes before the requested range that an earlier run has written.
    pub(crate) already_written: u64,
    pub(crate) note: T,
}

/// The objects of a run, as they become known. After an error it is not polled.
pub(crate) type ObjectRequests<T> = Pin<Box<dyn Stream<Item = Result<ObjectRequest<T>>> + Send>>;

/// The objects of a run that are not requested yet, in order.
pub(super) struct RequestQueue<T> {
    requests: ObjectRequests<T>,
    /// Those that are known. One is read early, so that the end of the stream is known; there are more where objects were
    /// cancelled.
    next: VecDeque<Result<ObjectRequest<T>>>,
    has_ended: bool,
    /// Set if the stream ended with an error.
    has_broken: bool,
}

impl<T> RequestQueue<T> {
    pub(super) fn new(requests: ObjectRequests<T>) -> Self {
        Self { requests, next: VecDeque::new(), has_ended: false, has_broken: false }
    }

    /// Reads the next name, if it is not known.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) {
        if self.next.is_empty()
            && !self.has_ended
            && let Poll::Ready(next) = self.requests.as_mut().poll_next(cx)
        {
            self.has_broken = matches!(next, Some(Err(_)));
            self.has_ended = self.has_broken || next.is_none();
            self.next.extend(next);
        }
    }

    /// Returns whether the next object is known.
    pub(super) fn has_object(&self) -> bool {
        matches!(self.next.front(), Some(Ok(_)))
    }

    /// Takes the next object, if it is known.
    pub(super) fn pop_object(&mut self) -> Option<ObjectRequest<T>> {
        self.next.pop_front_if(|next| next.is_ok())?.ok()
    }

    /// Takes what comes next, if it is known: an object, or the error that the stream ended with.
    pub(super) fn pop(&mut self) -> Option<Result<ObjectRequest<T>>> {
        self.next.pop_front()
    }

    /// Returns the object to its place before the others.
    pub(super) fn push_front(&mut self, request: ObjectRequest<T>) {
        self.next.push_front(Ok(request));
    }

    /// Returns whether the next object or the end of the stream has yet to become known.
    pub(super) fn is_waiting(&self) -> bool {
        self.next.is_empty() && !self.has_ended
    }

    /// Returns whether no object is left; `false` until that is known.
    pub(super) fn is_done(&self) -> bool {
        self.next.is_empty() && self.has_ended && !self.has_broken
    }

    /// Returns how many objects are left; `None` until that is known.
    pub(super) fn len(&self) -> Option<usize> {
        let unread = match self.requests.size_hint() {
            _ if self.has_ended => 0,
            (least, most) => most.filter(|most| *most == least)?,
        };
        Some(self.next.len() + unread)
    }
}
