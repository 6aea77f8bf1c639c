//! Text that bars and lines share: the summary, retries and hedges, times and percentages.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use crate::cli::progress::snapshot::Snapshot;
use crate::cli::report::format::size;

/// Returns the line that ends a complete download: how much was delivered, in what time, at what speed.
pub(super) fn summary(now: &Snapshot) -> String {
    let name = match now.items.as_slice() {
        [item] if now.objects == Some(1) => item.name.to_string(),
        _ => objects(now),
    };
    let speed = size(now.average());
    let (bytes, seconds) = (size(now.delivered), now.elapsed.as_secs_f64());
    let mut line = format!("{name}: {bytes} in {seconds:.1} s, {speed}/s");
    if now.already_written > 0 {
        // Writing to a string cannot fail.
        let _ = write!(line, ", {} resumed", size(now.already_written));
    }
    line + &retries_and_hedges(", ", now) + "\n"
}

/// Returns how many objects have begun, and of how many if there are more.
pub(super) fn objects(now: &Snapshot) -> String {
    match now.objects {
        Some(all) if all > now.begun => format!("{} of {all} objects", now.begun),
        _ => format!("{} objects", now.begun),
    }
}

/// Returns the numbers of retries and hedges after `before`, or nothing where there are none.
pub(super) fn retries_and_hedges(before: &str, now: &Snapshot) -> String {
    let count =
        |n: u64, one: &str, more: &str| (n > 0).then(|| format!("{n} {}", if n == 1 { one } else { more }));
    let parts = [count(now.retries, "retry", "retries"), count(now.hedges, "hedge", "hedges")];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!("{before}{}", parts.join(", ")) }
}

/// Formats a time as `12:34`, from an hour on as `1:23:45`, and from 100 hours on as `>99h`.
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes:02}:{seconds:02}"),
        1..100 => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => ">99h".to_owned(),
    }
}

/// Returns `done` as a percentage of `total`, rounded down so that 100 means every byte.
pub(super) fn percent(done: u64, total: u64) -> u64 {
    let share = u128::from(done) * 100 / u128::from(total.max(1));
    u64::try_from(share).map_or(100, |share| share.min(100))
}

/// Writes `text` to stderr and ignores errors: a terminal that went away is no reason to fail a download.
pub(super) fn print(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::snapshot::tests::{GIB, item, snapshot};

    #[test]
    fn percentages_round_down_and_stay_in_range() {
        for (done, total, expected) in
            [(0, 10, 0), (999, 1000, 99), (10, 10, 100), (11, 10, 100), (0, 0, 0), (u64::MAX, 1, 100)]
        {
            assert_eq!(percent(done, total), expected, "{done}/{total}");
        }
        assert_eq!(percent(u64::MAX - 1, u64::MAX), 99);
    }

    #[test]
    fn clocks() {
        for (seconds, expected) in [
            (0, "00:00"),
            (59, "00:59"),
            (61, "01:01"),
            (3599, "59:59"),
            (3600, "1:00:00"),
            (359_999, "99:59:59"),
            (360_000, ">99h"),
            (u64::MAX, ">99h"),
        ] {
            assert_eq!(clock(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn the_summary_shows_bytes_time_and_speed() {
        let one = || snapshot(vec![item("s3://b/k", 0, GIB / 2, GIB / 2)]);
        let two =
            || Snapshot { objects: Some(3), ..snapshot(vec![item("a", 0, GIB, GIB), item("b", 0, GIB, 0)]) };
        for (now, expected) in [
            (one(), "s3://b/k: 512.0 MiB in 2.0 s, 256.0 MiB/s\n"),
            (Snapshot { delivered: 0, elapsed: Duration::ZERO, ..one() }, "s3://b/k: 0 B in 0.0 s, 0 B/s\n"),
            (
                Snapshot { already_written: GIB, retries: 1, hedges: 2, ..one() },
                "s3://b/k: 512.0 MiB in 2.0 s, 256.0 MiB/s, 1.0 GiB resumed, 1 retry, 2 hedges\n",
            ),
            (two(), "2 of 3 objects: 1.0 GiB in 2.0 s, 512.0 MiB/s\n"),
            (Snapshot { objects: Some(2), ..two() }, "2 objects: 1.0 GiB in 2.0 s, 512.0 MiB/s\n"),
        ] {
            assert_eq!(summary(&now), expected);
        }
    }
}
