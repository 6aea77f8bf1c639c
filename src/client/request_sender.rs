//! One request on the wire: built, signed unless it is for a URL, and sent, on another connection if the first one was
//! dead.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_credential_types::Credentials;
use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body_util::Empty;
use tokio::time::{Instant, timeout};

use crate::client::exchange::{Exchange, ResponseBody};
use crate::client::origins::Origins;
use crate::client::proxy_response::of_proxy;
use crate::client::request_log::RequestLog;
use crate::client::retry::Attempt;
use crate::client::secrets::secrets_of;
use crate::client::site::Site;
use crate::config::Identity;
use crate::error::{Error, Result};
use crate::s3::address::signing_scope::{AuthScheme, SigningScope};
use crate::s3::address::source::Source;
use crate::s3::error_response::{error_from_response, error_from_url_response, of_customer_key};
use crate::s3::range::ByteRange;
use crate::s3::request::{self, S3Request};
use crate::s3::secrets::Secrets;
use crate::s3::session::in_directory_bucket;
use crate::s3::sign::{sign, sign_with_session};
use crate::s3::sign_v4a::sign_multi_region;
use crate::transport::connection_cap::request_order::RequestOrder;
use crate::transport::pool::Lease;

/// An error document is small; of what a broken server sends in its place no more than this is read.
const ERROR_BODY_MAX: usize = 64 << 10;

/// How often a request is sent again on another connection, because a new one gave no response, before the attempt
/// fails.
const MOVES_MAX: u32 = 3;

/// The number of the next object of this process.
static OBJECTS: AtomicU64 = AtomicU64::new(0);

/// Settings of a client that are not part of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct ClientOptions {
    /// The version that the user asked for.
    pub(crate) version_id: Option<String>,
    /// How long a connection may take until it is open, and then the server until the head of its response arrives, if
    /// the user named a time.
    pub(crate) first_byte_timeout: Option<Duration>,
    /// How long the body of a response that is no part of the object may take.
    pub(crate) document_timeout: Duration,
    /// The size of a connection's read buffer, in bytes.
    pub(crate) read_buffer: usize,
    /// How many redirects of a URL are followed, one after the other.
    pub(crate) max_redirects: u32,
}

/// How long the server may take until the head of its response arrives: this long at the first attempt, twice as long
/// at the second one, and so on. Cold storage tiers need more than half a minute.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(30);
const FIRST_BYTE_TIMEOUT_FACTOR_MAX: u32 = 4;
const SLOW_SERVER_HINT: &str = "if this server is slow to respond, allow more time with --first-byte-timeout";

const TLS_PORT_HINT: &str =
    "a port that expects TLS responds like this: if it does, write https:// in place of http://";

impl ClientOptions {
    fn first_byte_timeout(&self, attempt: Attempt) -> Duration {
        let factor = attempt.number.min(FIRST_BYTE_TIMEOUT_FACTOR_MAX);
        self.first_byte_timeout.unwrap_or(FIRST_BYTE_TIMEOUT * factor)
    }
}

/// Sends requests for one object, and counts them.
pub(crate) struct RequestSender {
    pub(super) origins: Arc<Origins>,
    pub(super) source: Source,
    pub(super) options: ClientOptions,
    /// The headers that every request for the object carries.
    common_headers: HeaderMap,
    requests: AtomicU64,
    /// The number of this object among all, in the order in which they were begun.
    object: u64,
    /// The number of connections opened for requests of this object.
    opened: AtomicU64,
}

impl RequestSender {
    /// Creates a sender of requests for `source`. Opens no connection yet.
    pub(super) fn new(origins: Arc<Origins>, source: Source, options: ClientOptions) -> Self {
        let config = &origins.config;
        let common_headers = match source {
            Source::S3(_) => request::common_headers(config.request_payer, config.sse_c.as_ref()),
            Source::Url(_) => HeaderMap::new(),
        };
        let object = OBJECTS.fetch_add(1, Ordering::Relaxed);
        let (requests, opened) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { origins, source, options, common_headers, requests, object, opened }
    }

    /// Returns the number of requests sent; every attempt counts.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns the number of connections opened.
    pub(super) fn connections_opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Opens a connection for a request that is about to be sent, unless an idle one is there, and leaves it to the
    /// pool.
    pub(super) async fn warm_up(&self, site: &Site, attempt: Attempt) {
        let order = RequestOrder { object: self.object, offset: 0 };
        let limit = self.options.first_byte_timeout(attempt);
        // The task that sends the request will report what is wrong.
        if let Ok(lease) = self.lease(site, false, order, limit).await {
            lease.give_back();
        }
    }

    /// Signs and sends one request. A kept connection may have died while it was idle, and a new one may be one too
    /// many for the host: the request is then sent on another one, and that does not count as an attempt.
    pub(super) async fn send(
        &self,
        site: &Site,
        request: S3Request<'_>,
        version: Option<&str>,
        identity: Option<&Identity>,
        attempt: Attempt,
    ) -> Result<Exchange> {
        let version = self.options.version_id.as_deref().or(version);
        let offset = if attempt.is_aside { u64::MAX } else { request.range().map_or(0, ByteRange::start) };
        let order = RequestOrder { object: self.object, offset };
        let limit = self.options.first_byte_timeout(attempt);
        let (mut prefers_new, mut moves_left) = (attempt.is_fresh, MOVES_MAX);
        loop {
            let lease = self.lease(site, prefers_new, order, limit).await?;
            let is_reused = lease.is_reused();
            let (http_request, secrets) = self.prepare(site, request, version, identity)?;
            let log = RequestLog::start(&self.source, request, attempt, &lease);
            match send_over(lease, http_request, secrets, log, limit, moves_left > 0).await? {
                Ok(exchange) => return Ok(exchange),
                Err(NoResponse::Unparsed) => prefers_new = true,
                Err(NoResponse::Lost { error, may_move: false }) if !is_reused => {
                    return Err(no_response(site, error));
                }
                Err(NoResponse::Lost { .. } | NoResponse::Silent) => {
                    moves_left -= u32::from(!is_reused && moves_left > 0);
                    prefers_new = is_reused;
                }
            }
        }
    }

    async fn lease(
        &self,
        site: &Site,
        prefers_new: bool,
        order: RequestOrder,
        limit: Duration,
    ) -> Result<Lease> {
        let lease = site.pool.lease(prefers_new, order, limit).await?;
        if !lease.is_reused() {
            self.opened.fetch_add(1, Ordering::Relaxed);
        }
        Ok(lease)
    }

    /// Returns the signed request, which counts as sent, and what of it must never be shown.
    fn prepare(
        &self,
        site: &Site,
        request: S3Request<'_>,
        version: Option<&str>,
        identity: Option<&Identity>,
    ) -> Result<(Request<Empty<Bytes>>, Secrets)> {
        let mut http_request = request::build(&site.endpoint, request, version)?;
        if !matches!(request, S3Request::CreateSession) {
            http_request.headers_mut().extend(self.common_headers.clone());
        }
        if let Some(identity) = identity {
            self.sign(&mut http_request, request, identity, site.endpoint.scope())?;
        }
        let secrets = self
            .origins
            .secrets(|earlier| secrets_of(&self.source, site, identity, http_request.headers(), earlier));
        self.requests.fetch_add(1, Ordering::Relaxed);
        Ok((http_request, secrets))
    }

    /// Signs by the scheme that the endpoint asks for. A session itself is asked for with the long-term keys.
    fn sign(
        &self,
        http_request: &mut Request<Empty<Bytes>>,
        request: S3Request<'_>,
        identity: &Identity,
        scope: &SigningScope,
    ) -> Result<()> {
        let SigningScope { region, service, scheme } = scope;
        let now = self.origins.now();
        match (scheme, identity.data::<Credentials>()) {
            (AuthScheme::Session, _) if !matches!(request, S3Request::CreateSession) => {
                sign_with_session(http_request, identity, region, service, now)
            }
            (AuthScheme::SigV4a, Some(keys)) => {
                let key = self.origins.multi_region_key(keys)?;
                sign_multi_region(http_request, &key, keys.session_token(), service, now)
            }
            _ => sign(http_request, identity, region, service, now),
        }
    }

    /// Reads an error response, of whose document the beginning may be all that comes. If that cannot be read, the status
    /// alone decides.
    pub(super) async fn error_from(&self, site: &Site, response: Exchange) -> Error {
        let Exchange { head, body, secrets, .. } = response;
        let document = body.beginning(ERROR_BODY_MAX, self.options.document_timeout).await;
        let error = match &self.source {
            Source::S3(_) if site.is_directory() => {
                in_directory_bucket(error_from_response(&head, &document, &secrets))
            }
            Source::S3(_) => {
                let error = error_from_response(&head, &document, &secrets);
                if self.origins.config.sse_c.is_some() { of_customer_key(error) } else { error }
            }
            Source::Url(url) => error_from_url_response(&head, &document, &secrets, url.query().is_some()),
        };
        match site.pool.forwarding_proxy() {
            Some(proxy) => of_proxy(error, &head.headers, proxy, matches!(self.source, Source::S3(_))),
            None => error,
        }
    }
}

/// A connection that brought no response to a request, which may be sent on another one.
enum NoResponse {
    /// The head could not be parsed; a new connection reads it leniently.
    Unparsed,
    /// The connection ended without a response.
    Lost {
        error: hyper::Error,
        /// Set if the connection may have been one too many for the host.
        may_move: bool,
    },
    /// A new connection was silent for so long that another one is tried.
    Silent,
}

/// Sends `request` over the connection of `lease`, and waits for the head of the response, for no longer than `limit`;
/// if it `may_move`, a silent connection is left earlier.
async fn send_over(
    mut lease: Lease,
    request: Request<Empty<Bytes>>,
    secrets: Secrets,
    mut log: RequestLog,
    limit: Duration,
    may_move: bool,
) -> Result<std::result::Result<Exchange, NoResponse>> {
    let sent = Instant::now();
    let silence = lease.silence(request.method() == Method::HEAD);
    let response = tokio::select! {
        biased;
        response = timeout(limit, lease.send(request)) => Ok(response),
        silence = silence, if may_move => Err(silence),
    };
    match response {
        Ok(Ok(Ok(response))) => {
            let (mut head, body) = response.into_parts();
            drop_echoes(&mut head.headers, &secrets);
            log.answered(head.status, &head.headers, &secrets);
            let body = ResponseBody::new(body, lease, log);
            Ok(Ok(Exchange { head, body, secrets, latency: sent.elapsed() }))
        }
        Ok(Ok(Err(error))) => {
            log.failed(&error);
            // In TLS 1.3 a server sees after the handshake that the client has no certificate, or a wrong one.
            if let Some(error) = lease.tls_failure(&error) {
                lease.fail();
                return Err(error);
            }
            // A head that cannot be parsed is a response all the same, and shows no limit on connections.
            if !is_unreadable(&error) {
                Ok(Err(NoResponse::Lost { error, may_move: lease.fail() && may_move }))
            } else if lease.fail_to_parse() {
                Ok(Err(NoResponse::Unparsed))
            } else {
                Ok(Err(NoResponse::Lost { error, may_move: false }))
            }
        }
        Ok(Err(_)) => {
            Err(Error::network(format!("no response within {limit:?}")).with_hint(SLOW_SERVER_HINT))
        }
        Err(silence) => {
            lease.leave(silence);
            Ok(Err(NoResponse::Silent))
        }
    }
}

/// Returns the error for a request that no connection answered.
fn no_response(site: &Site, cause: hyper::Error) -> Error {
    // A TLS record has no HTTP version; a head that is too large or has invalid lines has one.
    let is_no_head = cause.is_parse() && cause.to_string().contains("HTTP version");
    let is_no_http = is_no_head || cause.is_incomplete_message() || is_reset(&cause);
    let may_want_tls = is_no_http && !site.endpoint.is_https() && !site.pool.has_responded();
    let error = Error::network("the request got no response").with_source(cause);
    if may_want_tls { error.with_hint(TLS_PORT_HINT) } else { error }
}

/// Returns whether the peer reset the connection.
fn is_reset(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::ConnectionReset)
}

/// Returns whether the head of a response arrived and could not be parsed, or was refused because of a line in it.
fn is_unreadable(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    error.is_parse() || cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::InvalidData)
}

/// Removes the headers in which a server echoes a secret or a run of one, so that no reader of them can print it.
fn drop_echoes(headers: &mut HeaderMap, secrets: &Secrets) {
    let values: Vec<_> = headers.values().map(HeaderValue::as_bytes).collect();
    let echoes = headers.iter().map(|(name, _)| name).zip(secrets.are_in(&values));
    let echoes: Vec<_> = echoes.filter(|(_, is_echo)| *is_echo).map(|(name, _)| name.clone()).collect();
    for name in echoes.iter().filter(|name| **name != LOCATION) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_attempts_wait_longer_for_the_first_byte_unless_the_user_named_a_time() {
        let options = |first_byte_timeout| ClientOptions {
            version_id: None,
            first_byte_timeout,
            document_timeout: Duration::from_secs(10),
            read_buffer: 1,
            max_redirects: 0,
        };
        let seconds = |options: &ClientOptions, number| {
            options.first_byte_timeout(Attempt { number, ..Attempt::FIRST }).as_secs()
        };
        let default = options(None);
        assert_eq!(
            [1, 2, 3, 4, 5, u32::MAX].map(|number| seconds(&default, number)),
            [30, 60, 90, 120, 120, 120]
        );
        let named = options(Some(Duration::from_secs(5)));
        assert_eq!([1, 2, 9].map(|number| seconds(&named, number)), [5, 5, 5]);
    }
}
