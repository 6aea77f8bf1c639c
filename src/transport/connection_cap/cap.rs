//! The number of connections that may exist: lowered by failures, raised by a probe that works.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::transport::connection_cap::queue::{ConnectionInUse, RequestKey};
use crate::transport::connection_cap::silence::{RESPONSE_SILENCE, ResponseCount};
use crate::transport::connection_cap::slot::{ConnectionSlot, SlotStage};

/// How long the cap stays before a probe; doubled each time that it fails.
pub(super) const PROBE_DELAY_MIN: Duration = Duration::from_secs(1);
const PROBE_DELAY_MAX: Duration = Duration::from_mins(1);
/// So many new connections that fail in the middle of their first response, and none that does not, show a limit: one may be
/// the network's fault.
const CUTS_MIN: u32 = 2;
/// The weight of a new latency in the average.
const LATEST: f64 = 0.2;

/// The number of connections that may exist.
#[derive(Debug)]
pub(in crate::transport) struct ConnectionCap {
    state: Mutex<CapState>,
}

/// The state of the connections, under one lock.
#[derive(Debug)]
pub(super) struct CapState {
    /// `usize::MAX` while no limit was seen.
    pub(super) cap: usize,
    /// Connections that exist or are being opened.
    pub(super) slots: BTreeMap<u64, SlotStage>,
    probe_delay: Duration,
    probe_at: Instant,
    /// Seconds.
    latency: f64,
    last_response: Option<Instant>,
    pub(super) responses: ResponseCount,
    /// New connections that failed in the middle of their first response, one after the other.
    cuts: u32,
    next_id: u64,
    pub(super) waiting: BTreeMap<RequestKey, Arc<Notify>>,
    pub(super) leased: BTreeMap<RequestKey, ConnectionInUse>,
}

impl ConnectionCap {
    /// Creates a cap that allows any number.
    pub(in crate::transport) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(CapState {
                cap: usize::MAX,
                slots: BTreeMap::new(),
                probe_delay: PROBE_DELAY_MIN,
                probe_at: Instant::now(),
                latency: 0.0,
                last_response: None,
                responses: ResponseCount::default(),
                cuts: 0,
                next_id: 0,
                waiting: BTreeMap::new(),
                leased: BTreeMap::new(),
            }),
        })
    }

    /// Returns the number of connections allowed; `None` while no limit was seen.
    pub(in crate::transport) fn allowed(&self) -> Option<usize> {
        Some(self.state().cap).filter(|cap| *cap != usize::MAX)
    }

    /// Returns whether a new connection may be opened now, with nobody waiting for one.
    pub(in crate::transport) fn has_spare(&self) -> bool {
        let state = self.state();
        state.waiting.is_empty() && state.slots.len() < state.cap
    }

    /// Returns whether a connection is in use for a request.
    pub(in crate::transport) fn is_leased(&self) -> bool {
        !self.state().leased.is_empty()
    }

    /// Returns whether a connection is being opened.
    pub(in crate::transport) fn is_opening(&self) -> bool {
        let state = self.state();
        state.slots.len() > state.count(SlotStage::Open)
    }

    /// Returns the right to open a connection, if there may be another one.
    pub(in crate::transport) fn take_slot(self: &Arc<Self>) -> Option<ConnectionSlot> {
        let mut state = self.state();
        // Only now: by a reset of all connections nothing is left that would show a limit.
        if state.cuts >= CUTS_MIN {
            state.cuts = 0;
            let live = state.count(SlotStage::Responded);
            state.lower(live, false);
        }
        let is_allowed = state.slots.len() < state.cap.max(1);
        is_allowed.then(|| state.add_slot(self, false))
    }

    /// Returns the right to open one connection beyond the cap, if that is due.
    pub(in crate::transport) fn take_probe(self: &Arc<Self>) -> Option<ConnectionSlot> {
        let mut state = self.state();
        if state.slots.len() != state.cap || Instant::now() < state.probe_at {
            return None;
        }
        // The next one is due only after this one.
        state.probe_at = Instant::now() + state.probe_delay;
        Some(state.add_slot(self, true))
    }

    /// Notes that a connection, begun at this time, could not be opened. Returns whether that shows a limit: one that
    /// was not accepted for long does only if other requests got responses meanwhile, else it may be the network that
    /// is silent.
    pub(in crate::transport) fn failed_to_open(&self, began: Instant, is_probe: bool) -> bool {
        let is_outage =
            began.elapsed() >= RESPONSE_SILENCE && self.state().last_response.is_none_or(|last| last < began);
        !is_outage && self.failed(is_probe)
    }

    /// Notes that a new connection failed. Returns whether that shows a limit, because others are open: then the request is
    /// to wait for one of those.
    pub(in crate::transport) fn failed(&self, is_probe: bool) -> bool {
        let mut state = self.state();
        let open = state.count(SlotStage::Open);
        state.lower(open, is_probe)
    }

    /// Notes that a new connection was silent while others got on. Those that have not responded either may be of no more
    /// use than this one.
    pub(in crate::transport) fn silent(&self, is_probe: bool) {
        let mut state = self.state();
        let live = state.count(SlotStage::Responded);
        state.lower(live, is_probe);
    }

    /// Returns whether a response has begun on any connection.
    pub(in crate::transport) fn has_responded(&self) -> bool {
        self.state().last_response.is_some()
    }

    /// Lets the first request that waits try again: a connection is idle, or may be opened.
    pub(in crate::transport) fn wake_first(&self) {
        self.state().wake_first();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, CapState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CapState {
    pub(super) fn latency(&self) -> Duration {
        Duration::from_secs_f64(self.latency.clamp(0.0, 1e6))
    }

    /// Notes that a response began after `latency`.
    pub(super) fn responded(&mut self, latency: Duration, is_range: bool) {
        let weight = if self.last_response.is_none() { 1.0 } else { LATEST };
        self.latency += weight * (latency.as_secs_f64() - self.latency);
        self.last_response = Some(Instant::now());
        self.responses.all += 1;
        self.responses.ranges += u64::from(is_range);
    }

    /// Notes that the first response on a connection has ended. If that one is beyond the cap, more are allowed.
    pub(super) fn served(&mut self, is_probe: bool) {
        self.cuts = 0;
        if is_probe && self.cap != usize::MAX {
            self.cap = self.cap.saturating_mul(2);
            self.probe_delay = PROBE_DELAY_MIN;
            self.probe_at = Instant::now();
            self.wake_first();
        }
    }

    /// Notes that a new connection failed in the middle of its first response: some hosts reset only then what they do not
    /// allow.
    pub(super) fn cut(&mut self, is_probe: bool) {
        if is_probe {
            let others = self.count(SlotStage::Responded).saturating_sub(1);
            self.lower(others, is_probe);
        } else {
            self.cuts += 1;
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn add_slot(&mut self, cap: &Arc<ConnectionCap>, is_probe: bool) -> ConnectionSlot {
        let id = self.next_id();
        self.slots.insert(id, SlotStage::Opening);
        ConnectionSlot { cap: Arc::clone(cap), id, is_probe }
    }

    /// Returns how many connections have got this far.
    fn count(&self, stage: SlotStage) -> usize {
        self.slots.values().filter(|slot| **slot >= stage).count()
    }

    /// Lowers the cap to the number of connections that `work`; returns whether there are any.
    fn lower(&mut self, work: usize, is_probe: bool) -> bool {
        if work == 0 {
            return false;
        }
        // Of many that fail at the same time, only the first one counts.
        if self.cap == usize::MAX {
            self.probe_delay = PROBE_DELAY_MIN;
        } else if is_probe {
            self.probe_delay = (2 * self.probe_delay).min(PROBE_DELAY_MAX);
        }
        self.cap = self.cap.min(work);
        self.probe_at = Instant::now() + self.probe_delay;
        true
    }

    pub(super) fn wake_first(&self) {
        if let Some((_, first)) = self.waiting.first_key_value() {
            first.notify_one();
        }
    }
}
