//! Answers of credential sources, read leniently: dates in other spellings, lists with line breaks.
//!
//! The AWS crates accept one spelling and panic on a role name with a line break; botocore accepts what is read here.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Keys;
use serde_json::{Map, Value};

use crate::error::printable::printable;

/// Parses a date as botocore does: RFC 3339, also with a space for the `T`, `UTC` or nothing for the `Z`, and offsets
/// such as `+0100`, `+01:00` or `+01`; without separators, `20300101T010506Z`; as in HTTP, `Tue, 01 Jan 2030 01:05:06
/// GMT`; or seconds since the epoch.
pub(super) fn parse_date(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        let epoch = Duration::try_from_secs_f64(seconds).ok()?;
        return SystemTime::UNIX_EPOCH.checked_add(epoch);
    }
    let in_http = ["UTC", "Z", "+0000", "-0000"].iter().find_map(|zone| text.strip_suffix(zone));
    let in_http = in_http.map_or_else(|| text.to_owned(), |start| format!("{} GMT", start.trim_end()));
    if let Ok(date) = httpdate::parse_http_date(&in_http) {
        return Some(date);
    }
    let spread = with_separators(text);
    let text = spread.as_deref().unwrap_or(text);
    let (date, time) = text.split_at_checked(10)?;
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
    let clock = if clock.matches(':').count() == 1 { format!("{clock}:00") } else { clock.to_owned() };
    let utc = humantime::parse_rfc3339(&format!("{date}T{clock}Z")).ok()?;
    let shift = Duration::from_secs(i64::abs(offset_seconds).unsigned_abs());
    if offset_seconds >= 0 { utc.checked_sub(shift) } else { utc.checked_add(shift) }
}

/// Returns a date of ISO 8601's basic format, `20300101T010506Z`, in the extended one.
fn with_separators(text: &str) -> Option<String> {
    let (date, time) = text.split_at_checked(8)?;
    let clock = time.strip_prefix(['T', 't'])?;
    let (clock, rest) = clock.split_at_checked(6)?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (year, month, day) = (date.get(..4)?, date.get(4..6)?, date.get(6..)?);
    let (hour, minute, second) = (clock.get(..2)?, clock.get(2..4)?, clock.get(4..)?);
    (is_number(date) && is_number(clock))
        .then(|| format!("{year}-{month}-{day}T{hour}:{minute}:{second}{rest}"))
}

/// Rewrites the dates and trims the texts of a JSON document with credentials; any other document stays as it is.
pub(super) fn normalize_json(document: &[u8]) -> Option<Vec<u8>> {
    let text = document.strip_prefix("\u{feff}".as_bytes()).unwrap_or(document);
    let mut json: Value = serde_json::from_slice(text).ok()?;
    let object = json.as_object_mut()?;
    let is_keys = object.keys().any(|key| key.eq_ignore_ascii_case("AccessKeyId"));
    if !is_keys {
        return None;
    }
    for (key, value) in object.iter_mut() {
        let Some(text) = value.as_str().map(str::trim) else { continue };
        let date = key.eq_ignore_ascii_case("Expiration").then(|| parse_date(text)).flatten();
        *value = match date {
            Some(date) => humantime::format_rfc3339_seconds(date).to_string().into(),
            None => text.into(),
        };
    }
    serde_json::to_vec(&json).ok()
}

/// A JSON object with keys. Its messages never quote a value that may be a secret.
pub(super) struct KeyDocument(Map<String, Value>);

impl KeyDocument {
    /// Parses a document, with or without a byte order mark.
    pub(super) fn parse(document: &[u8]) -> Result<Self, String> {
        let text = document.strip_prefix("\u{feff}".as_bytes()).unwrap_or(document);
        match serde_json::from_slice(text) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(_) => Err("the output is not a JSON object".to_owned()),
            Err(_) => Err("the output is not JSON".to_owned()),
        }
    }

    /// Returns the value of a name in any case.
    pub(super) fn field(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns the text of a field, trimmed; `None` if it is empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.field(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    }

    /// Returns the whole document.
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    /// Returns the date in a field, which may be missing or empty.
    pub(super) fn date(&self, name: &str) -> Result<Option<SystemTime>, String> {
        let date = match self.field(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        };
        if date.trim().is_empty() {
            return Ok(None);
        }
        parse_date(&date).map(Some).ok_or_else(|| format!("{name} {:?} is not a date", printable(&date)))
    }

    /// Returns the keys, with the session token in the field `token`.
    pub(super) fn keys(&self, token: &str, provider: &'static str) -> Result<Keys, String> {
        let text = |name: &str| self.text(name).ok_or_else(|| format!("{name} is missing"));
        Ok(Keys::new(
            text("AccessKeyId")?,
            text("SecretAccessKey")?,
            self.text(token).map(str::to_owned),
            self.date("Expiration")?,
            provider,
        ))
    }
}

/// Returns the first role of the list that instance metadata gives.
pub(super) fn first_line(list: &[u8]) -> Vec<u8> {
    list.trim_ascii()
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .next()
        .unwrap_or_default()
        .trim_ascii()
        .to_vec()
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
            "1893459906",
            "1893459906.0",
        ] {
            let want = SystemTime::UNIX_EPOCH + Duration::from_secs(SECONDS);
            assert_eq!(parse_date(text), Some(want), "{text:?}");
        }
        let half = parse_date("2030-01-01T01:05Z");
        assert_eq!(half, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(SECONDS - 6)));
        for text in [
            "",
            " ",
            "never",
            "null",
            "2030-01-01",
            "2030-01-01T",
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
            "NaN",
        ] {
            assert_eq!(parse_date(text), None, "{text:?}");
        }
    }

    #[test]
    fn documents_with_keys_are_normalized_and_others_are_not() {
        let document =
            "\u{feff}{\"AccessKeyId\": \" a\\n\", \"Expiration\": \"2030-01-01T02:05:06+0100\", \"N\": 1}";
        let json: Value = serde_json::from_slice(&normalize_json(document.as_bytes()).unwrap()).unwrap();
        assert_eq!(json["AccessKeyId"], "a");
        assert_eq!(json["Expiration"], "2030-01-01T01:05:06Z");
        assert_eq!(json["N"], 1);
        for other in ["", "role", "<xml/>", "[]", "{\"Code\": \"x\"}", "{\"AccessKeyId\": \"a\""] {
            assert_eq!(normalize_json(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_first_role_of_a_list_counts() {
        for list in ["role", "role\n", "\nrole\n", "role\r\nother", " role \nother\n"] {
            assert_eq!(first_line(list.as_bytes()), b"role", "{list:?}");
        }
        assert_eq!(first_line(b"\n"), b"");
    }
}
