//! What the server saw of one client.
//!
//! Each connection notes things as they happen; readers get copies.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::request::Request;

/// Counts of one run, while it runs.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    connections: AtomicU64,
    used: AtomicU64,
    heads: AtomicU64,
    gets: AtomicU64,
    bytes: AtomicU64,
}

/// The same, read at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Connections accepted.
    pub(crate) connections: u64,
    /// Those of them on which no request came.
    pub(crate) unused: u64,
    /// HEAD requests.
    pub(crate) heads: u64,
    /// All other requests.
    pub(crate) gets: u64,
    /// Body bytes handed to the sockets; the last of them a client may have left there.
    pub(crate) bytes: u64,
}

impl Counts {
    pub(crate) fn connection(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    /// The first request of a connection came.
    pub(crate) fn used(&self) {
        self.used.fetch_add(1, Relaxed);
    }

    /// Returns the request's number among those of its kind, from 1.
    pub(crate) fn request(&self, request: &Request) -> u64 {
        let kind = if request.is_head() { &self.heads } else { &self.gets };
        kind.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn seen(&self) -> Seen {
        let connections = self.connections.load(Relaxed);
        Seen {
            connections,
            unused: connections.saturating_sub(self.used.load(Relaxed)),
            heads: self.heads.load(Relaxed),
            gets: self.gets.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        }
    }
}
