//! A HEAD under way beside a download: what the store says of the object beyond what a GET shows, above all its checksums.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio_util::task::AbortOnDropHandle;

use crate::client::metadata::head;
use crate::client::retry::Attempt;
use crate::download::context::DownloadContext;
use crate::error::Result;
use crate::s3::object::ObjectInfo;
use crate::s3::pinned::PinnedVersion;

/// A HEAD request and then its answer; dropping it ends the request.
pub(super) struct PendingHead {
    context: Arc<DownloadContext>,
    state: HeadState,
}

enum HeadState {
    Asked {
        task: AbortOnDropHandle<Result<ObjectInfo>>,
        /// Send it once more if this fails.
        again: bool,
    },
    Answered(Option<ObjectInfo>),
}

impl PendingHead {
    /// Sends a HEAD by the client of `context`.
    pub(super) fn spawn(context: &Arc<DownloadContext>) -> Self {
        Self { context: Arc::clone(context), state: HeadState::asked(context, true) }
    }

    /// Creates one that is not sent and has no answer.
    pub(super) fn none(context: &Arc<DownloadContext>) -> Self {
        Self { context: Arc::clone(context), state: HeadState::Answered(None) }
    }

    /// Creates one that was answered by `info`.
    pub(super) fn done(context: &Arc<DownloadContext>, info: ObjectInfo) -> Self {
        Self { context: Arc::clone(context), state: HeadState::Answered(Some(info)) }
    }

    /// Resolves to the answer; `None` if there is none. A HEAD has no body to say what was wrong: one that failed is sent once more,
    /// because the GETs may have corrected the cause meanwhile.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<&ObjectInfo>> {
        while let HeadState::Asked { task, again } = &mut self.state {
            let answer = ready!(Pin::new(task).poll(cx));
            self.state = match answer {
                Ok(Err(_)) if *again => HeadState::asked(&self.context, false),
                answer => HeadState::Answered(answer.ok().and_then(Result::ok)),
            };
        }
        let HeadState::Answered(answer) = &self.state else { return Poll::Pending };
        Poll::Ready(answer.as_ref())
    }

    /// Waits for the answer.
    pub(super) async fn answer(&mut self) -> Option<ObjectInfo> {
        poll_fn(|cx| self.poll(cx).map(Option::<&_>::cloned)).await
    }
}

impl HeadState {
    fn asked(context: &Arc<DownloadContext>, again: bool) -> Self {
        let context = Arc::clone(context);
        let task = tokio::spawn(async move {
            head(&context.client, if again { Attempt::FIRST } else { Attempt::after(1) }).await
        });
        Self::Asked { task: AbortOnDropHandle::new(task), again }
    }
}

/// Returns whether the answer is about the version that the first GET showed.
pub(super) fn is_of(answer: &ObjectInfo, shown: &ObjectInfo) -> bool {
    PinnedVersion::new(shown).check(answer).is_ok()
}
