//! What a download does, as events of [`tracing`]: what `-v` and `RUST_LOG` show, and what a program that embeds this
//! library gets through its own subscriber. Without one nothing is put together, and an event costs the look at one
//! number in memory.
//!
//! No event has a secret in it: no keys, signatures, session tokens or passwords, no key of a customer's own, and of a
//! URL not its query. That holds for the targets below. The crates of AWS that this library uses have events too, and
//! at the levels `debug` and `trace` some of those show requests with all their headers: enable them with care.
//!
//! # Targets
//!
//! Targets, levels and the names of fields are stable; messages are for reading. A field that has no value is left
//! out. Fields that end in `_ms` are milliseconds, ranges are as in the header `Range`, and `object` is the object's
//! URI, or the URL without its query.
//!
//! | target | level | what happened | fields |
//! |---|---|---|---|
//! | [`s3fcp::request`](REQUEST) | info | a request is over: its response was read to the end, cut or given up | `outcome` (`complete`, `incomplete` or `no response`), `method`, `range`, `query`, `status`, `bytes` (of the object that it brought), `head_ms` (to the head of the response), `elapsed_ms`, `attempt` (from 1), `hedge`, `peer` (the address and port at the other end, perhaps a proxy's), `connection` (its number, from 1), `reused`, `request_id`, `id_2`, `error`, `object` |
//! | | debug | a request is sent | `method`, `range`, `query`, `attempt`, `hedge`, `peer`, `connection`, `reused`, `object` |
//! | [`s3fcp::retry`](RETRY) | warn | a try failed, and there will be another one | `range` (what is still to come of it), `attempt` (the one that failed), `delay_ms`, `reason` |
//! | [`s3fcp::throttle`](THROTTLE) | warn | the server is busy: fewer requests at once, and none for a while | `pause_ms`, `concurrency` |
//! | [`s3fcp::hedge`](HEDGE) | info | a range is late and is asked for a second time; and when the second request is the one that goes on | `range` |
//! | [`s3fcp::correction`](CORRECTION) | info | the service said what to change, and is asked again at once | `what` (`region`, `clock`, `credentials`, `redirect` or `version`), `to` |
//! | [`s3fcp::credentials`](CREDENTIALS) | info | credentials were handed out, or none are needed | `source`, `elapsed_ms`, `expires` |
//! | | warn | they could not be renewed, and the old ones are used as long as they hold | `reason` |
//! | | debug | a source has none | `source`, `reason` |
//! | [`s3fcp::download`](DOWNLOAD) | info | the first response shows what there is | `size`, `etag`, `version_id`, `range`, `chunk`, `concurrency`, `object` |
//! | [`s3fcp::connection`](CONNECTION) | debug | a name was resolved; a connection was opened | `host`, `addresses`; `host`, `proxy`, `peer`, `connection`, `elapsed_ms` |
//! | [`s3fcp::level`](LEVEL) | debug | another number of ranges is to be fetched at once | `concurrency`, `before` |
//! | | trace | what that is found by | `concurrency`, `fetched`, `held` (both in bytes) |
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
/// Tries that failed.
pub const RETRY: &str = "s3fcp::retry";
/// Pauses that a server asked for.
pub const THROTTLE: &str = "s3fcp::throttle";
/// Second requests for what is late.
pub const HEDGE: &str = "s3fcp::hedge";
/// What the service corrected.
pub const CORRECTION: &str = "s3fcp::correction";
/// Where credentials came from.
pub const CREDENTIALS: &str = "s3fcp::credentials";
/// The beginning of a download.
pub const DOWNLOAD: &str = "s3fcp::download";
/// Names and connections.
pub const CONNECTION: &str = "s3fcp::connection";
/// How many ranges are fetched at once.
pub const LEVEL: &str = "s3fcp::level";

/// All of them.
pub const TARGETS: [&str; 9] =
    [REQUEST, RETRY, THROTTLE, HEDGE, CORRECTION, CREDENTIALS, DOWNLOAD, CONNECTION, LEVEL];

/// `time` in milliseconds, rounded to a tenth.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}

/// The first line of an error: the lines after it are hints for a person.
pub(crate) fn first_line(error: &dyn Display) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
