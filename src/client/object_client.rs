//! One exchange with the object's host: request, signature (but of a URL), transport, response.
//!
//! It holds what the service may correct on the way (region and host, clock, credentials) and applies
//! each correction once an exchange, then sends again at once. Waiting and counting tries is not its
//! business: that is `fetch.rs`.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, StatusCode};
use tokio::time::timeout;
use tracing::info;

use crate::client::correction::{Correction, correction};
use crate::client::exchange::{Exchange, ResponseBody};
use crate::client::request_log::RequestLog;
use crate::client::retry::Attempt;
use crate::client::site::Site;
use crate::config::Identity;
use crate::config::settings::Config;
use crate::error::{Error, Result};
use crate::events::CORRECTION;
use crate::s3::address::http_url::HttpUrl;
use crate::s3::address::source::Source;
use crate::s3::error_response::error_from_response;
use crate::s3::error_response::error_from_url_response;
use crate::s3::redirect::Redirects;
use crate::s3::request::{self, S3Request};
use crate::s3::sign::sign;

/// An error document is small; what a broken server sends instead of one is not read on and on.
const ERROR_BODY_MAX: usize = 64 << 10;
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How requests are made, beside what the configuration says.
#[derive(Debug, Clone)]
pub(crate) struct ClientOptions {
    /// The version that the user named.
    pub(crate) version_id: Option<String>,
    /// How long the server may take to begin its response.
    pub(crate) first_byte_timeout: Duration,
    /// What a connection reads at once, in bytes.
    pub(crate) read_buffer: usize,
}

/// Sends requests for one object.
pub(crate) struct ObjectClient {
    config: Config,
    source: Source,
    options: ClientOptions,
    /// What each request carries beside what it asks for.
    common_headers: HeaderMap,
    /// Replaced as a whole when the service names another region.
    site: RwLock<Arc<Site>>,
    /// What is added to this machine's clock, in seconds.
    clock_skew: AtomicI64,
    requests: AtomicU64,
    /// Connections opened by pools that were replaced since.
    opened_before: AtomicU64,
}

impl ObjectClient {
    /// A client for `source`; it opens no connection yet.
    pub(crate) fn new(config: Config, source: Source, options: ClientOptions) -> Result<Self> {
        let (common_headers, site) = match &source {
            Source::S3(uri) => (
                request::common_headers(config.request_payer, config.sse_c.as_ref()),
                Site::new(&config, uri, &config.region, options.read_buffer)?,
            ),
            Source::Url(_) if options.version_id.is_some() => {
                return Err(Error::usage("a URL names its version itself, if it names one"));
            }
            Source::Url(url) => (HeaderMap::new(), Site::of_url(&config, url, options.read_buffer)?),
        };
        Ok(Self {
            config,
            source,
            options,
            common_headers,
            site: RwLock::new(Arc::new(site)),
            clock_skew: AtomicI64::new(0),
            requests: AtomicU64::new(0),
            opened_before: AtomicU64::new(0),
        })
    }

    /// What requests are for.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Whether the object is one of S3: then there is a HEAD of it, and versions of it can be named.
    pub(crate) fn is_s3(&self) -> bool {
        self.source.url().is_none()
    }

    /// The version that the user named.
    pub(crate) fn version_id(&self) -> Option<&str> {
        self.options.version_id.as_deref()
    }

    /// How many requests were sent, each try counted.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// How many connections were opened.
    pub(crate) fn connections(&self) -> u64 {
        self.opened_before.load(Ordering::Relaxed) + self.site().pool.opened()
    }

    /// Sends `ask` until it is answered with 200 or 206, or cannot be corrected any more. It names
    /// `version` where the user named none.
    pub(crate) async fn exchange(
        &self,
        ask: S3Request<'_>,
        version: Option<&str>,
        attempt: Attempt,
    ) -> Result<Exchange> {
        let mut corrected: Vec<Correction> = Vec::new();
        let mut redirects = Redirects::default();
        loop {
            let site = self.site();
            let identity = if self.is_s3() { self.config.credentials.current().await? } else { None };
            let answer = self.send(&site, ask, version, identity.as_ref(), attempt).await?;
            if matches!(answer.head.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
                return Ok(answer);
            }
            if let (Source::Url(given), Some(here)) = (&self.source, &site.url) {
                match redirects.next(given, here, &answer.head)? {
                    Some(next) => {
                        info!(target: CORRECTION, what = "redirect", to = next.to_string(), "asked again at once");
                        self.move_from(&site, Site::of_url(&self.config, &next, self.options.read_buffer)?);
                    }
                    None => return Err(self.refusal(answer, Some(here)).await),
                }
                continue;
            }
            let error = self.refusal(answer, None).await;
            let Some(correction) = correction(&error, site.region()) else { return Err(error) };
            let again = |c: &Correction| std::mem::discriminant(c) == std::mem::discriminant(&correction);
            if corrected.iter().any(again) {
                return Err(error);
            }
            self.correct(&correction, &site, identity.as_ref()).await?;
            corrected.push(correction);
        }
    }

    /// One request, signed now. A kept connection may have died while idle, and the server cannot have
    /// answered then: another one is taken, without counting as a try.
    async fn send(
        &self,
        site: &Site,
        ask: S3Request<'_>,
        version: Option<&str>,
        identity: Option<&Identity>,
        attempt: Attempt,
    ) -> Result<Exchange> {
        let mut fresh = attempt.is_fresh;
        let version = self.options.version_id.as_deref().or(version);
        loop {
            let mut lease = site.pool.lease(fresh).await?;
            let mut request = request::build(&site.endpoint, ask, version)?;
            request.headers_mut().extend(self.common_headers.clone());
            if let Some(identity) = identity {
                let scope = site.endpoint.scope();
                sign(&mut request, identity, &scope.region, scope.service, self.now())?;
            }
            self.requests.fetch_add(1, Ordering::Relaxed);
            let mut log = RequestLog::start(&self.source, site.url.as_ref(), ask, attempt, &lease);
            let sent = Instant::now();
            match timeout(self.options.first_byte_timeout, lease.send(request)).await {
                Ok(Ok(response)) => {
                    let (head, body) = response.into_parts();
                    log.answered(head.status, &head.headers);
                    let body = ResponseBody::new(body, lease, log);
                    return Ok(Exchange { head, body, latency: sent.elapsed() });
                }
                Ok(Err(e)) => {
                    log.failed(&e);
                    if !lease.is_reused() {
                        return Err(Error::network("the request got no response").with_source(e));
                    }
                    fresh = true;
                }
                Err(_) => {
                    let limit = self.options.first_byte_timeout;
                    return Err(Error::network(format!("no response within {limit:?}")));
                }
            }
        }
    }

    async fn refusal(&self, answer: Exchange, here: Option<&HttpUrl>) -> Error {
        let Exchange { head, body, .. } = answer;
        // Without its document the status alone still says what failed.
        let document =
            body.collect(ERROR_BODY_MAX, ERROR_BODY_TIMEOUT).await.ok().flatten().unwrap_or_default();
        match (here, self.source.url()) {
            (Some(here), Some(given)) => error_from_url_response(&head, &document, |text| {
                here.is_told_by(text) || given.is_told_by(text)
            }),
            _ => error_from_response(&head, &document),
        }
    }

    async fn correct(&self, correction: &Correction, seen: &Site, identity: Option<&Identity>) -> Result<()> {
        match correction {
            Correction::Clock(server) => {
                let here = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
                let skew = i64::try_from(*server).unwrap_or(0) - i64::try_from(here).unwrap_or(0);
                info!(target: CORRECTION, what = "clock", to = format!("{skew:+} s"), "asked again at once");
                self.clock_skew.store(skew, Ordering::Relaxed);
            }
            Correction::Credentials => {
                info!(target: CORRECTION, what = "credentials", "asked again at once");
                if let Some(identity) = identity {
                    self.config.credentials.refresh(identity).await;
                }
            }
            Correction::Region(region) => {
                info!(target: CORRECTION, what = "region", to = region.to_string(), "asked again at once");
                if let Source::S3(uri) = &self.source {
                    self.move_from(seen, Site::new(&self.config, uri, region, self.options.read_buffer)?);
                }
            }
        }
        Ok(())
    }

    /// Ranges fail together: the first one moves from the site that they have `seen`, the others find it done.
    fn move_from(&self, seen: &Site, to: Site) {
        let mut site = self.site.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&site.pool, &seen.pool) {
            self.opened_before.fetch_add(site.pool.opened(), Ordering::Relaxed);
            *site = Arc::new(to);
        }
    }

    fn site(&self) -> Arc<Site> {
        Arc::clone(&self.site.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn now(&self) -> SystemTime {
        let skew = self.clock_skew.load(Ordering::Relaxed);
        let by = Duration::from_secs(skew.unsigned_abs());
        let now = SystemTime::now();
        if skew < 0 { now.checked_sub(by) } else { now.checked_add(by) }.unwrap_or(now)
    }
}
