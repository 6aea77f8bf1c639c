//! Redirects of URLs, and the way back to the given URL when a redirect's target has expired.
//!
//! Only URLs are redirected: the `Location` of a response to a signed request is ignored, and no redirect leads from
//! https to http.
//!
//! Source: RFC 9110, section 15.4.

use http::header::LOCATION;
use http::response::Parts;

use crate::error::{Error, ErrorKind, Result};
use crate::s3::address::http_url::HttpUrl;

/// The redirects of one exchange.
#[derive(Debug)]
pub(crate) struct Redirects {
    /// How many are followed, one after the other.
    max: u32,
    followed: u32,
    has_returned: bool,
}

impl Redirects {
    /// Consecutive redirects that are followed unless the user named another number.
    pub(crate) const MAX: u32 = 5;

    /// Creates the state before the first of at most `max` redirects.
    pub(crate) fn new(max: u32) -> Self {
        Self { max, followed: 0, has_returned: false }
    }

    /// Returns the URL to request next, after `here` sent `head`, or `None` if that response is final. The target of a
    /// redirect may be presigned and expire: once it is refused, `given` is requested again for a new one, once.
    pub(crate) fn resolve(
        &mut self,
        given: &HttpUrl,
        here: &HttpUrl,
        head: &Parts,
    ) -> Result<Option<HttpUrl>> {
        match head.status.as_u16() {
            301 | 302 | 303 | 307 | 308 => self.redirected(here, head),
            401 | 403 | 404 | 410 if here != given && !self.has_returned => {
                *self = Self { max: self.max, followed: 0, has_returned: true };
                Ok(Some(given.clone()))
            }
            _ => Ok(None),
        }
    }

    fn redirected(&mut self, here: &HttpUrl, head: &Parts) -> Result<Option<HttpUrl>> {
        let Some(location) = head.headers.get(LOCATION) else { return Ok(None) };
        let refused = |why: &str| Error::new(ErrorKind::Server, format!("the server redirects {why}"));
        self.followed += 1;
        if self.max == 0 {
            return Err(refused("to another URL, and --max-redirs 0 allows none"));
        }
        if self.followed > self.max {
            return Err(refused(&format!("more than {} times (--max-redirs)", self.max)));
        }
        let next = std::str::from_utf8(location.as_bytes()).ok().and_then(|to| here.join(to).ok());
        let next = next.ok_or_else(|| refused("to a URL that is not http(s)"))?;
        if here.is_https() && !next.is_https() {
            return Err(refused("from https to plain http, which is not followed"));
        }
        Ok(Some(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> HttpUrl {
        text.parse().unwrap()
    }

    fn head(status: u16, location: &str) -> Parts {
        let mut response = http::Response::builder().status(status);
        if !location.is_empty() {
            response = response.header(LOCATION, location);
        }
        response.body(()).unwrap().into_parts().0
    }

    #[test]
    fn what_is_followed() {
        const GIVEN: &str = "https://h/p?q";
        const OTHER: &str = "https://cdn/x?s";
        for (here, status, location, want) in [
            (GIVEN, 301, OTHER, Ok(Some(OTHER))),
            (GIVEN, 302, "/y", Ok(Some("https://h/y"))),
            (GIVEN, 307, "", Ok(None)),
            (GIVEN, 300, OTHER, Ok(None)),
            (GIVEN, 304, OTHER, Ok(None)),
            (GIVEN, 403, OTHER, Ok(None)),
            (OTHER, 403, "", Ok(Some(GIVEN))),
            (OTHER, 410, "", Ok(Some(GIVEN))),
            (OTHER, 500, "", Ok(None)),
            (GIVEN, 302, "http://cdn/x", Err("plain http")),
            (GIVEN, 302, "ftp://cdn/x", Err("not http(s)")),
            (GIVEN, 302, "https://user:hunter2@cdn/", Err("not http(s)")),
        ] {
            match (
                Redirects::new(Redirects::MAX).resolve(&url(GIVEN), &url(here), &head(status, location)),
                want,
            ) {
                (Ok(next), Ok(want)) => assert_eq!(next, want.map(url), "{status} {location}"),
                (Err(error), Err(want)) => {
                    let shown = format!("{error} {error:?}");
                    assert!(shown.contains(want) && !shown.contains("hunter2"), "{error}");
                    assert_eq!((error.exit_code(), error.is_retryable()), (5, false));
                }
                (next, want) => panic!("{status} {location}: {next:?}, not {want:?}"),
            }
        }
        let plain = url("http://h/p");
        let up = Redirects::new(Redirects::MAX).resolve(&plain, &plain, &head(301, OTHER));
        assert_eq!(up.unwrap(), Some(url(OTHER)));
    }

    #[test]
    fn chains_end_and_the_given_url_is_has_returned_once() {
        let (given, other) = (url("https://h/p"), url("https://cdn/x"));
        let mut redirects = Redirects::new(Redirects::MAX);
        for again in [true, false] {
            for _ in 0..Redirects::MAX {
                assert!(redirects.resolve(&given, &given, &head(302, "https://cdn/x")).unwrap().is_some());
            }
            assert_eq!(
                redirects.resolve(&given, &other, &head(403, "")).unwrap(),
                again.then(|| given.clone())
            );
        }
        assert!(redirects.resolve(&given, &given, &head(302, "https://cdn/x")).is_err());
    }

    #[test]
    fn as_many_are_followed_as_the_user_allows() {
        let given = url("https://h/p");
        for max in [0, 1, 7] {
            let mut redirects = Redirects::new(max);
            for _ in 0..max {
                assert!(redirects.resolve(&given, &given, &head(302, "https://cdn/x")).unwrap().is_some());
            }
            let error = redirects.resolve(&given, &given, &head(302, "https://cdn/x")).unwrap_err();
            assert!(error.to_string().contains(if max == 0 { "--max-redirs 0" } else { "times" }), "{error}");
        }
    }
}
