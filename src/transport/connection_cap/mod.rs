//! How many connections the host, a firewall on the way or this process allows, as failures show it.
//!
//! Nothing is capped until a new connection fails, or brings no response or only the beginning of one, while others work.
//! From then on there are no more than those that work, and requests wait for an idle one in the order of the output. A
//! single connection, the probe, is tried beyond the cap after a second, and more seldom each time that it fails; where it
//! brings a response to its end, the cap is doubled and the next probe is due. Any request may open it: the first in line
//! is better off with the connection that becomes idle.

pub(super) mod cap;
pub(super) mod queue;
pub(crate) mod request_order;
pub(super) mod silence;
pub(super) mod slot;

#[cfg(test)]
mod tests;
