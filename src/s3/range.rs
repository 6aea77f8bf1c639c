//! Byte ranges, half-open inside the program and inclusive on the wire, and the headers `Range` and `Content-Range`
//! (RFC 9110, sections 14.1 and 14.4).

use std::fmt;

/// The largest number of 63 bits, as long as no file can be. Some servers send it, or the largest one of 64 bits, for a
/// size that they do not know.
const NO_SIZE: u64 = (1 << 63) - 1;

/// The bytes from `start` up to but not including `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ByteRange {
    start: u64,
    end: u64,
}

impl ByteRange {
    /// Creates the range `start..end`, which is empty if `end` is before `start`.
    pub(crate) fn new(start: u64, end: u64) -> Self {
        Self { start, end: end.max(start) }
    }

    /// Returns the offset of the first byte.
    pub(crate) fn start(self) -> u64 {
        self.start
    }

    /// Returns the offset after the last byte.
    pub(crate) fn end(self) -> u64 {
        self.end
    }

    /// Returns the number of bytes.
    pub(crate) fn len(self) -> u64 {
        self.end - self.start
    }

    /// Returns whether the range has no bytes; such a range cannot be requested.
    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Returns the range without its first `done` bytes.
    pub(crate) fn remainder(self, done: u64) -> Self {
        Self { start: self.start.saturating_add(done).min(self.end), end: self.end }
    }

    /// Returns the part of the range that lies within an object of `size` bytes.
    pub(crate) fn clipped(self, size: u64) -> Self {
        Self::new(self.start.min(size), self.end.min(size))
    }
}

/// Formats the range as in the header `Range` (RFC 9110, section 14.2): `bytes=0-1023`.
impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_assert!(!self.is_empty(), "an empty range cannot be written as a header");
        write!(f, "bytes={}-{}", self.start, self.end.saturating_sub(1))
    }
}

/// Reads a `Content-Range` header (RFC 9110, section 14.4) with a known complete length, as S3 sends
/// it with a 206: `bytes 0-1023/4096` is these bytes of an object of that size. Spellings that can be read one way only
/// are accepted; `None` for anything else, and if the numbers contradict each other.
pub(crate) fn content_range(value: &str) -> Option<(ByteRange, u64)> {
    let (range, size) = after_unit(value)?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size) = (number(first.trim())?, number(last.trim())?, object_size(size.trim())?);
    (first <= last && last < size).then(|| (ByteRange::new(first, last + 1), size))
}

/// Reads a `Content-Range` of an object whose size the server does not know, `bytes 0-1023/*` (RFC 9110, section 14.4).
pub(crate) fn content_range_without_size(value: &str) -> Option<ByteRange> {
    let (range, size) = after_unit(value)?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first.trim())?, object_size(last.trim())?);
    (size.trim() == "*" && first <= last).then(|| ByteRange::new(first, last + 1))
}

/// Returns whether a `Content-Range` names no range, or one of an object without bytes ([`is_range_of_empty`]).
pub(crate) fn is_range_of_nothing(value: &str) -> bool {
    let range = after_unit(value).unwrap_or_else(|| value.trim());
    let range = if range.eq_ignore_ascii_case("bytes") { "" } else { range };
    is_range_of_empty(value)
        || match range.rsplit_once('/') {
            Some((range, size)) => range.trim() == "*" && size.trim() == "*",
            None => matches!(range.trim(), "" | "*"),
        }
}

/// Returns whether a `Content-Range` shows that the object has no bytes. There is no right spelling for its range: servers
/// write `bytes 0--1/0`, `bytes -1--1/0`, `bytes */0` or `bytes 0-0/0`.
pub(crate) fn is_range_of_empty(value: &str) -> bool {
    value.rsplit_once('/').is_some_and(|(_, size)| number(size.trim()) == Some(0))
}

/// Reads a `Content-Range` that comes with a 416: `bytes */4096` is an object of that size, which the range
/// asked for lies beyond (RFC 9110, section 15.5.17).
pub(crate) fn unsatisfied_range(value: &str) -> Option<u64> {
    object_size(after_unit(value)?.strip_prefix("*/")?.trim())
}

/// Returns what follows the unit `bytes`. Servers separate it by a space, as they should, or by `=` or `:`.
fn after_unit(value: &str) -> Option<&str> {
    let value = value.trim();
    let unit = value.get(..5).filter(|unit| unit.eq_ignore_ascii_case("bytes"))?;
    let rest = &value[unit.len()..];
    rest.starts_with([' ', '\t', '=', ':']).then(|| rest.trim_start_matches([' ', '\t', '=', ':']))
}

/// Parses the size of an object, in bytes; `None` for a number that no object's size can be.
pub(crate) fn object_size(text: &str) -> Option<u64> {
    number(text).filter(|size| *size < NO_SIZE)
}

/// Parses a number of digits only: `u64::from_str` would allow a sign.
pub(crate) fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn on_the_wire_the_end_is_inclusive() {
        assert_eq!(ByteRange::new(0, 1).to_string(), "bytes=0-0");
        assert_eq!(ByteRange::new(8_388_608, 16_777_216).to_string(), "bytes=8388608-16777215");
    }

    #[test]
    fn content_ranges() {
        let of = |a, b, size| Some((ByteRange::new(a, b), size));
        for (value, want) in [
            ("bytes 0-0/1", of(0, 1, 1)),
            ("bytes 0-1023/4096", of(0, 1024, 4096)),
            (" bytes 5-9/10 ", of(5, 10, 10)),
            // Spellings of real servers that can be read one way only.
            ("bytes=5-9/10", of(5, 10, 10)),
            ("bytes: 5-9/10", of(5, 10, 10)),
            ("Bytes 5-9/10", of(5, 10, 10)),
            ("bytes\t5-9/10", of(5, 10, 10)),
            ("bytes 5 - 9 / 10", of(5, 10, 10)),
            ("bytes5-9/10", None),
            ("5-9/10", None),
            ("bytes 0--1/0", None),
            ("bytes 0-0/0", None),
            ("bytes */0", None),
            ("bytes 0-1023/*", None),
            ("bytes 0-4096/4096", None),
            ("bytes 9-5/10", None),
            ("bytes +0-5/10", None),
            ("bytes -5/10", None),
            ("bytes 0-5", None),
            ("items 0-5/10", None),
            ("bytes 0-18446744073709551615/18446744073709551615", None),
            ("bytes 0-99999999999999999999/99999999999999999999", None),
            // Totals that no object has.
            ("bytes 0-1023/9223372036854775806", of(0, 1024, NO_SIZE - 1)),
            ("bytes 0-1023/9223372036854775807", None),
            ("bytes 0-1023/9223372036854775808", None),
            ("bytes 0-1023/18446744073709551614", None),
            ("bytes 0-1023/18446744073709551615", None),
            ("bytes 0-1023/18446744073709551616", None),
            ("", None),
        ] {
            assert_eq!(content_range(value), want, "{value:?}");
        }
    }

    #[test]
    fn sizes_of_unsatisfied_ranges() {
        for (value, want) in [
            ("bytes */0", Some(0)),
            (" bytes */4096 ", Some(4096)),
            ("bytes */", None),
            ("bytes */*", None),
            ("bytes */-1", None),
            ("bytes */9223372036854775806", Some(NO_SIZE - 1)),
            ("bytes */9223372036854775807", None),
            ("bytes */18446744073709551615", None),
            ("bytes 0-5/10", None),
            ("", None),
        ] {
            assert_eq!(unsatisfied_range(value), want, "{value:?}");
        }
    }

    #[test]
    fn ranges_of_objects_without_a_size_or_without_bytes() {
        for (value, range, is_of_nothing) in [
            ("bytes 0-1023/*", Some((0, 1024)), false),
            ("bytes=5-9/ *", Some((5, 10)), false),
            ("bytes 9-5/*", None, false),
            ("bytes 0-9223372036854775807/*", None, false),
            ("bytes 0-18446744073709551614/*", None, false),
            ("bytes 0-18446744073709551615/*", None, false),
            ("bytes */*", None, true),
            ("bytes */0", None, true),
            ("bytes 0--1/0", None, true),
            ("bytes -1--1/0", None, true),
            ("bytes 0-0/0", None, true),
            ("bytes 0-/0", None, true),
            ("bytes 0-18446744073709551615/0", None, true),
            ("bytes=0--1/0", None, true),
            ("bytes */ 0", None, true),
            ("*", None, true),
            ("bytes *", None, true),
            ("bytes", None, true),
            ("bytes ", None, true),
            ("", None, true),
            (" ", None, true),
            ("bytes 0-9/10", None, false),
            ("bytes */10", None, false),
            ("bytes 0-0/", None, false),
            ("bytes 0-0/00x", None, false),
            ("nothing", None, false),
        ] {
            let want = range.map(|(start, end)| ByteRange::new(start, end));
            assert_eq!(content_range_without_size(value), want, "{value:?}");
            assert_eq!(is_range_of_nothing(value), is_of_nothing, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn content_range_reads_what_a_server_writes(start in 0_u64..1 << 60, len in 1_u64..1 << 40, rest in 0_u64..1 << 40) {
            let range = ByteRange::new(start, start + len);
            let size = range.end + rest;
            let text = format!("bytes {}-{}/{size}", start, range.end - 1);
            prop_assert_eq!(content_range(&text), Some((range, size)));
        }

        #[test]
        fn content_range_never_panics(text in "\\PC*") {
            let _ = (content_range(&text), unsatisfied_range(&text));
            let _ = (content_range_without_size(&text), is_range_of_nothing(&text));
        }
    }
}
