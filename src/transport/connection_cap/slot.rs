//! The right to one connection, and how far the connection is.

use std::sync::Arc;
use std::time::Duration;

use crate::transport::connection_cap::ConnectionCap;

/// The right to one connection.
#[derive(Debug)]
pub(in crate::transport) struct ConnectionSlot {
    pub(super) cap: Arc<ConnectionCap>,
    pub(super) id: u64,
    pub(super) is_probe: bool,
}

/// How far the connection of a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SlotStage {
    Opening,
    Open,
    /// It has brought a response.
    Proven,
}

impl ConnectionSlot {
    /// Returns whether the connection is one beyond the cap.
    pub(in crate::transport) fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// Notes that the connection is open.
    pub(in crate::transport) fn establish(&self) {
        self.advance(SlotStage::Open);
    }

    /// Notes that the connection has brought a response, which began after `latency`; it
    /// `is_range` if it is one to a GET.
    pub(in crate::transport) fn responded(&self, latency: Duration, is_range: bool) {
        let is_new = self.advance(SlotStage::Proven) < Some(SlotStage::Proven);
        self.cap.responded(latency, is_new, is_range);
    }

    /// Returns the stage before; `None` where the connection was taken away.
    fn advance(&self, to: SlotStage) -> Option<SlotStage> {
        let mut state = self.cap.state();
        let slot = state.slots.get_mut(&self.id)?;
        let before = *slot;
        *slot = before.max(to);
        Some(before)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut state = self.cap.state();
        state.slots.remove(&self.id);
        state.wake_first();
    }
}
