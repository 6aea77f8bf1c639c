//! The value of `--range`: `A-B`, `A-` or `-N`, as in HTTP and curl, resolved once the object's size is known.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use crate::error::Error;
use crate::s3::range::{ByteRange, number};
use crate::s3::shard::Shard;

/// A selection of an object's bytes, counted from 0 (RFC 9110, section 14.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RangeSpec {
    /// `A-B`: from `first` to `last` inclusive, or to the end of the object if that comes first.
    Between {
        /// The first byte's offset.
        first: u64,
        /// The last byte's offset, not before `first`.
        last: u64,
    },
    /// `A-`: from this offset to the end.
    From(u64),
    /// `-N`: the last N bytes, or all if there are fewer.
    Last(NonZeroU64),
    /// One of several equal pieces.
    Shard(Shard),
}

impl RangeSpec {
    /// Returns the selected bytes of an object of `size` bytes. A range that starts past the end keeps its start and is
    /// empty.
    pub(crate) fn of(self, size: u64) -> ByteRange {
        match self {
            Self::Between { first, last } => ByteRange::new(first, last.saturating_add(1).min(size)),
            Self::From(first) => ByteRange::new(first, size),
            Self::Last(count) => ByteRange::new(size.saturating_sub(count.get()), size),
            Self::Shard(shard) => shard.of(size),
        }
    }

    /// Returns whether the selection depends on the size of the object.
    pub(crate) fn needs_size(self) -> bool {
        matches!(self, Self::Last(_) | Self::Shard(_))
    }
}

impl FromStr for RangeSpec {
    type Err = Error;

    /// Parses the value of `--range`.
    ///
    /// # Errors
    /// An [`Error`] of usage that says what is wrong.
    fn from_str(text: &str) -> Result<Self, Error> {
        let form = || Error::usage("expected A-B, A- or -N, in bytes from 0, both ends included");
        let (first, last) = text.split_once('-').ok_or_else(form)?;
        let parse = |text: &str| number(text).ok_or_else(form);
        match (first, last) {
            ("", count) => {
                let count = NonZeroU64::new(parse(count)?);
                count.map(Self::Last).ok_or_else(|| Error::usage("-0 is not a valid range"))
            }
            (first, "") => Ok(Self::From(parse(first)?)),
            (first, last) => {
                let (first, last) = (parse(first)?, parse(last)?);
                if last < first {
                    return Err(Error::usage("the range ends before it begins"));
                }
                Ok(Self::Between { first, last })
            }
        }
    }
}

/// Formats the selection as it is typed.
impl fmt::Display for RangeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Between { first, last } => write!(f, "{first}-{last}"),
            Self::From(first) => write!(f, "{first}-"),
            Self::Last(count) => write!(f, "-{count}"),
            // Not an argument of --range: for sidecars and messages.
            Self::Shard(shard) => write!(f, "shard {shard} of {} each", shard.unit()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_meant() {
        for (text, size, start, end) in [
            ("0-0", 10, 0, 1),
            ("0-9", 10, 0, 10),
            ("3-5", 10, 3, 6),
            ("3-99", 10, 3, 10),
            ("0-18446744073709551615", 10, 0, 10),
            ("9-9", 10, 9, 10),
            ("10-10", 10, 10, 10),
            ("11-20", 10, 11, 11),
            ("0-", 10, 0, 10),
            ("4-", 10, 4, 10),
            ("10-", 10, 10, 10),
            ("11-", 10, 11, 11),
            ("-1", 10, 9, 10),
            ("-10", 10, 0, 10),
            ("-99", 10, 0, 10),
            ("0-", 0, 0, 0),
            ("-5", 0, 0, 0),
        ] {
            let spec: RangeSpec = text.parse().unwrap();
            assert_eq!(spec.of(size), ByteRange::new(start, end), "{text} of {size}");
            assert_eq!(spec.to_string(), text);
        }
    }

    #[test]
    fn what_is_refused() {
        for (text, why) in [
            ("", "A-B, A- or -N"),
            ("-", "A-B, A- or -N"),
            ("5", "A-B, A- or -N"),
            ("--5", "A-B, A- or -N"),
            ("1-2-3", "A-B, A- or -N"),
            ("1 - 2", "A-B, A- or -N"),
            ("+1-2", "A-B, A- or -N"),
            ("1-2,4-5", "A-B, A- or -N"),
            ("bytes=0-5", "A-B, A- or -N"),
            ("1MiB-", "A-B, A- or -N"),
            ("99999999999999999999-", "A-B, A- or -N"),
            ("5-4", "ends before"),
            ("-0", "not a valid range"),
        ] {
            let error = text.parse::<RangeSpec>().unwrap_err();
            assert_eq!(error.exit_code(), 2, "{text:?}");
            assert!(error.to_string().contains(why), "{text:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_written_alike(text in "\\PC*|0{0,2}[0-9]{0,21}-[0-9]{0,21}", size: u64) {
            if let Ok(spec) = text.parse::<RangeSpec>() {
                prop_assert_eq!(spec.to_string().parse::<RangeSpec>().unwrap(), spec);
                let range = spec.of(size);
                prop_assert!(range.start() <= range.end());
                prop_assert!(range.is_empty() || range.end() <= size);
            }
        }

        #[test]
        fn the_bytes_are_those_that_slicing_gives(first in 0_usize..50, more in 0_usize..50, size in 0_usize..60) {
            let object: Vec<usize> = (0..size).collect();
            let bytes = |range: ByteRange| (range.start()..range.end()).map(|n| usize::try_from(n).unwrap()).collect::<Vec<_>>();
            let last = first + more;
            let between = RangeSpec::Between { first: first as u64, last: last as u64 };
            let want: Vec<_> = object.iter().copied().filter(|n| (first..=last).contains(n)).collect();
            prop_assert_eq!(bytes(between.of(size as u64)), want);
            let want: Vec<_> = object.iter().copied().filter(|n| *n >= first).collect();
            prop_assert_eq!(bytes(RangeSpec::From(first as u64).of(size as u64)), want);
            let count = NonZeroU64::new(more as u64 + 1).unwrap();
            let want = &object[size.saturating_sub(more + 1)..];
            prop_assert_eq!(bytes(RangeSpec::Last(count).of(size as u64)), want);
        }
    }
}
