//! HEAD: what a store says of an object beyond what a GET shows, its checksums above all.

use std::sync::Arc;

use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::Options;
use crate::client::Client;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::fetch::Shared;
use crate::range::ByteRange;
use crate::request::Ask;
use crate::response::{ObjectInfo, Opened};
use crate::retry::Tries;
use crate::uri::S3Uri;

/// A HEAD under way beside a download; dropping it ends it.
pub(super) struct HeadTask(Option<AbortOnDropHandle<Result<ObjectInfo>>>);

impl HeadTask {
    /// Sends a HEAD by the client of `shared`.
    pub(super) fn spawn(shared: &Arc<Shared>) -> Self {
        let shared = Arc::clone(shared);
        Self(Some(AbortOnDropHandle::new(tokio::spawn(async move { head(&shared.client).await }))))
    }

    /// What it said; `None` where it failed, or was asked before.
    pub(super) async fn result(&mut self) -> Option<ObjectInfo> {
        let said = self.0.as_mut()?.await.ok()?.ok();
        self.0 = None;
        said
    }
}

/// What the store says of `uri`; nothing of the object is downloaded.
pub async fn inspect(config: &Config, uri: &S3Uri, options: &Options) -> Result<ObjectInfo> {
    let client =
        Client::new(config.clone(), uri.clone(), options.addressing_style, options.version_id.clone())?;
    let mut tries = Tries::new(options.max_attempts);
    loop {
        let refused = match head(&client).await {
            Ok(info) => return Ok(info),
            Err(e) => e,
        };
        // A refused HEAD has no body to say why; the same GET has one, or is allowed where HEAD is not.
        let error = if refused.service().is_some() {
            match first_byte(&client).await {
                Ok(info) => return Ok(info),
                Err(e) => e,
            }
        } else {
            refused
        };
        match tries.failed(&error, 0, false) {
            Some(delay) => sleep(delay).await,
            None => return Err(error.after_attempts(tries.count()).on(uri)),
        }
    }
}

/// One HEAD, with checksums where the server knows of them.
async fn head(client: &Client) -> Result<ObjectInfo> {
    let ask = |checksums| client.exchange(Ask::Head { checksums }, None, false);
    let answer = match ask(true).await {
        Err(e) if e.kind() == ErrorKind::Server && !e.is_retryable() => ask(false).await?,
        answer => answer?,
    };
    let info = ObjectInfo::from_head(&answer.head)?;
    // A response to HEAD ends with its head.
    answer.lease.give_back();
    Ok(info)
}

async fn first_byte(client: &Client) -> Result<ObjectInfo> {
    let range = ByteRange::new(0, 1);
    match client.exchange(Ask::Get { range, if_match: None }, None, false).await {
        Ok(answer) => Ok(Opened::check(&answer.head, range, None)?.info),
        // 416: it is there, and empty.
        Err(e) if e.service().is_some_and(|s| s.status == 416) => {
            Opened::check(&client.exchange(Ask::GetWhole, None, false).await?.head, range, None)
                .map(|o| o.info)
        }
        Err(e) => Err::<_, Error>(e),
    }
}
