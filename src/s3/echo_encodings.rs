//! The encodings in which a server may repeat a text that it was sent.
//!
//! Percent-encoding, entities and JSON escapes stand for single characters: they are undone, several times where they
//! are nested, so that each form is found. Base64 and hexadecimal digits are made of the text that is looked for:
//! undoing them would need to know where they begin. A text that is base64 itself may come back in the digits of what it
//! stands for. The case of letters is that of the server, so all forms are in lower case.

use std::ops::Range;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};

use crate::s3::error_document::entity;

/// Encodings inside each other that are undone: an escaped text in JSON in an XML document has three.
const NESTING_MAX: usize = 4;
/// The longest entity that is read.
const ENTITY_BYTES_MAX: usize = 12;
/// HTML's names of the ASCII characters that secrets have and XML has no names for
/// (<https://html.spec.whatwg.org/multipage/named-characters.html>).
const HTML_NAMES: [(&[u8], u8); 9] = [
    (b"&sol;", b'/'),
    (b"&plus;", b'+'),
    (b"&equals;", b'='),
    (b"&percnt;", b'%'),
    (b"&colon;", b':'),
    (b"&commat;", b'@'),
    (b"&lowbar;", b'_'),
    (b"&period;", b'.'),
    (b"&bsol;", b'\\'),
];

/// A byte, and the range of the text that it was read from.
pub(super) type DecodedByte = (u8, Range<usize>);

/// Fewer characters are base64 by chance.
const BASE64_BYTES_MIN: usize = 16;

/// Returns `text` in base64 and in hexadecimal digits, with a space in the place of a plus too; all in lower case.
pub(super) fn encoded(text: &[u8]) -> Vec<Vec<u8>> {
    let as_decoded = |byte: &u8| if *byte == b'+' { b' ' } else { *byte };
    let mut forms = base64_forms(text);
    forms.push(hex::encode(text).into_bytes());
    if let Some(bytes) = bytes_of_base64(text) {
        forms.push(hex::encode(&bytes).into_bytes());
        forms.push(BASE64_URL_SAFE.encode(&bytes).into_bytes());
        // In the alphabet that it is written in it is no other text.
        forms.retain(|form| form != text);
    }
    let mut forms: Vec<_> = forms.iter().map(|form| form.to_ascii_lowercase()).collect();
    let with_plus = forms.iter().filter(|form| form.contains(&b'+'));
    let with_spaces: Vec<Vec<u8>> = with_plus.map(|form| form.iter().map(as_decoded).collect()).collect();
    forms.extend(with_spaces);
    forms
}

/// Returns `text` in both alphabets of base64, alone and as a part of a longer text, in which it may begin at any of
/// the three bytes of a group (RFC 4648, sections 4 and 5).
fn base64_forms(text: &[u8]) -> Vec<Vec<u8>> {
    let encode = |bytes: &[u8]| [BASE64_STANDARD.encode(bytes), BASE64_URL_SAFE.encode(bytes)];
    let mut forms = encode(text).map(String::into_bytes).to_vec();
    for before in 0..3 {
        let shifted = [&[0; 2][..before], text].concat();
        // The characters that depend on other bytes too are left out.
        let (start, end) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
        forms.extend(
            encode(&shifted).iter().filter_map(|form| form.as_bytes().get(start..end)).map(<[u8]>::to_vec),
        );
    }
    forms
}

/// Returns the bytes that `text` is the base64 of.
pub(super) fn bytes_of_base64(text: &[u8]) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok().filter(|_| text.len() >= BASE64_BYTES_MIN)
}

/// Returns `plain` in lower case.
pub(super) fn lower_case(mut plain: Vec<DecodedByte>) -> Vec<DecodedByte> {
    for (byte, _) in &mut plain {
        byte.make_ascii_lowercase();
    }
    plain
}

/// Returns `text` as it is, and with its encodings undone, one inside the other.
pub(super) fn layers(text: &str) -> Vec<Vec<DecodedByte>> {
    let mut layers = vec![as_it_is(text)];
    while layers.len() <= NESTING_MAX
        && let Some(last) = layers.last()
    {
        let inner = decoded(last);
        if inner == *last {
            break;
        }
        layers.push(inner);
    }
    layers
}

/// Returns the bytes that `plain` stands for. A space and a plus
/// are one, since either may stand for the other in a query.
pub(super) fn decoded(plain: &[DecodedByte]) -> Vec<DecodedByte> {
    let bytes = bytes_of(plain);
    let mut inner = Vec::with_capacity(plain.len());
    let mut at = 0;
    while at < plain.len() {
        let (byte, len) = unit(&bytes[at..]);
        let range = plain[at].1.start..plain[at + len - 1].1.end;
        inner.push((if byte == b'+' { b' ' } else { byte }, range));
        at += len;
    }
    inner
}

/// Returns the bytes of `text`, with nothing decoded.
pub(super) fn as_it_is(text: &str) -> Vec<DecodedByte> {
    text.bytes().enumerate().map(|(at, byte)| (byte, at..at + 1)).collect()
}

/// Returns the bytes alone.
pub(super) fn bytes_of(plain: &[DecodedByte]) -> Vec<u8> {
    plain.iter().map(|(byte, _)| *byte).collect()
}

/// Reads one unit of text, which is not empty: the byte that it stands for, and its length.
fn unit(bytes: &[u8]) -> (u8, usize) {
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
            hex_byte(rest).map_or((b'%', 1), |byte| (byte, len + 2))
        }
        [b'&', ..] => character(bytes).unwrap_or((b'&', 1)),
        [b'\\', c @ (b'/' | b'"' | b'\\'), ..] => (*c, 2),
        [b'\\', b'x', rest @ ..] => hex_byte(rest).map_or((b'\\', 1), |byte| (byte, 4)),
        [b'\\', b'u', b'0', b'0', rest @ ..] => {
            hex_byte(rest).filter(u8::is_ascii).map_or((b'\\', 1), |byte| (byte, 6))
        }
        [byte, ..] => (*byte, 1),
        [] => (0, 1),
    }
}

/// Reads the entity at the start of `bytes`, of an ASCII character: that, and the entity's length.
fn character(bytes: &[u8]) -> Option<(u8, usize)> {
    if let Some((name, c)) = HTML_NAMES.iter().find(|(name, _)| bytes.starts_with(name)) {
        return Some((*c, name.len()));
    }
    let end = bytes.iter().take(ENTITY_BYTES_MAX).position(|byte| *byte == b';')?;
    let (c, len) = entity(std::str::from_utf8(&bytes[..=end]).ok()?)?;
    Some((u8::try_from(u32::from(c)).ok().filter(u8::is_ascii)?, len))
}

fn hex_byte(bytes: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(bytes.get(..2)?).ok()?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}
