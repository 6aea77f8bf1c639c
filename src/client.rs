//! One exchange with the object's host: request, signature (but of a URL), transport, response.
//!
//! It holds what the service may correct on the way (region and host, clock, credentials) and applies
//! each correction once an exchange, then sends again at once. Waiting and counting tries is not its
//! business: that is `fetch.rs`.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::config::{Config, Identity};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::events::{self, Account};
use crate::follow::Redirects;
use crate::options::Options;
use crate::region::Region;
use crate::request::{self, Ask};
use crate::response::{failure, failure_of_url};
use crate::retry::{self, Correction, Try};
use crate::sign::sign;
use crate::source::{HttpUrl, Source};
use crate::sse_c;
use crate::transport::{Lease, Pool};
use crate::uri::S3Uri;

/// An error document is small; what a broken server sends instead of one is not read on and on.
const ERROR_BODY_MAX: usize = 64 << 10;
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends requests for one object.
pub(crate) struct Client {
    config: Config,
    source: Source,
    version_id: Option<String>,
    /// How long the server may take to begin its response.
    first_byte_timeout: Duration,
    /// What each request carries beside what it asks for.
    extra: HeaderMap,
    /// What a connection reads at once, in bytes.
    read_buffer: usize,
    /// Replaced as a whole when the service names another region.
    site: RwLock<Arc<Site>>,
    /// What is added to this machine's clock, in seconds.
    clock_skew: AtomicI64,
    requests: AtomicU64,
    /// Connections opened by pools that were replaced since.
    opened_before: AtomicU64,
}

/// Where requests go, and what they are signed for.
struct Site {
    /// Of a URL: the one given, or where that redirects to.
    url: Option<HttpUrl>,
    endpoint: Endpoint,
    pool: Arc<Pool>,
}

/// A response, and the connection that its body comes on.
pub(crate) struct Exchange {
    pub(crate) head: Parts,
    pub(crate) body: Incoming,
    pub(crate) lease: Lease,
    /// From the request sent to its response's head.
    pub(crate) latency: Duration,
}

impl Client {
    /// A client for `source`; it opens no connection yet.
    pub(crate) fn new(config: Config, source: Source, options: &Options, read_buffer: usize) -> Result<Self> {
        let (extra, site) = match &source {
            Source::S3(uri) => {
                (request::extra(&config), Site::new(&config, uri, &config.region, read_buffer)?)
            }
            Source::Url(_) if options.version_id.is_some() => {
                return Err(Error::usage("a URL names its version itself, if it names one"));
            }
            Source::Url(url) => (HeaderMap::new(), Site::of_url(&config, url, read_buffer)?),
        };
        Ok(Self {
            config,
            source,
            version_id: options.version_id.clone(),
            first_byte_timeout: options.first_byte_timeout.unwrap_or(Options::FIRST_BYTE_TIMEOUT),
            extra,
            read_buffer,
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
        self.version_id.as_deref()
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
        ask: Ask<'_>,
        version: Option<&str>,
        attempt: Try,
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
                        events::corrected("redirect", Some(&next));
                        self.move_from(&site, Site::of_url(&self.config, &next, self.read_buffer)?);
                    }
                    None => return Err(self.refusal(answer, Some(here)).await),
                }
                continue;
            }
            let error = self.refusal(answer, None).await;
            let Some(correction) = retry::correction(&error, site.region()) else { return Err(error) };
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
        ask: Ask<'_>,
        version: Option<&str>,
        identity: Option<&Identity>,
        attempt: Try,
    ) -> Result<Exchange> {
        let mut fresh = attempt.is_fresh;
        let version = self.version_id.as_deref().or(version);
        loop {
            let mut lease = site.pool.lease(fresh).await?;
            let mut request = request::build(&site.endpoint, ask, version)?;
            request.headers_mut().extend(self.extra.clone());
            if let Some(identity) = identity {
                let scope = site.endpoint.scope();
                sign(&mut request, identity, &scope.region, scope.service, self.now())?;
            }
            self.requests.fetch_add(1, Ordering::Relaxed);
            lease.tell(Account::open(&self.source, site.url.as_ref(), ask, attempt, &lease));
            let sent = Instant::now();
            match timeout(self.first_byte_timeout, lease.send(request)).await {
                Ok(Ok(response)) => {
                    let (head, body) = response.into_parts();
                    return Ok(Exchange { head, body, lease, latency: sent.elapsed() });
                }
                Ok(Err(_)) if lease.is_reused() => fresh = true,
                Ok(Err(e)) => return Err(Error::network("the request got no response").with_source(e)),
                Err(_) => {
                    return Err(Error::network(format!("no response within {:?}", self.first_byte_timeout)));
                }
            }
        }
    }

    async fn refusal(&self, answer: Exchange, here: Option<&HttpUrl>) -> Error {
        let Exchange { head, body, lease, .. } = answer;
        let document = timeout(ERROR_BODY_TIMEOUT, Limited::new(body, ERROR_BODY_MAX).collect()).await;
        // Without its document the status alone still says what failed.
        let document = match document {
            Ok(Ok(document)) => {
                lease.give_back();
                document.to_bytes()
            }
            _ => Bytes::new(),
        };
        match (here, self.source.url()) {
            (Some(here), Some(given)) => {
                failure_of_url(&head, &document, |text| here.is_told_by(text) || given.is_told_by(text))
            }
            _ => failure(&head, &document),
        }
    }

    async fn correct(&self, correction: &Correction, seen: &Site, identity: Option<&Identity>) -> Result<()> {
        match correction {
            Correction::Clock(server) => {
                let here = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
                let skew = i64::try_from(*server).unwrap_or(0) - i64::try_from(here).unwrap_or(0);
                events::corrected("clock", Some(&format_args!("{skew:+} s")));
                self.clock_skew.store(skew, Ordering::Relaxed);
            }
            Correction::Credentials => {
                events::corrected("credentials", None);
                if let Some(identity) = identity {
                    self.config.credentials.refresh(identity).await;
                }
            }
            Correction::Region(region) => {
                events::corrected("region", Some(region));
                if let Source::S3(uri) = &self.source {
                    self.move_from(seen, Site::new(&self.config, uri, region, self.read_buffer)?);
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

impl Site {
    /// On AWS the region is part of the host; a custom endpoint's host never changes.
    fn new(config: &Config, uri: &S3Uri, region: &Region, read_buffer: usize) -> Result<Self> {
        let endpoint = Endpoint::resolve(uri, region, config.endpoint.as_ref(), config.addressing)?;
        let pool = Pool::new(&endpoint, config, read_buffer)?;
        if config.sse_c.is_some() {
            sse_c::may_travel_to(&endpoint, pool.has_proxy())?;
        }
        Ok(Self { url: None, endpoint, pool })
    }

    /// Of what `url` names.
    fn of_url(config: &Config, url: &HttpUrl, read_buffer: usize) -> Result<Self> {
        let endpoint = Endpoint::of_url(url);
        let pool = Pool::new(&endpoint, config, read_buffer)?;
        Ok(Self { url: Some(url.clone()), endpoint, pool })
    }

    fn region(&self) -> &Region {
        &self.endpoint.scope().region
    }
}
