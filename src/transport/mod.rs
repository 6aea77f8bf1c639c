//! Connections to the object's host: addresses, TCP, proxies, TLS, and a small pool over hyper's HTTP/1.1 connections.
//!
//! For the object's bytes only this module names `hyper_util` and `rustls`. The pool is our own because general pools
//! lack what a download needs: a retry takes another connection, new connections are spread over all addresses, and
//! none is opened that no request uses. The module never looks at a status.

pub(crate) mod address_book;
pub(crate) mod bounded_file;
pub(crate) mod coalesce;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod connection_cap;
#[cfg(test)]
pub(crate) mod in_memory;
pub(crate) mod layered;
pub(crate) mod metadata_address;
pub(crate) mod one_request;
pub(crate) mod pool;
pub(crate) mod proxy;
pub(crate) mod refused_certificate;
pub(crate) mod response_head;
pub(crate) mod socket;
pub(crate) mod socks;
pub(crate) mod tls;
pub(crate) mod tls_error;
pub(crate) mod trust;
pub(crate) mod tunnel;
