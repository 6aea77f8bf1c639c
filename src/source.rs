//! What is downloaded: an object of S3, or what a URL names.
//!
//! It gets the text that a user typed and hands on one of the two. Pure. In no `Display` or `Debug` form does it
//! show what may be a secret, which a URL's query is.

mod url;

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::uri::S3Uri;

pub use url::HttpUrl;
pub(crate) use url::Query;

/// What is downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An object, asked for by signed requests.
    S3(S3Uri),
    /// What a server has at a URL, a presigned one for example. It is asked for as it stands: nothing is signed.
    Url(HttpUrl),
}

impl Source {
    /// The URL, where it is one.
    #[must_use]
    pub fn url(&self) -> Option<&HttpUrl> {
        match self {
            Self::S3(_) => None,
            Self::Url(url) => Some(url),
        }
    }
}

impl FromStr for Source {
    type Err = Error;

    /// `http://...` and `https://...` are URLs; anything else is to be `s3://bucket/key`.
    fn from_str(text: &str) -> Result<Self> {
        if HttpUrl::is_meant_by(text) { text.parse().map(Self::Url) } else { text.parse().map(Self::S3) }
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
}
