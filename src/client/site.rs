//! The site that requests go to: an endpoint and the pool of connections to it.

use std::sync::Arc;

use crate::client::origins::Origins;
use crate::error::{Error, Result};
use crate::s3::address::directory_bucket::is_directory_bucket;
use crate::s3::address::endpoint::{Endpoint, is_loopback_authority};
use crate::s3::address::http_url::HttpUrl;
use crate::s3::address::region::Region;
use crate::s3::address::s3_uri::S3Uri;
use crate::transport::pool::Pool;
use crate::transport::proxy::Proxy;

/// The endpoint that requests go to, with its connections.
pub(crate) struct Site {
    /// For a URL: the one given, or the one it redirects to.
    pub(crate) url: Option<HttpUrl>,
    pub(crate) endpoint: Endpoint,
    pub(crate) pool: Arc<Pool>,
    is_directory: bool,
}

impl Site {
    /// Creates the site of `uri` in `region`. On AWS the region is part of the host; the host of a custom endpoint
    /// never changes.
    pub(crate) fn new(origins: &Origins, uri: &S3Uri, region: &Region, read_buffer: usize) -> Result<Self> {
        let config = &origins.config;
        let endpoint = Endpoint::resolve(uri, region, config.endpoint.as_ref(), config.addressing)?;
        let pool = origins.pool(&endpoint.base(), read_buffer, false)?;
        if config.sse_c.is_some() {
            if is_directory_bucket(uri.bucket()) {
                return Err(Error::usage(
                    "--sse-c-key cannot be combined with directory buckets, which have no SSE-C",
                ));
            }
            check_key_may_travel(&endpoint, pool.has_proxy())?;
        }
        Ok(Self { url: None, endpoint, pool, is_directory: is_directory_bucket(uri.bucket()) })
    }

    /// Creates the site of `url`, to which a server may have `redirected`: then no metadata service is connected to.
    pub(crate) fn for_url(
        origins: &Origins,
        url: &HttpUrl,
        read_buffer: usize,
        redirected: bool,
    ) -> Result<Self> {
        let endpoint = Endpoint::for_url(url);
        let pool = origins.pool(&endpoint.base(), read_buffer, redirected)?;
        Ok(Self { url: Some(url.clone()), endpoint, pool, is_directory: false })
    }

    /// Returns whether nobody but this machine can read or change what is sent and received.
    pub(crate) fn is_private(&self) -> bool {
        self.endpoint.is_https() || stays_on_this_machine(self.endpoint.authority(), self.pool.proxy())
    }

    /// Returns whether it is that of a directory bucket.
    pub(crate) fn is_directory(&self) -> bool {
        self.is_directory
    }

    /// Checks that objects can have the version that the user asked for: in directory buckets they have no versions,
    /// which S3 calls `null`.
    pub(crate) fn check_version(&self, version_id: Option<&str>) -> Result<()> {
        match version_id {
            Some(id) if self.is_directory && id != "null" => Err(Error::usage(
                "--version-id cannot be combined with directory buckets, which have no versions",
            )),
            _ => Ok(()),
        }
    }
}

/// Returns whether requests to `authority`, a host and perhaps a port, leave this machine neither for it nor for `proxy`,
/// through which they are sent. `localhost` is then the proxy's machine.
pub(crate) fn stays_on_this_machine(authority: &str, proxy: Option<&Proxy>) -> bool {
    is_loopback_authority(authority) && proxy.is_none_or(|proxy| is_loopback_authority(proxy.authority()))
}

/// Checks that nobody on the way, not even a proxy, can read the key of `--sse-c-key`, which travels in a header.
fn check_key_may_travel(endpoint: &Endpoint, has_proxy: bool) -> Result<()> {
    if endpoint.is_https() || (endpoint.is_loopback() && !has_proxy) {
        return Ok(());
    }
    Err(Error::usage("--sse-c-key would send the key unencrypted: the endpoint is plain HTTP")
        .with_hint("use an https:// endpoint; plain HTTP is allowed on this machine only (localhost)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::proxy::Proxies;

    #[test]
    fn requests_stay_here_if_both_the_host_and_the_proxy_are_this_machine() {
        const HERE: [&str; 4] = ["127.0.0.1:9", "[::1]:9000", "localhost", "127.1.2.3"];
        const ELSEWHERE: [&str; 3] = ["192.0.2.1:9", "[fd00::1]:1", "store.lan"];
        let proxies = |url: &str| {
            Proxies::new(|name| (name == "http_proxy").then(|| url.to_owned()).filter(|u| !u.is_empty()))
        };
        for (hosts, is_here) in [(&HERE[..], true), (&ELSEWHERE[..], false)] {
            for host in hosts {
                for (proxy, is_proxy_here) in [
                    ("", true),
                    ("http://127.0.0.1:3128", true),
                    ("localhost", true),
                    ("socks5h://[::1]", true),
                    ("http://u:p@127.0.0.1:1", true),
                    ("http://192.0.2.1:1", false),
                    ("https://proxy.lan", false),
                    ("socks5://[fd00::1]:1", false),
                    ("http://127.0.0.1:1@proxy.lan", false),
                ] {
                    let uri = format!("http://{host}/").parse().unwrap();
                    let proxy_of_host = proxies(proxy).of(&uri).unwrap();
                    assert_eq!(
                        stays_on_this_machine(host, proxy_of_host.as_ref()),
                        is_here && is_proxy_here,
                        "{host} {proxy}"
                    );
                }
            }
        }
    }
}
