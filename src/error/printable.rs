//! Text from outside (servers, keys, files, certificates), made safe for a terminal and a log.
//!
//! Control and format characters are shown as escapes: C0 and C1, line separators, bidirectional overrides, zero-width
//! and other invisible characters. Raw, they could move a cursor, hide text or forge a line. JSON and shell commands
//! are not for this module; their own escapes and quotes keep the exact text.

use std::fmt::{self, Display, Write};

/// The longest text that a message quotes, in characters.
const CHARS_MAX: usize = 300;

/// Shows a text with its control and format characters escaped, at any length.
pub(crate) struct Visible<'a>(pub(crate) &'a str);

impl Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            if is_invisible(c) { write!(f, "{}", c.escape_default()) } else { f.write_char(c) }
        })
    }
}

/// Returns `text` with its control and format characters escaped, cut to 300 characters.
pub(crate) fn printable(text: &str) -> String {
    printable_within(text, CHARS_MAX)
}

/// Returns `text` with its control and format characters escaped, cut to `max` characters; the cut is marked by `...`.
pub(crate) fn printable_within(text: &str, max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max));
    let mut chars = 0;
    for c in text.chars() {
        let width = if is_invisible(c) { c.escape_default().count() } else { 1 };
        if chars + width > max {
            shown.push_str("...");
            break;
        }
        chars += width;
        let _ = write!(shown, "{}", Visible(c.encode_utf8(&mut [0; 4])));
    }
    shown
}

/// Returns whether `c` is a control character (Unicode category Cc), a format character (Cf) or a line separator (Zl,
/// Zp).
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}'
            | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_and_format_characters_are_shown_as_escapes() {
        for (text, shown) in [
            ("plain ☃ text", "plain ☃ text"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("\u{7f}\0", "\\u{7f}\\u{0}"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
            ("\u{2028}\u{2029}\u{85}", "\\u{2028}\\u{2029}\\u{85}"),
            ("\u{2066}\u{e0041}\u{ad}", "\\u{2066}\\u{e0041}\\u{ad}"),
            ("a\\nb", "a\\nb"),
        ] {
            assert_eq!(printable(text), shown);
            assert_eq!(Visible(text).to_string(), shown);
        }
    }

    #[test]
    fn a_long_text_is_cut_and_the_cut_is_marked() {
        for (text, max) in [("x".repeat(100_000), 300), ("\u{1b}".repeat(1000), 300), ("☃☃☃☃".to_owned(), 3)]
        {
            let shown = printable_within(&text, max);
            assert!(shown.ends_with("...") && shown.chars().count() <= max + 3, "{shown}");
        }
        assert_eq!(printable_within("☃☃☃", 3), "☃☃☃");
    }

    proptest! {
        #[test]
        fn nothing_invisible_is_left_in_any_text(text in any::<String>()) {
            let shown = printable(&text);
            prop_assert!(!shown.contains(is_invisible));
            prop_assert!(shown.chars().count() <= CHARS_MAX + 3);
        }
    }
}
