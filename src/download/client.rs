//! The client: made once from a configuration, it keeps the state that downloads share.

use std::sync::Arc;

use crate::client::metadata::describe;
use crate::client::object_client::ObjectClient;
use crate::client::origins::Origins;
use crate::config::settings::Config;
use crate::download::limits::Limits;
use crate::download::options::Options;
use crate::download::start_mode::StartMode;
use crate::download::stream::Download;
use crate::error::Result;
use crate::s3::address::source::Source;
use crate::s3::object::ObjectInfo;

/// Starts downloads that share connections, TLS sessions, DNS answers, credentials, and what servers have corrected (the
/// region of a bucket, the clock). Cloning it is cheap, and the clones share all of that.
///
/// A client belongs to the runtime in which its first download was started.
///
/// ```
/// use s3fcp::{Client, Options, S3Uri};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> s3fcp::Result<()> {
/// # let server = s3server::Server::builder().anonymous().start();
/// # server.put("bucket", "a", vec![7; 9_000]);
/// # server.put("bucket", "b", vec![8; 7_000]);
/// # let mut settings = s3fcp::Settings::default();
/// # (settings.endpoint, settings.no_sign_request) = (Some(server.endpoint()), true);
/// # let config = s3fcp::config::load(&settings).await?;
/// let client = Client::new(config);
/// for uri in ["s3://bucket/a", "s3://bucket/b"] {
///     let uri: S3Uri = uri.parse()?;
///     let mut download = client.download(&uri, &Options::default()).await?;
///     while let Some(frame) = download.next_frame().await {
///         drop(frame?); // Do something with the bytes.
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    origins: Arc<Origins>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("config", &self.origins.config).finish_non_exhaustive()
    }
}

impl Client {
    /// Creates a client. Opens no connection yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { origins: Origins::new(config) }
    }

    /// Requests `source`, an [`S3Uri`](crate::S3Uri) or an [`HttpUrl`](crate::HttpUrl), and returns when the first
    /// response has shown what the object is: see [`Download::start`].
    pub async fn download(&self, source: impl Into<Source>, options: &Options) -> Result<Download> {
        Download::begin(
            &self.origins,
            &source.into(),
            options,
            StartMode::alone(options, &self.origins.config),
        )
        .await
    }

    /// Returns the metadata of `source`. Downloads nothing of an S3 object, and of a URL no more than the first byte.
    /// [`Options::range`] and [`Options::if_match`] have no effect.
    pub async fn inspect(&self, source: impl Into<Source>, options: &Options) -> Result<ObjectInfo> {
        let source = &source.into();
        let config = &self.origins.config;
        let read_buffer = Limits::of(options, &config.profile_limits).read_buffer;
        let origins = Arc::clone(&self.origins);
        let client = ObjectClient::new(origins, source.clone(), options.for_client(read_buffer))?;
        let described = describe(&client, options.max_attempts.or(config.max_attempts)).await;
        described.map(|described| described.info).map_err(|e| source.explain(e))
    }

    /// Returns the state that the client's downloads share.
    pub(crate) fn origins(&self) -> &Arc<Origins> {
        &self.origins
    }
}
