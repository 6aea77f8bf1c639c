//! Dates in the spellings of servers and of sources of credentials.
//!
//! Pure. The AWS crates accept one spelling; botocore accepts what is read here.

use std::time::{Duration, SystemTime};

/// The year 10000, counted from the epoch: RFC 3339 has no such year, and humantime panics.
const YEAR_10000: Duration = Duration::from_hours(2_932_897 * 24);

/// Parses a date as botocore does: RFC 3339, also with a space for the `T`, `UTC` or nothing for the `Z`, and offsets
/// such as `+0100`, `+01:00` or `+01`; with slashes; without separators, `20300101T010506Z`; without a time; with the name
/// of the month, in the order of HTTP or of `date`, `Tue Jan 01 01:05:06 UTC 2030`; or seconds since the epoch. `None` for a
/// year that [`format_date`] could not write.
pub(crate) fn parse_date(text: &str) -> Option<SystemTime> {
    read(text.trim()).filter(|date| format_date(*date).is_some())
}

fn read(text: &str) -> Option<SystemTime> {
    if let Ok(seconds) = text.parse::<f64>() {
        let epoch = Duration::try_from_secs_f64(seconds).ok()?;
        return SystemTime::UNIX_EPOCH.checked_add(epoch);
    }
    if let Ok(date) = httpdate::parse_http_date(text) {
        return Some(date);
    }
    let in_digits = with_month_in_digits(text);
    let (date, time) = split_date(in_digits.as_deref().unwrap_or(text))?;
    if time.is_empty() {
        return humantime::parse_rfc3339(&format!("{date}T00:00:00Z")).ok();
    }
    let time = time.strip_prefix(['T', 't', ' '])?;
    let end =
        time.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.' | ','))).unwrap_or(time.len());
    let (clock, zone) = time.split_at_checked(end)?;
    let zone = zone.trim();
    let offset_seconds = match zone.to_ascii_uppercase().as_str() {
        "" | "Z" | "UTC" | "GMT" => 0,
        _ => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let digits: String = zone.strip_prefix(['+', '-'])?.chars().filter(|c| *c != ':').collect();
            let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i64>().ok();
            let minutes = if digits.len() > 2 { number(2..4)? } else { 0 };
            if digits.len() > 4 || minutes > 59 {
                return None;
            }
            sign * (number(0..2)? * 3600 + minutes * 60)
        }
    };
    // Fractions of a second do not matter; seconds may be missing.
    let clock = clock.split(['.', ',']).next()?;
    let clock = match (clock.matches(':').count(), clock.len()) {
        (1, _) => format!("{clock}:00"),
        (0, 6) => format!("{}:{}:{}", clock.get(..2)?, clock.get(2..4)?, clock.get(4..)?),
        _ => clock.to_owned(),
    };
    let utc = humantime::parse_rfc3339(&format!("{date}T{clock}Z")).ok()?;
    let shift = Duration::from_secs(i64::abs(offset_seconds).unsigned_abs());
    if offset_seconds >= 0 { utc.checked_sub(shift) } else { utc.checked_add(shift) }
}

/// Splits a text after its date, which is returned as `2030-01-01`.
fn split_date(text: &str) -> Option<(String, &str)> {
    if let Some((date, rest)) = text.split_at_checked(8)
        && date.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Some((format!("{}-{}-{}", date.get(..4)?, date.get(4..6)?, date.get(6..)?), rest));
    }
    let (date, rest) = text.split_at_checked(10)?;
    Some((date.replace('/', "-"), rest))
}

/// Returns a date with the name of a month, its words in any order, as `2030-01-01T01:05:06UTC`.
fn with_month_in_digits(text: &str) -> Option<String> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let (mut year, mut month, mut day, mut clock, mut zone) = (None, None, None, None, "");
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        let name = word.to_ascii_lowercase();
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(at) = MONTHS.iter().position(|month| *month == name) {
            month = Some(at + 1);
        } else if is_number && word.len() == 4 {
            year = Some(word);
        } else if is_number && word.len() <= 2 {
            day = Some(word);
        } else if word.contains(':') {
            clock = Some(word);
        } else if !WEEKDAYS.contains(&name.as_str()) {
            zone = word;
        }
    }
    Some(format!("{}-{:02}-{:0>2}T{}{zone}", year?, month?, day?, clock?))
}

/// Formats a date as RFC 3339 does, to the second; `None` for a year before 1970 or after 9999.
pub(crate) fn format_date(date: SystemTime) -> Option<String> {
    let since_epoch = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    (since_epoch < YEAR_10000).then(|| humantime::format_rfc3339_seconds(date).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_the_spellings_that_sources_use() {
        const SECONDS: u64 = 1_893_459_906; // 2030-01-01T01:05:06Z
        for text in [
            "2030-01-01T01:05:06Z",
            "2030-01-01T01:05:06z",
            "2030-01-01T01:05:06UTC",
            "2030-01-01T01:05:06 UTC",
            "2030-01-01T01:05:06GMT",
            "2030-01-01T01:05:06",
            "2030-01-01 01:05:06",
            "2030-01-01 01:05:06+00:00",
            "2030-01-01T01:05:06+00:00",
            "2030-01-01T01:05:06-00:00",
            "2030-01-01T01:05:06.123456Z",
            "2030-01-01T01:05:06.123456+00:00",
            "2030-01-01T01:05:06,5Z",
            "2030-01-01T02:05:06+0100",
            "2030-01-01T02:05:06+01:00",
            "2030-01-01T02:05:06+01",
            "2029-12-31T20:05:06-05:00",
            "2030-01-01T06:35:06+0530",
            " 2030-01-01T01:05:06Z\n",
            "20300101T010506Z",
            "20300101t010506z",
            "20300101T010506",
            "20300101T010506.5Z",
            "20300101T020506+0100",
            "Tue, 01 Jan 2030 01:05:06 GMT",
            "Tue, 01 Jan 2030 01:05:06 UTC",
            "Tue, 01 Jan 2030 01:05:06 +0000",
            " Tue, 01 Jan 2030 01:05:06 GMT\n",
            "Tue Jan 01 01:05:06 UTC 2030",
            "Tue Jan  1 01:05:06 2030",
            "Jan 1 2030 01:05:06 GMT",
            "1 jan 2030 02:05:06 +0100",
            "2030/01/01 01:05:06",
            "2030-01-01T010506Z",
            "1893459906",
            "1893459906.0",
        ] {
            let want = SystemTime::UNIX_EPOCH + Duration::from_secs(SECONDS);
            assert_eq!(parse_date(text), Some(want), "{text:?}");
        }
        let half = parse_date("2030-01-01T01:05Z");
        assert_eq!(half, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(SECONDS - 6)));
        for text in ["2030-01-01", "2030/01/01"] {
            let midnight = SystemTime::UNIX_EPOCH + Duration::from_secs(SECONDS - 3906);
            assert_eq!(parse_date(text), Some(midnight), "{text:?}");
        }
        for text in [
            "",
            " ",
            "never",
            "null",
            "2030-01-01T",
            "2030-01-01T0105067Z",
            "Tue Jan 2030 01:05:06",
            "Jan 1 2030",
            "Jan 1 2030 01:05:06 PST",
            "20300101T",
            "20300101T0105Z",
            "20301301T010506Z",
            "2030\u{e9}01T010506Z",
            "Tue, 01 Foo 2030 01:05:06 GMT",
            "2030-13-01T01:05:06Z",
            "2030-01-01T25:05:06Z",
            "2030-01-01T01:05:06PST",
            "2030-01-01T01:05:06+1",
            "2030-01-01T01:05:06+01:99",
            "01/02/2030 01:05:06",
            "2030-01-01T01:05:06+123456",
            "ZZZZ-01-01T01:05:06Z",
            "2030\u{2010}01-01T01:05:06Z",
            "-1",
            "1e300",
            "253402300800",
            "9999-12-31T23:59:59-0100",
            "1970-01-01T00:30:00+0100",
            "NaN",
        ] {
            assert_eq!(parse_date(text), None, "{text:?}");
        }
    }
}
