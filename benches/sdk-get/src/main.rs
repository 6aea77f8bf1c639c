//! An S3 object to stdout by aws-sdk-s3, as a careful user of the SDK would write it.
//!
//! Ranges of 8 MiB, 16 of them at the same time, each on a task of its own, `buffered` into order and written gathered, straight
//! from the buffers in which they came. `AWS_*` variables configure it as they configure every program over the SDK;
//! retries and timeouts are the SDK's own.

mod http;
mod output;
mod ranges;

use std::error::Error;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use clap::Parser;
use tokio::runtime::Runtime;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Write an S3 object to stdout, by aws-sdk-s3
#[derive(Parser)]
#[command(display_name = "sdk-get, aws-sdk-s3", version = aws_sdk_s3::meta::PKG_VERSION)]
struct Args {
    /// The URL of the server
    endpoint: String,
    bucket: String,
    key: String,

    /// Ranges that are fetched at the same time
    #[arg(long, default_value = "16")]
    connections: NonZeroUsize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let result = Runtime::new().map_err(Into::into).and_then(|runtime| runtime.block_on(run(&args)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sdk-get: {error:?}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<()> {
    let shared = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(&args.endpoint)
        .http_client(http::client(&args.endpoint, args.connections)?)
        .load()
        .await;
    let mut parts = ranges::fetch(client(&shared), args).await?;
    output::write(&mut parts).await
}

fn client(shared: &SdkConfig) -> Client {
    Client::from_conf(Builder::from(shared).force_path_style(true).build())
}
