//! One exchange with the object's host: the request is built, signed (unless it is for a URL) and sent.
//!
//! The client keeps what a response can correct (region and host, clock, credentials). Each kind of correction is
//! applied once an exchange and followed by an immediate attempt. Backoff and the count of attempts are `retry.rs`.

use std::error::Error as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use tokio::time::timeout;
use tracing::info;

use crate::client::correction::{Correction, clock_skew, correction};
use crate::client::exchange::{Exchange, ResponseBody};
use crate::client::origins::Origins;
use crate::client::request_log::RequestLog;
use crate::client::retry::Attempt;
use crate::client::secrets::secrets_of;
use crate::client::site::Site;
use crate::config::Identity;
use crate::error::{Error, Result};
use crate::events::CORRECTION;
use crate::s3::address::source::Source;
use crate::s3::error_response::error_from_response;
use crate::s3::error_response::error_from_url_response;
use crate::s3::range::ByteRange;
use crate::s3::redirect::Redirects;
use crate::s3::request::{self, S3Request};
use crate::s3::secrets::Secrets;
use crate::s3::sign::sign;
use crate::transport::connection_cap::RequestOrder;

/// An error document is small; of what a broken server sends in its place no more than this is read.
const ERROR_BODY_MAX: usize = 64 << 10;
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a request is sent again on another connection, because a new one gave no response, before the attempt fails.
const MOVES_MAX: u32 = 3;

/// Numbers the objects of this process.
static OBJECTS: AtomicU64 = AtomicU64::new(0);

/// Settings of a client that are not part of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct ClientOptions {
    /// The version that the user asked for.
    pub(crate) version_id: Option<String>,
    /// How long the server may take until the head of its response arrives, if the user named a time.
    pub(crate) first_byte_timeout: Option<Duration>,
    /// The size of a connection's read buffer, in bytes.
    pub(crate) read_buffer: usize,
}

/// How long the server may take until the head of its response arrives: this long at the first attempt, twice as long at the
/// second one, and so on. Cold storage tiers need more than half a minute.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(30);
const FIRST_BYTE_TIMEOUT_FACTOR_MAX: u32 = 4;
const SLOW_TIER: &str = "if the storage is this slow to begin, --first-byte-timeout allows more time";

const TLS_PORT: &str =
    "a port that expects TLS answers like this: if it does, write https:// in place of http://";

impl ClientOptions {
    fn first_byte_timeout(&self, attempt: Attempt) -> Duration {
        let factor = attempt.number.min(FIRST_BYTE_TIMEOUT_FACTOR_MAX);
        self.first_byte_timeout.unwrap_or(FIRST_BYTE_TIMEOUT * factor)
    }
}

/// Sends requests for one object.
pub(crate) struct ObjectClient {
    origins: Arc<Origins>,
    source: Source,
    options: ClientOptions,
    /// The headers that every request carries.
    common_headers: HeaderMap,
    /// Replaced as a whole when the service names another region.
    site: RwLock<Arc<Site>>,
    requests: AtomicU64,
    /// The number of this object among all, in the order in which they were begun.
    object: u64,
    /// The number of connections opened for requests of this object.
    opened: AtomicU64,
}

impl ObjectClient {
    /// Creates a client for `source`. Opens no connection yet.
    pub(crate) fn new(origins: Arc<Origins>, source: Source, options: ClientOptions) -> Result<Self> {
        let config = &origins.config;
        let (common_headers, site) = match &source {
            Source::S3(uri) => (
                request::common_headers(config.request_payer, config.sse_c.as_ref()),
                Site::new(&origins, uri, &origins.region_of(uri.bucket()), options.read_buffer)?,
            ),
            Source::Url(_) if options.version_id.is_some() => {
                return Err(Error::usage(
                    "--version-id has no effect on http(s) URLs; the version is part of the URL",
                ));
            }
            Source::Url(url) => (HeaderMap::new(), Site::for_url(&origins, url, options.read_buffer)?),
        };
        Ok(Self {
            origins,
            source,
            options,
            common_headers,
            site: RwLock::new(Arc::new(site)),
            requests: AtomicU64::new(0),
            object: OBJECTS.fetch_add(1, Ordering::Relaxed),
            opened: AtomicU64::new(0),
        })
    }

    /// Returns the object that requests are for.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Returns whether the object is an S3 object, which HEAD describes and which may have versions.
    pub(crate) fn is_s3(&self) -> bool {
        self.source.url().is_none()
    }

    /// Returns the version that the user asked for.
    pub(crate) fn version_id(&self) -> Option<&str> {
        self.options.version_id.as_deref()
    }

    /// Returns the number of requests sent; every attempt counts.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns the number of connections opened.
    pub(crate) fn connections(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Returns the number of connections that the host allows; `None` while no limit was seen.
    pub(crate) fn connection_cap(&self) -> Option<usize> {
        self.site().pool.connection_cap()
    }

    /// Returns whether a further request would get a connection without waiting.
    pub(crate) fn has_spare_connection(&self) -> bool {
        self.site().pool.has_spare_connection()
    }

    /// Sends `request` until the response is a 200 or 206, or nothing is left to correct. Names `version` unless the
    /// user asked for another one.
    pub(crate) async fn exchange(
        &self,
        request: S3Request<'_>,
        version: Option<&str>,
        attempt: Attempt,
    ) -> Result<Exchange> {
        let mut corrected: Vec<Correction> = Vec::new();
        let mut redirects = Redirects::default();
        loop {
            let site = self.site();
            let identity = if self.is_s3() { self.origins.config.credentials.current().await? } else { None };
            let response = self.send(&site, request, version, identity.as_ref(), attempt).await?;
            if matches!(response.head.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
                return Ok(response);
            }
            if let (Source::Url(given), Some(here)) = (&self.source, &site.url) {
                match redirects.resolve(given, here, &response.head)? {
                    Some(next) => {
                        info!(target: CORRECTION, what = "redirect", to = next.to_string(), "retrying immediately");
                        self.switch_site(
                            &site,
                            Site::for_url(&self.origins, &next, self.options.read_buffer)?,
                        );
                    }
                    None => return Err(self.error_from(response).await),
                }
                continue;
            }
            let error = self.error_from(response).await;
            let Some(correction) = correction(&error, site.region()) else { return Err(error) };
            let is_same_kind =
                |c: &Correction| std::mem::discriminant(c) == std::mem::discriminant(&correction);
            if corrected.iter().any(is_same_kind) {
                return Err(error);
            }
            if !self.correct(&correction, &site, identity.as_ref()).await? {
                return Err(error);
            }
            corrected.push(correction);
        }
    }

    /// Signs and sends one request. A kept connection may have died while it was idle, and a new one may be one too
    /// many for the host: the request is then sent on another one, and that does not count as an attempt.
    async fn send(
        &self,
        site: &Site,
        request: S3Request<'_>,
        version: Option<&str>,
        identity: Option<&Identity>,
        attempt: Attempt,
    ) -> Result<Exchange> {
        let mut prefers_new = attempt.is_fresh;
        let version = self.options.version_id.as_deref().or(version);
        let offset = if attempt.is_aside { u64::MAX } else { request.range().map_or(0, ByteRange::start) };
        let order = RequestOrder { object: self.object, offset };
        let mut moves_left = MOVES_MAX;
        loop {
            let mut lease = site.pool.lease(prefers_new, order).await?;
            if !lease.is_reused() {
                self.opened.fetch_add(1, Ordering::Relaxed);
            }
            let mut http_request = request::build(&site.endpoint, request, version)?;
            http_request.headers_mut().extend(self.common_headers.clone());
            if let Some(identity) = identity {
                let scope = site.endpoint.scope();
                sign(&mut http_request, identity, &scope.region, scope.service, self.origins.now())?;
            }
            let secrets = secrets_of(&self.source, site, identity, http_request.headers());
            self.requests.fetch_add(1, Ordering::Relaxed);
            let mut log = RequestLog::start(&self.source, request, attempt, &lease);
            let sent = Instant::now();
            let limit = self.options.first_byte_timeout(attempt);
            let silence = lease.silence();
            let response = tokio::select! {
                biased;
                response = timeout(limit, lease.send(http_request)) => Some(response),
                () = silence, if moves_left > 0 => None,
            };
            let is_reused = lease.is_reused();
            match response {
                Some(Ok(Ok(response))) => {
                    let (mut head, body) = response.into_parts();
                    drop_echoes(&mut head.headers, &secrets);
                    log.answered(head.status, &head.headers, &secrets);
                    let body = ResponseBody::new(body, lease, log);
                    return Ok(Exchange { head, body, secrets, latency: sent.elapsed() });
                }
                Some(Ok(Err(e))) => {
                    log.failed(&e);
                    // What cannot be parsed is a response, and shows no limit on connections.
                    let may_move = if is_unreadable(&e) {
                        if lease.fail_to_parse() {
                            prefers_new = true;
                            continue;
                        }
                        false
                    } else {
                        lease.fail() && moves_left > 0
                    };
                    if !may_move && !is_reused {
                        let may_want_tls =
                            !site.endpoint.is_https() && (e.is_parse() || e.is_incomplete_message());
                        let error = Error::network("the request got no response").with_source(e);
                        return Err(if may_want_tls { error.with_hint(TLS_PORT) } else { error });
                    }
                }
                Some(Err(_)) => {
                    return Err(Error::network(format!("no response within {limit:?}")).with_hint(SLOW_TIER));
                }
                None => {
                    lease.fail();
                }
            }
            moves_left -= u32::from(!is_reused && moves_left > 0);
            prefers_new = is_reused;
        }
    }

    /// Reads an error response. If its document cannot be read, the status alone decides.
    async fn error_from(&self, response: Exchange) -> Error {
        let Exchange { head, body, secrets, .. } = response;
        let document =
            body.collect(ERROR_BODY_MAX, ERROR_BODY_TIMEOUT).await.ok().flatten().unwrap_or_default();
        if self.is_s3() {
            error_from_response(&head, &document, &secrets)
        } else {
            error_from_url_response(&head, &document, &secrets)
        }
    }

    /// Applies `correction`; returns whether it did.
    async fn correct(
        &self,
        correction: &Correction,
        seen: &Site,
        identity: Option<&Identity>,
    ) -> Result<bool> {
        match correction {
            Correction::Clock(server) => {
                let here = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
                let Some(skew) = clock_skew(*server, here) else { return Ok(false) };
                // Anybody on the way could set the clock, and so have requests signed for another day.
                if !seen.endpoint.is_https() && !seen.endpoint.is_loopback() {
                    return Ok(false);
                }
                info!(target: CORRECTION, what = "clock", to = format!("{skew:+} s"), "retrying immediately");
                self.origins.set_clock_skew(skew);
            }
            Correction::Credentials => {
                info!(target: CORRECTION, what = "credentials", "retrying immediately");
                if let Some(identity) = identity {
                    self.origins.config.credentials.refresh(identity).await;
                }
            }
            Correction::Region(region) => {
                info!(target: CORRECTION, what = "region", to = region.to_string(), "retrying immediately");
                if let Source::S3(uri) = &self.source {
                    let site = Site::new(&self.origins, uri, region, self.options.read_buffer)?;
                    self.origins.set_region(uri.bucket(), region);
                    self.switch_site(seen, site);
                }
            }
        }
        Ok(true)
    }

    /// Replaces the site that requests have `seen` fail. Requests that are under way together fail together: only the
    /// first one switches, the others find it done.
    fn switch_site(&self, seen: &Site, to: Site) {
        let mut site = self.site.write().unwrap_or_else(PoisonError::into_inner);
        if std::ptr::eq(Arc::as_ptr(&site), seen) {
            *site = Arc::new(to);
        }
    }

    fn site(&self) -> Arc<Site> {
        Arc::clone(&self.site.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns whether the head of a response arrived and could not be parsed, or was refused because of a line in it.
fn is_unreadable(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    error.is_parse() || cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::InvalidData)
}

/// Removes the headers in which a server echoes a secret: nothing that reads them may print it.
fn drop_echoes(headers: &mut HeaderMap, secrets: &Secrets) {
    let echoes: Vec<_> = headers
        .iter()
        .filter(|(_, value)| secrets.is_revealed_by(value.as_bytes()))
        .map(|(name, _)| name.clone())
        .collect();
    for name in echoes.iter().filter(|name| **name != LOCATION) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_attempts_wait_longer_for_the_first_byte_unless_the_user_named_a_time() {
        let options =
            |first_byte_timeout| ClientOptions { version_id: None, first_byte_timeout, read_buffer: 1 };
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
