//! Answers of credential sources, read leniently: dates in other spellings, lists with line breaks.
//!
//! The AWS crates accept one spelling and panic on a role name with a line break; botocore accepts what is read here.

use std::time::SystemTime;

use aws_credential_types::Credentials as Keys;
use serde_json::{Map, Value};

use crate::error::printable::printable;
use crate::s3::date::{format_date, parse_date};

/// Returns a document with credentials with its dates as the AWS crates read them, and the texts of a JSON document
/// trimmed; `None` if that would change nothing.
pub(super) fn normalize_document(document: &[u8]) -> Option<Vec<u8>> {
    normalize_json(document).or_else(|| normalize_xml(document))
}

/// Rewrites the dates and trims the texts of a JSON document with credentials; any other document stays as it is.
fn normalize_json(document: &[u8]) -> Option<Vec<u8>> {
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
        *value = date.and_then(format_date).unwrap_or_else(|| text.to_owned()).into();
    }
    serde_json::to_vec(&json).ok()
}

/// Rewrites the date in an answer of STS.
fn normalize_xml(document: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(document).ok()?;
    let (before, rest) = text.split_once("<Expiration>")?;
    let (date, after) = rest.split_once("</Expiration>")?;
    let date = format_date(parse_date(date)?)?;
    Some(format!("{before}<Expiration>{date}</Expiration>{after}").into_bytes())
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
    fn the_date_of_an_answer_of_sts_is_rewritten() {
        let document = |date: &str| format!("<Credentials><Expiration>{date}</Expiration></Credentials>");
        let rewritten = normalize_document(document(" 2030-01-01T02:05:06+0100\n").as_bytes()).unwrap();
        assert_eq!(String::from_utf8(rewritten).unwrap(), document("2030-01-01T01:05:06Z"));
        for other in [document("soon"), "<Expiration>".to_owned(), "<ErrorResponse/>".to_owned()] {
            assert_eq!(normalize_document(other.as_bytes()), None, "{other}");
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
