//! HEAD: what a store says of an object beyond what a GET shows, its checksums above all.

use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::budget::Budget;
use crate::client::Client;
use crate::config::Config;
use crate::context::Shared;
use crate::error::{ErrorKind, Result};
use crate::events;
use crate::object::ObjectInfo;
use crate::options::Options;
use crate::range::ByteRange;
use crate::request::Ask;
use crate::response::{Opened, Pin as Pinned};
use crate::retry::{Tries, Try};
use crate::source::Source;

/// A HEAD under way beside a download, and then what it said; dropping it ends it.
pub(super) struct Head {
    shared: Arc<Shared>,
    state: State,
}

enum State {
    Asked {
        task: AbortOnDropHandle<Result<ObjectInfo>>,
        /// Whether it is asked once more should this fail.
        again: bool,
    },
    Answered(Option<ObjectInfo>),
}

impl Head {
    /// Sends a HEAD by the client of `shared`.
    pub(super) fn spawn(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), state: State::asked(shared, true) }
    }

    /// One that is not sent.
    pub(super) fn none(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), state: State::Answered(None) }
    }

    /// One that has said `info` already.
    pub(super) fn done(shared: &Arc<Shared>, info: ObjectInfo) -> Self {
        Self { shared: Arc::clone(shared), state: State::Answered(Some(info)) }
    }

    /// What it said; `None` where it failed. A HEAD has no body to say what was wrong: one that failed is sent
    /// once more, for the GETs may have put it right meanwhile.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<&ObjectInfo>> {
        while let State::Asked { task, again } = &mut self.state {
            let said = ready!(Pin::new(task).poll(cx));
            self.state = match said {
                Ok(Err(_)) if *again => State::asked(&self.shared, false),
                said => State::Answered(said.ok().and_then(Result::ok)),
            };
        }
        let State::Answered(said) = &self.state else { return Poll::Pending };
        Poll::Ready(said.as_ref())
    }

    /// The same, waited for.
    pub(super) async fn answer(&mut self) -> Option<ObjectInfo> {
        poll_fn(|cx| self.poll(cx).map(Option::<&_>::cloned)).await
    }
}

impl State {
    fn asked(shared: &Arc<Shared>, again: bool) -> Self {
        let shared = Arc::clone(shared);
        let task = tokio::spawn(async move {
            head(&shared.client, if again { Try::FIRST } else { Try::after(1) }).await
        });
        Self::Asked { task: AbortOnDropHandle::new(task), again }
    }
}

/// Whether what HEAD said speaks of the version that the first GET showed.
pub(super) fn is_of(said: &ObjectInfo, shown: &ObjectInfo) -> bool {
    Pinned::new(shown).check(said).is_ok()
}

/// What the store says of `source`; nothing of the object is downloaded, but its first byte of a URL.
/// [`Options::range`] and [`Options::if_match`] are not looked at.
pub async fn inspect(config: &Config, source: impl Into<Source>, options: &Options) -> Result<ObjectInfo> {
    let source = &source.into();
    let read_buffer = Budget::of(options, &config.ceilings).read_buffer;
    let client = Client::new(config.clone(), source.clone(), options, read_buffer)?;
    let described = describe(&client, options.max_attempts.or(config.max_attempts)).await;
    described.map_err(|e| source.explain(e))
}

/// What the store says of the client's object, by HEAD or else, and for a URL at once, by a GET of its first byte.
pub(super) async fn describe(client: &Client, max_attempts: Option<NonZeroU32>) -> Result<ObjectInfo> {
    let mut tries = Tries::new(max_attempts);
    loop {
        let attempt = Try::after(tries.count());
        let asked =
            if client.is_s3() { head(client, attempt).await } else { first_byte(client, attempt).await };
        let asked = match asked {
            // A refused HEAD has no body to say why; the same GET has one, or is allowed where HEAD is not.
            Err(refused) if client.is_s3() && refused.service().is_some() => {
                first_byte(client, attempt).await
            }
            asked => asked,
        };
        let error = match asked {
            Ok(info) => return Ok(info),
            Err(e) => e,
        };
        match tries.failed(&error, 0, false) {
            Some(delay) => {
                events::retry(None, tries.count(), &error, delay);
                sleep(delay).await;
            }
            None => return Err(error.after_attempts(tries.count())),
        }
    }
}

/// One HEAD, with checksums where the server knows of them.
pub(super) async fn head(client: &Client, attempt: Try) -> Result<ObjectInfo> {
    let ask = |checksums| client.exchange(Ask::Head { checksums }, None, attempt);
    let answer = match ask(true).await {
        Err(e) if e.kind() == ErrorKind::Server && !e.is_retryable() => ask(false).await?,
        answer => answer?,
    };
    let info = ObjectInfo::from_head(&answer.head)?;
    // A response to HEAD ends with its head.
    answer.lease.give_back();
    Ok(info)
}

/// What a GET of the first byte says, or one of all there is where there is no first byte.
async fn first_byte(client: &Client, attempt: Try) -> Result<ObjectInfo> {
    let range = ByteRange::new(0, 1);
    match client.exchange(Ask::Get { range, if_match: None }, None, attempt).await {
        Ok(answer) => Ok(Opened::check(&answer.head, range, None)?.info),
        // It is there, and empty.
        Err(e) if e.service().is_some_and(|s| s.status == StatusCode::RANGE_NOT_SATISFIABLE.as_u16()) => {
            let answer = client.exchange(Ask::GetWhole, None, attempt).await?;
            Ok(Opened::check(&answer.head, range, None)?.info)
        }
        Err(e) => Err(e),
    }
}
