//! Scripts that many tests need: one reply instead of the right one, once or always.

use super::{Reply, Request};
use crate::support::object::CHUNK;

/// Sends `reply` to the first attempt at chunk `number`, and the right reply otherwise.
pub(crate) fn once(number: u64, reply: Reply) -> impl Fn(&Request) -> Reply + Send + Sync {
    move |request| {
        if request.chunk(CHUNK) == Some(number) && request.attempt == 0 { reply.clone() } else { Reply::ok() }
    }
}

/// Sends `reply` to every attempt at chunk `number`, and the right reply otherwise.
pub(crate) fn always(number: u64, reply: Reply) -> impl Fn(&Request) -> Reply + Send + Sync {
    move |request| if request.chunk(CHUNK) == Some(number) { reply.clone() } else { Reply::ok() }
}

/// Cuts the first attempt at chunk `number` after `reached` bytes, sends `reply` to the second one, and the right
/// reply otherwise.
pub(crate) fn cut_then(number: u64, reached: u64, reply: Reply) -> impl Fn(&Request) -> Reply + Send + Sync {
    move |request| match (request.chunk(CHUNK) == Some(number), request.attempt) {
        (true, 0) => Reply::ok().cut_after(reached),
        (true, 1) => reply.clone(),
        _ => Reply::ok(),
    }
}
