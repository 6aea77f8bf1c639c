//! The formats of descriptions and figures, for people or for programs: the one form of sizes for people, and of lines of JSON.

use std::fmt::Write;

use bytesize::ByteSize;
use serde::Serialize;

use crate::error::printable::is_invisible;

/// The format of a description.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines for people; unknown values are left out.
    #[default]
    Text,
    /// One line of JSON; every key is present, with `null` as an unknown value.
    Json,
}

/// Shows a number of bytes in a binary unit, such as `512.0 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// Formats `value` as a line of JSON that is safe for a terminal.
///
/// RFC 8259 asks only for C0 characters to be escaped, and lets any other be: DEL, C1 characters, which move cursors as
/// well, and those that hide or reorder text. A parser reads the exact text all the same.
pub(crate) fn json_line(value: &impl Serialize) -> String {
    // Strings, numbers, and maps with string keys always serialise.
    let json = serde_json::to_string(value).unwrap_or_default();
    let mut line = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        // Such a character stands within a string.
        if is_invisible(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_has_no_control_or_format_character_and_keeps_the_text() {
        for (text, line) in [
            ("plain é 日本 \u{1f600}", "\"plain é 日本 \u{1f600}\"\n"),
            ("\" \\ \n \u{1b}", "\"\\\" \\\\ \\n \\u001b\"\n"),
            ("del \u{7f} csi \u{9b}31m", "\"del \\u007f csi \\u009b31m\"\n"),
            ("\u{202e}bidi\u{200b}\u{2028}\u{feff}", "\"\\u202ebidi\\u200b\\u2028\\ufeff\"\n"),
            ("tag \u{e0041}", "\"tag \\udb40\\udc41\"\n"),
        ] {
            let shown = json_line(&text);
            assert_eq!(shown, line);
            assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }
    }
}
