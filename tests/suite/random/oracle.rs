//! The oracle: what the contract allows a download to end in, given the faults that it met.
//!
//! Either the object and no error, or a prefix of it and an error that the faults explain; and no more requests, and
//! no more bytes, than the object and the faults need.

use std::collections::HashMap;
use std::fmt::Write as _;

use bytes::Bytes;
use s3fcp::{Error, Hedge, TransferStats};

use super::download::Log;
use super::fault::Effect;
use super::schedule::Schedule;
use crate::support::fault_server::Request;
use crate::support::run::SECRET_KEY;

/// Faults of HEAD, of which nothing else comes, that may look like a limit on connections.
const BREAKING: [&str; 3] = ["closed", "reset", "silent"];

/// How a download ended.
pub(super) struct Ended {
    pub(super) received: Vec<u8>,
    pub(super) expected: Bytes,
    pub(super) result: Result<(), Error>,
    /// None where it did not begin.
    pub(super) traffic: Option<TransferStats>,
    /// Body bytes that the server sent.
    pub(super) sent: u64,
}

#[track_caller]
pub(super) fn judge(schedule: &Schedule, log: &Log, ended: &Ended) {
    if let Err(complaint) = verdict(schedule, log, ended) {
        let (got, result) = (ended.received.len(), &ended.result);
        panic!("{complaint}\n{schedule:?}\n{got} bytes, {result:?}\n{}", told(log));
    }
}

/// GETs that a busy machine may cost.
const BUSY_GETS: u64 = 2;

fn verdict(schedule: &Schedule, log: &Log, ended: &Ended) -> Result<(), String> {
    let must = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    must(ended.expected.starts_with(&ended.received), "bytes that are not the object's")?;
    let explained = explained(schedule, log);
    match &ended.result {
        _ if schedule.leaves_after.is_some() => {}
        Ok(()) => {
            must(ended.received.len() == ended.expected.len(), "success with a part of the object")?;
            must(!explained.must_fail, "success in spite of a fault that ends a download")?;
        }
        Err(error) => {
            let shown = format!("{error} {error:?}");
            must(!shown.contains(SECRET_KEY), "the secret key is in the error")?;
            must(!shown.contains("Signature="), "a signature is in the error")?;
            must(explained.codes.contains(&error.exit_code()), "an error that no fault explains")?;
        }
    }
    let gets = log.iter().filter(|(request, _)| request.is_get()).count() as u64;
    // A HEAD that fails shows a limit on connections, and may take that of a GET; and on a busy machine a request whose
    // connection is silent for a second is sent on another one.
    let heads = log.iter().filter(|(request, _)| !request.is_get()).count() as u64;
    // The rest of a range whose response was shorter is requested.
    let rests = log.iter().filter(|(_, drawn)| drawn.name == "less").count() as u64;
    let may_cost = explained.more_gets + rests + heads + BUSY_GETS;
    must(gets <= schedule.chunks() + may_cost, "more requests than the faults explain")?;
    let hedges = if schedule.hedge == Hedge::Auto { hedges(gets) + explained.more_gets } else { 0 };
    let second_requests = hedges * schedule.chunk;
    // A server without ranges sends the object again for the byte after it, and for a range that is requested next.
    let again = if schedule.may_look_like_a_part() { 2 * schedule.size } else { 0 };
    // A plain GET brings the object from its first byte on, also where it asks for a rest.
    let plain = log.iter().filter(|(request, _)| request.is_get() && request.range.is_none()).count() as u64;
    let again = again + if schedule.ranges { plain * schedule.size } else { 0 };
    let wasted = log.iter().map(|(_, drawn)| drawn.wasted).sum::<u64>();
    let at_most = schedule.size + again + second_requests + wasted + taken_away(log);
    must(ended.sent <= at_most, "the server sent more than the faults explain")?;
    must(ended.traffic.is_none_or(|t| t.fetched <= at_most), "more was fetched than the faults explain")
}

/// Returns the bytes of responses without a fault whose rest was requested again: an earlier range took their
/// connection where faults made a limit on connections likely.
fn taken_away(log: &Log) -> u64 {
    let gets: Vec<_> = log.iter().filter(|(request, _)| request.is_get()).collect();
    let range = |request: &Request| request.range.clone().unwrap_or_default();
    let is_again = |place: usize, end| gets[place + 1..].iter().any(|(later, _)| range(later).end == end);
    let taken = gets.iter().enumerate().filter(|(place, (request, drawn))| {
        drawn.effect == Effect::None && is_again(*place, range(request).end)
    });
    taken.map(|(_, (request, _))| range(request).end - range(request).start).sum()
}

/// The most second requests that a download may make which sends so many in all.
fn hedges(gets: u64) -> u64 {
    4.max(gets / 20)
}

/// The effects that the faults which happened may have.
#[derive(Default)]
struct Explained {
    codes: Vec<u8>,
    must_fail: bool,
    more_gets: u64,
}

fn explained(schedule: &Schedule, log: &Log) -> Explained {
    let mut explained = Explained::default();
    let mut tries: HashMap<u64, Vec<Effect>> = HashMap::new();
    // Of two answers for the same bytes the later one is not looked at.
    let mut all_seen = schedule.hedge == Hedge::Off;
    let gets = || log.iter().filter(|(request, _)| request.is_get());
    // A plain GET after an answer with an odd range is a further attempt at the first range.
    let first_end = gets().find_map(|(request, _)| request.range.as_ref()).map_or(0, |range| range.end);
    for (request, drawn) in gets() {
        // Bytes after those of the range may come when all of these are delivered: then nothing can be requested again.
        if drawn.name == "more than asked" {
            explained.codes.push(5);
        }
        // Without `Range`, the length is that of the object: another one than before is another object.
        if drawn.name == "a wrong length" && request.range.is_none() {
            explained.codes.push(6);
        }
        // A request for the byte after the object, or one that asks whether `If-Match` is honoured, is answered rightly so.
        let asks_aside = |range: &std::ops::Range<u64>| {
            range.start >= schedule.size || (*range == (0..1) && schedule.chunk > 1)
        };
        if let Effect::Exit(code) = drawn.effect
            && request.range.as_ref().is_some_and(asks_aside)
        {
            explained.codes.push(code);
            explained.more_gets += 1;
            continue;
        }
        // Bytes after a body stand in front of the next response, whose attempt is then another one.
        all_seen &= drawn.name != "excess";
        explained.more_gets += u64::from(drawn.effect != Effect::None || drawn.name == "excess");
        // Without ranges, and for an empty object, requests for the same bytes look different.
        let end = request.range.as_ref().map_or(first_end, |range| range.end);
        let same = if schedule.ranges && schedule.size > 0 { end } else { 0 };
        tries.entry(same).or_default().push(drawn.effect);
    }
    // Faults of HEAD make a limit on connections likely: then a GET may lose its connection, which costs it an attempt.
    let taken = usize::from(log.iter().any(|(_, drawn)| BREAKING.contains(&drawn.name)));
    for (end, effects) in &tries {
        let (first, later) = schedule.attempts();
        let attempts = if *end <= schedule.wanted.start + schedule.chunk { first } else { later };
        let failed =
            effects.iter().filter(|effect| !matches!(effect, Effect::None | Effect::Exit(_))).count();
        if failed + taken >= attempts {
            explained.codes.push(5);
        }
        if effects.iter().filter(|effect| **effect == Effect::Corrected).count() > 1 {
            explained.codes.push(4);
        }
        for effect in effects {
            if let Effect::Exit(code) = effect {
                explained.codes.push(*code);
                explained.must_fail = all_seen;
            }
        }
    }
    // Faults make a limit on connections likely: then an earlier range may take the connection of a later one, whose
    // rest is requested again.
    explained.more_gets *= 2;
    if schedule.hedge == Hedge::Auto {
        // A hedge that wins earns the budget back: one for each fault that made a request late, and its own.
        explained.more_gets += hedges(schedule.chunks() + explained.more_gets) + 2 * explained.more_gets;
    }
    if schedule.concurrency.is_none() {
        // Ranges that only share the link with the front range are cancelled, and requested again later.
        explained.more_gets += schedule.chunks();
    }
    if schedule.may_look_like_a_part() {
        // Each try is followed by one that asks for the byte after it, or for all of it.
        explained.more_gets = 2 * explained.more_gets + 2;
    }
    if schedule.size == 0 {
        // It is confirmed once more, without a range.
        explained.more_gets += 1;
    }
    explained
}

/// The log, for people.
pub(super) fn told(log: &Log) -> String {
    log.iter().fold(String::new(), |mut text, (request, drawn)| {
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "  {} {:?} try {} on connection {}: {}",
            request.method, request.range, request.attempt, request.connection, drawn.name
        );
        text
    })
}
