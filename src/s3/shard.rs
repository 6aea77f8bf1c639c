//! The value of `--shard I/N`: the I-th of N equal pieces of an object.
//!
//! The bytes of a shard depend on nothing but I, N, the unit and the object's size, so that every machine that knows
//! these agrees on them.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use crate::error::Error;
use crate::s3::range::{ByteRange, number};

/// One of several consecutive pieces that together cover an object once. Each is a whole number of units long, except
/// at the end of the object, and their lengths differ by at most one unit. If an object has fewer units than pieces,
/// some are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shard {
    /// Counted from 0.
    index: u64,
    /// The number of pieces; more than `index`.
    count: NonZeroU64,
    unit: NonZeroU64,
}

impl Shard {
    /// The default unit: 8 MiB.
    pub const UNIT: NonZeroU64 = NonZeroU64::new(8 << 20).unwrap();

    /// Returns the shard with units of `unit` bytes.
    #[must_use]
    pub fn in_units_of(self, unit: NonZeroU64) -> Self {
        Self { unit, ..self }
    }

    pub(super) fn unit(self) -> NonZeroU64 {
        self.unit
    }

    /// Returns the shard's bytes of an object of `size` bytes.
    pub(crate) fn of(self, size: u64) -> ByteRange {
        let units = size.div_ceil(self.unit.get());
        let start = |index: u64| {
            let unit = u128::from(units) * u128::from(index) / u128::from(self.count.get());
            u64::try_from(unit * u128::from(self.unit.get())).unwrap_or(u64::MAX).min(size)
        };
        ByteRange::new(start(self.index), start(self.index + 1))
    }
}

impl FromStr for Shard {
    type Err = Error;

    /// Parses the value of `--shard`.
    ///
    /// # Errors
    /// An [`Error`] of usage that says what is wrong.
    fn from_str(text: &str) -> Result<Self, Error> {
        let form = || Error::usage("expected I/N: piece I, from 0 to N-1, of N pieces");
        let (index, count) = text.split_once('/').ok_or_else(form)?;
        let (index, count) = (number(index).ok_or_else(form)?, number(count).ok_or_else(form)?);
        let count = NonZeroU64::new(count).filter(|count| index < count.get()).ok_or_else(form)?;
        Ok(Self { index, count, unit: Self::UNIT })
    }
}

/// As it is typed.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_meant() {
        let unit = Shard::UNIT.get();
        for (text, size, start, end) in [
            ("0/1", 100, 0, 100),
            ("0/1", 0, 0, 0),
            ("0/2", 4 * unit, 0, 2 * unit),
            ("1/2", 4 * unit, 2 * unit, 4 * unit),
            ("1/2", 3 * unit + 5, 2 * unit, 3 * unit + 5),
            ("0/3", unit, 0, 0),
            ("2/3", unit, 0, unit),
            ("1/3", 0, 0, 0),
            ("18446744073709551614/18446744073709551615", u64::MAX, u64::MAX / unit * unit, u64::MAX),
        ] {
            let shard: Shard = text.parse().unwrap();
            assert_eq!(shard.of(size), ByteRange::new(start, end), "{text} of {size}");
            assert_eq!(shard.to_string(), text);
        }
    }

    #[test]
    fn what_is_refused() {
        for text in
            ["", "/", "0", "0/0", "1/1", "4/4", "-1/4", "1/-4", "a/b", "1/2/3", "+1/2", " 1/2", "1/2 "]
        {
            let error = text.parse::<Shard>().unwrap_err();
            assert_eq!(error.exit_code(), 2, "{text:?}");
            assert!(error.to_string().contains("I/N"), "{text:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn together_they_are_the_object_in_equal_pieces(
            size in prop_oneof![0_u64..2000, 0_u64..u64::MAX],
            count in 1_u64..200,
            unit in prop_oneof![1_u64..100, 1_u64..u64::MAX],
        ) {
            let unit = NonZeroU64::new(unit).unwrap();
            let mut at = 0;
            let mut units = Vec::new();
            for index in 0..count {
                let shard: Shard = format!("{index}/{count}").parse().unwrap();
                let range = shard.in_units_of(unit).of(size);
                prop_assert_eq!(range.start(), at);
                prop_assert!(range.start() == size || range.start() % unit == 0);
                units.push(range.len().div_ceil(unit.get()));
                at = range.end();
            }
            prop_assert_eq!(at, size);
            prop_assert!(units.iter().max().unwrap() - units.iter().min().unwrap() <= 1);
        }
    }
}
