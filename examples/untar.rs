//! A tar archive, unpacked while it is downloaded: how the stream goes into any decoder that wants a `Read`.
//!
//! `cargo run --example untar -- s3://bucket/archive.tar FOLDER`. A decompressor goes in between in the same way:
//! `tar::Archive::new(zstd::Decoder::new(body)?)`.

use std::io::{self, Error, ErrorKind, Read};
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use s3fcp::{Config, Download, Options, S3Uri, Settings};
use tokio_util::io::{StreamReader, SyncIoBridge};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [uri, folder] = arguments.as_slice() else {
        return Err(Error::new(ErrorKind::InvalidInput, "usage: untar s3://bucket/archive.tar FOLDER"));
    };
    let config = s3fcp::config::load(&Settings::default()).await?;
    untar(&config, &uri.parse()?, Path::new(folder)).await
}

/// Unpacks the archive `uri` into `folder`. After an error what was unpacked is not to be used.
pub(crate) async fn untar(config: &Config, uri: &S3Uri, folder: &Path) -> io::Result<()> {
    let download = Download::start(config, uri, &Options::default()).await?;
    let body = SyncIoBridge::new(StreamReader::new(download.map_err(Error::from)));
    let folder = PathBuf::from(folder);
    // The decoder blocks, so it gets a thread; the download continues in the runtime.
    tokio::task::spawn_blocking(move || unpack(body, &folder)).await?
}

fn unpack(body: impl Read, folder: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(body);
    archive.unpack(folder)?;
    // An archive ends before its object does, and the decoder stops there. Only after the object's last byte is it
    // known whether the bytes were the right ones: read on to it.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(())
}
