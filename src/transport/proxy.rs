//! Which proxy a host is reached by, if any: `HTTPS_PROXY` and its like, by the rules of curl.
//!
//! It gets the variables' values, as `config.rs` found them, and a host, and hands on a [`Proxy`] with the user name
//! and the password that stood in its URL. These show in no `Debug` form and in no error. It opens no connection.
//!
//! Source: curl's manual, "Proxy environment variables"; the matching itself is hyper-util's.

use std::fmt;

use http::header::PROXY_AUTHORIZATION;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

use crate::error::{Error, ErrorKind, Result};

/// The proxies that the environment names. By default none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<ProxyVar>,
    https: Option<ProxyVar>,
    /// The hosts that are reached without one, by commas.
    no_proxy: String,
}

/// A URL, perhaps with a password in it, and the variable that it is from.
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
    /// The value of `Proxy-Authorization`.
    auth: Option<HeaderValue>,
    variable: &'static str,
    /// As it was given, with its scheme: for clients that want to read it themselves.
    url: String,
}

impl Proxies {
    /// What the environment says; `variable` looks one up, and an empty one is as good as none. The lower case goes
    /// first, as in curl.
    #[must_use]
    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        // A CGI script's caller can set this one, by a header `Proxy` of his request.
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

    /// The proxy for requests to `host`, of which scheme, host and port count. A setting that is of no use is an
    /// error only where it is asked for.
    pub(crate) fn of(&self, host: &Uri) -> Result<Option<Proxy>> {
        let is_https = host.scheme_str() == Some("https");
        let Some(ProxyVar { variable, url }) = (if is_https { &self.https } else { &self.http }) else {
            return Ok(None);
        };
        if self.bypasses(host) {
            return Ok(None);
        }
        let bad = |why: &str| {
            // The value may have a password in it.
            Error::usage(format!("the proxy in {variable} {why}"))
                .with_hint("write it as http://host:port or http://user:password@host:port, percent-encoded")
        };
        let Some(found) = Matcher::builder().all(url).build().intercept(host) else {
            return Err(bad("is not the URL of an HTTP proxy"));
        };
        if !matches!(found.uri().scheme_str(), Some("http" | "https")) {
            return Err(bad("is of a kind that is not supported"));
        }
        Ok(Some(Proxy {
            uri: found.uri().clone(),
            auth: found.basic_auth().cloned(),
            variable,
            url: if url.contains("://") { url.clone() } else { format!("http://{url}") },
        }))
    }

    /// Whether `NO_PROXY` names the host: by its name, a domain above it, its address, or a network.
    fn bypasses(&self, host: &Uri) -> bool {
        // As curl reads it: by commas or spaces, addresses in brackets or not, names with the root's dot or not.
        let entries = self
            .no_proxy
            .split([',', ' ', '\t'])
            .map(|entry| entry.trim_matches(['[', ']']).trim_end_matches('.'));
        let entries: Vec<&str> = entries.filter(|entry| !entry.is_empty()).collect();
        // The matcher knows this one for names only.
        entries.contains(&"*") || {
            let any = Matcher::builder().all("http://any").no(entries.join(","));
            any.build().intercept(host).is_none()
        }
    }
}

impl Proxy {
    /// Scheme, host and port of the proxy itself.
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Its URL as it was given, with the password: for nobody's eyes.
    pub(crate) fn secret_url(&self) -> &str {
        &self.url
    }

    /// Says to the proxy who asks.
    pub(crate) fn authorize(&self, headers: &mut http::HeaderMap) {
        if let Some(auth) = &self.auth {
            headers.insert(PROXY_AUTHORIZATION, auth.clone());
        }
    }

    /// The proxy answered a request for a connection with `status` instead of opening it.
    pub(crate) fn refused(&self, status: http::StatusCode) -> Error {
        let hint = format!("check the proxy in {}; NO_PROXY names hosts to reach without one", self.variable);
        match status.as_u16() {
            407 => Error::new(
                ErrorKind::Access,
                format!("the proxy {self} wants a user name and a password, or others (HTTP 407)"),
            )
            .with_hint(format!("put them into {}: http://user:password@host:port", self.variable)),
            403 => Error::new(ErrorKind::Access, format!("the proxy {self} forbids the host (HTTP 403)"))
                .with_hint(hint),
            code => {
                Error::network(format!("the proxy {self} opened no connection (HTTP {code})")).with_hint(hint)
            }
        }
    }

    /// The variable that names it.
    pub(crate) fn variable(&self) -> &'static str {
        self.variable
    }
}

/// Scheme, host and port.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.uri.authority().map_or("", |a| a.as_str());
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
mod tests {
    use super::*;

    fn proxies(env: &[(&str, &str)]) -> Proxies {
        let lookup =
            |name: &str| env.iter().find(|(n, v)| *n == name && !v.is_empty()).map(|(_, v)| (*v).to_owned());
        Proxies::new(lookup)
    }

    fn shown(env: &[(&str, &str)], host: &str) -> Option<String> {
        proxies(env).of(&host.parse().unwrap()).unwrap().map(|proxy| proxy.to_string())
    }

    #[test]
    fn which_variable_counts() {
        const HTTPS: &str = "https://s3.eu-west-1.amazonaws.com";
        const HTTP: &str = "http://minio.lan:9000";
        let all = [
            ("http_proxy", "http://a:1"),
            ("HTTP_PROXY", "http://b:1"),
            ("https_proxy", "http://c:1"),
            ("HTTPS_PROXY", "https://d:1"),
            ("all_proxy", "http://e:1"),
            ("ALL_PROXY", "f:1"),
        ];
        for (env, host, want) in [
            (&[][..], HTTPS, None),
            (&all, HTTP, Some("http://a:1")),
            (&all[1..], HTTP, Some("http://b:1")),
            (&all[2..], HTTP, Some("http://e:1")),
            (&all[5..], HTTP, Some("http://f:1")),
            (&all, HTTPS, Some("http://c:1")),
            (&all[3..], HTTPS, Some("https://d:1")),
            (&all[4..], HTTPS, Some("http://e:1")),
            (&[("https_proxy", ""), ("ALL_PROXY", "http://f:1")], HTTPS, Some("http://f:1")),
            (&[("HTTP_PROXY", "http://b:1")], HTTPS, None),
            (&[("HTTP_PROXY", "http://b:1"), ("REQUEST_METHOD", "GET")], HTTP, None),
            (&[("http_proxy", "http://a:1"), ("REQUEST_METHOD", "GET")], HTTP, Some("http://a:1")),
            (&[("HTTPS_PROXY", "http://d:1"), ("REQUEST_METHOD", "GET")], HTTPS, Some("http://d:1")),
        ] {
            assert_eq!(shown(env, host).as_deref(), want, "{env:?} {host}");
        }
    }

    #[test]
    fn whom_no_proxy_spares() {
        for (list, host, spared) in [
            ("", "http://localhost:9000", false),
            ("", "http://127.0.0.1:9000", false),
            ("*", "http://127.0.0.1:9000", true),
            ("*", "https://s3.amazonaws.com", true),
            ("other, *", "http://h", true),
            ("amazonaws.com", "https://bucket.s3.amazonaws.com", true),
            (".amazonaws.com", "https://bucket.s3.amazonaws.com", true),
            (".minio.lan", "http://minio.lan", true),
            ("minio.lan.", "http://MINIO.lan", true),
            ("io.lan", "http://minio.lan", false),
            ("a b minio.lan", "http://minio.lan", true),
            ("localhost", "http://127.0.0.1", false),
            ("127.0.0.1", "http://127.0.0.1:9000", true),
            ("10.0.0.0/8", "http://10.1.2.3:9000", true),
            ("10.0.0.0/8", "http://11.1.2.3:9000", false),
            ("[::1]", "http://[::1]:9000", true),
            ("::1", "http://[::1]:9000", true),
            ("fd00::/8", "https://[fd12::3]", true),
        ] {
            for name in ["no_proxy", "NO_PROXY"] {
                let found = shown(&[("ALL_PROXY", "http://p:1"), (name, list)], host);
                assert_eq!(found.is_none(), spared, "{list:?} {host}");
            }
        }
    }

    #[test]
    fn the_password_goes_into_the_header_and_nowhere_else() {
        let env = [("ALL_PROXY", "http://us%40er:hun%3Ater2@p:1"), ("NO_PROXY", "n")];
        let proxies = proxies(&env);
        let proxy = proxies.of(&"https://h".parse().unwrap()).unwrap().unwrap();
        let mut headers = http::HeaderMap::new();
        proxy.authorize(&mut headers);
        // us@er:hun:ter2
        assert_eq!(headers[PROXY_AUTHORIZATION], "Basic dXNAZXI6aHVuOnRlcjI=");
        let refusals = [403, 407, 502].map(|code| proxy.refused(code.try_into().unwrap()));
        assert_eq!(refusals.each_ref().map(Error::exit_code), [4, 4, 5]);
        assert_eq!(refusals.each_ref().map(Error::is_retryable), [false, false, true]);
        let shown = format!("{proxies:?} {proxy:?} {proxy} {headers:?} {refusals:?}");
        assert!(!shown.contains("ter2") && !shown.contains("us%40er") && !shown.contains("dXNA"), "{shown}");
    }

    #[test]
    fn a_value_of_no_use_is_an_error_without_the_value_where_it_is_asked_for() {
        for url in ["socks5://hunter2@p:1", "ftp://hunter2@p", "http://hunter2@@", "hunter2 @p", "/hunter2"] {
            let proxies = proxies(&[("HTTPS_PROXY", url), ("NO_PROXY", "spared")]);
            let error = proxies.of(&"https://h".parse().unwrap()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("HTTPS_PROXY") && !shown.contains("hunter2"), "{shown}");
            for host in ["http://h", "https://spared"] {
                assert_eq!(proxies.of(&host.parse().unwrap()).unwrap(), None);
            }
        }
    }
}
