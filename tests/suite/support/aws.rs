//! AWS's host names in this process: a TLS server with a certificate for one of them, reached through a proxy that
//! opens tunnels to it and to nothing else.

use std::net::SocketAddr;

use tempfile::NamedTempFile;

use super::certificate::self_signed;
use super::files::file;
use super::proxy::{Proxy, Seen};
use super::run::S3fcp;
use super::tls_front::TlsFront;

/// A host of AWS; dropping it ends it.
pub(crate) struct AwsHost {
    name: String,
    _front: TlsFront,
    proxy: Proxy,
    bundle: NamedTempFile,
}

impl AwsHost {
    /// Serves the host `name` by what listens at `upstream`.
    pub(crate) fn new(name: &str, upstream: SocketAddr) -> Self {
        let (config, pem) = self_signed(name);
        let front = TlsFront::start(config, upstream);
        let proxy = Proxy::to(front.address());
        Self { name: name.to_owned(), _front: front, proxy, bundle: file(&pem) }
    }

    /// Prepares a run that knows no endpoint, and whose only way out is the proxy.
    pub(crate) fn run(&self) -> S3fcp {
        S3fcp::new()
            .args(["--hedge", "off"])
            .env("HTTPS_PROXY", format!("http://{}", self.proxy.address()))
            .env("AWS_CA_BUNDLE", self.bundle.path())
    }

    /// Asserts that the host, and no other, was connected to.
    #[track_caller]
    pub(crate) fn assert_reached(&self) {
        let Seen { tunnels, forwarded, refused } = self.proxy.seen();
        assert!(!tunnels.is_empty(), "nothing came");
        assert!(tunnels.iter().all(|host| *host == format!("{}:443", self.name)), "{tunnels:?}");
        assert_eq!((forwarded.len(), refused), (0, 0));
    }
}
