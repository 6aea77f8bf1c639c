//! Answers of credential sources, read leniently: dates in other spellings, lists with line breaks.
//!
//! The AWS crates accept one spelling and panic on a role name with a line break; botocore accepts what is read here.

use std::time::SystemTime;

use aws_credential_types::Credentials as Keys;
use serde_json::{Map, Value};

use crate::s3::date::parse_date;

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
        // A helper that takes one field for another has put a token there.
        parse_date(&date).map(Some).ok_or_else(|| format!("{name} is not a date"))
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
    fn what_is_wrong_with_a_document_is_said_without_its_values() {
        for (document, says) in [
            ("hunter2", "the output is not JSON"),
            ("[\"hunter2\"]", "the output is not a JSON object"),
            (r#"{"AccessKeyId": "hunter2"}"#, "SecretAccessKey is missing"),
            (r#"{"SecretAccessKey": "hunter2"}"#, "AccessKeyId is missing"),
            (
                r#"{"AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": "hunter2"}"#,
                "Expiration is not a date",
            ),
            (
                r#"{"AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": ["hunter2"]}"#,
                "Expiration is not a date",
            ),
        ] {
            let keys = KeyDocument::parse(document.as_bytes()).and_then(|keys| keys.keys("Token", "test"));
            assert_eq!(keys.err().as_deref(), Some(says), "{document}");
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
