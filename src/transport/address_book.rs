//! The addresses of one host, and the order in which a new connection tries them.
//!
//! The resolver is asked once. Families alternate (RFC 8305, section 4), and each new connection begins with the next
//! address, so that connections are spread. An address that failed, or that did not answer before the next one was
//! tried, is tried last for a while.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::debug;

use crate::events::CONNECTION;

/// How long an address is tried last after it failed.
const AVOIDED: Duration = Duration::from_mins(1);

/// The addresses of one host.
#[derive(Debug, Default)]
pub(super) struct AddressBook {
    entries: Mutex<Vec<AddressEntry>>,
    /// Set once an address has accepted a connection.
    has_accepted: AtomicBool,
}

#[derive(Debug)]
struct AddressEntry {
    address: SocketAddr,
    avoided_until: Option<Instant>,
}

impl AddressBook {
    /// Asks the resolver, unless the addresses are known.
    pub(super) async fn resolve(&self, host: &str, port: u16) -> io::Result<()> {
        if !self.entries().is_empty() {
            return Ok(());
        }
        let mut found = lookup(host, port).await?;
        debug!(target: CONNECTION, host, addresses = ?found, "resolved");
        // The resolver's preference of a family stays (RFC 6724); within a family the load is spread.
        let is_first_family = found.first().is_none_or(SocketAddr::is_ipv6);
        fastrand::shuffle(&mut found);
        self.set(interleave(found, is_first_family));
        Ok(())
    }

    /// Sets the addresses, unless connections that started together have done so already.
    pub(super) fn set(&self, addresses: Vec<SocketAddr>) {
        let mut entries = self.entries();
        if entries.is_empty() {
            *entries =
                addresses.into_iter().map(|address| AddressEntry { address, avoided_until: None }).collect();
        }
    }

    /// Returns the addresses in the order in which the next connection tries them. The one that comes first is the last
    /// one for the connection after that.
    pub(super) fn next_order(&self) -> Vec<SocketAddr> {
        let now = Instant::now();
        let mut entries = self.entries();
        let is_avoided = |entry: &AddressEntry| entry.avoided_until.is_some_and(|until| until > now);
        if let Some(first) = entries.iter().position(|entry| !is_avoided(entry)) {
            let entry = entries.remove(first);
            entries.push(entry);
            let live = entries.iter().filter(|entry| !is_avoided(entry));
            let mut order: Vec<_> = live.map(|entry| entry.address).collect();
            order.rotate_right(1);
            order.extend(entries.iter().filter(|entry| is_avoided(entry)).map(|entry| entry.address));
            return order;
        }
        // The one whose failure is longest ago comes first.
        entries.sort_by_key(|entry| entry.avoided_until);
        entries.iter().map(|entry| entry.address).collect()
    }

    /// Notes that a connection to `address` failed or is late: it is tried last for a while.
    pub(super) fn avoid(&self, address: SocketAddr) {
        self.mark(address, Some(Instant::now() + AVOIDED));
    }

    /// Notes that `address` accepted a connection.
    pub(super) fn accepted(&self, address: SocketAddr) {
        self.has_accepted.store(true, Ordering::Relaxed);
        self.mark(address, None);
    }

    /// Returns whether any address has accepted a connection so far.
    pub(super) fn has_accepted(&self) -> bool {
        self.has_accepted.load(Ordering::Relaxed)
    }

    /// Forgets all addresses: the resolver is asked again for the next connection, because they may have moved.
    pub(super) fn forget(&self) {
        self.entries().clear();
    }

    fn mark(&self, address: SocketAddr, until: Option<Instant>) {
        if let Some(entry) = self.entries().iter_mut().find(|entry| entry.address == address) {
            entry.avoided_until = until;
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<AddressEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the addresses with the families taking turns, IPv6 first if so wished.
fn interleave(addresses: Vec<SocketAddr>, ipv6_first: bool) -> Vec<SocketAddr> {
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == ipv6_first);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut order = Vec::with_capacity(first.len() + second.len());
    while first.len() + second.len() > 0 {
        order.extend(first.next());
        order.extend(second.next());
    }
    order
}

/// Returns the addresses of `host`. Names below `localhost` are this machine and no question for a resolver (RFC 6761,
/// section 6.3), many of which know none of them: `http://bucket.s3.localhost:9000` is a local store with the bucket in
/// the host.
pub(super) async fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let lower = host.to_ascii_lowercase();
    if lower.trim_end_matches('.').ends_with(".localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    ask_resolver(host.to_owned(), port).await
}

/// Asks the system's resolver, on a thread of its own; where none can be made, on this one: tokio would panic.
async fn ask_resolver(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let (result, found) = oneshot::channel();
    let name = host.clone();
    let ask = move || {
        let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect);
        // The receiver is gone only if the connection was given up.
        let _ = result.send(found);
    };
    match std::thread::Builder::new().name("resolver".into()).spawn(ask) {
        Ok(_) => found.await.unwrap_or_else(|_| Err(io::Error::other("the resolver's thread failed"))),
        Err(_) => (host.as_str(), port).to_socket_addrs().map(Iterator::collect),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(all: &[&str]) -> Vec<SocketAddr> {
        all.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns() {
        let mixed = addresses(&["1.1.1.1:80", "1.1.1.2:80", "[::1]:80", "1.1.1.3:80"]);
        let order = addresses(&["[::1]:80", "1.1.1.1:80", "1.1.1.2:80", "1.1.1.3:80"]);
        assert_eq!(interleave(mixed.clone(), true), order);
        let order = addresses(&["1.1.1.1:80", "[::1]:80", "1.1.1.2:80", "1.1.1.3:80"]);
        assert_eq!(interleave(mixed, false), order);
        assert_eq!(interleave(Vec::new(), true), []);
    }

    #[tokio::test(start_paused = true)]
    async fn connections_are_spread_and_a_failed_address_comes_last_for_a_while() {
        let book = AddressBook::default();
        let all = addresses(&["1.1.1.1:80", "1.1.1.2:80", "1.1.1.3:80"]);
        book.set(all.clone());
        book.set(addresses(&["9.9.9.9:80"]));
        let firsts = |n| (0..n).map(|_| book.next_order()[0]).collect::<Vec<_>>();
        assert_eq!(firsts(4), [all[0], all[1], all[2], all[0]]);

        book.avoid(all[1]);
        for _ in 0..4 {
            let order = book.next_order();
            assert_eq!((order.len(), order[2]), (3, all[1]), "{order:?}");
        }
        assert_ne!(firsts(1), firsts(1), "the others are still spread");
        book.accepted(all[1]);
        assert!(firsts(3).contains(&all[1]));

        book.avoid(all[1]);
        tokio::time::advance(AVOIDED).await;
        assert!(firsts(3).contains(&all[1]), "it has another chance");
    }

    #[tokio::test(start_paused = true)]
    async fn where_every_address_has_failed_all_are_tried_again() {
        let book = AddressBook::default();
        let all = addresses(&["1.1.1.1:80", "1.1.1.2:80"]);
        book.set(all.clone());
        book.avoid(all[1]);
        tokio::time::advance(Duration::from_secs(1)).await;
        book.avoid(all[0]);
        assert_eq!(book.next_order(), [all[1], all[0]]);
        book.forget();
        assert_eq!(book.next_order(), []);
    }

    #[tokio::test]
    async fn names_below_localhost_are_this_machine() {
        let loopback = ["127.0.0.1:9000".parse().unwrap(), "[::1]:9000".parse().unwrap()];
        for name in ["s3.localhost", "bucket.s3.localhost", "Bucket.LOCALHOST."] {
            assert_eq!(lookup(name, 9000).await.unwrap(), loopback, "{name}");
        }
        for name in ["localhost.invalid", "notlocalhost.invalid"] {
            assert!(lookup(name, 9000).await.is_err(), "{name}");
        }
    }
}
