//! How many connections the host, a firewall on the way or this process allows, as failures show it.
//!
//! Nothing is capped until a new connection fails, or brings no response, while others work. From then on there are no
//! more than those that work, and requests wait for an idle one in the order of the output. A single connection, the
//! probe, is tried beyond the cap after a second, and more seldom each time that it fails; where it works, the cap is
//! doubled and the next probe is due. Any request may open it: the first in line is better off with the connection that
//! becomes idle.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

/// How long the cap stays before a probe; doubled each time that it fails.
const PROBE_DELAY_MIN: Duration = Duration::from_secs(1);
const PROBE_DELAY_MAX: Duration = Duration::from_mins(1);
/// How long a request waits before a later one loses its connection to it.
const PREEMPTION_DELAY: Duration = Duration::from_secs(1);
/// How long a request may get no response while others get theirs, beyond some usual latencies.
const SILENCE: Duration = Duration::from_secs(1);
const SILENCE_LATENCIES: u32 = 8;
/// The weight of a new latency in the average.
const LATEST: f64 = 0.2;

/// The place of a request among all of them: the number of its object, and the offset there. The least comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestOrder {
    pub(crate) object: u64,
    pub(crate) offset: u64,
}

/// The number of connections that may exist.
#[derive(Debug)]
pub(super) struct ConnectionCap {
    state: Mutex<CapState>,
}

#[derive(Debug)]
struct CapState {
    /// `usize::MAX` while no limit was seen.
    cap: usize,
    /// Connections that exist or are being opened.
    slots: usize,
    /// Those of them that are open.
    established: usize,
    probe_delay: Duration,
    probe_at: Instant,
    /// Seconds.
    latency: f64,
    last_response: Option<Instant>,
    next_id: u64,
    waiting: BTreeMap<(RequestOrder, u64), Arc<Notify>>,
    leased: BTreeMap<(RequestOrder, u64), AbortHandle>,
}

impl ConnectionCap {
    /// Creates a cap that allows any number.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(CapState {
                cap: usize::MAX,
                slots: 0,
                established: 0,
                probe_delay: PROBE_DELAY_MIN,
                probe_at: Instant::now(),
                latency: 0.0,
                last_response: None,
                next_id: 0,
                waiting: BTreeMap::new(),
                leased: BTreeMap::new(),
            }),
        })
    }

    /// Returns the number of connections allowed; `None` while no limit was seen.
    pub(super) fn allowed(&self) -> Option<usize> {
        Some(self.state().cap).filter(|cap| *cap != usize::MAX)
    }

    /// Returns whether a new connection may be opened now, with nobody waiting for one.
    pub(super) fn has_spare(&self) -> bool {
        let state = self.state();
        state.waiting.is_empty() && state.slots < state.cap
    }

    /// Returns whether a connection is in use for a request.
    pub(super) fn is_leased(&self) -> bool {
        !self.state().leased.is_empty()
    }

    /// Returns whether a connection is being opened.
    pub(super) fn is_opening(&self) -> bool {
        let state = self.state();
        state.slots > state.established
    }

    /// Returns the right to open a connection, if there may be another one.
    pub(super) fn take_slot(self: &Arc<Self>) -> Option<ConnectionSlot> {
        let mut state = self.state();
        if state.slots >= state.cap.max(1) {
            return None;
        }
        state.slots += 1;
        Some(ConnectionSlot { cap: Arc::clone(self), is_probe: false, is_established: false })
    }

    /// Returns the right to open one connection beyond the cap, if that is due.
    pub(super) fn take_probe(self: &Arc<Self>) -> Option<ConnectionSlot> {
        let mut state = self.state();
        if state.slots != state.cap || Instant::now() < state.probe_at {
            return None;
        }
        // The next one is due only after this one.
        state.probe_at = Instant::now() + state.probe_delay;
        state.slots += 1;
        Some(ConnectionSlot { cap: Arc::clone(self), is_probe: true, is_established: false })
    }

    /// Notes that a connection, begun at this time, could not be opened. Returns whether that shows a limit: one that
    /// was not accepted for long does only if other requests got responses meanwhile, else it may be the network that
    /// is silent.
    pub(super) fn failed_to_open(&self, began: Instant, is_probe: bool) -> bool {
        let is_outage =
            began.elapsed() >= SILENCE && self.state().last_response.is_none_or(|last| last < began);
        !is_outage && self.failed(is_probe)
    }

    /// Notes that a new connection failed, or gave no response. Returns whether that shows a limit, because others
    /// are open: then the request is to wait for one of those.
    pub(super) fn failed(&self, is_probe: bool) -> bool {
        let mut state = self.state();
        if state.established == 0 {
            return false;
        }
        // Of many that fail at the same time, only the first one counts.
        if state.cap == usize::MAX {
            state.probe_delay = PROBE_DELAY_MIN;
        } else if is_probe {
            state.probe_delay = (2 * state.probe_delay).min(PROBE_DELAY_MAX);
        }
        state.cap = state.cap.min(state.established);
        state.probe_at = Instant::now() + state.probe_delay;
        true
    }

    /// Notes that a response began after `latency`. On a `new` connection beyond the cap it shows that more are
    /// allowed.
    pub(super) fn responded(&self, latency: Duration, is_new: bool) {
        let mut state = self.state();
        let weight = if state.last_response.is_none() { 1.0 } else { LATEST };
        state.latency += weight * (latency.as_secs_f64() - state.latency);
        state.last_response = Some(Instant::now());
        if is_new && state.established > state.cap {
            state.cap = state.cap.saturating_mul(2);
            state.probe_delay = PROBE_DELAY_MIN;
            state.probe_at = Instant::now();
            state.wake_first();
        }
    }

    /// Returns whether a response has begun on any connection.
    pub(super) fn has_responded(&self) -> bool {
        self.state().last_response.is_some()
    }

    /// Resolves when a request sent now has got no response for so long, while others did, that it is better sent on
    /// another connection.
    pub(super) async fn silence(&self) {
        let sent = Instant::now();
        loop {
            let allowed = {
                let latency = Duration::from_secs_f64(self.state().latency.clamp(0.0, 1e6));
                SILENCE + SILENCE_LATENCIES * latency
            };
            tokio::time::sleep_until(sent + allowed).await;
            let since = self.state().last_response.filter(|last| *last > sent);
            let latency = Duration::from_secs_f64(self.state().latency.clamp(0.0, 1e6));
            if since.is_some() && sent.elapsed() >= SILENCE + SILENCE_LATENCIES * latency {
                return;
            }
            tokio::time::sleep(SILENCE / 10).await;
        }
    }

    /// Puts a request into the queue.
    pub(super) fn wait(self: &Arc<Self>, order: RequestOrder) -> WaitingRequest {
        let mut state = self.state();
        let key = (order, state.next_id());
        let notify = Arc::new(Notify::new());
        state.waiting.insert(key, Arc::clone(&notify));
        WaitingRequest { cap: Arc::clone(self), key, notify, since: Instant::now() }
    }

    /// Returns whether no earlier request waits.
    pub(super) fn is_turn(&self, order: RequestOrder, waiting: Option<&WaitingRequest>) -> bool {
        let key = waiting.map_or((order, 0), |waiting| waiting.key);
        self.state().waiting.first_key_value().is_none_or(|(first, _)| key <= *first)
    }

    /// Notes that a connection is in use for the request of this order; `driver` is what ends it.
    pub(super) fn leased(self: &Arc<Self>, order: RequestOrder, driver: AbortHandle) -> LeasedConnection {
        let mut state = self.state();
        let key = (order, state.next_id());
        state.leased.insert(key, driver);
        LeasedConnection { cap: Arc::clone(self), key }
    }

    /// Lets the first request that waits try again: a connection is idle, or may be opened.
    pub(super) fn wake_first(&self) {
        self.state().wake_first();
    }

    fn state(&self) -> MutexGuard<'_, CapState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CapState {
    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn wake_first(&self) {
        if let Some((_, first)) = self.waiting.first_key_value() {
            first.notify_one();
        }
    }
}

/// The right to one connection.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    cap: Arc<ConnectionCap>,
    is_probe: bool,
    is_established: bool,
}

impl ConnectionSlot {
    /// Returns whether the connection is one beyond the cap.
    pub(super) fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// Notes that the connection is open.
    pub(super) fn establish(&mut self) {
        self.cap.state().established += usize::from(!self.is_established);
        self.is_established = true;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut state = self.cap.state();
        state.slots -= 1;
        state.established -= usize::from(self.is_established);
        state.wake_first();
    }
}

/// A connection in use, which an earlier request may take away.
#[derive(Debug)]
pub(super) struct LeasedConnection {
    cap: Arc<ConnectionCap>,
    key: (RequestOrder, u64),
}

impl Drop for LeasedConnection {
    fn drop(&mut self) {
        self.cap.state().leased.remove(&self.key);
    }
}

/// A request that waits for a connection.
#[derive(Debug)]
pub(super) struct WaitingRequest {
    cap: Arc<ConnectionCap>,
    key: (RequestOrder, u64),
    notify: Arc<Notify>,
    since: Instant,
}

impl WaitingRequest {
    /// Waits until there may be a connection. Where that takes long, the latest request loses its connection if it
    /// comes after this one: it might wait for memory that only this one would free.
    pub(super) async fn wait(&mut self) {
        if timeout(PREEMPTION_DELAY, self.notify.notified()).await.is_ok() {
            return;
        }
        if self.since.elapsed() < PREEMPTION_DELAY {
            return;
        }
        self.since = Instant::now();
        let mut state = self.cap.state();
        let is_first = state.waiting.first_key_value().is_some_and(|(first, _)| *first == self.key);
        if is_first
            && state.leased.last_key_value().is_some_and(|((order, _), _)| *order > self.key.0)
            && let Some((_, driver)) = state.leased.pop_last()
        {
            driver.abort();
        }
    }
}

impl Drop for WaitingRequest {
    fn drop(&mut self) {
        let mut state = self.cap.state();
        state.waiting.remove(&self.key);
        state.wake_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(offset: u64) -> RequestOrder {
        RequestOrder { object: 0, offset }
    }

    fn open(cap: &Arc<ConnectionCap>) -> Option<ConnectionSlot> {
        let mut slot = cap.take_slot().or_else(|| cap.take_probe())?;
        slot.establish();
        Some(slot)
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_lets_some_live_is_tried_again_seldom() {
        for live in [1, 2, 4] {
            let cap = ConnectionCap::new();
            let mut slots: Vec<_> = (0..16).map(|_| open(&cap).unwrap()).collect();
            while slots.len() > live {
                slots.pop();
                assert!(cap.failed(false), "others are open");
            }
            assert_eq!((cap.allowed(), cap.has_spare()), (Some(live), false));
            let mut attempts = 0;
            for _ in 0..300 {
                tokio::time::advance(Duration::from_secs(1)).await;
                while let Some(slot) = open(&cap) {
                    let is_probe = slot.is_probe();
                    drop(slot);
                    assert!(is_probe && cap.failed(is_probe));
                    attempts += 1;
                }
            }
            assert!((6..=12).contains(&attempts), "{attempts} attempts in five minutes");
            assert_eq!(cap.allowed(), Some(live));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_recovers_gets_all_connections_again_with_the_first_probe() {
        let cap = ConnectionCap::new();
        let mut slots: Vec<_> = (0..136).map(|_| open(&cap).unwrap()).collect();
        while slots.len() > 1 {
            slots.pop();
            assert!(cap.failed(false));
        }
        assert!(open(&cap).is_none(), "not yet");
        tokio::time::advance(PROBE_DELAY_MIN).await;
        while slots.len() < 136 {
            slots.push(open(&cap).expect("many failed at the same time, and that was no probe"));
            cap.responded(Duration::from_millis(20), true);
        }
    }

    #[tokio::test]
    async fn without_another_connection_a_failure_shows_no_limit() {
        let cap = ConnectionCap::new();
        drop(cap.take_slot());
        assert!(!cap.failed(false));
        assert_eq!(cap.allowed(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_wait_in_their_order_and_take_connections_from_later_ones() {
        let cap = ConnectionCap::new();
        let _slot = open(&cap).unwrap();
        assert!(cap.failed(false));
        let late = cap.wait(order(7));
        let mut early = cap.wait(order(3));
        assert!(cap.is_turn(order(3), Some(&early)) && !cap.is_turn(order(7), Some(&late)));
        assert!(!cap.is_turn(order(5), None) && cap.is_turn(order(1), None));

        let later = tokio::spawn(std::future::pending::<()>());
        let earlier = tokio::spawn(std::future::pending::<()>());
        let _leases =
            (cap.leased(order(5), later.abort_handle()), cap.leased(order(1), earlier.abort_handle()));
        early.wait().await;
        assert!(later.await.unwrap_err().is_cancelled());
        early.wait().await;
        assert!(!earlier.is_finished(), "what comes before has the older right");
        earlier.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_silent_only_while_others_get_responses() {
        let cap = ConnectionCap::new();
        assert!(timeout(Duration::from_mins(1), cap.silence()).await.is_err());
        let began = Instant::now();
        let other = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            cap.responded(Duration::from_millis(50), false);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = cap.silence() => {}
            () = other => {}
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}
