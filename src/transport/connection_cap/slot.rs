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
    /// It has brought the head of a response.
    Proven,
    /// It has brought a response to its end.
    Served,
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
        self.advance(SlotStage::Proven);
        self.cap.responded(latency, is_range);
    }

    /// Notes that a response has come to its end, if there was one.
    pub(in crate::transport) fn served(&self) {
        if self.stage() == Some(SlotStage::Proven) {
            self.advance(SlotStage::Served);
            self.cap.served();
        }
    }

    /// Notes that the connection failed in the middle of a response.
    pub(in crate::transport) fn cut(&self) {
        if self.stage() == Some(SlotStage::Proven) {
            self.cap.cut(self.is_probe);
        }
    }

    /// Returns how far the connection is; `None` where it was taken away.
    fn stage(&self) -> Option<SlotStage> {
        self.cap.state().slots.get(&self.id).copied()
    }

    fn advance(&self, to: SlotStage) {
        if let Some(stage) = self.cap.state().slots.get_mut(&self.id) {
            *stage = (*stage).max(to);
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut state = self.cap.state();
        state.slots.remove(&self.id);
        state.wake_first();
    }
}
