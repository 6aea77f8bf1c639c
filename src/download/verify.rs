//! The checksum comparison that runs beside a download: when it waits for HEAD, and for how long.
//!
//! `auto` never delays a byte: it computes what HEAD may ask for until HEAD has answered, and only the end waits for it, for a
//! bounded time. `require` knows what to compare with before the first byte is yielded.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::{Sleep, sleep};

use crate::client::metadata;
use crate::client::part_sizes::part_sizes;
use crate::client::retry::retry;
use crate::download::context::DownloadContext;
use crate::download::options::ChecksumMode;
use crate::download::pending_head::{self, PendingHead};
use crate::error::{Error, ErrorKind, Result};
use crate::s3::address::source::Source;
use crate::s3::checksum::expected::ExpectedChecksum;
use crate::s3::checksum::verifier::Verifier;
use crate::s3::object::ObjectInfo;
use crate::s3::pinned::PinnedVersion;

/// The comparison of one download with the checksum that the store keeps.
pub(super) struct ChecksumCheck {
    verifier: Verifier,
    /// The time limit for HEAD, which begins at the last byte.
    late: Option<Pin<Box<Sleep>>>,
    /// Why nothing was compared although there may be a checksum.
    unverified: Option<&'static str>,
}

impl ChecksumCheck {
    /// Creates the comparison for the object `info`, with the checksum that the first response `shown`, if it did. There is one
    /// only where the `whole` object is delivered.
    pub(super) async fn new(
        context: &Arc<DownloadContext>,
        info: &ObjectInfo,
        whole: bool,
        shown: Option<ExpectedChecksum>,
        head: &mut PendingHead,
    ) -> Result<Self> {
        let verifier = match context.checksum_mode {
            ChecksumMode::Off => Verifier::off(),
            ChecksumMode::Auto if !whole || !context.client.is_s3() => Verifier::off(),
            ChecksumMode::Auto => shown.map_or_else(Verifier::speculating, Verifier::whole),
            ChecksumMode::Require if !whole => return Err(unverifiable("only a part of it is asked for")),
            ChecksumMode::Require => match shown {
                Some(checksum) => Verifier::whole(checksum),
                None => required(context, info, head).await?,
            },
        };
        Ok(Self { verifier, late: None, unverified: None })
    }

    /// Adds the next bytes of the object.
    pub(super) fn update(
        &mut self,
        data: &[u8],
        head: &mut PendingHead,
        info: &ObjectInfo,
        cx: &mut Context<'_>,
    ) {
        self.look(head, info, cx);
        self.verifier.update(data);
    }

    /// Resolves, after the last byte, to whether the bytes were right.
    pub(super) fn poll_end(
        &mut self,
        head: &mut PendingHead,
        info: &ObjectInfo,
        cx: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        self.look(head, info, cx);
        if self.verifier.awaits_expected() {
            let late = self.late.get_or_insert_with(|| Box::pin(sleep(ChecksumMode::LATE)));
            ready!(late.as_mut().poll(cx));
            self.unverified = Some("HEAD, which shows it, has not answered in time");
            self.verifier.set_expected(None);
        }
        Poll::Ready(self.verifier.finish())
    }

    /// Returns whether bytes still have to be added.
    pub(super) fn is_due(&self) -> bool {
        self.verifier.needs_bytes()
    }

    pub(super) fn verified(&self) -> Option<&'static str> {
        self.verifier.verified()
    }

    /// Returns why nothing was compared although the store may have a checksum.
    pub(super) fn unverified(&self) -> Option<&'static str> {
        self.unverified
    }

    /// Takes HEAD's answer, once.
    fn look(&mut self, head: &mut PendingHead, info: &ObjectInfo, cx: &mut Context<'_>) {
        if self.verifier.awaits_expected()
            && let Poll::Ready(answer) = head.poll(cx)
        {
            let answer = answer.cloned();
            let of_this = answer.as_ref().filter(|answer| pending_head::is_of(answer, info));
            self.unverified = match &answer {
                Some(_) if of_this.is_none() => Some("HEAD, which shows it, describes another version"),
                None if head.has_failed() => Some("HEAD, which shows it, failed"),
                _ => None,
            };
            self.verifier.set_expected(of_this.and_then(ExpectedChecksum::full_object));
        }
    }
}

/// Returns the checksum that the store has of the object `info`, and asks for it until it is known.
async fn required(
    context: &Arc<DownloadContext>,
    info: &ObjectInfo,
    head: &mut PendingHead,
) -> Result<Verifier> {
    let Source::S3(uri) = context.client.source() else {
        return Err(unverifiable("a URL is asked for by GET alone, which shows no checksum"));
    };
    let answer = match head.answer().await {
        Some(answer) => answer,
        None => retry(context.max_attempts, |attempt| metadata::head(&context.client, attempt))
            .await
            .map_err(|e| e.with_hint("--checksum require needs the answer to HEAD; auto does without"))?,
    };
    if info.known_size().is_some_and(|size| size != answer.size)
        && answer.etag == info.etag
        && info.etag.is_some()
    {
        let what = format!("HEAD reports {} bytes and GET {}, for one ETag", answer.size, info.size);
        return Err(Error::new(ErrorKind::Server, what));
    }
    PinnedVersion::new(info).check(&answer)?;
    if let Some(expected) = ExpectedChecksum::full_object(&answer) {
        return Ok(Verifier::whole(expected));
    }
    let of_etag = ExpectedChecksum::of_etag(&answer, uri.bucket());
    let Some(expected) = ExpectedChecksum::composite(&answer).or(of_etag) else {
        return Err(unverifiable("the store keeps no checksum of it that could be computed here"));
    };
    let Some(count) = expected.parts else { return Ok(Verifier::whole(expected)) };
    match part_sizes(&context.client, context.max_attempts, &answer, count).await? {
        Some(sizes) => Ok(Verifier::parts(expected, sizes)),
        None => Err(unverifiable("its checksum is one of parts, and the store does not report their sizes")),
    }
}

/// Returns the error for an object that cannot be verified: a usage error, before the first byte, as a range after the end.
fn unverifiable(why: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("the object cannot be verified: {why}"))
        .with_hint("nothing was delivered; --checksum auto downloads it all the same")
}

#[cfg(test)]
mod tests;
