//! Parsers for values that clap has none for: sizes and times with units, ranges, and the names of enum values.
//!
//! An error is the reason, which clap shows with the flag's name.

use std::num::NonZeroU64;
use std::time::Duration;

use bytesize::ByteSize;
use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::cli::progress::ProgressMode;
use crate::cli::report::format::{self, Format};
use crate::download::options::ChecksumMode;
use crate::download::options::Hedge;
use crate::download::options::Options;
use crate::error::Error;
use crate::s3::address::addressing::AddressingStyle;
use crate::s3::range_spec::RangeSpec;

/// The longest time limit. The system cannot count much longer ones, and nobody waits for them.
const TIMEOUT_MAX: Duration = Duration::from_hours(365 * 24);

/// The smallest `--chunk-size` without a unit. In s5cmd the number of `--part-size` is MiB.
pub(super) const BARE_CHUNK_SIZE_MIN: u64 = 4096;

/// Parses a `--chunk-size`: bytes, or a number with a binary (`MiB`, `Mi`) or decimal (`MB`, `M`) unit. A small number
/// needs a unit.
pub(crate) fn chunk_size(text: &str) -> Result<NonZeroU64, String> {
    let bytes = size(text)?;
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    if bytes.get() < BARE_CHUNK_SIZE_MIN && !has_unit {
        let unit = if bytes.get() <= Options::CHUNK_SIZE_MAX >> 20 { "MiB" } else { "KiB" };
        return Err(format!("that is {bytes} bytes: write {bytes}{unit}, or {bytes}B if bytes are meant"));
    }
    if bytes.get() > Options::CHUNK_SIZE_MAX {
        return Err(format!("it must be at most {}", format::size(Options::CHUNK_SIZE_MAX)));
    }
    Ok(bytes)
}

/// Parses a `--max-memory`, in the units of a `--chunk-size`.
pub(crate) fn max_memory(text: &str) -> Result<NonZeroU64, String> {
    let bytes = size(text)?;
    if bytes.get() < Options::MAX_MEMORY_MIN {
        return Err(format!("it must be at least {}", format::size(Options::MAX_MEMORY_MIN)));
    }
    Ok(bytes)
}

/// Parses a `--limit-rate`, in the units of a `--chunk-size`, with or without `/s` at its end. In `Mb/s` the AWS CLI reads
/// bits, and other tools bytes: eight times as many. So it is refused.
pub(super) fn rate(text: &str) -> Result<NonZeroU64, String> {
    let size_text = text.strip_suffix("/s").unwrap_or(text);
    let is_bits = size_text.ends_with('b') && !size_text.ends_with("ib");
    if is_bits || text.ends_with("bps") || text.contains("bit") {
        return Err("expected bytes a second, with a capital B: 400Mb/s is 50MB".to_owned());
    }
    size(size_text)
}

/// Parses a `--range`, also in the form of the header, `bytes=0-99`.
pub(super) fn range(text: &str) -> Result<RangeSpec, Error> {
    text.strip_prefix("bytes=").unwrap_or(text).parse()
}

/// Parses a time limit: seconds, or a number with a unit such as `500ms` or `2m`.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let seconds = |s: f64| Duration::try_from_secs_f64(s).ok();
    let time = text.parse().map_or_else(|_| humantime::parse_duration(text).ok(), seconds);
    let time =
        time.ok_or_else(|| "expected seconds, or a number with a unit, such as 500ms or 2m".to_owned())?;
    match time {
        Duration::ZERO => Err("it must be more than 0".to_owned()),
        time if time > TIMEOUT_MAX => Err("it must be at most 365 days".to_owned()),
        time => Ok(time),
    }
}

fn size(text: &str) -> Result<NonZeroU64, String> {
    let ByteSize(bytes) = text
        .parse()
        .map_err(|_| "expected bytes, or a number with a unit, such as 8MiB or 8MB".to_owned())?;
    NonZeroU64::new(bytes).ok_or_else(|| "it must be at least 1 byte".to_owned())
}

impl ValueEnum for AddressingStyle {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Path, Self::Virtual]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Auto => PossibleValue::new("auto")
                .help("Path for custom endpoints, IP addresses and buckets with dots, else virtual"),
            Self::Path => PossibleValue::new("path").help("https://host/bucket/key"),
            Self::Virtual => PossibleValue::new("virtual").help("https://bucket.host/key"),
        })
    }
}

impl ValueEnum for Hedge {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Off]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Auto => PossibleValue::new("auto").help("For ranges that are much later than others"),
            Self::Off => PossibleValue::new("off").help("Never"),
        })
    }
}

impl ValueEnum for ProgressMode {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Plain, Self::Json, Self::Off]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Auto => PossibleValue::new("auto").help("A bar if stderr is a terminal, else nothing"),
            Self::Plain => PossibleValue::new("plain").help("A line every five seconds"),
            Self::Json => PossibleValue::new("json").help("A line of JSON with stable keys every second"),
            Self::Off => PossibleValue::new("off").help("Nothing"),
        })
    }
}

impl ValueEnum for ChecksumMode {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Auto, Self::Require, Self::Off]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Auto => PossibleValue::new("auto").help("If the store has one of the full object"),
            Self::Require => PossibleValue::new("require")
                .help("Also checksums of parts and MD5 ETags; fails at the start if there is none"),
            Self::Off => PossibleValue::new("off").help("Never"),
        })
    }
}

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Text, Self::Json]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Text => PossibleValue::new("text").help("Lines, for people"),
            Self::Json => PossibleValue::new("json").help("One line of JSON, for programs"),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1B", 1),
            ("4096", 4096),
            ("8388608", 8_388_608),
            ("5B", 5),
            ("8KiB", 8 * 1024),
            ("8Ki", 8 * 1024),
            ("8MiB", 8 * 1024 * 1024),
            ("8 MiB", 8 * 1024 * 1024),
            ("8mib", 8 * 1024 * 1024),
            ("1.5MiB", 1024 * 1024 * 3 / 2),
            ("8MB", 8_000_000),
            ("8M", 8_000_000),
            ("1GiB", 1024 * 1024 * 1024),
        ] {
            assert_eq!(chunk_size(text).map(NonZeroU64::get).as_ref(), Ok(&bytes), "{text}");
        }
    }

    #[test]
    fn rates_are_of_bytes() {
        for (text, bytes) in [
            ("50MB", Some(50_000_000)),
            ("50MB/s", Some(50_000_000)),
            ("50M", Some(50_000_000)),
            ("50m/s", Some(50_000_000)),
            ("50MiB/s", Some(50 << 20)),
            ("50mib", Some(50 << 20)),
            ("1000", Some(1000)),
            ("50Mb", None),
            ("50Mb/s", None),
            ("50mb", None),
            ("50 kb/s", None),
            ("400b", None),
            ("50Mbit", None),
            ("50Mbit/s", None),
            ("50Mibit/s", None),
            ("50Mbps", None),
        ] {
            let rate = rate(text);
            assert_eq!(rate.as_ref().ok().map(|rate| rate.get()), bytes, "{text}");
            assert!(rate.is_ok() || rate.unwrap_err().contains("400Mb/s is 50MB"), "{text}");
        }
    }

    #[test]
    fn a_small_chunk_needs_a_unit() {
        for (text, says) in [
            ("50", "that is 50 bytes: write 50MiB"),
            ("1", "write 1MiB, or 1B"),
            ("1024", "write 1024MiB"),
            ("1025", "write 1025KiB"),
            ("4095", "write 4095KiB, or 4095B"),
        ] {
            let said = chunk_size(text).unwrap_err();
            assert!(said.contains(says), "{text}: {said}");
        }
    }

    #[test]
    fn times() {
        for (text, millis) in [
            ("30", Some(30_000)),
            ("0.2", Some(200)),
            ("30s", Some(30_000)),
            ("500ms", Some(500)),
            ("2m", Some(120_000)),
            ("1m 30s", Some(90_000)),
            ("0", None),
            ("0s", None),
            ("1e-12", None),
            ("-1", None),
            ("inf", None),
            ("NaN", None),
            ("1e300", None),
            ("1e19", None),
            ("31536001", None),
            ("ten", None),
            ("", None),
        ] {
            assert_eq!(timeout(text).ok(), millis.map(Duration::from_millis), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_within_the_limits(
            text in prop_oneof![
                any::<String>(),
                r"[0-9]{0,22}\.?[0-9]{0,3} ?[kmgtpeKMGTPE]?i?[bB]?".prop_map(String::from),
            ],
        ) {
            if let Ok(size) = chunk_size(&text) {
                prop_assert!(size.get() <= Options::CHUNK_SIZE_MAX);
            }
        }

        #[test]
        fn whole_numbers_are_exact_in_every_unit(
            number in 1..=Options::CHUNK_SIZE_MAX,
            (unit, factor) in prop::sample::select(vec![
                ("", 1),
                ("B", 1),
                ("KB", 1_000),
                ("MB", 1_000_000),
                ("KiB", 1 << 10),
                ("MiB", 1 << 20),
                ("GiB", 1 << 30),
            ]),
        ) {
            // Small numbers are the likely ones, and the only ones that a large unit allows.
            for number in [number, number % 6000 + 1, number % 5 + 1] {
                let least = if unit.is_empty() { BARE_CHUNK_SIZE_MIN } else { 1 };
                let bytes = number.checked_mul(factor);
                let bytes = bytes.filter(|bytes| (least..=Options::CHUNK_SIZE_MAX).contains(bytes));
                prop_assert_eq!(chunk_size(&format!("{number}{unit}")).ok().map(NonZeroU64::get), bytes);
            }
        }
    }
}
