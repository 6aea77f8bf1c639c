//! The version of an object that a download is pinned to, and the check of every later response against it.

use crate::error::printable::printable;
use crate::error::{Error, ErrorKind, Result};
use crate::s3::object::{ObjectInfo, malformed};
use crate::s3::proof::{Validator, is_strong, opaque};

/// The version that the first response to a GET showed.
#[derive(Debug, Clone)]
pub(crate) struct PinnedVersion {
    size: u64,
    etag: Option<String>,
    last_modified: Option<String>,
    version_id: Option<String>,
    validator: Validator,
    content_encoding: Option<String>,
}

impl PinnedVersion {
    /// Pins to the version that `info`, from a GET, describes.
    pub(crate) fn new(info: &ObjectInfo) -> Self {
        Self {
            size: info.size,
            etag: info.etag.clone(),
            last_modified: info.last_modified.clone(),
            version_id: info.version_id.clone(),
            validator: Validator::of(info),
            content_encoding: encoding(info).map(str::to_owned),
        }
    }

    /// Returns the size in bytes; [`ObjectInfo::SIZE_UNKNOWN`] if no response has shown it.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the size in bytes, if a response has shown it.
    pub(crate) fn known_size(&self) -> Option<u64> {
        Some(self.size).filter(|size| *size != ObjectInfo::SIZE_UNKNOWN)
    }

    /// Returns what the first response had to compare others with.
    pub(crate) fn validator(&self) -> Validator {
        self.validator
    }

    /// Returns the version id, if the store showed one.
    pub(crate) fn version_id(&self) -> Option<&str> {
        self.version_id.as_deref()
    }

    /// Returns the value of `If-Match`, which exists only for a strong `ETag`: it compares strongly (RFC 9110, section
    /// 13.1.1), so that a weak one would never match. Only bytes under a strong one may be combined (section 15.3.7.3).
    pub(crate) fn if_match(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| is_strong(etag))
    }

    /// Checks that another response shows the same version. Not every server honours `If-Match`, and without a strong
    /// `ETag` only the size and the date can be compared.
    pub(crate) fn check(&self, info: &ObjectInfo) -> Result<()> {
        match (self.etag.as_deref(), info.etag.as_deref()) {
            (None, None) => {}
            (Some(pinned), Some(other)) if pinned == other => {}
            // The request carried the strong tag in If-Match, so that a proxy on the way has weakened it.
            (Some(pinned), Some(other)) if is_strong(pinned) && opaque(pinned) == opaque(other) => {}
            (pinned, other) => {
                // A response without any tag may be that of a single broken server.
                let is_missing = pinned.is_some() && other.is_none();
                return Err(changed("ETag", shown(self.etag.as_deref()), shown(info.etag.as_deref()))
                    .retryable(is_missing));
            }
        }
        let sizes_are_known = self.known_size().is_some() && info.known_size().is_some();
        if sizes_are_known && self.size != info.size {
            return Err(changed("size", &self.size.to_string(), &info.size.to_string()));
        }
        if self.if_match().is_some() {
            return Ok(());
        }
        if self.last_modified != info.last_modified {
            return Err(changed(
                "date",
                shown(self.last_modified.as_deref()),
                shown(info.last_modified.as_deref()),
            ));
        }
        if self.version_id != info.version_id {
            return Err(changed(
                "version id",
                shown(self.version_id.as_deref()),
                shown(info.version_id.as_deref()),
            ));
        }
        Ok(())
    }

    /// Returns the error for a 416, perhaps with the size `shown`, to a request for the bytes from `start` on, which this
    /// version has. With this size it contradicts itself, and the next attempt may not; so does one without a size to a
    /// request that `named_tag`: a server that has another version refuses the tag first (RFC 9110, section 13.2.2).
    pub(crate) fn refused_range(&self, start: u64, shown: Option<u64>, named_tag: bool) -> Error {
        let is_there = |size: u64| {
            malformed(format!(
                "the server refuses the range from byte {start} on, although the object has {size} bytes"
            ))
        };
        match (shown, self.known_size()) {
            (Some(shown), known) if shown > start && known.is_none_or(|size| size == shown) => {
                is_there(shown)
            }
            (Some(shown), Some(size)) => changed("size", &size.to_string(), &shown.to_string()),
            (None, Some(size)) if named_tag => is_there(size),
            _ => {
                let what = format!("the object changed during the download: it no longer has byte {start}");
                Error::new(ErrorKind::Changed, what)
            }
        }
    }

    /// Checks that another response to a GET has bytes in the same encoding. A server or a proxy that compresses what
    /// it sends may keep the tag, and then bytes of two encodings would be mixed.
    pub(crate) fn check_encoding(&self, info: &ObjectInfo) -> Result<()> {
        let (was, is) = (self.content_encoding.as_deref(), encoding(info));
        if was.map(str::to_ascii_lowercase) == is.map(str::to_ascii_lowercase) {
            return Ok(());
        }
        Err(changed("Content-Encoding", shown(was), shown(is)).retryable(true))
    }
}

/// Returns the encoding of the bytes, if there is one.
fn encoding(info: &ObjectInfo) -> Option<&str> {
    let encoding = info.content_encoding.as_deref().map(str::trim);
    encoding.filter(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity"))
}

fn changed(what: &str, was: &str, is: &str) -> Error {
    let (was, is) = (printable(was), printable(is));
    let what = format!("the object changed during the download: its {what} was {was} and is {is}");
    Error::new(ErrorKind::Changed, what)
}

fn shown(value: Option<&str>) -> &str {
    value.unwrap_or("absent")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(etag: Option<&str>, size: u64, date: &str) -> ObjectInfo {
        ObjectInfo {
            size,
            etag: etag.map(str::to_owned),
            last_modified: Some(date.to_owned()),
            ..ObjectInfo::default()
        }
    }

    #[test]
    fn a_refused_range_is_a_change_unless_the_size_is_the_same() {
        let unknown = ObjectInfo::SIZE_UNKNOWN;
        for (size, shown, named_tag, exit, says) in [
            (9, Some(0), true, 6, "its size was 9 and is 0"),
            (9, Some(5), true, 6, "its size was 9 and is 5"),
            (9, Some(6), true, 6, "its size was 9 and is 6"),
            (9, Some(10), true, 6, "its size was 9 and is 10"),
            (9, Some(9), true, 5, "refuses the range from byte 5 on, although the object has 9 bytes"),
            (9, Some(9), false, 5, "refuses the range from byte 5 on, although the object has 9 bytes"),
            (9, None, true, 5, "refuses the range from byte 5 on, although the object has 9 bytes"),
            (9, None, false, 6, "it no longer has byte 5"),
            (unknown, Some(6), true, 5, "although the object has 6 bytes"),
            (unknown, Some(5), true, 6, "it no longer has byte 5"),
            (unknown, None, true, 6, "it no longer has byte 5"),
        ] {
            let pin = PinnedVersion::new(&info(Some("\"a\""), size, "Mon"));
            let error = pin.refused_range(5, shown, named_tag);
            let case = format!("{size}, {shown:?}, {named_tag}");
            assert_eq!((error.exit_code(), error.is_retryable()), (exit, exit == 5), "{case}");
            assert!(error.to_string().ends_with(says), "{case}: {error}");
        }
    }

    #[test]
    fn another_version_is_seen_by_etag_size_or_date() {
        let pin = PinnedVersion::new(&info(Some("\"a\""), 5, "Mon"));
        assert_eq!(pin.if_match(), Some("\"a\""));
        assert!(pin.check(&info(Some("\"a\""), 5, "Tue")).is_ok(), "a strong ETag says enough");
        for other in [info(Some("\"b\""), 5, "Mon"), info(None, 5, "Mon"), info(Some("\"a\""), 6, "Mon")] {
            assert_eq!(pin.check(&other).unwrap_err().kind(), ErrorKind::Changed);
        }
        let none = PinnedVersion::new(&info(None, 5, "Mon"));
        assert!(none.check(&info(None, 5, "Mon")).is_ok());
        assert!(none.check(&info(None, 5, "Tue")).is_err());
    }

    #[test]
    fn a_weak_etag_is_compared_but_not_asked_for() {
        let pin = PinnedVersion::new(&info(Some("W/\"a\""), 5, "Mon"));
        assert_eq!(pin.if_match(), None);
        assert!(pin.check(&info(Some("W/\"a\""), 5, "Mon")).is_ok());
        assert!(pin.check(&info(Some("W/\"b\""), 5, "Mon")).is_err());
    }

    #[test]
    fn weak_strong_blank_unquoted_and_missing_tags() {
        for (pinned, other, kind) in [
            ("\"a\"", "\"a\"", None),
            ("\"a\"", "W/\"a\"", None),
            ("\"a\"", "a", None),
            ("a", "\"a\"", None),
            ("W/\"a\"", "\"a\"", Some(ErrorKind::Changed)),
            ("\"a\"", "W/\"b\"", Some(ErrorKind::Changed)),
            ("\"a\"", "", Some(ErrorKind::Changed)),
            ("\"\"", "\"\"", None),
            ("", "\"a\"", Some(ErrorKind::Changed)),
        ] {
            let tag = |text: &'static str| Some(text);
            let pin = PinnedVersion::new(&info(tag(pinned), 5, "Mon"));
            let checked = pin.check(&info(tag(other), 5, "Mon"));
            assert_eq!(checked.err().map(|e| e.kind()), kind, "{pinned} {other}");
        }
        for (etag, if_match) in
            [("\"a\"", Some("\"a\"")), ("a", Some("a")), ("W/\"a\"", None), ("", None), ("\"\"", None)]
        {
            assert_eq!(PinnedVersion::new(&info(Some(etag), 5, "Mon")).if_match(), if_match, "{etag}");
        }
    }

    #[test]
    fn bytes_of_two_encodings_are_never_mixed() {
        let of = |encoding: Option<&str>| ObjectInfo {
            content_encoding: encoding.map(str::to_owned),
            ..info(Some("\"a\""), 5, "Mon")
        };
        for (pinned, other, is_same) in [
            (None, None, true),
            (Some("gzip"), Some("GZIP"), true),
            (None, Some("identity"), true),
            (Some(""), Some(" "), true),
            (None, Some("gzip"), false),
            (Some("gzip"), None, false),
            (Some("gzip"), Some("br"), false),
            (Some("gzip"), Some("gzip, gzip"), false),
        ] {
            let pin = PinnedVersion::new(&of(pinned));
            let checked = pin.check_encoding(&of(other));
            assert_eq!(checked.is_ok(), is_same, "{pinned:?} {other:?}");
            assert!(checked.is_ok() || checked.is_err_and(|e| e.kind() == ErrorKind::Changed));
        }
    }

    #[test]
    fn a_missing_tag_is_worth_another_attempt() {
        let pin = PinnedVersion::new(&info(Some("\"a\""), 5, "Mon"));
        let missing = pin.check(&info(None, 5, "Mon")).unwrap_err();
        assert!(missing.is_retryable() && missing.kind() == ErrorKind::Changed);
    }
}
