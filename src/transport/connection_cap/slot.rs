//! The right to one connection, and how far the connection is.

use std::sync::Arc;
use std::time::Duration;

use crate::transport::connection_cap::cap::{CapState, ConnectionCap};

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
    Responded,
    /// It has brought a response to a GET to its end.
    Served,
}

impl ConnectionSlot {
    /// Returns whether the connection is one beyond the cap.
    pub(in crate::transport) fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// Notes that the connection is open.
    pub(in crate::transport) fn establish(&self) {
        self.cap.state().advance(self.id, SlotStage::Opening, SlotStage::Open);
    }

    /// Notes that the connection has brought the head of a response after `latency`; it `is_range` if it is one to a GET.
    pub(in crate::transport) fn responded(&self, latency: Duration, is_range: bool) {
        let mut state = self.cap.state();
        state.advance(self.id, SlotStage::Open, SlotStage::Responded);
        state.responded(latency, is_range);
    }

    /// Notes that a response has come to its end.
    pub(in crate::transport) fn served(&self) {
        let mut state = self.cap.state();
        if state.advance(self.id, SlotStage::Responded, SlotStage::Served) {
            state.served(self.is_probe);
        }
    }

    /// Notes that the connection failed in the middle of a response.
    pub(in crate::transport) fn cut(&self) {
        let mut state = self.cap.state();
        if state.slots.get(&self.id) == Some(&SlotStage::Responded) {
            state.cut(self.is_probe);
        }
    }
}

impl CapState {
    /// Advances a slot from one stage to another; returns whether it was at that one.
    fn advance(&mut self, id: u64, from: SlotStage, to: SlotStage) -> bool {
        match self.slots.get_mut(&id) {
            Some(stage) if *stage == from => {
                *stage = to;
                true
            }
            _ => false,
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
