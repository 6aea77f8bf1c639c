//! A source of a download: an S3 object or an HTTP(S) URL.
//!
//! No `Display` or `Debug` form shows a URL's query, which may be a secret.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};
use crate::s3::address::http_url::HttpUrl;
use crate::s3::address::s3_uri::S3Uri;

/// A source of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// An S3 object, fetched by signed requests.
    S3(S3Uri),
    /// An HTTP(S) URL, for example a presigned one. It is requested exactly as given; nothing is signed.
    Url(HttpUrl),
}

impl Source {
    /// Returns the URL, if the source is one.
    #[must_use]
    pub fn url(&self) -> Option<&HttpUrl> {
        match self {
            Self::S3(_) => None,
            Self::Url(url) => Some(url),
        }
    }

    /// Returns the text that identifies the source from one run to another. A URL is identified without its query,
    /// which is a secret and changes with every presigning; that it still is the same object has to be shown by an
    /// `ETag`.
    pub(crate) fn identity(&self) -> String {
        self.url().map_or_else(|| self.raw(), HttpUrl::without_query)
    }

    /// Returns the source unescaped, for JSON and shells, which have their own escapes; `Display` escapes for
    /// terminals.
    pub(crate) fn raw(&self) -> String {
        match self {
            Self::S3(uri) => format!("s3://{}/{}", uri.bucket(), uri.key()),
            Self::Url(url) => url.to_string(),
        }
    }

    /// Returns the last segment of the key, or of a URL's path, percent-decoded if that is valid UTF-8.
    pub(crate) fn last_name(&self) -> Cow<'_, str> {
        let last = |path: &'_ str| path.rfind('/').map_or(0, |slash| slash + 1);
        match self {
            Self::S3(uri) => uri.key()[last(uri.key())..].into(),
            Self::Url(url) => {
                let name = &url.path()[last(url.path())..];
                percent_decode_str(name).decode_utf8().unwrap_or_else(|_| name.into())
            }
        }
    }

    /// Adds this source to `error`, and a hint if its name suggests one.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match self {
            Self::S3(uri) => uri.explain(error),
            Self::Url(url) => error.on(url),
        }
    }
}

impl FromStr for Source {
    type Err = Error;

    /// Parses `http://` and `https://` URLs; anything else must be `s3://bucket/key`.
    fn from_str(text: &str) -> Result<Self> {
        if HttpUrl::has_scheme(text) { text.parse().map(Self::Url) } else { text.parse().map(Self::S3) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3(uri) => uri.fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

impl From<S3Uri> for Source {
    fn from(uri: S3Uri) -> Self {
        Self::S3(uri)
    }
}

impl From<&S3Uri> for Source {
    fn from(uri: &S3Uri) -> Self {
        Self::S3(uri.clone())
    }
}

impl From<HttpUrl> for Source {
    fn from(url: HttpUrl) -> Self {
        Self::Url(url)
    }
}

impl From<&Source> for Source {
    fn from(source: &Source) -> Self {
        source.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_decides() {
        for (text, is_url) in
            [("s3://b/k", false), ("S3://b/https://h/", false), ("http://h/p", true), ("HTTPS://h", true)]
        {
            assert_eq!(text.parse::<Source>().unwrap().url().is_some(), is_url, "{text}");
        }
        for text in ["", "b/k", "ftp://h/p", "https//h", "https:"] {
            assert_eq!(text.parse::<Source>().unwrap_err().exit_code(), 2, "{text}");
        }
    }

    #[test]
    fn identity_and_name() {
        for (text, identity, name) in [
            ("s3://b/a/k?x*", "s3://b/a/k?x*", "k?x*"),
            ("s3://b/k%20", "s3://b/k%20", "k%20"),
            ("s3://b/a/", "s3://b/a/", ""),
            ("https://h:8443/a%2Fb/k%20%C3%A9", "https://h:8443/a%2Fb/k%20%C3%A9", "k \u{e9}"),
            ("https://h/k?X-Amz-Signature=hunter2&x=/y", "https://h/k", "k"),
            ("http://h/a%2Fb", "http://h/a%2Fb", "a/b"),
            ("http://h/%ff", "http://h/%ff", "%ff"),
            ("http://h", "http://h/", ""),
        ] {
            let source: Source = text.parse().unwrap();
            assert_eq!((&*source.identity(), &*source.last_name()), (identity, name), "{text}");
        }
    }
}
