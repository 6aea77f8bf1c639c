//! The facts that responses can prove of an object: its size, and that several of them are of one version.

use crate::s3::object::ObjectInfo;

/// How well responses can be compared by what they show of the object's version, the weakest first (RFC 9110, section
/// 8.8.1). Bytes of several responses may be combined under a strong validator only (section 15.3.7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Validator {
    /// They show neither `ETag` nor `Last-Modified`.
    None,
    /// They show a weak `ETag`, or `Last-Modified` alone: two versions within one second look the same.
    Weak,
    /// They show a strong `ETag`, or the version id that the requests named.
    Strong,
}

impl Validator {
    /// Returns the validator that `info`, read from a response, has.
    pub(crate) fn of(info: &ObjectInfo) -> Self {
        match info.etag.as_deref() {
            Some(etag) if is_strong(etag) => Self::Strong,
            Some(etag) if !is_blank(etag) => Self::Weak,
            _ if info.last_modified.is_some() => Self::Weak,
            _ => Self::None,
        }
    }

    /// Returns the name: `strong`, `weak` or `none`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Weak => "weak",
            Self::Strong => "strong",
        }
    }
}

/// The fact that shows an object's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SizeProof {
    /// The complete length in a `Content-Range`.
    ContentRange,
    /// A 200 that no part would have the length of: to a range from the first byte on, longer or shorter than that.
    WholeResponse,
    /// Two responses that agree, neither of which would suffice alone: a 200 as long as the range and a HEAD, a 416 and
    /// a HEAD, the bytes that came in chunks and a HEAD.
    TwoResponses,
    /// The last chunk of a response without a length.
    LastChunk,
}

impl SizeProof {
    /// Returns the name in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ContentRange => "content-range",
            Self::WholeResponse => "whole response",
            Self::TwoResponses => "two responses",
            Self::LastChunk => "last chunk",
        }
    }
}

/// Words that programs write where a value is missing. As an `ETag` they are the same for every object.
const PLACEHOLDERS: [&str; 6] = ["null", "(null)", "nil", "none", "undefined", "unknown"];

/// Returns whether `etag` is strong and names something: a blank one and a placeholder do not.
pub(crate) fn is_strong(etag: &str) -> bool {
    weak(etag).is_none() && !is_blank(etag)
}

/// Returns the tag without its quotes, which some servers omit, and without the mark of a weak one.
pub(crate) fn opaque(etag: &str) -> &str {
    weak(etag).unwrap_or(etag).trim().trim_matches('"').trim()
}

/// Returns the tag after the mark of a weak one. The mark is `W/`, and no less a mark in lower case.
fn weak(etag: &str) -> Option<&str> {
    let etag = etag.trim_start();
    etag.strip_prefix("W/").or_else(|| etag.strip_prefix("w/"))
}

/// Returns whether the tag names nothing.
pub(crate) fn is_blank(etag: &str) -> bool {
    let opaque = opaque(etag);
    !opaque.contains(|c: char| c.is_alphanumeric())
        || PLACEHOLDERS.iter().any(|placeholder| opaque.eq_ignore_ascii_case(placeholder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validator_is_strong_weak_or_none() {
        for (etag, date, validator) in [
            (Some("\"a\""), None, Validator::Strong),
            (Some("a"), None, Validator::Strong),
            (Some("W/\"a\""), None, Validator::Weak),
            (Some("\"\""), None, Validator::None),
            (Some("W/\"\""), Some("Mon"), Validator::Weak),
            (Some("w/\"a\""), None, Validator::Weak),
            (Some(" W/a"), None, Validator::Weak),
            (Some("\" \""), None, Validator::None),
            (Some("\"-\""), None, Validator::None),
            (Some("null"), Some("Mon"), Validator::Weak),
            (Some("\"None\""), None, Validator::None),
            (Some("\"(null)\""), None, Validator::None),
            (Some("\"0\""), None, Validator::Strong),
            (Some("\"nullable\""), None, Validator::Strong),
            (Some(""), None, Validator::None),
            (None, Some("Mon"), Validator::Weak),
            (None, None, Validator::None),
        ] {
            let mut info = ObjectInfo::default();
            (info.etag, info.last_modified) = (etag.map(str::to_owned), date.map(str::to_owned));
            assert_eq!(Validator::of(&info), validator, "{etag:?} {date:?}");
        }
        assert!(Validator::None < Validator::Weak && Validator::Weak < Validator::Strong);
    }
}
