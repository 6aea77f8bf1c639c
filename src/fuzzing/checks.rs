//! What the targets have in common: how bytes are read as a response, and what must hold of every message.

use std::fmt::Display;

use http::response::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::error::printable::is_invisible;

/// The longest message, in characters: its fields have three hundred at the most.
const MESSAGE_MAX: usize = 2000;

/// Returns a head, a status of three digits (200 where there are none) and headers `name:value`, separated by `|`, up
/// to the first line feed; and the bytes after it.
pub(crate) fn divided(data: &[u8]) -> (Parts, &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, rest) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let mut fields = line.split(|byte| *byte == b'|');
    let status = fields.next().and_then(|text| StatusCode::from_bytes(text).ok());
    let mut response = Response::new(());
    *response.status_mut() = status.unwrap_or_default();
    for field in fields {
        let Some(colon) = field.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&field[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&field[colon + 1..])) {
            response.headers_mut().append(name, value);
        }
    }
    (response.into_parts().0, rest)
}

/// Fails if `message` would harm a terminal, or fill it.
pub(crate) fn assert_harmless(message: &impl Display) {
    let message = message.to_string();
    assert_no_controls(&message);
    assert!(message.lines().count() <= 3, "{message:?}");
    assert!(message.chars().count() <= MESSAGE_MAX, "{} characters", message.chars().count());
}

/// Fails if `message` has a character that a terminal would obey or hide.
pub(crate) fn assert_no_controls(message: &str) {
    assert!(!message.contains(|c: char| is_invisible(c) && c != '\n'), "{message:?}");
}
