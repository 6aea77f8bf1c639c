//! s3fcp downloads one S3 object by signed, parallel range requests over raw HTTP and yields its bytes
//! in order, with bounded memory.
//!
//! # Flow
//!
//! One way for the data:
//!
//! ```text
//! cli -> source -> config -> endpoint -> request -> sign -> transport -> response
//!                         \______________ client: one exchange ____________/
//!                                               |
//!            fetch: one range, attempt by attempt, for the remainder only; a second request races
//!                   with one that is late (hedge, by the pace of all); throttle when the server is busy
//!                                               |  frames, by a lane
//!            download: discovery, plan, window; one ordered stream     checksum: what was yielded
//!                                               |
//!            sequence: several objects, one behind the other
//!                                               |
//!            sink: to stdout, at once or by a       progress, stats: what was delivered
//!                  thread that may be kept waiting,
//!                  or into FILE.part, which becomes FILE
//!                                               |
//!            continuation: what to tell when it ended in the middle, by an error or an interrupt
//! ```
//!
//! A *source* is an object of S3 (`uri`) or a URL: the latter is asked for as it stands, without `sign`, and alone led
//! on by redirects (`follow`). What happens on the way is told by [`events`], which `log` puts on stderr.
//!
//! # Vocabulary
//!
//! A *chunk* is a planned unit of `--chunk-size`; a *range* a byte interval, half-open; a *frame* a piece
//! of body. The *window* is the memory that a download's body bytes may take, `concurrency` x `chunk size`;
//! a frame's *room* is its part of it. A *lane* is the queue of one range's frames; the *head of the line*
//! is the range whose bytes go out next. The *pin* is the version that the first response showed; what is
//! *wanted* are the bytes, and the version, that the user named. The *target* is where bytes go as the user
//! said it, the *sink* the same, open; the *sidecar* is what is kept beside a `FILE.part`; a *shard* is one of
//! several equal pieces of an object.
//!
//! # Invariants
//!
//! 1. The consumer gets the object's bytes that are wanted, in order, each once; an error comes behind a prefix
//!    of them, or behind all of them where they are not what the store's checksum says.
//! 2. One version: every GET carries the first GET's `ETag` as `If-Match`, and every response is checked.
//! 3. A byte that was handed on is never fetched again.
//! 4. Body bytes held, with the buffers that they pin, stay inside the window.
//! 5. Credentials appear in no message and travel to no host that the user did not name.
//! 6. Bytes of the head of the line go on as they arrive.
//!
//! # Example
//!
//! ```
//! use futures_util::StreamExt;
//! use s3fcp::{Download, Options, S3Uri, Settings};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> s3fcp::Result<()> {
//! # let server = s3server::Server::builder().anonymous().start();
//! # let object: Vec<u8> = (0..=255).cycle().take(9_000_000).collect();
//! # server.put("bucket", "key", object.clone());
//! let settings = Settings {
//!     // Neither of the two is needed with S3, credentials and a region in the environment.
//!     endpoint: Some(server.endpoint()),
//!     no_sign_request: true,
//!     ..Settings::default()
//! };
//! let config = s3fcp::config::load(&settings).await?;
//! let uri: S3Uri = "s3://bucket/key".parse()?;
//!
//! let mut download = Download::start(&config, &uri, &Options::default()).await?;
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
//! - A download needs a tokio runtime with I/O and time; one thread is enough, and what blocks it for long (a decoder, a
//!   slow disk) slows the download: give that a thread of its own.
//! - [`Download`] is a [`Stream`](futures_util::Stream) of `Bytes`. [`Download::next_frame`] yields [`Frame`]s instead,
//!   which count against the window until they are dropped: with them memory is bounded also where a consumer keeps some.
//! - To end a download, drop it. All its requests end with it.
//! - The bytes are right when the stream has ended without an error, and not before: behind the last byte an error of
//!   kind [`Integrity`](ErrorKind::Integrity) may come. A decoder that is content earlier must be read on to the end.
//! - An [`Error`] has a [`kind`](Error::kind), what the [`service`](Error::service) said, and a message of one to three
//!   lines. It becomes an [`io::Error`](std::io::Error) and comes back out of it.
//! - How far it is, a [`Meter`] shows.
//!
//! Into a decoder, which wants a reader (this is `examples/untar.rs` in short; beside it are `to_file.rs` and
//! `progress.rs`):
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
//! # let settings = s3fcp::Settings { endpoint: Some(server.endpoint()), no_sign_request: true, ..Default::default() };
//! # let config = s3fcp::config::load(&settings).await?;
//! # let uri: s3fcp::S3Uri = "s3://bucket/archive.tar".parse()?;
//! let download = Download::start(&config, &uri, &Options::default()).await?;
//! let body = SyncIoBridge::new(StreamReader::new(download.map_err(Error::from)));
//! let names = tokio::task::spawn_blocking(move || {
//!     let mut archive = tar::Archive::new(body);
//!     let names: Result<Vec<_>, Error> =
//!         archive.entries()?.map(|entry| Ok(entry?.path()?.into_owned())).collect();
//!     // To the end of the object: only there it is known that the bytes were the right ones.
//!     std::io::copy(&mut archive.into_inner(), &mut std::io::sink())?;
//!     names
//! });
//! assert_eq!(names.await??, [std::path::Path::new("empty")]);
//! # Ok(())
//! # }
//! ```

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
mod output;
mod s3;
mod transport;

pub use config::{Config, Settings};
pub use download::client::Client;
pub use download::memory::frame::Frame;
pub use download::meter::Meter;
pub use download::options::{ChecksumMode, Hedge, Options};
pub use download::pending_head::inspect;
pub use download::stream::{Download, TransferStats};
pub use error::{Error, ErrorKind, Result, ServiceError};
pub use s3::address::addressing::{Addressing, AddressingStyle, EndpointVariant};
pub use s3::address::http_url::HttpUrl;
pub use s3::address::s3_uri::S3Uri;
pub use s3::address::source::Source;
pub use s3::checksum::algorithm::ChecksumAlgorithm;
pub use s3::etag::ETag;
pub use s3::object::ObjectInfo;
pub use s3::range_spec::RangeSpec;
pub use s3::shard::Shard;
pub use s3::sse_c;
pub use transport::proxy::Proxies;

// For benches/sign.rs, and no part of the API.
#[doc(hidden)]
pub use s3::sign::sign;
