//! A strong entity tag, as given to `--if-match` or sent by a store.
//!
//! Weak tags, `*` and lists are refused: `If-Match` compares strongly (RFC 9110, section 13.1.1), so that a weak tag
//! never matches, and the other two do not name a single object.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;
use crate::s3::proof::is_strong;

/// A strong entity tag (RFC 9110, section 8.8.3), with its quotes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ETag(String);

impl ETag {
    /// Returns the tag as in the header `If-Match`, with its quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the value of a header `ETag`; `None` if it is weak, blank or a placeholder: that names no version.
    pub(crate) fn of_header(value: &str) -> Option<Self> {
        is_strong(value).then(|| value.parse().ok())?
    }

    /// Returns whether the value of a header `ETag` is this tag. Some stores send it without quotes.
    #[must_use]
    pub fn matches(&self, header: &str) -> bool {
        header.parse().is_ok_and(|other: Self| other == *self)
    }
}

impl FromStr for ETag {
    type Err = Error;

    /// Parses a tag with or without its quotes.
    ///
    /// # Errors
    /// An [`Error`] of usage for anything that is not one strong tag.
    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |why: &str| Err(Error::usage(why));
        let text = text.trim();
        if text.starts_with("W/") {
            return invalid("a weak ETag never matches: use --version-id to name the version");
        }
        let quoted = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
        match quoted.unwrap_or(text) {
            "" if quoted.is_none() => invalid("write an empty ETag as \"\""),
            "*" if quoted.is_none() => invalid("* does not name a single object"),
            tag if tag.contains('"') => invalid("expected one ETag, with or without its quotes"),
            // These cannot be part of a header.
            tag if tag.contains(|c: char| !matches!(c, ' '..='~')) => {
                invalid("an ETag consists of visible ASCII characters")
            }
            tag => Ok(Self(format!("\"{tag}\""))),
        }
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn with_quotes_or_without() {
        for (text, want) in [
            ("\"abc\"", "\"abc\""),
            ("abc", "\"abc\""),
            (" abc-5 ", "\"abc-5\""),
            ("\"\"", "\"\""),
            ("\"*\"", "\"*\""),
            ("\"W/x\"", "\"W/x\""),
        ] {
            let tag: ETag = text.parse().unwrap();
            assert_eq!(tag.as_str(), want, "{text}");
            assert!(tag.matches(want) && tag.matches(text), "{text}");
            assert!(!tag.matches("\"other\"") && !tag.matches(&format!("W/{want}")), "{text}");
        }
    }

    #[test]
    fn what_names_no_exact_bytes_is_refused() {
        for (text, why) in [
            ("", "empty"),
            ("  ", "empty"),
            ("*", "single object"),
            ("W/\"abc\"", "never matches"),
            ("W/abc", "never matches"),
            ("\"", "quotes"),
            ("\"a\", \"b\"", "quotes"),
            ("\"abc", "quotes"),
            ("a\nb", "ASCII"),
            ("\"é\"", "ASCII"),
        ] {
            let error = text.parse::<ETag>().unwrap_err();
            assert_eq!(error.exit_code(), 2, "{text:?}");
            assert!(error.to_string().contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_header_that_names_no_version_is_no_tag() {
        for (value, tag) in [
            ("\"abc\"", Some("\"abc\"")),
            ("abc", Some("\"abc\"")),
            ("W/\"abc\"", None),
            ("w/\"abc\"", None),
            ("\"\"", None),
            ("\" \"", None),
            ("\"-\"", None),
            ("null", None),
            ("*", None),
            ("\"a\", \"b\"", None),
        ] {
            assert_eq!(ETag::of_header(value).as_ref().map(ETag::as_str), tag, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_is_itself_in_quotes(text in "\\PC*|\"?[a-f0-9-]{0,40}\"?") {
            if let Ok(tag) = text.parse::<ETag>() {
                prop_assert!(tag.as_str().is_ascii() && tag.as_str().len() >= 2);
                prop_assert_eq!(tag.as_str().parse::<ETag>().unwrap(), tag);
            }
        }
    }
}
