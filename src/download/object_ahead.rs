//! An object that was requested before its turn.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_util::task::AbortOnDropHandle;

use crate::download::object_requests::ObjectRequest;
use crate::download::ordered::Undelivered;
use crate::download::stream::Download;
use crate::error::{Error, Result};

pub(super) struct ObjectAhead<T> {
    pub(super) request: ObjectRequest<T>,
    pub(super) start: ObjectStart,
}

pub(super) enum ObjectStart {
    /// Its first response has not come.
    Pending(AbortOnDropHandle<Result<Download>>),
    Responded(Box<Download>),
    Failed(Option<Error>),
}

impl<T> ObjectAhead<T> {
    /// Notes its first response, if that has come.
    pub(super) fn poll_start(&mut self, cx: &mut Context<'_>) {
        if let ObjectStart::Pending(task) = &mut self.start
            && let Poll::Ready(started) = Pin::new(task).poll(cx)
        {
            self.start = match started.unwrap_or_else(|_| Err(Error::ended_early().on(&self.request.source)))
            {
                Ok(download) => ObjectStart::Responded(Box::new(download)),
                Err(error) => ObjectStart::Failed(Some(error)),
            };
        }
    }

    /// Returns how many of its ranges are requested and not received.
    pub(super) fn fetching(&self) -> usize {
        match &self.start {
            ObjectStart::Pending(_) => 1,
            ObjectStart::Responded(download) => download.fetching(),
            ObjectStart::Failed(_) => 0,
        }
    }
}

/// Returns what is undelivered of an object of perhaps so many bytes that has not responded.
pub(super) fn unknown(bytes: u64) -> Undelivered {
    Undelivered { ranges: 1, bytes, outstanding: bytes, front: bytes }
}
