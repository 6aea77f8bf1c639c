//! The rows of the table: one for each kind of fault, as in the README, with its cases.
//!
//! They are in the order in which a request meets them: the connection, the head of a response, its body, what the
//! service says, and what happens to the object in the meantime.

mod answers;
mod connections;
mod service;

use super::case::{At, Case, Fault, Phase, Place, across};
use crate::support::fault_server::Reply;

/// One kind of fault, which ends in the same wherever it strikes.
pub(super) struct Row {
    /// Completes the sentence "what if ...", in words of users.
    pub(super) fault: &'static str,
    pub(super) cases: Vec<Case>,
}

/// An answer, and what a failing test calls it.
type Named = (&'static str, Reply);

impl Row {
    fn new(fault: &'static str, cases: impl IntoIterator<Item = Vec<Case>>) -> Self {
        Self { fault, cases: cases.into_iter().flatten().collect() }
    }
}

/// All rows.
pub(super) fn rows() -> Vec<Row> {
    [connections::rows(), answers::rows(), service::rows()].into_iter().flatten().collect()
}

/// The cases of `answers` to the requests for the ranges at `places`.
fn each(answers: &[Named], places: &[Place], case: impl Fn(At, &'static str, Reply) -> Case) -> Vec<Case> {
    let of = |(name, reply): &Named| across(&[Phase::Head], places, |at| case(at, name, reply.clone()));
    answers.iter().flat_map(of).collect()
}

/// The range asked for is answered so once, and the next try is right.
fn once(at: At, name: &'static str, reply: Reply) -> Case {
    at.once(name, Fault::Answered(reply))
}

/// The range asked for is answered so every time.
fn always(at: At, name: &'static str, reply: Reply) -> Case {
    at.always(name, Fault::Answered(reply))
}
