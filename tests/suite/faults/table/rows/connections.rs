//! Connections that cannot be made, break or fall silent: the next attempt uses another one, and asks for what is
//! missing.

use super::super::case::{ATTEMPTS, At, BODY, Case, Fault, LATER, PLACES, Phase, Place, across};
use super::{Row, always, each, once};
use crate::support::fault_server::{Greeting, Reply};
use crate::support::object::CHUNK;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new("nothing listens at the address", [refused()]),
        Row::new("a connection is closed or reset as soon as it is there", met(Phase::Connect)),
        Row::new("a TLS handshake is cut", met(Phase::Tls).map(over_tls)),
        Row::new("the certificate is not trusted, or is another host's", [certificates()]),
        Row::new("a connection ends before a response, or within its head", before_the_body()),
        Row::new("a request gets no answer, or endless interim responses", unanswered()),
        Row::new("a body is cut, with or without TLS", cut()),
        Row::new("a connection is reset within a body", [reset()]),
        Row::new("a body stalls", stalled()),
        Row::new("each connection closes after its first response", [closing()]),
    ]
}

fn over_tls(cases: Vec<Case>) -> Vec<Case> {
    cases.into_iter().map(Case::over_tls).collect()
}

fn refused() -> Vec<Case> {
    let plain = across(&[Phase::Connect], &[Place::First], |at| at.always("refused", Fault::Refused));
    [plain.clone(), over_tls(plain)].concat()
}

fn met(phase: Phase) -> [Vec<Case>; 4] {
    let close = || Fault::Met(Greeting::Close);
    let reset = || Fault::Met(Greeting::Reset);
    [
        across(&[phase], &PLACES, |at| at.once("closed", close())),
        across(&[phase], &PLACES, |at| at.once("reset", reset())),
        across(&[phase], &PLACES, |at| at.always("closed", close())),
        across(&[phase], &PLACES, |at| at.always("reset", reset())),
    ]
}

fn certificates() -> Vec<Case> {
    let of = |name, fault: Fault| {
        across(&[Phase::Tls], &[Place::First], |at| at.always(name, fault.clone()).over_tls())
    };
    [of("untrusted", Fault::Untrusted), of("another name", Fault::For("elsewhere.example"))].concat()
}

fn before_the_body() -> [Vec<Case>; 3] {
    let heads = [
        ("closed", Reply::raw("")),
        ("reset", Reply::raw("").reset_after(0)),
        ("in the status line", Reply::raw("HTTP/1.1 20")),
        ("in a header", Reply::raw("HTTP/1.1 206 Partial Content\r\ncontent-le")),
    ];
    [
        each(&heads, &PLACES, once),
        each(&heads, &[Place::First], always),
        // On a connection that was used before, an attempt without a response is repeated immediately.
        each(&heads, &LATER, |at, name, reply| always(at, name, reply).exit(5, ATTEMPTS + 1)),
    ]
}

fn cut() -> [Vec<Case>; 3] {
    let cut = |at: At| Reply::ok().cut_after(at.offset());
    let all = across(&BODY, &PLACES, |at| once(at, "cut", cut(at)));
    let none = across(&[Phase::FirstByte], &PLACES, |at| always(at, "cut", cut(at)));
    [all.clone(), over_tls(all), none]
}

/// RST overtakes bytes that were not read yet: those are sent again, and no others.
fn reset() -> Vec<Case> {
    across(&BODY, &PLACES, |at| once(at, "reset", Reply::ok().reset_after(at.offset())).wasting(at.offset()))
}

fn stalled() -> [Vec<Case>; 2] {
    let stall = |at: At| Reply::ok().stall_after(at.offset());
    [
        across(&BODY, &PLACES, |at| once(at, "stalled", stall(at)).impatient()),
        across(&[Phase::FirstByte], &PLACES, |at| always(at, "stalled", stall(at)).impatient()),
    ]
}

fn unanswered() -> [Vec<Case>; 4] {
    let heads = [
        ("silence", Reply::raw("").stall_after(0)),
        ("half a head", Reply::raw("HTTP/1.1 206 Partial").stall_after(20)),
        ("interim responses", Reply::endless("", "HTTP/1.1 100 Continue\r\n\r\n")),
    ];
    let met = || Fault::Met(Greeting::Stall);
    [
        across(&[Phase::Connect], &PLACES, |at| at.once("silence", met()).impatient()),
        across(&[Phase::Connect], &[Place::First], |at| at.always("silence", met()).impatient()),
        each(&heads, &PLACES, |at, name, reply| once(at, name, reply).impatient()),
        each(&heads, &[Place::Middle], |at, name, reply| always(at, name, reply).impatient()),
    ]
}

fn closing() -> Vec<Case> {
    let replies = [
        ("announced", Reply::ok().header("connection", "close").cut_after(CHUNK)),
        ("untold", Reply::ok().cut_after(CHUNK)),
    ];
    each(&replies, &[Place::First], |at, name, reply| at.always(name, Fault::All(reply)).whole(1))
}
