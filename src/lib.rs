//! s3fcp downloads one S3 object by signed, parallel range requests over raw HTTP and yields its bytes
//! in order, with bounded memory.
//!
//! # Flow
//!
//! One way for the data:
//!
//! ```text
//! cli -> uri -> config -> endpoint -> request -> sign -> transport -> response
//!                         \______________ client: one exchange ____________/
//!                                               |
//!            fetch: one range, attempt by attempt, for the remainder only
//!                                               |  frames, by a lane
//!            download: discovery, plan, window; one ordered stream
//!                                               |
//!            sink: one writer thread to stdout      progress: counts what was delivered
//! ```
//!
//! # Vocabulary
//!
//! A *chunk* is a planned unit of `--chunk-size`; a *range* a byte interval, half-open; a *frame* a piece
//! of body. The *window* is the memory that a download's body bytes may take, `concurrency` x `chunk size`;
//! a frame's *room* is its part of it. A *lane* is the queue of one range's frames; the *head of the line*
//! is the range whose bytes go out next. The *pin* is the version that the first response showed.
//!
//! # Invariants
//!
//! 1. The consumer gets the object's bytes, in order, each once; an error comes behind a prefix of them.
//! 2. One version: every GET carries the first GET's `ETag` as `If-Match`, and every response is checked.
//! 3. A byte that was handed on is never fetched again.
//! 4. Body bytes held, with the buffers that they pin, stay inside the window.
//! 5. Credentials appear in no message and travel to no host that the user did not name.
//! 6. Bytes of the head of the line go on as they arrive.
//!
//! # Example
//!
//! ```no_run
//! use futures_util::StreamExt;
//! use s3fcp::{Download, Options, S3Uri, Settings};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> s3fcp::Result<()> {
//! let config = s3fcp::config::load(&Settings::default()).await?;
//! let uri: S3Uri = "s3://bucket/key".parse()?;
//! let mut download = Download::start(&config, &uri, &Options::default()).await?;
//! println!("{} bytes", download.info().size);
//! while let Some(bytes) = download.next().await {
//!     let bytes: bytes::Bytes = bytes?;
//!     // In the object's order, each once.
//! #   drop(bytes);
//! }
//! # Ok(())
//! # }
//! ```

mod budget;
pub mod cli;
mod client;
pub mod config;
mod download;
mod endpoint;
mod error;
mod fetch;
mod frame;
pub mod info;
mod lane;
mod level;
pub mod progress;
mod range;
mod request;
mod response;
mod retry;
mod sign;
pub mod sink;
mod slots;
mod transport;
mod uri;
mod window;

pub use config::{Config, Settings};
pub use download::{Download, Options, Traffic, inspect};
pub use endpoint::AddressingStyle;
pub use error::{Error, ErrorKind, Result, ServiceError};
pub use frame::Frame;
pub use response::ObjectInfo;
pub use uri::S3Uri;

// For benches/sign.rs, and no part of the API.
#[doc(hidden)]
pub use sign::sign;
