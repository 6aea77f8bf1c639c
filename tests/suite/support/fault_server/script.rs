//! Scripts that many tests need: one reply instead of the right one, once or always.

use super::{Reply, Request};
use crate::support::object::CHUNK;

/// Gives `reply` to the first attempt at chunk `number` and is right otherwise.
pub(crate) fn once(number: u64, reply: Reply) -> impl Fn(&Request) -> Reply + Send + Sync {
    move |request| {
        if request.chunk(CHUNK) == Some(number) && request.attempt == 0 { reply.clone() } else { Reply::ok() }
    }
}

/// Gives `reply` to every attempt at chunk `number` and is right otherwise.
pub(crate) fn always(number: u64, reply: Reply) -> impl Fn(&Request) -> Reply + Send + Sync {
    move |request| if request.chunk(CHUNK) == Some(number) { reply.clone() } else { Reply::ok() }
}

/// Cuts the first attempt at chunk `number` behind `reached` bytes, gives `reply` to the second one and
/// is right otherwise.
pub(crate) fn cut_then(number: u64, reached: u64, reply: Reply) -> impl Fn(&Request) -> Reply + Send + Sync {
    move |request| match (request.chunk(CHUNK) == Some(number), request.attempt) {
        (true, 0) => Reply::ok().cut_after(reached),
        (true, 1) => reply.clone(),
        _ => Reply::ok(),
    }
}
