//! A case of the fault table: a fault, where it strikes, and everything that must follow from it.
//!
//! The rows build their cases here, from a moment in the download ([`At`]) and what the server does at that moment,
//! and state only what differs from the usual end. `check.rs` runs the cases; `page.rs` describes them to users.

use std::ops::{Range, RangeInclusive};

use crate::support::fault_server::{Greeting, Reply};
use crate::support::object::{CHUNK, CHUNKS, SIZE};

/// Tries that a range has where its fault never ends: enough to see that it is tried again at all.
pub(super) const ATTEMPTS: usize = 2;

/// Which moment of an exchange it is that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Connect,
    Tls,
    Head,
    FirstByte,
    Middle,
    LastByte,
}

/// The phases of a body.
pub(super) const BODY: [Phase; 3] = [Phase::FirstByte, Phase::Middle, Phase::LastByte];

/// Which range of the download it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Middle,
    Last,
}

pub(super) const PLACES: [Place; 3] = [Place::First, Place::Middle, Place::Last];
/// Those after the first one, which alone may say what the object is.
pub(super) const LATER: [Place; 2] = [Place::Middle, Place::Last];

/// A moment of the download.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) phase: Phase,
    pub(super) place: Place,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// Nobody listens.
    Refused,
    /// The connection that the request would come by is met like this.
    Met(Greeting),
    /// The certificate is not among those trusted.
    Untrusted,
    /// The certificate is trusted, and for this other name.
    For(&'static str),
    /// The request is answered like this.
    Answered(Reply),
    /// The first try is cut in the middle of its body, and the request for the rest is answered like this.
    Rest(Reply),
    /// All GETs are answered like this.
    All(Reply),
    /// All GETs are, the first one as the first reply says and the others as the second.
    Begun(Reply, Reply),
    /// HEAD is answered like this, and nothing is wrong with the GETs.
    Head(Reply),
}

/// How often it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    Once,
    /// Each time that the range is asked for.
    Always,
}

/// What it ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// Every byte of the object, and exit code 0.
    Whole,
    /// This exit code after all bytes that came before, and not one other.
    Exit(i32),
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// Which of a row's faults it is.
    pub(super) name: &'static str,
    pub(super) at: At,
    pub(super) fault: Fault,
    pub(super) times: Times,
    pub(super) tls: bool,
    /// Limits of time, where the fault is that nothing comes.
    pub(super) impatient: bool,
    pub(super) ends: Ends,
    /// GETs that the server sees for the range in trouble.
    pub(super) tries: usize,
    /// GETs that the server sees in all when ranges are fetched one by one.
    pub(super) requests: usize,
    /// Bytes of the object that go to stdout.
    pub(super) delivered: u64,
    /// Bytes of the object that the server sends when ranges are fetched one by one: each once, and what is
    /// lost with a connection that breaks.
    pub(super) sent: RangeInclusive<u64>,
}

impl Place {
    /// The number of its chunk.
    pub(super) fn chunk(self) -> u64 {
        match self {
            Self::First => 0,
            Self::Middle => 2,
            Self::Last => CHUNKS as u64 - 1,
        }
    }

    /// Its bytes of the object.
    pub(super) fn range(self) -> Range<u64> {
        let start = self.chunk() * CHUNK;
        start..SIZE.min(start + CHUNK)
    }

    /// How many bytes that is.
    pub(super) fn length(self) -> u64 {
        self.range().end - self.range().start
    }
}

impl At {
    /// How many bytes of the range's body are out by then.
    pub(super) fn offset(self) -> u64 {
        match self.phase {
            Phase::Middle => self.place.length() / 2 + 7,
            Phase::LastByte => self.place.length() - 1,
            _ => 0,
        }
    }

    /// The fault happens once: unless the case says otherwise, the range is tried again and the object complete.
    pub(super) fn once(self, name: &'static str, fault: Fault) -> Case {
        // A connection that fails by itself has shown no request.
        let tries = match &fault {
            Fault::Met(_) => 1,
            Fault::Rest(_) => 3,
            _ => 2,
        };
        self.case(name, fault, Times::Once).whole(tries)
    }

    /// The fault never ends: unless the case says otherwise, that is exit code 5 after the last attempt.
    pub(super) fn always(self, name: &'static str, fault: Fault) -> Case {
        let tries = match &fault {
            Fault::Refused | Fault::Met(_) | Fault::Untrusted | Fault::For(_) => 0,
            _ => ATTEMPTS,
        };
        self.case(name, fault, Times::Always).exit(5, tries)
    }

    fn case(self, name: &'static str, fault: Fault, times: Times) -> Case {
        let (at, ends) = (self, Ends::Whole);
        Case {
            name,
            at,
            fault,
            times,
            tls: false,
            impatient: false,
            ends,
            tries: 0,
            requests: 0,
            delivered: 0,
            sent: 0..=0,
        }
    }
}

impl Case {
    /// It is survived, with so many GETs for the range.
    pub(super) fn whole(mut self, tries: usize) -> Self {
        self.ends = Ends::Whole;
        (self.tries, self.requests) = (tries, CHUNKS - 1 + tries);
        (self.delivered, self.sent) = (SIZE, SIZE..=SIZE);
        self
    }

    /// It ends the download with `code` at the range's GET of that number.
    pub(super) fn exit(mut self, code: i32, tries: usize) -> Self {
        let chunk = self.at.place.chunk();
        self.ends = Ends::Exit(code);
        (self.tries, self.requests) = (tries, usize::try_from(chunk).expect("a small number") + tries);
        self.delivered = chunk * CHUNK;
        if let Fault::Rest(_) = self.fault {
            self.delivered += self.cut();
        }
        self.sent = self.delivered..=self.delivered;
        self
    }

    /// A final answer: the download ends with `code` immediately.
    pub(super) fn exit_immediately(self, code: i32) -> Self {
        let tries = if let Fault::Rest(_) = self.fault { 2 } else { 1 };
        self.exit(code, tries)
    }

    /// Up to so many bytes of each bad response are sent for nothing.
    pub(super) fn wasting(mut self, bytes: u64) -> Self {
        let times = if self.times == Times::Once { 1 } else { ATTEMPTS as u64 };
        self.sent = *self.sent.start()..=*self.sent.end() + times * bytes;
        self
    }

    /// So many GETs that are none for the range come with it.
    pub(super) fn with_more_gets(mut self, gets: usize) -> Self {
        self.requests += gets;
        self
    }

    /// What the server sees in all, where it is not a range asked for once more.
    pub(super) fn seen(mut self, requests: usize, sent: u64) -> Self {
        (self.tries, self.requests, self.sent) = (requests, requests, sent..=sent);
        self
    }

    /// The same over TLS.
    pub(super) fn over_tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Silence is given up within a second.
    pub(super) fn impatient(mut self) -> Self {
        self.impatient = true;
        self
    }

    /// Behind how many bytes the first try of a [`Fault::Rest`] is cut.
    pub(super) fn cut(&self) -> u64 {
        At { phase: Phase::Middle, place: self.at.place }.offset()
    }
}

/// A fault's cases in all of `phases` and `places`.
pub(super) fn across(phases: &[Phase], places: &[Place], case: impl Fn(At) -> Case) -> Vec<Case> {
    let moments = phases.iter().flat_map(|&phase| places.iter().map(move |&place| At { phase, place }));
    moments.map(case).collect()
}
