//! The verdict: whether a download is complete, and what proves it. No other place ends a download well.
//!
//! While it runs, range tasks note in [`Evidence`] what the responses have proven. It also decides beforehand what may not
//! end well: bytes of several responses are combined under a strong validator only (RFC 9110, section 15.3.7.3), unless
//! the user insists. At the end [`Evidence::reach`] looks at all of it once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use tokio::sync::OnceCell;
use tracing::info;

use crate::error::{Error, ErrorKind, Result};
use crate::events::DOWNLOAD;
use crate::s3::object::ObjectInfo;
use crate::s3::pinned::PinnedVersion;
use crate::s3::proof::{SizeProof, Validator, is_blank, opaque};
use crate::s3::range::ByteRange;

/// The proof that a download is complete: every byte was delivered, and they are those of one version of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The validator that shows that all responses were of one version. A single response is of one version without any.
    pub validator: Validator,
    /// The fact that shows the object's size; `None` if the size is unknown and the requested range ends before the object
    /// does.
    pub size: Option<SizeProof>,
    /// How many responses the bytes came in; 0 if there were none to deliver.
    pub responses: u64,
    /// The checksum that the bytes were found equal to, as [`Download::verified`](crate::Download::verified) returns it.
    pub checksum: Option<&'static str>,
}

/// The facts that the responses of one download have shown.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// Set if the user wants ranges to be combined without a strong validator.
    may_combine_unproven: bool,
    /// The version id that requests name.
    named_version: OnceLock<String>,
    size: OnceLock<SizeProof>,
    /// Responses whose bytes were taken.
    responses: AtomicU64,
    /// The `ETag` that HEAD showed before the first GET that counts, where responses to GETs show none.
    head_tag: OnceLock<String>,
    /// Set once HEAD was asked for such a tag.
    is_head_asked: AtomicBool,
    /// Set if the server refused that tag in `If-Match`.
    is_head_tag_refused: AtomicBool,
    /// Set, once that was tried, if the server refuses a tag that the object does not have.
    pub(crate) honours_if_match: OnceCell<bool>,
    /// The tag that HEAD has to show at the end, because a response that was taken does not show it.
    expected_tag: OnceLock<String>,
    /// Set if the object comes in one response because nothing would show that several are of one version.
    is_one_response: AtomicBool,
    /// The object has more bytes than this, if all of it was requested because a response was only a part.
    larger_than: OnceLock<u64>,
    /// The size that one length alone has shown, which is to be confirmed after the last byte.
    unconfirmed_size: OnceLock<u64>,
}

/// A download whose ranges have all ended.
pub(crate) struct EndState<'a> {
    pub(crate) info: &'a ObjectInfo,
    pub(crate) pin: Option<&'a PinnedVersion>,
    /// The bytes to deliver.
    pub(crate) wanted: ByteRange,
    pub(crate) delivered: u64,
    /// HEAD's answer, if there is one.
    pub(crate) head: Option<&'a ObjectInfo>,
    /// The checksum that was compared.
    pub(crate) checksum: Option<&'static str>,
}

impl Evidence {
    /// Creates an empty collection; `named_version` is the version id that every request names.
    pub(crate) fn new(may_combine_unproven: bool, named_version: Option<&str>) -> Self {
        let evidence = Self { may_combine_unproven, ..Self::default() };
        if let Some(id) = named_version {
            evidence.set_named_version(id);
        }
        evidence
    }

    /// Notes the version id that requests name from now on.
    pub(crate) fn set_named_version(&self, id: &str) {
        let _ = self.named_version.set(id.to_owned());
    }

    /// Returns what shows that responses are of the version of `pin`.
    fn validator(&self, pin: &PinnedVersion) -> Validator {
        let named = self.named_version.get().map(String::as_str);
        if named.is_some() && named == pin.version_id() { Validator::Strong } else { pin.validator() }
    }

    /// Returns whether bytes of several responses may be combined into the object of `pin`.
    pub(crate) fn may_combine(&self, pin: &PinnedVersion) -> bool {
        self.may_combine_unproven || self.validator(pin) == Validator::Strong
    }

    /// Notes that all bytes have to come in one response.
    pub(crate) fn set_one_response(&self) {
        self.is_one_response.store(true, Relaxed);
    }

    /// Returns whether all bytes come in one response because nothing would show that several are of one version.
    pub(crate) fn is_one_response(&self) -> bool {
        self.is_one_response.load(Relaxed)
    }

    /// Notes the fact that shows the object's size, if none has before.
    pub(crate) fn set_size(&self, proof: SizeProof) {
        let _ = self.size.set(proof);
    }

    /// Returns whether two responses have shown the size, neither of which would suffice alone.
    pub(crate) fn is_size_confirmed(&self) -> bool {
        self.size.get() == Some(&SizeProof::TwoResponses)
    }

    /// Notes that the object has more than `bytes`.
    pub(crate) fn set_larger_than(&self, bytes: u64) {
        let _ = self.larger_than.set(bytes);
    }

    /// Returns whether a 200 that came was only a part of the object: then no length of a 200 is believed on its own.
    pub(crate) fn has_seen_part(&self) -> bool {
        self.larger_than.get().is_some()
    }

    /// Notes that the length of one 200 alone shows the size, from a server whose ranges proved nothing.
    pub(crate) fn set_unconfirmed_size(&self, size: u64) {
        // After a single byte, the response to a request for the second one would show nothing either.
        if size != 1 {
            let _ = self.unconfirmed_size.set(size);
        }
    }

    /// Returns the size that is to be confirmed after the last byte.
    pub(crate) fn unconfirmed_size(&self) -> Option<u64> {
        self.unconfirmed_size.get().copied()
    }

    /// Counts a response of which bytes were taken.
    pub(crate) fn add_response(&self) {
        self.responses.fetch_add(1, Relaxed);
    }

    /// Returns whether HEAD is to be asked for a strong tag; once.
    pub(crate) fn should_ask_head(&self) -> bool {
        !self.is_head_asked.swap(true, Relaxed)
    }

    /// Notes the strong tag that HEAD showed.
    pub(crate) fn set_head_tag(&self, tag: &str) {
        let _ = self.head_tag.set(tag.to_owned());
    }

    /// Notes that the server refused the tag that HEAD showed.
    pub(crate) fn refuse_head_tag(&self) {
        self.is_head_tag_refused.store(true, Relaxed);
    }

    /// Returns the tag that HEAD showed where responses to GETs show none.
    pub(crate) fn head_tag(&self) -> Option<&str> {
        self.head_tag.get().map(String::as_str).filter(|_| !self.is_head_tag_refused.load(Relaxed))
    }

    /// Notes that HEAD has to show `tag` at the end.
    pub(crate) fn expect_tag(&self, tag: &str) {
        let _ = self.expected_tag.set(tag.to_owned());
    }

    /// Returns the tag that HEAD has to show at the end.
    pub(crate) fn expected_tag(&self) -> Option<&str> {
        self.expected_tag.get().map(String::as_str)
    }

    /// Fails if the size that a GET without `Range` showed contradicts `head`, HEAD's answer, or a byte that the object
    /// was found to have after those.
    pub(crate) fn check_whole(&self, bytes: u64, head: Option<&ObjectInfo>) -> Result<()> {
        match head {
            Some(head) if head.size != bytes => Err(contradiction(head.size, bytes)),
            _ => self.check_larger(bytes),
        }
    }

    fn check_larger(&self, bytes: u64) -> Result<()> {
        match self.larger_than.get() {
            Some(least) if bytes <= *least => Err(maybe_more(bytes)),
            _ => Ok(()),
        }
    }

    /// Returns the verdict on a download whose ranges have all ended well, or the reason why it is not complete.
    pub(crate) fn reach(&self, end: &EndState<'_>) -> Result<Verdict> {
        let (size, bytes) = (self.size.get().copied(), end.info.known_size());
        // A range that ends before the object needs no size.
        if (size.is_none() && bytes.is_some()) || end.wanted.end() == u64::MAX {
            return Err(Error::new(ErrorKind::Server, "no response shows the size of the object"));
        }
        if end.delivered != end.wanted.len() {
            return Err(Error::new(ErrorKind::Other, "not every part of the object was fetched"));
        }
        if let Some(bytes) = bytes {
            self.check_larger(bytes)?;
            // The other way round HEAD is wrong: the bytes are there.
            if let Some(head) = end.head.filter(|head| head.size > bytes && !is_other_version(head, end.info))
                && !(size == Some(SizeProof::LastChunk) && is_packed_otherwise(head, end.info))
            {
                return Err(contradiction(head.size, bytes));
            }
        }
        let responses = self.responses.load(Relaxed);
        if responses > 1 && !end.pin.is_some_and(|pin| self.may_combine(pin)) {
            let what = "the bytes came in several responses, and nothing shows that those are of one version";
            return Err(Error::new(ErrorKind::Server, what));
        }
        let validator = end.pin.map_or(Validator::of(end.info), |pin| self.validator(pin));
        let verdict = Verdict { validator, size, responses, checksum: end.checksum };
        verdict.log(bytes);
        Ok(verdict)
    }
}

impl Verdict {
    /// Returns the verdict on what an earlier run has delivered, which was found to be the object `info`, as HEAD shows it now.
    pub(crate) fn of_earlier_run(info: &ObjectInfo, checksum: Option<&'static str>) -> Self {
        let (validator, size) = (Validator::of(info), Some(SizeProof::TwoResponses));
        Self { validator, size, responses: 0, checksum }
    }

    /// Returns the verdict on two downloads, one after the other: no more is proven than of the weaker one.
    #[must_use]
    pub(crate) fn and(self, later: Self) -> Self {
        Self {
            validator: self.validator.min(later.validator),
            size: later.size,
            responses: self.responses + later.responses,
            checksum: later.checksum.filter(|_| self.checksum.is_some()),
        }
    }

    fn log(&self, size: Option<u64>) {
        info!(
            target: DOWNLOAD,
            size,
            size_by = self.size.map(SizeProof::name),
            validator = self.validator.name(),
            responses = self.responses,
            checksum = self.checksum,
            "the object is complete"
        );
    }
}

/// Returns the error for a 200 of `bytes` that may not be all of the object.
pub(crate) fn maybe_more(bytes: u64) -> Error {
    let what = format!("the server sent {bytes} bytes, and nothing shows that the object has no more");
    Error::new(ErrorKind::Server, what)
}

fn contradiction(head: u64, get: u64) -> Error {
    Error::new(ErrorKind::Server, format!("HEAD reports {head} bytes, and GET {get}"))
}

/// Returns whether HEAD describes the object in another encoding than the GET brought it in, perhaps a longer one: proxies pack
/// bytes on their way, and some stores unpack them.
fn is_packed_otherwise(head: &ObjectInfo, info: &ObjectInfo) -> bool {
    head.content_encoding != info.content_encoding
}

/// Returns whether HEAD describes another version than `info`, from a GET: where both show a tag, a version id or a date, and
/// those differ.
fn is_other_version(head: &ObjectInfo, info: &ObjectInfo) -> bool {
    let differ = |a: Option<&str>, b: Option<&str>| a.zip(b).is_some_and(|(a, b)| a != b);
    let tags = [head, info].map(|shown| shown.etag.as_deref().filter(|tag| !is_blank(tag)).map(opaque));
    if let [Some(head), Some(get)] = tags {
        return head != get;
    }
    differ(head.version_id.as_deref(), info.version_id.as_deref())
        || differ(head.last_modified.as_deref(), info.last_modified.as_deref())
}
