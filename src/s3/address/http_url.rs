//! An `http` or `https` URL whose query is a secret: that of a presigned URL grants access.
//!
//! Scheme, host, path and query are kept exactly as given, since a signature covers exactly that. No error repeats
//! the text, and `Display` and `Debug` leave out the query.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::Authority;
use percent_encoding::{AsciiSet, utf8_percent_encode};
use url::Url;

use crate::error::{Error, Result};

/// An HTTP(S) URL that can be fetched by GET.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    is_https: bool,
    /// The host, with the port unless it is the scheme's default.
    authority: String,
    /// Starts with `/`.
    path: String,
    query: Option<UrlQuery>,
}

/// The query, without its question mark.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UrlQuery(String);

/// Query values shorter than this are too common to be treated as secrets.
const SECRET_BYTES_MIN: usize = 8;

const FORM_HINT: &str = "write it as https://host/path or https://host:port/path?query";
const QUOTE_HINT: &str = "quote it for the shell: 'https://host/path?query'";

impl HttpUrl {
    /// Returns whether `text` starts as an HTTP(S) URL does.
    pub(crate) fn has_scheme(text: &str) -> bool {
        ["http://", "https://"].iter().any(|scheme| starts_with(text, scheme))
    }

    /// Returns host and port of `uri`, or why it is not possible to connect to them.
    pub(crate) fn authority_of(uri: &Uri) -> std::result::Result<&Authority, &'static str> {
        let authority = uri.authority().filter(|a| !a.host().is_empty()).ok_or("the host is missing")?;
        if authority.as_str().contains('@') {
            return Err("a user name or password is not allowed");
        }
        if authority.as_str() != authority.host() && authority.port_u16().is_none_or(|port| port == 0) {
            return Err("the port is not a number from 1 to 65535");
        }
        Ok(authority)
    }

    /// Resolves `reference`, the value of a `Location` header, against this URL (RFC 9110, section 10.2.2).
    pub(crate) fn join(&self, reference: &str) -> Result<Self> {
        if Self::has_scheme(reference) {
            return reference.parse();
        }
        let joined =
            Url::parse(&format!("{}{}", self.base(), self.target())).and_then(|base| base.join(reference));
        joined.map_err(|_| invalid("cannot be parsed", FORM_HINT))?.as_str().parse()
    }

    pub(crate) fn is_https(&self) -> bool {
        self.is_https
    }

    /// Returns the host, with the port unless it is the scheme's default.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the host, an IPv6 address in its brackets.
    pub(crate) fn host(&self) -> &str {
        let port =
            self.authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        port.map_or(&self.authority, |(host, _)| host)
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn query(&self) -> Option<&UrlQuery> {
        self.query.as_ref()
    }

    /// Returns the values of the query, as they are sent, that may be secret.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        let query = self.query.as_ref().map_or("", |query| &query.0);
        let values = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        values.filter(|value| value.len() >= SECRET_BYTES_MIN).collect()
    }

    /// Returns the part of the URL that may be shown.
    pub(crate) fn without_query(&self) -> String {
        format!("{}{}", self.base(), self.path)
    }

    fn base(&self) -> String {
        format!("{}://{}", if self.is_https { "https" } else { "http" }, self.authority)
    }

    fn target(&self) -> String {
        self.query.as_ref().map_or_else(|| self.path.clone(), |query| query.append_to(&self.path))
    }
}

impl FromStr for HttpUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if !Self::has_scheme(text) {
            return Err(invalid("it does not start with http:// or https://", FORM_HINT));
        }
        // Nothing is normalised; non-ASCII characters are percent-encoded as UTF-8, as browsers do.
        let ascii = utf8_percent_encode(text, &AsciiSet::EMPTY).to_string();
        let uri: Uri = ascii
            .parse()
            .map_err(|_| invalid("cannot be parsed (does it contain spaces or quotes?)", QUOTE_HINT))?;
        let authority = Self::authority_of(&uri).map_err(|why| invalid(why, FORM_HINT))?;
        let is_https = uri.scheme_str() == Some("https");
        let default_port = if is_https { 443 } else { 80 };
        let authority = match authority.port_u16() {
            Some(port) if port != default_port => format!("{}:{port}", authority.host()),
            _ => authority.host().to_owned(),
        };
        let query = uri.query().map(|query| UrlQuery(query.to_owned()));
        Ok(Self { is_https, authority, path: uri.path().to_owned(), query })
    }
}

impl UrlQuery {
    /// Returns `path` with this query.
    pub(crate) fn append_to(&self, path: &str) -> String {
        format!("{path}?{}", self.0)
    }
}

fn invalid(why: &str, hint: &str) -> Error {
    Error::usage(format!("invalid URL: {why}")).with_hint(hint)
}

fn starts_with(text: &str, scheme: &str) -> bool {
    text.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme))
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.without_query(), if self.query.is_some() { "?..." } else { "" })
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpUrl({self})")
    }
}

impl fmt::Debug for UrlQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlQuery(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(url: &HttpUrl) -> String {
        format!("{}{}", url.base(), url.target())
    }

    #[test]
    fn what_is_sent_is_what_was_typed() {
        for (text, want) in [
            ("https://h/a//b/../c/./d%2F+=?X-Amz-Signature=a%2Fb&x=", None),
            ("HTTP://h:80/p", Some("http://h/p")),
            ("https://h:443", Some("https://h/")),
            ("http://h:443/p", None),
            ("http://[::1]:9000/p?q", None),
            ("https://h?q=1", Some("https://h/?q=1")),
            ("https://h/p?q#fragment", Some("https://h/p?q")),
            ("https://h/é?é=☃", Some("https://h/%C3%A9?%C3%A9=%E2%98%83")),
        ] {
            let url: HttpUrl = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(whole(&url), want.unwrap_or(text));
        }
    }

    #[test]
    fn what_is_none_is_refused_and_not_repeated() {
        for text in [
            "https://",
            "https:///hunter2",
            "https://user:hunter2@h/p",
            "https://hunter2@h",
            "https://h:0/hunter2",
            "https://h:99999/hunter2",
            "https://h/a hunter2",
            "https://h/hunter2\n",
            "ftp://h/hunter2",
        ] {
            let error = text.parse::<HttpUrl>().unwrap_err();
            assert_eq!(error.exit_code(), 2, "{text}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_query_shows_nowhere() {
        let url: HttpUrl = "https://h/p?X-Amz-Signature=hunter2".parse().unwrap();
        assert_eq!(url.to_string(), "https://h/p?...");
        let shown = format!("{url:?} {:?}", url.query());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn long_values_of_the_query_are_secrets() {
        let url: HttpUrl = "https://h/p?a=1&Signature=abc%2Fdefgh%3D&b=denied".parse().unwrap();
        assert_eq!(url.secrets(), ["abc%2Fdefgh%3D"]);
        let bare: HttpUrl = "https://h/p?0123456789abcdef".parse().unwrap();
        assert_eq!(bare.secrets(), ["0123456789abcdef"]);
    }

    #[test]
    fn the_host_is_without_its_port() {
        for (text, host) in [
            ("http://h/p", "h"),
            ("http://h:9000", "h"),
            ("http://[::1]/", "[::1]"),
            ("http://[::1]:9000/", "[::1]"),
            ("http://1.2.3.4:80/", "1.2.3.4"),
        ] {
            assert_eq!(text.parse::<HttpUrl>().unwrap().host(), host, "{text}");
        }
    }

    #[test]
    fn references_lead_on_from_here() {
        let here: HttpUrl = "https://h:8443/a/b?q=1".parse().unwrap();
        for (reference, want) in [
            ("https://cdn/x/../y?s=%2F", Some("https://cdn/x/../y?s=%2F")),
            ("http://cdn/x", Some("http://cdn/x")),
            ("//cdn/x", Some("https://cdn/x")),
            ("/x?y", Some("https://h:8443/x?y")),
            ("x", Some("https://h:8443/a/x")),
            ("../x", Some("https://h:8443/x")),
            ("?r=2", Some("https://h:8443/a/b?r=2")),
            ("https://user:hunter2@cdn/", None),
            ("ftp://cdn/x", None),
            ("file:///etc/passwd", None),
            ("s3://b/k", None),
            ("http://", None),
        ] {
            assert_eq!(here.join(reference).ok().as_ref().map(whole).as_deref(), want, "{reference}");
        }
    }
}
