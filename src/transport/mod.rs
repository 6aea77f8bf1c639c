//! Connections to the object's host: addresses, TCP, proxies, TLS, and a small pool over hyper's HTTP/1.1 connections.
//!
//! For the object's bytes only this module names `hyper_util` and `rustls`. The pool is our own because a download has
//! wishes that general pools lack: a retry takes another connection, new connections are spread over all addresses,
//! and none is opened that serves nothing. The module never looks at a status.

pub(crate) mod address_book;
pub(crate) mod coalesce;
pub(crate) mod connect;
pub(crate) mod connection_cap;
pub(crate) mod one_request;
pub(crate) mod pool;
pub(crate) mod proxy;
pub(crate) mod socket;
pub(crate) mod socks;
pub(crate) mod tls;
pub(crate) mod tls_error;
pub(crate) mod trust;
pub(crate) mod tunnel;

use std::time::Duration;

/// How long one address may take to accept a TCP connection: a lost SYN is sent again after 1 s and after 3 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may take in all: the race of the addresses, a proxy and the TLS handshake.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a connection is kept idle. S3 closes those that were idle for 5 s or more; ours are closed a little earlier,
/// so that a request does not race with that.
const IDLE_TIMEOUT: Duration = Duration::from_millis(4_500);
