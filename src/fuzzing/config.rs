//! The configuration file, the URL of a proxy, and the customer's key.

use http::Uri;

use crate::config::s3_block::read_config_file;
use crate::fuzzing::checks::{assert_harmless, assert_no_controls};
use crate::s3::sse_c::{CustomerKey, KeyText};
use crate::transport::proxy::Proxies;

/// Takes a configuration file, with its `s3 =` block.
pub fn config_file(data: &[u8]) {
    match read_config_file(data) {
        Ok(_) => {}
        Err(error) => {
            assert_eq!(error.exit_code(), 2);
            assert_no_controls(&error.to_string());
        }
    }
}

/// Takes a proxy's URL in four lines: what is before the user, the user, the password, and what is after them. No byte
/// of the password is shown, so that another one with the same structure shows the same.
pub fn proxy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.splitn(4, '\n');
    let [before, user, password, after] = [(); 4].map(|()| lines.next().unwrap_or_default());
    let other: String =
        password.chars().map(|c| if c.is_ascii_alphanumeric() { next(c) } else { c }).collect();
    let shown = |password: &str| {
        let url = format!("{before}{user}:{password}@{after}");
        let proxies = Proxies::new(|name| (name == "http_proxy").then(|| url.clone()));
        match proxies.of(&Uri::from_static("http://host/")) {
            Ok(Some(proxy)) => {
                let error = proxy.error("refused").to_string();
                assert_no_controls(&error);
                format!("{proxy} {proxy:?} {proxies:?} {error}")
            }
            Ok(None) => String::new(),
            Err(error) => {
                assert_eq!(error.exit_code(), 2);
                assert_harmless(&error);
                format!("{error} {error:?}")
            }
        }
    };
    assert_eq!(shown(password), shown(&other), "the password is shown");
}

/// Returns the next letter or digit: hexadecimal ones stay so, because `%` may be before them.
fn next(c: char) -> char {
    match c {
        '0'..='8' | 'a'..='e' | 'A'..='E' | 'g'..='y' | 'G'..='Y' => char::from(c as u8 + 1),
        '9' => '0',
        'f' => 'a',
        'F' => 'A',
        'z' => 'g',
        'Z' => 'G',
        other => other,
    }
}

/// Takes the value of `--sse-c-key`.
pub fn key_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let key = KeyText::from(text.to_owned());
    assert_eq!(format!("{key:?}"), "KeyText(..)");
    let is_name = key.file().is_some();
    // A file name would be opened, so it is put below a path that is no folder.
    let key = if is_name { KeyText::from(format!("/dev/null/./{text}")) } else { key };
    match CustomerKey::read(&key) {
        Ok(key) => {
            assert!(!is_name);
            let mut headers = http::HeaderMap::new();
            key.add_to(&mut headers);
            let secret = headers.values().filter(|value| value.is_sensitive()).count();
            assert_eq!((headers.len(), secret, format!("{key:?}").as_str()), (3, 2, "CustomerKey(..)"));
        }
        Err(error) => {
            assert_eq!(error.exit_code(), 2);
            assert_harmless(&error);
            // It may be nearly a key, so nothing in the error depends on it.
            let other = KeyText::from(format!("/dev/null/./{}", covered(text)));
            let unrelated = CustomerKey::read(&other).map_err(|error| format!("{error} {error:?}"));
            assert_eq!(Err(format!("{error} {error:?}")), unrelated, "the key is shown");
        }
    }
}

/// Returns another text of the same structure: the system cares for the separators, the zeros and the length of a path.
fn covered(text: &str) -> String {
    let cover = |c: char| match c {
        '/' | '\0' => c.to_string(),
        c if c.is_whitespace() => c.to_string(),
        c => "x".repeat(c.len_utf8()),
    };
    text.chars().map(cover).collect()
}
