//! An object into a file, which has its name only once it is whole.
//!
//! `cargo run --example to_file -- s3://bucket/key FILE`. Credentials, region and endpoint are looked for where the AWS
//! CLI looks for them.

use std::ffi::OsString;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use s3fcp::{Config, Download, Options, S3Uri, Settings};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::StreamReader;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [uri, path] = arguments.as_slice() else {
        return Err(Error::new(ErrorKind::InvalidInput, "usage: to_file s3://bucket/key FILE"));
    };
    let config = s3fcp::config::load(&Settings::default()).await?;
    let bytes = to_file(&config, &uri.parse()?, Path::new(path)).await?;
    eprintln!("{bytes} bytes");
    Ok(())
}

/// Downloads `uri` to `path` and returns how many bytes it has. Whatever fails, `path` is as it was before.
pub(crate) async fn to_file(config: &Config, uri: &S3Uri, path: &Path) -> std::io::Result<u64> {
    // What is wrong with the object shows here, before there is any file.
    let download = Download::start(config, uri, &Options::default()).await?;
    let part = beside(path);
    let written = write(download, &part).await;
    match written {
        Ok(_) => fs::rename(&part, path).await?,
        Err(_) => fs::remove_file(&part).await?,
    }
    written
}

/// The object is right only when the stream has ended without an error: the last thing it does is to compare the
/// checksum.
async fn write(download: Download, part: &Path) -> std::io::Result<u64> {
    let mut body = StreamReader::new(download.map_err(Error::from));
    let mut file = File::create(part).await?;
    let bytes = tokio::io::copy_buf(&mut body, &mut file).await?;
    file.flush().await?;
    file.sync_all().await?;
    Ok(bytes)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".part");
    name.into()
}
