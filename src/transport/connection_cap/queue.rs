//! Requests that wait for a connection, and those that have one, which they may lose.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::transport::connection_cap::cap::{CapState, ConnectionCap};
use crate::transport::connection_cap::request_order::RequestOrder;
use crate::transport::connection_cap::slot::{ConnectionSlot, SlotStage};

/// How long a request waits before a later one loses its connection to it: first one that receives nothing, and after the
/// longer time any. One that receives bytes usually ends soon and frees its connection, and a new connection in its place may
/// fail.
const PREEMPTION_DELAY: Duration = Duration::from_secs(1);
const PREEMPTION_DELAY_MAX: Duration = Duration::from_secs(30);
/// A request, and the lease that it has or waits for.
pub(in crate::transport) type RequestKey = (RequestOrder, u64);

#[derive(Debug)]
pub(super) struct ConnectionInUse {
    slot: u64,
    driver: AbortHandle,
    /// Since when a new connection has brought no response.
    pub(super) unanswered: Option<Instant>,
    /// Pieces of the response that have come.
    received: Arc<AtomicU64>,
}

impl ConnectionCap {
    /// Puts a request into the queue.
    pub(in crate::transport) fn wait(self: &Arc<Self>, order: RequestOrder) -> WaitingRequest {
        let mut state = self.state();
        let key = (order, state.next_id());
        let notify = Arc::new(Notify::new());
        state.waiting.insert(key, Arc::clone(&notify));
        let now = Instant::now();
        let seen = state.received_after(order);
        WaitingRequest { cap: Arc::clone(self), key, notify, began: now, since: now, seen }
    }

    /// Returns whether no earlier request waits.
    pub(in crate::transport) fn is_turn(
        &self,
        order: RequestOrder,
        waiting: Option<&WaitingRequest>,
    ) -> bool {
        let key = waiting.map_or((order, 0), |waiting| waiting.key);
        self.state().waiting.first_key_value().is_none_or(|(first, _)| key <= *first)
    }

    /// Notes that the connection of `slot` is in use for the request of this order; `driver` is what ends it.
    pub(in crate::transport) fn leased(
        self: &Arc<Self>,
        order: RequestOrder,
        slot: &ConnectionSlot,
        driver: AbortHandle,
    ) -> LeasedConnection {
        let mut state = self.state();
        let key = (order, state.next_id());
        let received = Arc::new(AtomicU64::new(0));
        let is_new = state.slots.get(&slot.id).is_some_and(|stage| *stage < SlotStage::Responded);
        let unanswered = is_new.then(Instant::now);
        let slot = slot.id;
        state
            .leased
            .insert(key, ConnectionInUse { slot, driver, unanswered, received: Arc::clone(&received) });
        LeasedConnection { cap: Arc::clone(self), key, received }
    }
}

/// A connection in use, which an earlier request may take away.
#[derive(Debug)]
pub(in crate::transport) struct LeasedConnection {
    cap: Arc<ConnectionCap>,
    key: RequestKey,
    received: Arc<AtomicU64>,
}

impl LeasedConnection {
    pub(in crate::transport) fn key(&self) -> RequestKey {
        self.key
    }

    /// Notes that the response has begun.
    pub(in crate::transport) fn answered(&self) {
        if let Some(connection) = self.cap.state().leased.get_mut(&self.key) {
            connection.unanswered = None;
        }
    }

    /// Notes that a piece of the response has come.
    pub(in crate::transport) fn note_received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for LeasedConnection {
    fn drop(&mut self) {
        self.cap.state().leased.remove(&self.key);
    }
}

/// A request that waits for a connection.
#[derive(Debug)]
pub(in crate::transport) struct WaitingRequest {
    cap: Arc<ConnectionCap>,
    key: RequestKey,
    notify: Arc<Notify>,
    began: Instant,
    /// When `seen` was taken.
    since: Instant,
    /// How much of the responses to later requests had come.
    seen: BTreeMap<RequestKey, u64>,
}

impl WaitingRequest {
    /// Waits until there may be a connection. Where that takes long, the latest request loses its connection if it
    /// comes after this one and brings nothing: it might wait for memory that only this one would free.
    pub(in crate::transport) async fn wait(&mut self) {
        if timeout(PREEMPTION_DELAY, self.notify.notified()).await.is_ok()
            || self.since.elapsed() < PREEMPTION_DELAY
        {
            return;
        }
        let is_overdue = self.began.elapsed() >= PREEMPTION_DELAY_MAX;
        let mut state = self.cap.state();
        let now = state.received_after(self.key.0);
        let seen = std::mem::replace(&mut self.seen, now);
        self.since = Instant::now();
        if state.waiting.first_key_value().is_none_or(|(first, _)| *first != self.key) {
            return;
        }
        // Those that began since then have their time.
        let mut later = self.seen.iter().rev().filter(|(key, _)| seen.contains_key(*key));
        let latest = later.find(|(key, count)| is_overdue || seen.get(*key) == Some(*count));
        if let Some(connection) = latest.and_then(|(key, _)| state.leased.remove(key)) {
            self.began = self.since;
            // The task that holds it may wait for memory, and see the end much later.
            state.slots.remove(&connection.slot);
            connection.driver.abort();
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

impl CapState {
    /// Returns what has come of the responses to requests after this one.
    fn received_after(&self, order: RequestOrder) -> BTreeMap<RequestKey, u64> {
        let after = self.leased.range((order, u64::MAX)..).filter(|((later, _), _)| *later > order);
        after.map(|(key, connection)| (*key, connection.received.load(Ordering::Relaxed))).collect()
    }
}
