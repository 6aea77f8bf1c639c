//! The bytes that the user requested, and the version where one was named. Pure.

use crate::error::{Error, ErrorKind, Result};
use crate::s3::etag::ETag;
use crate::s3::object::ObjectInfo;
use crate::s3::range::ByteRange;
use crate::s3::range_spec::RangeSpec;
use crate::s3::response::RangeResponse;

/// The requested bytes, and what is known of the object before the first response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestedBytes {
    /// Up to `u64::MAX` where no end was named.
    range: ByteRange,
    /// Where the user's range begins, for messages.
    named_start: u64,
    /// The version that the first GET asks for.
    if_match: Option<ETag>,
    /// Set if the user named that version, and HEAD did not just show it.
    is_named: bool,
    /// The object's size, where the range was counted from its end.
    size: Option<u64>,
}

impl RequestedBytes {
    /// Creates a request for `range` of the version `if_match`; `None` for bytes counted from the end of an object, or for a
    /// shard: where those begin is known only with the size ([`RequestedBytes::at_the_end`]).
    pub(crate) fn new(range: Option<RangeSpec>, if_match: Option<ETag>) -> Option<Self> {
        let range = match range {
            Some(spec) if spec.needs_size() => return None,
            Some(spec) => spec.of(u64::MAX),
            None => ByteRange::new(0, u64::MAX),
        };
        let named_start = range.start();
        // There must be a byte to request, and no object is so large.
        let range = ByteRange::new(named_start.min(u64::MAX - 1), range.end());
        Some(Self { range, named_start, is_named: if_match.is_some(), if_match, size: None })
    }

    /// Creates a request for `range` of the object that `info` describes, and of no other version.
    pub(crate) fn at_the_end(
        range: Option<RangeSpec>,
        if_match: Option<ETag>,
        info: &ObjectInfo,
    ) -> Result<Self> {
        check_named(if_match.as_ref(), info)?;
        if info.known_size().is_none() {
            return Err(Error::new(ErrorKind::Server, SIZE_NEEDED));
        }
        let range = range.map_or(ByteRange::new(0, info.size), |spec| spec.of(info.size));
        let shown = info.etag.as_deref().and_then(ETag::of_header);
        let is_named = if_match.is_some();
        Ok(Self {
            range,
            named_start: range.start(),
            if_match: if_match.or(shown),
            is_named,
            size: Some(info.size),
        })
    }

    /// Returns the first byte's offset.
    pub(crate) fn start(&self) -> u64 {
        self.range.start()
    }

    /// Returns whether the range is counted from the object's end, which something else than its response has shown.
    pub(crate) fn is_from_end(&self) -> bool {
        self.size.is_some()
    }

    /// Returns whether it is already known that there is nothing to deliver.
    pub(crate) fn is_nothing(&self) -> bool {
        self.range.is_empty()
    }

    /// Returns what the first GET asks for, with chunks of `chunk` bytes.
    pub(crate) fn first(&self, chunk: u64) -> ByteRange {
        ByteRange::new(self.start(), self.start().saturating_add(chunk).min(self.range.end()))
    }

    /// Returns all the bytes to request, up to the end that the user named, if any.
    pub(crate) fn open_ended(&self) -> ByteRange {
        self.range
    }

    /// Returns whether no byte to deliver comes after those of `response`.
    pub(crate) fn is_last(&self, response: &RangeResponse) -> bool {
        response.whole || response.body.end() >= self.range.clipped(response.info.size).end()
    }

    /// Returns the value of the first GET's `If-Match`.
    pub(crate) fn if_match(&self) -> Option<&str> {
        self.if_match.as_ref().map(ETag::as_str)
    }

    /// Returns the bytes to deliver of the object that `info` describes, which may not be the one that was named: not every
    /// server honours `If-Match`. A range that begins at the end of the object is empty; one that begins after it is a
    /// usage error.
    pub(crate) fn of(&self, info: &ObjectInfo) -> Result<ByteRange> {
        // Some servers show a tag by HEAD alone; then all bytes come in one response.
        match (&self.if_match, info.etag.as_deref()) {
            (Some(measured), Some(shown)) if !self.is_named && !is_tag_of(measured, shown) => {
                let what = format!("the object changed meanwhile: its ETag was {measured} and is {shown}");
                return Err(Error::new(ErrorKind::Changed, what));
            }
            _ if self.is_named => check_named(self.if_match.as_ref(), info)?,
            _ => {}
        }
        match self.size {
            Some(_) if info.known_size().is_none() => Err(Error::new(ErrorKind::Server, SIZE_NEEDED)),
            Some(size) if size != info.size => Err(other_size(size, info.size, self.has_tag_of(info))),
            _ if self.start() > info.size => Err(self.beyond(info.size)),
            _ => Ok(self.range.clipped(info.size)),
        }
    }

    /// Returns the error for a range that begins after the end of an object of `size` bytes.
    pub(crate) fn beyond(&self, size: u64) -> Error {
        let start = self.named_start;
        Error::usage(format!(
            "the range begins at byte {start}, beyond the end of the object: it has {size} bytes"
        ))
    }

    /// Returns whether `info` shows the tag of the object that was measured.
    fn has_tag_of(&self, info: &ObjectInfo) -> bool {
        self.if_match.as_ref().zip(info.etag.as_deref()).is_some_and(|(tag, shown)| tag.matches(shown))
    }

    /// Explains the first GET's 412.
    pub(crate) fn refused(&self, error: Error) -> Error {
        match error.service() {
            Some(service) if service.status == 412 && self.if_match.is_some() && self.size.is_none() => {
                other(OTHER.to_owned()).with_service(service.clone())
            }
            _ => error,
        }
    }
}

const SIZE_NEEDED: &str =
    "the server does not show the object's size, from which this range would be counted";
const OTHER: &str = "the object is not the one named by --if-match";

fn other(what: String) -> Error {
    Error::new(ErrorKind::Changed, what).with_hint("s3fcp --info shows the present ETag")
}

fn check_named(if_match: Option<&ETag>, info: &ObjectInfo) -> Result<()> {
    match (if_match, info.etag.as_deref()) {
        (Some(named), Some(shown)) if !named.matches(shown) => {
            Err(other(format!("{OTHER}, {named}: its ETag is {shown}")))
        }
        (Some(named), None) => Err(other(format!("{OTHER}, {named}: the store shows no ETag"))),
        _ => Ok(()),
    }
}

/// Returns whether the version that HEAD `measured` shows this tag, perhaps as a weak one: it was sent in `If-Match`, and some
/// proxies weaken the tags of responses. The bytes then come in one response.
fn is_tag_of(measured: &ETag, shown: &str) -> bool {
    measured.matches(shown.strip_prefix("W/").unwrap_or(shown))
}

/// Returns the error for an object that had `size` bytes, and then `now`.
fn other_size(size: u64, now: u64, is_of_one_tag: bool) -> Error {
    if is_of_one_tag {
        let what = format!("the server reported {size} bytes, and then {now}, for one ETag");
        return Error::new(ErrorKind::Server, what);
    }
    let what = format!("the object changed meanwhile: it has {now} bytes where it had {size}");
    Error::new(ErrorKind::Changed, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(size: u64, etag: &str) -> ObjectInfo {
        let mut info = ObjectInfo::default();
        (info.size, info.etag) = (size, Some(etag.to_owned()).filter(|e| !e.is_empty()));
        info
    }

    fn wanted(range: &str, if_match: &str) -> RequestedBytes {
        let range = Some(range).filter(|r| !r.is_empty()).map(|r| r.parse().unwrap());
        RequestedBytes::new(range, Some(if_match).filter(|e| !e.is_empty()).map(|e| e.parse().unwrap()))
            .unwrap()
    }

    #[test]
    fn the_first_request_and_what_is_delivered() {
        for (range, size, first, delivered) in [
            ("", 100, 0..10, 0..100),
            ("", 0, 0..10, 0..0),
            ("5-", 100, 5..15, 5..100),
            ("5-7", 100, 5..8, 5..8),
            ("5-99", 20, 5..15, 5..20),
            ("5-18446744073709551615", 20, 5..15, 5..20),
            ("20-", 20, 20..30, 20..20),
        ] {
            let wanted = wanted(range, "");
            assert_eq!(wanted.first(10), ByteRange::new(first.start, first.end), "{range}");
            let range = ByteRange::new(delivered.start, delivered.end);
            assert_eq!(wanted.of(&info(size, "")).unwrap(), range, "{range}");
        }
        for range in ["21-", "21-30", "18446744073709551615-", "18446744073709551615-18446744073709551615"] {
            let wanted = wanted(range, "");
            assert!(!wanted.first(1).is_empty(), "{range}");
            let error = wanted.of(&info(20, "")).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{range}");
            let named = range.split('-').next().unwrap();
            assert!(error.to_string().contains(&format!("at byte {named}, beyond")), "{range}: {error}");
        }
    }

    #[test]
    fn another_object_than_the_one_named_has_changed() {
        let wanted = wanted("5-", "e");
        assert_eq!(wanted.if_match(), Some("\"e\""));
        assert!(wanted.of(&info(20, "\"e\"")).is_ok());
        for other in ["\"f\"", "W/\"e\"", ""] {
            assert_eq!(wanted.of(&info(20, other)).unwrap_err().exit_code(), 6, "{other}");
        }
    }

    #[test]
    fn the_end_of_an_object_is_that_of_the_object_that_was_measured() {
        let last = Some("-5".parse().unwrap());
        assert_eq!(RequestedBytes::new(last, None), None);
        let wanted = RequestedBytes::at_the_end(last, None, &info(20, "\"e\"")).unwrap();
        assert_eq!((wanted.first(10), wanted.if_match()), (ByteRange::new(15, 20), Some("\"e\"")));
        assert_eq!(wanted.of(&info(21, "\"e\"")).unwrap_err().exit_code(), 5, "two sizes for one tag");
        let other = wanted.of(&info(20, "\"f\"")).unwrap_err();
        assert_eq!(other.exit_code(), 6);
        assert!(!other.to_string().contains("--if-match"), "{other}");
        assert!(wanted.of(&info(20, "W/\"e\"")).is_ok(), "weakened on its way");
        assert!(RequestedBytes::at_the_end(last, None, &info(0, "\"e\"")).unwrap().is_nothing());
        let named = Some("f".parse().unwrap());
        assert_eq!(RequestedBytes::at_the_end(last, named, &info(20, "\"e\"")).unwrap_err().exit_code(), 6);
        assert_eq!(RequestedBytes::at_the_end(last, None, &info(20, "W/\"e\"")).unwrap().if_match(), None);
    }
}
