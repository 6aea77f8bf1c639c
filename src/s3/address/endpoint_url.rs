//! A custom endpoint, parsed from the text of a flag, a variable or a profile.
//!
//! An endpoint consists of scheme, host, port and path prefix, nothing else. Errors never repeat text that may be a
//! password.

use http::Uri;

use crate::error::printable::printable;
use crate::error::{Error, Result};
use crate::s3::address::http_url::HttpUrl;

/// More digits are no port, and may be a password.
const PORT_DIGITS_MAX: usize = 5;

/// Parses `text`; errors name its `origin`.
pub(crate) fn parse(text: &str, origin: &str) -> Result<Uri> {
    let bad = |why: &str| {
        let shown = if may_be_shown(text) { format!(" \"{}\"", printable(text)) } else { String::new() };
        Error::usage(format!("invalid endpoint{shown} in {origin}: {why}"))
            .with_hint("write it as https://host, https://host:port or https://host:port/prefix")
    };
    // The parser accepts a fragment and drops it.
    if text.contains(['?', '#']) {
        return Err(bad("a query or fragment is not allowed"));
    }
    if !HttpUrl::has_scheme(text) {
        return Err(bad("it does not start with http:// or https://"));
    }
    let uri = text.parse::<Uri>().map_err(|e| bad("it is not a URL").with_source(e))?;
    HttpUrl::authority_of(&uri).map_err(bad)?;
    Ok(uri)
}

/// Returns whether `text` consists of nothing but scheme, host, port and path. A password may precede an `@`, and its host
/// may be missing; a query may be a signature.
fn may_be_shown(text: &str) -> bool {
    let is_made_of = |text: &str, also: &str| text.chars().all(|c| c.is_alphanumeric() || also.contains(c));
    let (scheme, rest) = text.split_once("//").unwrap_or(("", text));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    let is_address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.chars().all(|c| c.is_ascii_hexdigit() || c == ':'));
    let is_port = port.len() <= PORT_DIGITS_MAX && port.bytes().all(|b| b.is_ascii_digit());
    // A colon or an `@` may be percent-encoded there.
    let lower = path.to_ascii_lowercase();
    let is_path = is_made_of(path, "/-._~%+= ") && !lower.contains("%3a") && !lower.contains("%40");
    let is_scheme = is_made_of(scheme.strip_suffix(':').unwrap_or(scheme), "+-.");
    is_scheme && (is_address || is_made_of(host, "-._ ")) && is_port && is_path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_host_port_and_prefix_pass() {
        for (text, scheme, host, port, path) in [
            ("http://localhost", "http", "localhost", None, "/"),
            ("http://localhost:9000/", "http", "localhost", Some(9000), "/"),
            ("HTTPS://s3.example.com", "https", "s3.example.com", None, "/"),
            ("https://[::1]:9000", "https", "[::1]", Some(9000), "/"),
            ("https://gateway/s3/v1/", "https", "gateway", None, "/s3/v1/"),
            ("http://10.0.0.1:80/a%20b", "http", "10.0.0.1", Some(80), "/a%20b"),
        ] {
            let uri = parse(text, "--endpoint").unwrap();
            assert_eq!(uri.scheme_str(), Some(scheme), "{text}");
            assert_eq!((uri.host(), uri.port_u16(), uri.path()), (Some(host), port, path), "{text}");
        }
    }

    #[test]
    fn anything_else_is_a_usage_error_that_says_why() {
        for (text, why) in [
            ("localhost:9000", "does not start with"),
            ("//host", "does not start with"),
            ("s3://bucket", "does not start with"),
            ("é", "does not start with"),
            ("http://", "not a URL"),
            ("http:///key", "not a URL"),
            ("http://:9000", "host is missing"),
            ("http://a b", "not a URL"),
            ("http://host:", "port"),
            ("http://host:0", "port"),
            ("http://host:65536", "port"),
            ("http://host:x", "port"),
            ("http://host/?a=b", "query"),
            ("http://host/#top", "fragment"),
        ] {
            let error = parse(text, "AWS_ENDPOINT_URL").unwrap_err();
            assert_eq!(error.exit_code(), 2, "{text}");
            let message = error.to_string();
            assert!(message.contains(why) && message.contains("AWS_ENDPOINT_URL"), "{text}: {message}");
        }
    }

    #[test]
    fn a_password_is_refused_and_never_repeated() {
        for text in [
            "https://user:hunter2@host",
            "https://hunter2@:x",
            "hunter2@host",
            "http://hunter2@ho st",
            "https://user:hunter2",
            "https://user:hunter2/",
            "user:hunter2",
            "//user:hunter2",
            "http:user:hunter2",
            "http:/user:hunter2/",
            "http:///user:hunter2",
            "http://user%3ahunter2",
            "http:///user%3Ahunter2",
            "http://[hunter2",
            "http://[hunter2]:x",
            "http://user:[hunter2]",
            "http://h:0/hunter2:x",
            "http://h?hunter2",
        ] {
            let error = parse(text, "--endpoint").unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        assert!(!parse("https://user:70123456", "--endpoint").unwrap_err().to_string().contains("70123456"));
    }

    #[test]
    fn what_can_be_no_password_is_repeated() {
        for text in [
            "localhost:9000",
            "//host",
            "s3://bucket",
            "http://",
            "http:///key",
            "http://a b",
            "http://host:",
            "http://host:65536",
            "é",
            "http://[::1]:0/a%20b",
        ] {
            let message = parse(text, "--endpoint").unwrap_err().to_string();
            assert!(message.contains(&format!("\"{text}\"")), "{message}");
        }
    }
}
