//! Downloads from a server in memory, for unit tests.

use std::sync::Arc;

use bytes::Bytes;

use crate::client::origins::Origins;
use crate::config::settings::Config;
use crate::download::client::Client;
use crate::download::context::DownloadContext;
use crate::download::discovery;
use crate::download::options::Options;
use crate::download::start_mode::StartMode;
use crate::download::stream::Download;
use crate::error::{Error, Result};
use crate::s3::address::source::Source;
use crate::transport::in_memory::InMemoryServer;

/// A configuration whose endpoint is `server`.
pub(crate) fn config(server: &InMemoryServer) -> Config {
    Config { endpoint: Some(server.url().parse().unwrap()), ..Config::default() }
}

/// The object of every test, of which the server has only one.
pub(crate) fn source() -> Source {
    Source::S3("s3://bucket/key".parse().unwrap())
}

/// Starts a download from `server`.
pub(crate) async fn start(server: &InMemoryServer, options: &Options) -> Result<Download> {
    Client::new(config(server)).download(source(), options).await
}

/// Reads to the end of the download, or to its error.
pub(crate) async fn read(download: &mut Download) -> (Bytes, Option<Error>) {
    let mut bytes = Vec::new();
    while let Some(frame) = download.next_frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame),
            Err(error) => return (bytes.into(), Some(error)),
        }
    }
    (bytes.into(), None)
}

/// Downloads all that `options` ask for.
pub(crate) async fn fetch(server: &InMemoryServer, options: &Options) -> Result<(Bytes, Download)> {
    let mut download = start(server, options).await?;
    match read(&mut download).await {
        (bytes, None) => Ok((bytes, download)),
        (_, Some(error)) => Err(error),
    }
}

/// The context of a download that has not begun.
pub(crate) async fn context(server: &InMemoryServer, options: &Options) -> Arc<DownloadContext> {
    let config = config(server);
    let mode = StartMode::alone(options, &config);
    let origins = Origins::new(config);
    let built = discovery::build_context(&origins, &source(), options, &mode).await;
    Arc::new(built.unwrap().0)
}
