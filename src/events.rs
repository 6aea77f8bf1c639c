//! The events of a download, for [`tracing`]: `-v` and `RUST_LOG` show them, and a program that embeds this library
//! gets them through its own subscriber. Without a subscriber no event is built, and each costs one load from memory.
//!
//! No event contains a secret: no keys, signatures, session tokens or passwords, no customer-provided key, and no query
//! of a URL. That holds for the targets below. The AWS crates that this library uses have events too, and at the levels
//! `debug` and `trace` some of those show requests with all their headers: enable them with care.
//!
//! # Targets
//!
//! Targets, levels and field names are stable; messages are for people. A field without a value is left out. Fields
//! that end in `_ms` are milliseconds, ranges are as in the header `Range`, and `object` is the object's URI, or the
//! URL without its query.
//!
//! | target | level | what happened | fields |
//! |---|---|---|---|
//! | [`s3fcp::request`](REQUEST) | info | a request has ended: its response was complete, cut or abandoned | `outcome` (`complete`, `incomplete` or `no response`), `method`, `range`, `query`, `status`, `bytes` (of the object, in this response), `head_ms` (until the head of the response), `elapsed_ms`, `attempt` (from 1), `hedge`, `peer` (address and port of the other end, perhaps a proxy's), `connection` (its number, from 1), `reused`, `request_id`, `id_2`, `error`, `object` |
//! | | debug | a request is sent | `method`, `range`, `query`, `attempt`, `hedge`, `peer`, `connection`, `reused`, `object` |
//! | [`s3fcp::retry`](RETRY) | warn | an attempt failed, and another one follows | `range` (its remainder), `attempt` (the one that failed), `delay_ms`, `reason` |
//! | [`s3fcp::throttle`](THROTTLE) | warn | the server is busy: a pause, then fewer concurrent requests | `pause_ms`, `concurrency` |
//! | [`s3fcp::hedge`](HEDGE) | info | the rest of a late range is requested a second time; and the second request overtakes the first | `range` |
//! | [`s3fcp::correction`](CORRECTION) | info | the service named a correction, and the request is sent again immediately | `what` (`region`, `clock`, `credentials`, `session`, `redirect`, `version`, `If-Match`, `plain GET` or `one response`), `to` |
//! | [`s3fcp::credentials`](CREDENTIALS) | info | credentials were provided, or none are needed | `source`, `elapsed_ms`, `expires` |
//! | | warn | credentials could not be renewed; the old ones are used while they are valid | `reason` |
//! | | debug | a source has no credentials | `source`, `reason` |
//! | [`s3fcp::download`](DOWNLOAD) | info | the first response shows the object | `size`, `etag`, `version_id`, `range`, `chunk`, `window` (in bytes, at the most), `concurrency`, `object` |
//! | | info | the memory of this process is limited | `limit`, `share` (of it, that is used by default), `by` (the file of the cgroup) |
//! | | info | the object is complete | `size`, `size_by` (the fact that shows it: `content-range`, `whole response`, `two responses` or `last chunk`), `validator` (`strong`, `weak` or `none`), `responses`, `checksum` |
//! | [`s3fcp::connection`](CONNECTION) | debug | a name was resolved; a connection was opened | `host`, `addresses`; `host`, `proxy`, `peer`, `connection`, `elapsed_ms` |
//! | | warn | a pipe or device that is named in place of a file has no writer yet; certificates of the CA bundle are skipped | `reason`, `skipped` |
//! | [`s3fcp::level`](LEVEL) | debug | the number of concurrent ranges changed | `concurrency`, `before` |
//! | | info | another number of threads fetch; or no further one could be made | `threads`, `before`; `threads`, `reason` |
//! | | trace | a sample for that decision | `concurrency`, `fetched`, `held` (both in bytes) |
//! | | trace | a sample for the number of threads | `threads`, `shares` (of the time that each one worked), `first` (the weight of the first one) |
//!
//! ```
//! use tracing_subscriber::filter::{LevelFilter, Targets};
//! use tracing_subscriber::prelude::*;
//!
//! // Failures that were survived, and each request.
//! let wanted = Targets::new()
//!     .with_target("s3fcp", LevelFilter::WARN)
//!     .with_target(s3fcp::events::REQUEST, LevelFilter::INFO);
//! tracing_subscriber::registry().with(tracing_subscriber::fmt::layer()).with(wanted).init();
//! ```

use std::fmt::Display;
use std::time::Duration;

/// Requests.
pub const REQUEST: &str = "s3fcp::request";
/// Attempts that failed.
pub const RETRY: &str = "s3fcp::retry";
/// Pauses that a server asked for.
pub const THROTTLE: &str = "s3fcp::throttle";
/// Second requests for ranges that are late.
pub const HEDGE: &str = "s3fcp::hedge";
/// Corrections by the service.
pub const CORRECTION: &str = "s3fcp::correction";
/// Sources of credentials.
pub const CREDENTIALS: &str = "s3fcp::credentials";
/// The beginning of a download.
pub const DOWNLOAD: &str = "s3fcp::download";
/// Name lookups and connections.
pub const CONNECTION: &str = "s3fcp::connection";
/// The number of ranges fetched at the same time.
pub const LEVEL: &str = "s3fcp::level";

/// All targets.
pub const TARGETS: [&str; 9] =
    [REQUEST, RETRY, THROTTLE, HEDGE, CORRECTION, CREDENTIALS, DOWNLOAD, CONNECTION, LEVEL];

/// Returns `time` in milliseconds, rounded to a tenth.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

/// Returns the first line of an error; the lines after it are hints for people.
pub(crate) fn first_line(error: &dyn Display) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
