//! A HEAD under way beside a download: it shows what a GET does not, above all the object's checksums.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio_util::task::AbortOnDropHandle;

use crate::client::metadata::head;
use crate::client::retry::Attempt;
use crate::download::context::DownloadContext;
use crate::error::{Result, ServiceError};
use crate::s3::checksum::expected::ExpectedChecksum;
use crate::s3::object::ObjectInfo;
use crate::s3::pinned::PinnedVersion;

/// A HEAD request and then its answer; dropping it ends the request.
pub(super) struct PendingHead {
    context: Arc<DownloadContext>,
    state: HeadState,
}

enum HeadState {
    /// Not sent yet, and perhaps never.
    PutOff,
    Asked {
        task: AbortOnDropHandle<Result<ObjectInfo>>,
        /// Set if it is sent once more should it fail.
        again: bool,
    },
    Answered(Option<Box<ObjectInfo>>),
    Failed {
        /// Set if the server does not implement HEAD.
        is_unknown: bool,
    },
}

impl PendingHead {
    /// Sends a HEAD by the client of `context`.
    pub(super) fn spawn(context: &Arc<DownloadContext>) -> Self {
        Self { context: Arc::clone(context), state: HeadState::asked(context, true) }
    }

    /// Creates a HEAD that is sent when its answer is waited for, or when it is [settled](Self::settle) that it is needed.
    pub(super) fn put_off(context: &Arc<DownloadContext>) -> Self {
        Self { context: Arc::clone(context), state: HeadState::PutOff }
    }

    /// Sends the HEAD if it was put off and `is_needed`; one that is not will have no answer.
    pub(super) fn settle(&mut self, is_needed: bool) {
        if matches!(self.state, HeadState::PutOff) {
            self.state =
                if is_needed { HeadState::asked(&self.context, true) } else { HeadState::Answered(None) };
        }
    }

    /// Creates a HEAD that is not sent and has no answer.
    pub(super) fn none(context: &Arc<DownloadContext>) -> Self {
        Self { context: Arc::clone(context), state: HeadState::Answered(None) }
    }

    /// Creates a HEAD that was answered by `info`.
    pub(super) fn done(context: &Arc<DownloadContext>, info: ObjectInfo) -> Self {
        Self { context: Arc::clone(context), state: HeadState::Answered(Some(Box::new(info))) }
    }

    /// Resolves to the answer; `None` if there is none. A HEAD has no body to say what was wrong: one that failed is sent once more,
    /// because the GETs may have corrected the cause meanwhile.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<&ObjectInfo>> {
        self.settle(true);
        while let HeadState::Asked { task, again } = &mut self.state {
            let answer = ready!(Pin::new(task).poll(cx));
            self.state = match answer {
                Ok(Err(_)) if *again => HeadState::asked(&self.context, false),
                Ok(Ok(info)) => HeadState::Answered(Some(Box::new(info))),
                Ok(Err(error)) => HeadState::Failed {
                    is_unknown: error.service().is_some_and(ServiceError::is_unsupported),
                },
                Err(_) => HeadState::Failed { is_unknown: false },
            };
        }
        match &self.state {
            HeadState::Answered(answer) => Poll::Ready(answer.as_deref()),
            _ => Poll::Ready(None),
        }
    }

    /// Returns whether HEAD failed although the server implements it.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state, HeadState::Failed { is_unknown: false })
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
            let info = head(&context.client, if again { Attempt::FIRST } else { Attempt::after(1) }).await?;
            if ExpectedChecksum::full_object(&info).is_some() {
                context.client.shown_checksums().seen_by_head();
            }
            Ok(info)
        });
        Self::Asked { task: AbortOnDropHandle::new(task), again }
    }
}

/// Returns whether the answer is about the version that the first GET showed.
pub(super) fn is_of(answer: &ObjectInfo, shown: &ObjectInfo) -> bool {
    PinnedVersion::new(shown).check(answer).is_ok()
}

#[cfg(test)]
mod tests;
