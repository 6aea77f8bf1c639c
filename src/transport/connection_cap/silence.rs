//! Requests that get no response.
//!
//! A connection that accepts a request and never responds shows a limit as well. Only the others can tell it from a slow
//! server or a silent network: the more they get done meanwhile, the sooner the request is sent on one of them.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::transport::connection_cap::cap::{CapState, ConnectionCap};
use crate::transport::connection_cap::queue::{ConnectionInUse, RequestKey};
use crate::transport::connection_cap::request_order::RequestOrder;

/// How long a request may get no response, beyond some usual latencies, while others get theirs.
pub(super) const RESPONSE_SILENCE: Duration = Duration::from_secs(1);
const SILENCE_LATENCIES: u32 = 8;
/// How long a new connection may go without a response where at least two signs speak against it: each of up to two responses
/// to GETs on other connections, an idle connection, a known limit. A response to HEAD is no sign, because it says nothing of
/// how long a GET takes; one sign is not enough, because a busy machine delays single responses.
const SILENCE_OF_NEW: Duration = Duration::from_millis(400);
const SIGNS_MIN: u64 = 2;
/// How often it is looked at from then on.
pub(super) const SILENCE_CHECK: Duration = Duration::from_millis(25);
/// From then on a request on a new connection is late: idle connections are left to it, should that be silent.
const LATE: Duration = Duration::from_millis(50);
const LATE_LATENCIES: u32 = 3;

/// A request's view of a connection that brings no response to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Others got on meanwhile: the connection may be one too many for the host.
    OfConnection,
    /// Nothing shows whether it is the connection or the network, but an idle connection may be better.
    Unexplained,
}

impl ConnectionCap {
    /// Resolves when a request sent now, on a connection leased for `key`, has got no response for so long that it is better
    /// sent on another connection, because of what those do meanwhile. On a new connection that may be one too many,
    /// `is_doubtful`, that is sooner than on one that has worked; `has_idle` says whether another one is free.
    pub(in crate::transport) async fn silence(
        &self,
        key: Option<RequestKey>,
        is_doubtful: bool,
        has_idle: impl Fn() -> bool,
    ) -> Silence {
        let sent = Instant::now();
        let before = self.state().responses;
        loop {
            let (others, latencies, is_limited, is_hedged) = {
                let state = self.state();
                let is_hedged = key.is_some_and(|key| state.is_hedged(key));
                let latencies = SILENCE_LATENCIES * state.latency();
                (state.responses.since(before), latencies, state.cap != usize::MAX, is_hedged)
            };
            let (soon, late) = (SILENCE_OF_NEW + latencies, RESPONSE_SILENCE + latencies);
            let waited = sent.elapsed();
            let has_idle = has_idle();
            if waited >= late && others.all > 0 {
                return Silence::OfConnection;
            }
            if is_doubtful && waited >= soon && !is_hedged {
                let signs = others.ranges.min(2) + u64::from(has_idle) + u64::from(is_limited);
                if signs >= SIGNS_MIN {
                    return Silence::OfConnection;
                }
                // A late hedge may have been sent by then: this is not to be a third request at the same time.
                if has_idle && waited >= late + RESPONSE_SILENCE {
                    return Silence::Unexplained;
                }
            }
            let due = sent + if is_doubtful { soon } else { late };
            sleep_until(due.max(Instant::now() + SILENCE_CHECK)).await;
        }
    }

    /// Returns whether an idle connection is to be left to a request that comes before this one, and that a new connection
    /// has brought no response for rather long: otherwise a host that responds on few connections would send what comes late
    /// in the output, until there is no memory for it.
    pub(in crate::transport) fn keeps_idle_for_earlier(&self, order: RequestOrder) -> bool {
        let state = self.state();
        if state.cap != usize::MAX {
            return false;
        }
        let late = LATE + LATE_LATENCIES * state.latency();
        let is_late =
            |connection: &ConnectionInUse| connection.unanswered.is_some_and(|at| at.elapsed() >= late);
        // A HEAD, and what discovers an object, may take long for reasons of their own.
        let mut earlier = state.leased.range(..(order, 0)).filter(|((earlier, _), _)| earlier.offset > 0);
        earlier.any(|(_, connection)| is_late(connection))
    }
}

/// How many responses have begun.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ResponseCount {
    pub(super) all: u64,
    /// Those to GETs.
    pub(super) ranges: u64,
}

impl ResponseCount {
    fn since(self, before: Self) -> Self {
        Self { all: self.all - before.all, ranges: self.ranges - before.ranges }
    }
}

impl CapState {
    /// Returns whether the same bytes were requested on another connection, which has worked: that is as good as moving there.
    fn is_hedged(&self, (order, id): RequestKey) -> bool {
        let mut same = self.leased.range((order, 0)..=(order, u64::MAX));
        same.any(|((_, other), connection)| *other != id && connection.unanswered.is_none())
    }
}
