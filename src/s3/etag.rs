//! An entity tag that names exact bytes, as a user types it behind `--if-match` or a store sends it.
//!
//! Pure. It refuses weak tags, `*` and lists: `If-Match` compares strongly (RFC 9110, section 13.1.1), so
//! that a weak tag never matches, and the other two name no single object.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// A strong entity tag (RFC 9110, section 8.8.3), kept with its quotes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ETag(String);

impl ETag {
    /// As the header `If-Match` has it, with its quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a store's header `ETag` is this one. Some stores send it without quotes.
    #[must_use]
    pub fn matches(&self, header: &str) -> bool {
        header.parse().is_ok_and(|other: Self| other == *self)
    }
}

impl FromStr for ETag {
    type Err = Error;

    /// With its quotes or without; an [`Error`] of usage says what is wrong.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why: &str| Err(Error::usage(why));
        let text = text.trim();
        if text.starts_with("W/") {
            return bad("a weak ETag never matches: name the version by its id");
        }
        let quoted = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
        match quoted.unwrap_or(text) {
            "" if quoted.is_none() => bad("an empty ETag has its quotes"),
            "*" if quoted.is_none() => bad("* names no object"),
            tag if tag.contains('"') => bad("one ETag is wanted, with its quotes or without"),
            // What cannot be put in a header.
            tag if tag.contains(|c: char| !matches!(c, ' '..='~')) => {
                bad("an ETag has only visible ASCII letters")
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
            ("*", "no object"),
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
