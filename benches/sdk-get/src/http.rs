//! The HTTP client: the SDK's own connector, with what it leaves to its user set.
//!
//! `aws_config` uses it. `TCP_NODELAY` is on by the connector's default.

use std::fs;
use std::num::NonZeroUsize;

use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

use crate::Result;

/// A client that keeps `connections` open, and trusts `AWS_CA_BUNDLE` or else the system's certificates.
pub(crate) fn client(endpoint: &str, connections: NonZeroUsize) -> Result<SharedHttpClient> {
    let trusted = match std::env::var_os("AWS_CA_BUNDLE") {
        // Reading the system's certificates takes longer than a small download.
        _ if endpoint.starts_with("http:") => TrustStore::empty(),
        Some(bundle) => TrustStore::empty().with_pem_certificate(fs::read(bundle)?),
        None => TrustStore::default(),
    };
    Ok(Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(TlsContext::builder().with_trust_store(trusted).build()?)
        .pool_max_idle_per_host(connections.get())
        .build_https())
}
