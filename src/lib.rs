//! s3fcp downloads S3 objects by signed, parallel range requests over raw HTTP and yields their bytes in order, with
//! bounded memory.
//!
//! A [`Client`] is made once from a [`Config`]; it keeps connections, TLS sessions, and what servers have corrected
//! (region, clock). [`Client::download`] starts a [`Download`], a stream of bytes. A source is an object of S3
//! ([`S3Uri`]) or a URL ([`HttpUrl`]), which is requested as it stands, without a signature. [`events`] lists what the
//! library reports through [`tracing`].
//!
//! The library is for Unix systems. The program `s3fcp` is the cargo feature `cli`, on by default: a program that
//! embeds the library turns the default features off and compiles neither an argument parser nor a progress bar.
//!
//! How it works inside, and what it promises, is in `docs/design/` of the repository: `architecture.md` (rooms, the way
//! of a byte, invariants), `concurrency.md` (how many connections, and why) and `glossary.md`.
//!
//! # Example
//!
//! ```
//! use futures_util::StreamExt;
//! use s3fcp::{Client, Options, S3Uri, Settings};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> s3fcp::Result<()> {
//! # let server = s3server::Server::builder().anonymous().start();
//! # let object: Vec<u8> = (0..=255).cycle().take(9_000_000).collect();
//! # server.put("bucket", "key", object.clone());
//! let mut settings = Settings::default();
//! // With S3 itself, and credentials and a region in the environment, neither is needed.
//! settings.endpoint = Some(server.endpoint());
//! settings.no_sign_request = true;
//! let config = s3fcp::config::load(&settings).await?;
//! let uri: S3Uri = "s3://bucket/key".parse()?;
//!
//! let client = Client::new(config);
//! let mut download = client.download(&uri, &Options::default()).await?;
//! let mut copy = Vec::with_capacity(download.info().size.try_into().unwrap_or(0));
//! while let Some(bytes) = download.next().await {
//!     // In the object's order, each once.
//!     copy.extend_from_slice(&bytes?);
//! }
//! # assert!(copy == object);
//! # Ok(())
//! # }
//! ```
//!
//! # Embedding
//!
//! - A download needs a tokio runtime with I/O and time. One thread is enough; whatever blocks it for long (a decoder,
//!   a slow disk) slows the download down and belongs on a thread of its own.
//! - [`Download`] is a [`Stream`](futures_util::Stream) of `Bytes`. [`Download::next_frame`] yields [`Frame`]s instead,
//!   which count against the memory window until they are dropped, so memory stays bounded even when a consumer keeps
//!   some of them. A consumer that keeps a whole window of them waits for ever: see [`Frame`].
//! - To end a download, drop it. All its requests end with it.
//! - The bytes are right when the stream has ended without an error, and not before: after the last byte an error of
//!   kind [`Integrity`](ErrorKind::Integrity) may follow. Read on to the end even if a decoder is content earlier.
//! - An [`Error`] has a [`kind`](Error::kind), the [`service`](Error::service)'s own words, and a message of one to
//!   three lines. It converts to an [`io::Error`](std::io::Error) and back.
//! - Inputs ([`Settings`], [`Config`], [`Options`]) are made by `Default`, and then their fields are set; public
//!   types are `non_exhaustive`, so that a new field or variant breaks nobody.
//! - A [`Meter`] shows the progress.
//! - Some types of the AWS SDK for Rust are part of this API ([`config::Identity`], and the provider that
//!   [`config::Credentials`] takes): a major version of theirs is one of this crate.
//!
//! To feed a decoder, turn the stream into a reader. This is `examples/untar.rs` in short; `to_file.rs` and
//! `progress.rs` are the other examples:
//!
//! ```
//! use std::io::Error;
//!
//! use futures_util::TryStreamExt;
//! use s3fcp::{Download, Options};
//! use tokio_util::io::{StreamReader, SyncIoBridge};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! # let server = s3server::Server::builder().anonymous().start();
//! # let mut archive = tar::Builder::new(Vec::new());
//! # let mut header = tar::Header::new_gnu();
//! # header.set_size(0);
//! # archive.append_data(&mut header, "empty", &b""[..])?;
//! # server.put("bucket", "archive.tar", archive.into_inner()?);
//! # let mut settings = s3fcp::Settings::default();
//! # (settings.endpoint, settings.no_sign_request) = (Some(server.endpoint()), true);
//! # let config = s3fcp::config::load(&settings).await?;
//! # let uri: s3fcp::S3Uri = "s3://bucket/archive.tar".parse()?;
//! let download = Download::start(&config, &uri, &Options::default()).await?;
//! let body = SyncIoBridge::new(StreamReader::new(download.map_err(Error::from)));
//! let names = tokio::task::spawn_blocking(move || {
//!     let mut archive = tar::Archive::new(body);
//!     let names: Result<Vec<_>, Error> =
//!         archive.entries()?.map(|entry| Ok(entry?.path()?.into_owned())).collect();
//!     // Only at the end of the object are the bytes known to be the right ones.
//!     std::io::copy(&mut archive.into_inner(), &mut std::io::sink())?;
//!     names
//! });
//! assert_eq!(names.await??, [std::path::Path::new("empty")]);
//! # Ok(())
//! # }
//! ```

// Several objects in one output, resuming and the like are used by the program alone. Marking each such item would put
// the feature into every room; without the program they are compiled and thrown away.
#![cfg_attr(not(feature = "cli"), allow(dead_code))]

#[cfg(not(unix))]
compile_error!(
    "s3fcp needs a Unix system: it reads sockets, writes pipes and renames files by system calls that others lack"
);

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
mod client;
pub mod config;
mod download;
mod error;
pub mod events;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "cli")]
mod output;
mod s3;
mod transport;

pub use config::{Config, Settings};
pub use download::client::Client;
pub use download::memory::frame::Frame;
pub use download::meter::Meter;
pub use download::options::{ChecksumMode, Hedge, Options};
pub use download::stream::Download;
pub use download::transfer_stats::TransferStats;
pub use download::verdict::Verdict;
pub use error::{Error, ErrorKind, Result, ServiceError};
pub use s3::address::http_url::HttpUrl;
pub use s3::address::s3_uri::S3Uri;
pub use s3::address::source::Source;
pub use s3::checksum::algorithm::ChecksumAlgorithm;
pub use s3::etag::ETag;
pub use s3::object::ObjectInfo;
pub use s3::proof::{SizeProof, Validator};
pub use s3::range_spec::RangeSpec;
pub use s3::shard::Shard;

// For benches/sign.rs, and no part of the API.
#[doc(hidden)]
pub use s3::sign::sign;

/// Compiles the examples of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;

/// Compiles the examples of docs/library.md.
#[cfg(doctest)]
#[doc = include_str!("../docs/library.md")]
struct LibraryPageExamples;
