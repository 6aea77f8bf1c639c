//! The request for the session of a directory bucket: `CreateSession` on the bucket's own host.
//!
//! The task that requests the session uses the connection that it needs anyway, while others open theirs: a session
//! costs the first byte one round trip, and later bytes nothing.

use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use http::StatusCode;
use http::header::DATE;
use tokio::time::Instant;

use crate::client::request_sender::RequestSender;
use crate::client::retry::Attempt;
use crate::client::session_slot::{BucketSession, SessionSlot};
use crate::client::site::Site;
use crate::config::Identity;
use crate::error::Result;
use crate::s3::header::header_text;
use crate::s3::request::S3Request;
use crate::s3::session::{NewSession, create_session_error, unusable_session};

/// The document has some 2 KiB, nearly all of it the token.
const DOCUMENT_BYTES_MAX: usize = 64 << 10;

/// Returns the session of the bucket at `site` for the long-term `keys`, and its slot.
pub(super) async fn session_of(
    sender: &Arc<RequestSender>,
    site: &Arc<Site>,
    keys: &Identity,
    attempt: Attempt,
) -> Result<(Arc<SessionSlot>, Arc<BucketSession>)> {
    let access_key = keys.data::<Credentials>().map_or("", Credentials::access_key_id);
    let url = format!("{}{}", site.endpoint.base(), site.endpoint.session_target());
    let slot = sender.origins.sessions.slot(url, access_key);
    let ask = || Box::pin(create(Arc::clone(sender), Arc::clone(site), keys.clone(), attempt));
    let session = slot.current(ask, Box::pin(sender.warm_up(site, attempt))).await?;
    Ok((slot, session))
}

async fn create(
    sender: Arc<RequestSender>,
    site: Arc<Site>,
    keys: Identity,
    attempt: Attempt,
) -> Result<BucketSession> {
    let attempt = Attempt { is_hedge: false, ..attempt };
    let asked_at = Instant::now();
    let sent = sender.send(&site, S3Request::CreateSession, None, Some(&keys), attempt).await;
    let response = sent.map_err(create_session_error)?;
    if response.head.status != StatusCode::OK {
        return Err(create_session_error(sender.error_from(&site, response).await));
    }
    let body = response.body.collect(DOCUMENT_BYTES_MAX, sender.options.document_timeout).await;
    let body = body.map_err(create_session_error)?.unwrap_or_default();
    let Some(session) = NewSession::read(&body) else {
        return Err(unusable_session(&response.head, &body, response.secrets));
    };
    let date = header_text(&response.head.headers, DATE.as_str());
    let date: Option<SystemTime> = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let lifetime = session.lifetime(sender.origins.now(), date);
    Ok(BucketSession::new(session.keys, asked_at, lifetime))
}
