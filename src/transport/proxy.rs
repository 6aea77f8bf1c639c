//! Selection of the proxy for a host from `HTTPS_PROXY` and similar variables, by the rules of curl.
//!
//! A [`Proxy`] carries the user name and the password of its URL; neither `Debug` nor an error shows them.
//!
//! Source: curl's manual, "Proxy environment variables"; the matching itself is hyper-util's.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::PROXY_AUTHORIZATION;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

use crate::error::{Error, ErrorKind, Result};

/// The proxies configured in the environment, by default none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<ProxyVar>,
    https: Option<ProxyVar>,
    /// The hosts to connect to directly, separated by commas.
    no_proxy: String,
}

/// A URL, which may contain a password, and the variable it was read from.
#[derive(Clone, PartialEq, Eq)]
struct ProxyVar {
    variable: &'static str,
    url: String,
}

/// The proxy for one host.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    /// Scheme, host and port.
    uri: Uri,
    /// User name and password.
    user: Option<(String, String)>,
    variable: &'static str,
}

impl Proxies {
    /// Reads the proxy variables by `variable`; empty ones count as unset. Lower case takes precedence, as in curl.
    #[must_use]
    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        // The caller of a CGI script can set HTTP_PROXY with a request header `Proxy`, so it is ignored there.
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let first = |names: &[&'static str]| {
            let found = |name: &&'static str| Some(ProxyVar { variable: name, url: variable(name)? });
            names.iter().filter(|name| !(is_cgi && **name == "HTTP_PROXY")).find_map(found)
        };
        Self {
            http: first(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]),
            https: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]),
            no_proxy: first(&["no_proxy", "NO_PROXY"]).map(|named| named.url).unwrap_or_default(),
        }
    }

    /// Returns the proxy for requests to the scheme, host and port of `host`. An unusable setting is an error only
    /// when it applies.
    pub(crate) fn of(&self, host: &Uri) -> Result<Option<Proxy>> {
        let is_https = host.scheme_str() == Some("https");
        let Some(ProxyVar { variable, url }) = (if is_https { &self.https } else { &self.http }) else {
            return Ok(None);
        };
        if self.bypasses(host) {
            return Ok(None);
        }
        Proxy::parse(url, variable).map(Some).map_err(|reason| {
            // The value may contain a password, so it is not shown.
            Error::usage(format!("the proxy in {variable} {reason}")).with_hint(
                "write it as http://host:port or http://user:password@host:port, with characters such as @ / : # ? % \
                 in the password percent-encoded; socks5:// and socks5h:// are supported too",
            )
        })
    }

    /// Returns whether `NO_PROXY` lists the host: its name, a parent domain, its address, or a network.
    fn bypasses(&self, host: &Uri) -> bool {
        // As in curl: separated by commas or spaces; brackets around addresses and a trailing dot are optional.
        let entries = self
            .no_proxy
            .split([',', ' ', '\t'])
            .map(|entry| entry.trim_matches(['[', ']']).trim_end_matches('.'));
        let entries: Vec<&str> = entries.filter(|entry| !entry.is_empty()).collect();
        // The matcher applies `*` to names only.
        entries.contains(&"*") || {
            let any = Matcher::builder().all("http://any").no(entries.join(","));
            any.build().intercept(host).is_none()
        }
    }
}

impl Proxy {
    /// Parses the URL of a proxy; the error completes the sentence "the proxy in VARIABLE ...". A URL that can be read
    /// in two ways is refused: with an unescaped `@` or `/` in the password, part of it would be taken for a host.
    fn parse(url: &str, variable: &'static str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            "socks5" | "socks5h" => 1080,
            _ => return Err("has an unsupported scheme"),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        let is_unescaped =
            |c: char| matches!(c, '@' | '/' | '?' | '#') || c.is_whitespace() || c.is_control();
        if userinfo.is_some_and(|userinfo| userinfo.contains(is_unescaped)) {
            return Err("has unescaped characters in its user name or password");
        }
        if host.contains(['/', '?', '#']) {
            return Err("has a path, or unescaped characters in its password");
        }
        let uri: Uri =
            format!("{scheme}://{host}/").parse().map_err(|_| "is not a URL with a host and a port")?;
        let port = match host.rsplit_once(':') {
            Some((_, port)) if !host.ends_with(']') => match port.parse::<u16>() {
                Ok(0) | Err(_) => return Err("has no valid port: it must be a number from 1 to 65535"),
                Ok(port) => port,
            },
            _ => default_port,
        };
        let name = uri.host().filter(|name| !name.is_empty()).ok_or("is not a URL with a host and a port")?;
        let uri = format!("{scheme}://{name}:{port}/")
            .parse()
            .map_err(|_| "is not a URL with a host and a port")?;
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = userinfo.map(|userinfo| {
            let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
            (decode(user), decode(password))
        });
        // RFC 1929, section 2: each has a length of one byte.
        let is_too_long = |(user, password): &(String, String)| user.len().max(password.len()) > 255;
        if scheme.starts_with("socks") && user.as_ref().is_some_and(is_too_long) {
            return Err("has a user name or password of more than 255 bytes, which SOCKS5 has no room for");
        }
        Ok(Self { uri, user, variable })
    }

    /// Returns whether it is a SOCKS5 proxy.
    pub(crate) fn is_socks(&self) -> bool {
        matches!(self.uri.scheme_str(), Some("socks5" | "socks5h"))
    }

    /// Returns whether it forwards requests to `host`, and so sees them and may answer them.
    pub(crate) fn forwards(&self, host: &Uri) -> bool {
        host.scheme_str() != Some("https") && !self.is_socks()
    }

    /// Returns whether a SOCKS5 proxy resolves host names itself.
    pub(crate) fn resolves_names(&self) -> bool {
        self.uri.scheme_str() == Some("socks5h")
    }

    /// Returns the user name and the password.
    pub(crate) fn user(&self) -> Option<(&str, &str)> {
        self.user.as_ref().map(|(user, password)| (user.as_str(), password.as_str()))
    }

    /// Returns the network error for a proxy that did what `what` says.
    pub(crate) fn error(&self, what: impl fmt::Display) -> Error {
        Error::network(format!("the proxy {self} {what}")).with_hint(self.hint())
    }

    /// Returns the network error for a proxy that did what `what` says instead of opening a tunnel.
    pub(crate) fn tunnel_error(&self, what: impl fmt::Display) -> Error {
        let error = Error::network(format!("the proxy {self} {what}"));
        match self.uri.scheme_str() {
            Some("http") => error.with_hint(format!(
                "the proxy may expect https:// in {}; NO_PROXY lists hosts to reach without one",
                self.variable
            )),
            _ => error.with_hint(self.hint()),
        }
    }

    /// Returns what to check if it ended the TLS handshake with it.
    pub(crate) fn handshake_hint(&self) -> String {
        format!("the proxy ended the TLS handshake: it may expect http:// in {}", self.variable)
    }

    /// Returns what to check if there is no way through it.
    pub(crate) fn hint(&self) -> String {
        format!("check the proxy in {}; NO_PROXY lists hosts to reach without one", self.variable)
    }

    /// Returns the error for a proxy that wants credentials, or others; `suffix` is the answer that says so.
    pub(crate) fn authentication_error(&self, suffix: &str) -> Error {
        let what = format!("the proxy {self} requires authentication, or rejected these credentials{suffix}");
        let scheme = self.uri.scheme_str().unwrap_or("http");
        Error::new(ErrorKind::Access, what).with_hint(format!(
            "set user name and password in {}: {scheme}://user:password@host:port",
            self.variable
        ))
    }

    /// Returns the scheme, host and port of the proxy.
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns its host and port.
    pub(crate) fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }

    /// Returns the credentials as they are sent, and the password in them.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let Some((user, password)) = &self.user else { return Vec::new() };
        vec![password.clone(), basic(user, password)]
    }

    /// Adds the proxy's credentials to `headers`.
    pub(crate) fn authorize(&self, headers: &mut http::HeaderMap) {
        let Some((user, password)) = &self.user else { return };
        // Base64 is a valid header value.
        if let Ok(mut basic) = HeaderValue::try_from(format!("Basic {}", basic(user, password))) {
            basic.set_sensitive(true);
            headers.insert(PROXY_AUTHORIZATION, basic);
        }
    }

    /// Returns the error for a CONNECT request that the proxy answered with `status`.
    pub(crate) fn connect_error(&self, status: http::StatusCode) -> Error {
        self.refusal(status.as_u16(), &format!(" (HTTP {})", status.as_u16()))
    }

    /// Returns the error for a request that the proxy itself answered with `status`; `suffix` is the answer.
    pub(crate) fn refusal(&self, status: u16, suffix: &str) -> Error {
        match status {
            // 401 is tinyproxy's response to a wrong password.
            401 | 407 => self.authentication_error(suffix),
            403 => Error::new(ErrorKind::Access, format!("the proxy {self} forbids the host{suffix}"))
                .with_hint(self.hint()),
            _ => self.error(format!("could not connect to the host{suffix}")),
        }
    }

    /// Returns the error for a response that is not S3's, with `status`: the proxy's own, or that of a server before
    /// the store.
    pub(crate) fn perhaps_refused(&self, status: u16) -> Error {
        let what = format!("the proxy {self}, or a web server behind it, refused the request");
        let kind = if status == 403 { ErrorKind::Access } else { ErrorKind::Network };
        Error::new(kind, what).retryable(status >= 500).with_hint(self.hint())
    }
}

fn basic(user: &str, password: &str) -> String {
    BASE64_STANDARD.encode(format!("{user}:{password}"))
}

/// Scheme, host and port.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.uri.authority().map_or("", |a| a.as_str());
        let authority = match self.uri.scheme_str() {
            Some("http") => authority.strip_suffix(":80").unwrap_or(authority),
            _ => authority,
        };
        write!(f, "{}://{authority}", self.uri.scheme_str().unwrap_or("http"))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variable = |named: &Option<ProxyVar>| named.as_ref().map(|named| named.variable);
        f.debug_struct("Proxies")
            .field("http", &variable(&self.http))
            .field("https", &variable(&self.https))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

#[cfg(test)]
mod tests;
