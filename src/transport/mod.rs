//! Connections to the object's host: resolver, TCP, TLS, and a small pool over hyper's HTTP/1.1
//! connections, straight or by a proxy. For the object's bytes only this module names `hyper_util` and `rustls`
//! (which proxy is `proxy.rs`'s question, and answered by hyper-util's matcher).
//!
//! It gets signed requests and hands on response heads with their bodies. The pool is our own since a
//! download wants to choose: a retry takes another connection, new connections are spread over all
//! addresses that DNS gives, and none is opened that serves nothing. It never looks at a status.

pub(crate) mod coalesce;
pub(crate) mod connect;
pub(crate) mod one_request;
pub(crate) mod pool;
pub(crate) mod proxy;
pub(crate) mod socket;
pub(crate) mod tls;
pub(crate) mod tls_error;
pub(crate) mod trust;
pub(crate) mod tunnel;

use std::time::Duration;

/// How long one address may take to accept a TCP connection, and, again, the TLS handshake: a lost
/// SYN is sent again after 1 s and after 3 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// S3 closes a connection that was idle for 5 s or more: ours are closed a little earlier, so that a
/// request does not race with that.
const IDLE_TIMEOUT: Duration = Duration::from_millis(4_500);

/// How many addresses one connection is tried on; the next try goes on with the others.
const ADDRESSES: u32 = 2;
