//! The secrets of a request, blanked out of whatever a server echoes.
//!
//! A debugging proxy or a gateway may repeat request headers in its response, perhaps encoded or cut. Texts are
//! compared after percent-encoding, XML entities and JSON escapes are undone, so that each form is found.

use std::fmt;
use std::ops::Range;

use crate::s3::error_document::entity;

/// The text in the place of a secret.
const BLANK: &str = "[hidden]";
/// A run of this many characters of a secret is blanked out, even if the rest is missing.
const RUN_MIN: usize = 12;
/// Shorter secrets may stand in a text by chance: the text is dropped as a whole.
const BLANKED_MIN: usize = 8;
/// Only the beginning of a text is ever shown.
const TEXT_BYTES_MAX: usize = 4096;

/// The secrets that a request carries: keys, tokens, a signature, the query of a presigned URL.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<Vec<u8>>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Secrets {
    /// Adds a secret as it is sent, perhaps encoded.
    pub(crate) fn add(&mut self, secret: &str) {
        for form in [bytes_of(&decoded(secret)), bytes_of(&as_it_is(secret))] {
            if !form.is_empty() && !self.0.contains(&form) {
                self.0.push(form);
            }
        }
    }

    /// Returns `text` without the secrets, or `None` if a secret is too short to be distinguished from the text around
    /// it.
    pub(crate) fn redact(&self, text: &str) -> Option<String> {
        let text = beginning(text);
        let mut hidden = vec![false; text.len()];
        for plain in [decoded(text), as_it_is(text)] {
            for secret in &self.0 {
                if secret.len() >= BLANKED_MIN {
                    mark(secret, &plain, &mut hidden);
                } else if plain.windows(secret.len()).any(|w| w.iter().map(|(byte, _)| byte).eq(secret)) {
                    return None;
                }
            }
        }
        let mut shown = String::with_capacity(text.len());
        let mut was_hidden = false;
        for (at, c) in text.char_indices() {
            let is_hidden = hidden[at..at + c.len_utf8()].contains(&true);
            if !is_hidden {
                shown.push(c);
            } else if !was_hidden {
                shown.push_str(BLANK);
            }
            was_hidden = is_hidden;
        }
        Some(shown)
    }

    /// Returns whether `text` holds a whole secret, encoded or not. Cheap, for the headers of every response.
    pub(crate) fn is_revealed_by(&self, text: &[u8]) -> bool {
        if self.0.iter().all(|secret| secret.len() > text.len()) {
            return false;
        }
        let text = String::from_utf8_lossy(text);
        [decoded(&text), as_it_is(&text)].iter().map(|plain| bytes_of(plain)).any(|plain| {
            let is_in = |secret: &Vec<u8>| {
                secret.len() >= BLANKED_MIN && plain.windows(secret.len()).any(|w| w == secret.as_slice())
            };
            self.0.iter().any(is_in)
        })
    }
}

fn beginning(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Marks every run of `secret` in `plain`.
fn mark(secret: &[u8], plain: &[(u8, Range<usize>)], hidden: &mut [bool]) {
    let least = secret.len().min(RUN_MIN);
    for at in 0..plain.len() {
        for from in 0..=secret.len() - least {
            if secret[from] != plain[at].0 {
                continue;
            }
            let run = secret[from..].iter().zip(&plain[at..]).take_while(|(a, (b, _))| *a == b).count();
            if run >= least {
                plain[at..at + run].iter().for_each(|(_, range)| hidden[range.clone()].fill(true));
            }
        }
    }
}

/// Returns the bytes that `text` stands for, each with the range of `text` that it was read from. A space and a plus
/// are one, since either may stand for the other in a query.
fn decoded(text: &str) -> Vec<(u8, Range<usize>)> {
    let mut plain = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let (byte, len) = unit(&text.as_bytes()[at..], &text[at..]);
        match byte {
            Some(byte) => plain.push((if byte == b'+' { b' ' } else { byte }, at..at + len)),
            None => plain.extend((at..at + len).map(|at| (text.as_bytes()[at], at..at + 1))),
        }
        at += len;
    }
    plain
}

/// Returns the bytes of `text`, with nothing decoded.
fn as_it_is(text: &str) -> Vec<(u8, Range<usize>)> {
    text.bytes().enumerate().map(|(at, byte)| (byte, at..at + 1)).collect()
}

fn bytes_of(plain: &[(u8, Range<usize>)]) -> Vec<u8> {
    plain.iter().map(|(byte, _)| *byte).collect()
}

/// Reads one unit of text: the ASCII byte that it stands for, and its length. `None` for any other character.
fn unit(bytes: &[u8], text: &str) -> (Option<u8>, usize) {
    match bytes {
        // Percent-encoded, perhaps twice: %252F.
        [b'%', rest @ ..] => {
            let mut len = 1;
            let mut rest = rest;
            while let [b'2', b'5', more @ ..] = rest
                && hex_byte(more).is_some()
            {
                rest = more;
                len += 2;
            }
            hex_byte(rest).map_or((Some(b'%'), 1), |byte| (Some(byte), len + 2))
        }
        [b'&', ..] => match entity(text) {
            Some((c, len)) if c.is_ascii() => (u8::try_from(u32::from(c)).ok(), len),
            _ => (Some(b'&'), 1),
        },
        [b'\\', c @ (b'/' | b'"' | b'\\'), ..] => (Some(*c), 2),
        [b'\\', b'u', ..] => {
            let code = text.get(2..6).and_then(|digits| u32::from_str_radix(digits, 16).ok());
            match code.and_then(|code| u8::try_from(code).ok()).filter(u8::is_ascii) {
                Some(byte) => (Some(byte), 6),
                None => (Some(b'\\'), 1),
            }
        }
        [byte, ..] if byte.is_ascii() => (Some(*byte), 1),
        _ => (None, text.chars().next().map_or(1, char::len_utf8)),
    }
}

fn hex_byte(bytes: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(bytes.get(..2)?).ok()?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJHMEUCIQ+abc/def==";

    fn secrets(all: &[&str]) -> Secrets {
        let mut secrets = Secrets::default();
        for secret in all {
            secrets.add(secret);
        }
        secrets
    }

    #[test]
    fn a_secret_is_blanked_in_every_encoding_that_a_server_echoes() {
        let percent = utf8_percent_encode(TOKEN, NON_ALPHANUMERIC).to_string();
        for (kind, echoed) in [
            ("as it is", TOKEN.to_owned()),
            ("percent-encoded", percent.clone()),
            ("in lower case", percent.replace("%2F", "%2f").replace("%2B", "%2b").replace("%3D", "%3d")),
            ("twice percent-encoded", percent.replace('%', "%25")),
            ("as entities", TOKEN.replace('/', "&#x2F;").replace('+', "&#43;").replace('=', "&#61;")),
            ("JSON", TOKEN.replace('/', "\\/").replace('=', "\\u003d")),
            ("plus as a space", TOKEN.replace('+', " ")),
            ("cut", TOKEN[..30].to_owned()),
            ("without its beginning", TOKEN[20..].to_owned()),
        ] {
            let shown =
                secrets(&[TOKEN]).redact(&format!("x-amz-security-token: {echoed}; host: h")).unwrap();
            assert_eq!(shown, "x-amz-security-token: [hidden]; host: h", "{kind}");
        }
    }

    #[test]
    fn what_was_sent_encoded_is_found_decoded() {
        let shown = secrets(&["AKIA%2F20261126%2Fus-east-1"]).redact("for AKIA/20261126/us-east-1.").unwrap();
        assert_eq!(shown, "for [hidden].");
    }

    #[test]
    fn a_text_that_echoes_a_short_secret_is_dropped() {
        assert_eq!(secrets(&["pw1"]).redact("user:pw1@proxy"), None);
        assert_eq!(secrets(&["pw1"]).redact("nothing here").as_deref(), Some("nothing here"));
    }

    #[test]
    fn a_text_without_secrets_stays_as_it_is() {
        for text in ["", "Access Denied", "a%2Fb &amp; c \u{2603} \\u0041", "IQoJb3JpZ2l"] {
            assert_eq!(secrets(&[TOKEN]).redact(text).as_deref(), Some(text));
            assert!(!secrets(&[TOKEN]).is_revealed_by(text.as_bytes()));
        }
        assert!(secrets(&[TOKEN]).is_revealed_by(format!("<{TOKEN}>").as_bytes()));
    }

    proptest! {
        #[test]
        fn no_text_around_a_secret_lets_it_through(before in "\\PC{0,40}", after in "\\PC{0,40}", secret in "[A-Za-z0-9]{12,80}") {
            let shown = secrets(&[&secret]).redact(&format!("{before}{secret}{after}")).unwrap();
            prop_assert!(!shown.contains(&secret));
        }
    }
}
