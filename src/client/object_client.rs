//! One exchange with the object's host: the request is built, signed (unless it is for a URL) and sent.
//!
//! The client keeps what a response can correct (region and host, clock, credentials). Each kind of correction is
//! applied once an exchange and followed by an immediate attempt. Backoff and the count of attempts are `retry.rs`.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use tracing::info;

use crate::client::correction::{Correction, clock_skew, correction, session_correction};
use crate::client::exchange::Exchange;
use crate::client::express_session::session_of;
use crate::client::origins::Origins;
use crate::client::request_sender::{ClientOptions, RequestSender};
use crate::client::retry::Attempt;
use crate::client::session_slot::{BucketSession, SessionSlot};
use crate::client::shown_checksums::ShownChecksums;
use crate::client::site::Site;
use crate::config::Identity;
use crate::error::{Error, ErrorKind, Result};
use crate::events::CORRECTION;
use crate::s3::address::http_url::HttpUrl;
use crate::s3::address::signing_scope::AuthScheme;
use crate::s3::address::source::Source;
use crate::s3::error_response::of_unsigned;
use crate::s3::redirect::Redirects;
use crate::s3::request::S3Request;
use crate::s3::secrets::{BLANK, Secrets};
use crate::transport::metadata_address::{is_metadata_host, is_unclear_address};

/// Sends requests for one object.
pub(crate) struct ObjectClient {
    sender: Arc<RequestSender>,
    /// Replaced as a whole when the service names another region.
    site: RwLock<Arc<Site>>,
}

/// The keys that requests are signed with at the moment, if they are signed.
struct SigningKeys {
    long_term: Option<Identity>,
    /// The session that takes their place, at a directory bucket.
    session: Option<(Arc<SessionSlot>, Arc<BucketSession>)>,
}

impl SigningKeys {
    fn identity(&self) -> Option<&Identity> {
        self.session.as_ref().map(|(_, session)| session.identity()).or(self.long_term.as_ref())
    }
}

impl ObjectClient {
    /// Creates a client for `source`. Opens no connection yet.
    pub(crate) fn new(origins: Arc<Origins>, source: Source, options: ClientOptions) -> Result<Self> {
        let site = match &source {
            Source::S3(uri) => {
                let site = Site::new(&origins, uri, &origins.region_of(uri.bucket()), options.read_buffer)?;
                site.check_version(options.version_id.as_deref())?;
                site
            }
            Source::Url(_) if options.version_id.is_some() => {
                return Err(Error::usage(
                    "--version-id has no effect on http(s) URLs; the version is part of the URL",
                ));
            }
            Source::Url(url) => Site::for_url(&origins, url, options.read_buffer, false)?,
        };
        let sender = Arc::new(RequestSender::new(origins, source, options));
        Ok(Self { sender, site: RwLock::new(Arc::new(site)) })
    }

    /// Returns the object that requests are for.
    pub(crate) fn source(&self) -> &Source {
        &self.sender.source
    }

    /// Returns whether the object is an S3 object, which HEAD describes and which may have versions.
    pub(crate) fn is_s3(&self) -> bool {
        self.source().url().is_none()
    }

    /// Returns the version that the user asked for.
    pub(crate) fn version_id(&self) -> Option<&str> {
        self.sender.options.version_id.as_deref()
    }

    /// Returns the number of requests sent; every attempt counts.
    pub(crate) fn requests(&self) -> u64 {
        self.sender.requests()
    }

    /// Returns the number of connections opened.
    pub(crate) fn connections_opened(&self) -> u64 {
        self.sender.connections_opened()
    }

    /// Returns what is known of where the store shows checksums.
    pub(crate) fn shown_checksums(&self) -> &ShownChecksums {
        &self.sender.origins.shown_checksums
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
        let mut redirects = Redirects::new(self.sender.options.max_redirects);
        loop {
            let site = self.site();
            let (keys, error) = match self.signing_keys(&site, attempt).await {
                Ok(keys) => {
                    let sent = self.sender.send(&site, request, version, keys.identity(), attempt).await;
                    let response = sent?;
                    if matches!(response.head.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
                        if let Some((slot, _)) = keys.session.as_ref().filter(|_| request.is_head()) {
                            slot.head_succeeded();
                        }
                        return Ok(response);
                    }
                    if let (Source::Url(given), Some(here)) = (self.source(), &site.url) {
                        match redirects.resolve(given, here, &response.head)? {
                            Some(next) => self.follow(&site, &next, &response.secrets)?,
                            None => return Err(self.sender.error_from(&site, response).await),
                        }
                        continue;
                    }
                    let error = site.endpoint.explain(self.sender.error_from(&site, response).await);
                    let is_unsigned = self.is_s3() && keys.identity().is_none();
                    (keys, if is_unsigned { of_unsigned(error) } else { error })
                }
                // The session was refused, perhaps for a cause that can be corrected as for any other request.
                Err((long_term, error)) => (SigningKeys { long_term, session: None }, error),
            };
            self.correct_once(error, &mut corrected, &site, &keys, request.is_head()).await?;
        }
    }

    /// Corrects the cause of `error`, so that the request may be sent again. Returns the error if there is nothing to
    /// correct, or if it is in `corrected` already.
    async fn correct_once(
        &self,
        error: Error,
        corrected: &mut Vec<Correction>,
        seen: &Site,
        keys: &SigningKeys,
        is_head: bool,
    ) -> Result<()> {
        let of_session = keys.session.as_ref().and_then(|_| session_correction(&error, is_head));
        let endpoint_is_custom = self.sender.origins.config.endpoint.is_some();
        let correction = || correction(&error, seen.endpoint.scope(), endpoint_is_custom);
        let Some(correction) = of_session.or_else(correction) else {
            return Err(error);
        };
        let is_same_kind = |c: &Correction| std::mem::discriminant(c) == std::mem::discriminant(&correction);
        if corrected.iter().any(is_same_kind) {
            return Err(if correction == Correction::Session { refused_session(error) } else { error });
        }
        if !self.correct(&correction, seen, keys, is_head).await? {
            return Err(error);
        }
        corrected.push(correction);
        Ok(())
    }

    /// Returns what to sign with: nothing for a URL, the session of a directory bucket, else the long-term keys. Fails
    /// with the error of the session, and the long-term keys that requested it.
    async fn signing_keys(
        &self,
        site: &Arc<Site>,
        attempt: Attempt,
    ) -> Result<SigningKeys, (Option<Identity>, Error)> {
        let long_term = if self.is_s3() {
            self.sender.origins.config.credentials.current().await.map_err(|e| (None, e))?
        } else {
            None
        };
        let scheme = site.endpoint.scope().scheme;
        let Some(keys) = long_term.as_ref().filter(|_| scheme == AuthScheme::Session) else {
            return Ok(SigningKeys { long_term, session: None });
        };
        // On the heap, so that the futures of all other requests, nearly all there are, stay small.
        match Box::pin(session_of(&self.sender, site, keys, attempt)).await {
            Ok(session) => Ok(SigningKeys { long_term, session: Some(session) }),
            Err(error) => Err((long_term, error)),
        }
    }

    /// Sends all later requests to `next`, the target of a redirect.
    ///
    /// The path is logged without `secrets`, those of the request. The host becomes part of many messages, and of a
    /// question to a resolver: a redirect to one that holds a secret is not followed.
    fn follow(&self, seen: &Site, next: &HttpUrl, secrets: &Secrets) -> Result<()> {
        // The user who named the host may have meant it.
        let is_elsewhere = self.source().url().is_none_or(|given| given.authority() != next.authority());
        if is_elsewhere && secrets.are_in_host(next.authority()) {
            let what = "the server redirects to a host whose name holds a secret of the request, which is not followed";
            return Err(Error::new(ErrorKind::Server, what));
        }
        let to = secrets.redact(&next.to_string()).unwrap_or_else(|| BLANK.to_owned());
        info!(target: CORRECTION, what = "redirect", to, "retrying immediately");
        if is_elsewhere && is_metadata_host(next.host()) {
            let what = "the server redirects to the metadata service of a cloud, to which redirects are never followed";
            return Err(Error::new(ErrorKind::Server, what));
        }
        if is_elsewhere && is_unclear_address(next.host()) {
            let what = "the server redirects to an address that is not written as four decimal numbers, which is not followed";
            return Err(Error::new(ErrorKind::Server, what));
        }
        let site = Site::for_url(&self.sender.origins, next, self.sender.options.read_buffer, is_elsewhere)?;
        self.switch_site(seen, site);
        Ok(())
    }

    /// Applies `correction`; returns whether it did.
    async fn correct(
        &self,
        correction: &Correction,
        seen: &Site,
        keys: &SigningKeys,
        is_head: bool,
    ) -> Result<bool> {
        let origins = &self.sender.origins;
        match correction {
            Correction::Clock(clocks) => {
                let here = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
                let skew = clocks.iter().flatten().find_map(|server| clock_skew(*server, here));
                let Some(skew) = skew else { return Ok(false) };
                // Anybody on the way could set the clock, and so have requests signed for another day.
                if !seen.is_private() {
                    return Ok(false);
                }
                info!(target: CORRECTION, what = "clock", to = format!("{skew:+} s"), "retrying immediately");
                origins.set_clock_skew(skew);
            }
            Correction::Credentials => {
                info!(target: CORRECTION, what = "credentials", "retrying immediately");
                if let Some(identity) = &keys.long_term {
                    origins.config.credentials.refresh(identity).await;
                }
            }
            Correction::Session => {
                let Some((slot, session)) = &keys.session else { return Ok(false) };
                if !slot.reject(session, is_head) {
                    return Ok(false);
                }
                info!(target: CORRECTION, what = "session", "retrying immediately");
            }
            Correction::Region(region) => {
                info!(target: CORRECTION, what = "region", to = region.to_string(), "retrying immediately");
                if let Source::S3(uri) = self.source() {
                    let site = Site::new(origins, uri, region, self.sender.options.read_buffer)?;
                    origins.set_region(uri.bucket(), region);
                    self.switch_site(seen, site);
                }
            }
        }
        Ok(true)
    }

    /// Replaces the site `seen`, at which requests failed. Those under way at the same time fail together: only the
    /// first one switches.
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

/// Returns the error for a session that was refused immediately after another one.
fn refused_session(error: Error) -> Error {
    if error.kind() != ErrorKind::Access || error.service().is_some_and(|service| service.code().is_empty()) {
        return error;
    }
    error
        .reworded(ErrorKind::Access, "the bucket's session has expired, and so has a new one")
        .with_better_hint("check this machine's clock")
}
