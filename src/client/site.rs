//! The site that requests go to: an endpoint and the pool of connections to it.

use std::sync::Arc;

use crate::client::origins::Origins;
use crate::error::{Error, Result};
use crate::s3::address::directory_bucket::is_directory_bucket;
use crate::s3::address::endpoint::Endpoint;
use crate::s3::address::http_url::HttpUrl;
use crate::s3::address::region::Region;
use crate::s3::address::s3_uri::S3Uri;
use crate::transport::pool::Pool;

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

/// Checks that nobody on the way, not even a proxy, can read the key of `--sse-c-key`, which travels in a header.
fn check_key_may_travel(endpoint: &Endpoint, has_proxy: bool) -> Result<()> {
    if endpoint.is_https() || (endpoint.is_loopback() && !has_proxy) {
        return Ok(());
    }
    Err(Error::usage("--sse-c-key would send the key unencrypted: the endpoint is plain HTTP")
        .with_hint("use an https:// endpoint; plain HTTP is allowed on this machine only (localhost)"))
}
