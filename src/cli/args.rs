//! The flags as they are typed. Values that are wrong on their own are refused here; whether they go together is
//! decided in `invocation.rs`, and questions that need the environment (is there a region?) in the configuration.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser as NonEmpty;
use clap::{ArgAction, Parser, ValueHint, value_parser};

use crate::cli::completions;
use crate::cli::help;
use crate::cli::progress::ProgressMode;
use crate::cli::report::format::Format;
use crate::cli::value_parsers;
use crate::download::options::ChecksumMode;
use crate::download::options::Hedge;
use crate::s3::address::addressing::AddressingStyle;
use crate::s3::etag::ETag;
use crate::s3::range_spec::RangeSpec;
use crate::s3::shard::Shard;
use crate::s3::sse_c::KeyText;

/// The largest `--concurrency`. At S3's 85-90 MB/s a connection this is more than any network card takes, and it stays
/// within the usual limit of 1024 open files together with everything else.
const CONCURRENCY_MAX: i64 = 1000;

/// The largest `--threads`: each one fetches some 2 GiB a second.
const THREADS_MAX: i64 = 64;

/// The flags as they are typed.
#[expect(clippy::struct_excessive_bools, reason = "flags are what they are")]
#[allow(
    clippy::doc_markdown,
    rustdoc::invalid_html_tags,
    reason = "these are the help's texts, printed as they are"
)]
#[derive(Debug, Parser)]
#[command(
    name = "s3fcp",
    version,
    long_version = help::LONG_VERSION,
    about = "Download S3 objects to stdout or a file, by parallel range requests, in order",
    long_about = help::LONG_ABOUT,
    after_help = "Examples, exit codes and environment: s3fcp --help",
    after_long_help = help::AFTER_LONG_HELP,
    max_term_width = 100,
    args_override_self = true
)]
pub(crate) struct Args {
    /// One or more objects or HTTP(S) URLs, concatenated in order
    ///
    /// Keys are taken literally: nothing is percent-decoded, and there is no globbing: * is an ordinary character. URLs
    /// may be presigned.
    #[arg(value_name = "s3://BUCKET/KEY|URL", required_unless_present = "from", value_hint = ValueHint::Url)]
    pub(super) sources: Vec<String>,

    /// Read the objects and URLs from FILE, one a line; - for stdin
    ///
    /// They are read as they come, so a list may have any length and may be a pipe. Blank lines are skipped; otherwise
    /// a line is taken literally.
    #[arg(long, value_name = "FILE", value_parser = value_parser!(PathBuf), value_hint = ValueHint::FilePath,
          action = ArgAction::Append, conflicts_with = "sources")]
    pub(super) from: Vec<PathBuf>,

    /// Names in --from end in a NUL byte, not in a newline
    #[arg(short = '0', long, requires = "from")]
    pub(super) null: bool,

    /// Version of the object to download [default: the newest]
    #[arg(long, value_name = "ID", value_parser = NonEmpty::new())]
    pub(super) version_id: Option<String>,

    /// Byte range to download: A-B (inclusive), A- or -N
    ///
    /// Counted from 0, as in HTTP and curl: a B beyond the object's end means its end, and an N larger than the object
    /// the whole object. A range that starts at the object's end is empty; one that starts after it is an error.
    #[arg(long, short = 'r', value_name = "RANGE", allow_hyphen_values = true, value_parser = value_parsers::range)]
    pub(super) range: Option<RangeSpec>,

    /// Fail (exit 6) unless the object has this ETag
    ///
    /// With or without its quotes. A weak ETag (W/"...") is refused: it does not identify exact bytes, and servers
    /// never match it. Use --version-id for such a version.
    #[arg(long, value_name = "ETAG")]
    pub(super) if_match: Option<ETag>,

    /// Describe the object instead of downloading it
    ///
    /// Prints size, ETag, version, date, storage class and checksums to stdout, as lines or, with --info=json, as one
    /// line of JSON with stable keys.
    #[arg(
        long,
        value_name = "FORMAT",
        num_args = 0..=1,
        // Without this, `--info URI` would parse URI as the format.
        require_equals = true,
        default_missing_value = "text",
        // These options have no effect with --info.
        conflicts_with_all = ["range", "if_match", "output", "remote_name", "shard", "limit_rate"]
    )]
    pub(super) info: Option<Format>,

    /// Print transfer statistics to stderr when done
    ///
    /// Bytes, seconds, speed, first byte, requests, connections, retries, memory and CPU time, and what limited the
    /// download; with --stats=json as one line of JSON with stable keys.
    #[arg(
        long,
        value_name = "FORMAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "text"
    )]
    pub(super) stats: Option<Format>,

    /// Form of progress on stderr
    ///
    /// A bar shows percentage, bytes, speed and remaining time, and retries and hedges if there are any; several
    /// objects have one each below a total. There is no bar if stderr is not a terminal, or if the bytes go to one.
    #[arg(long, value_name = "FORM", default_value = "auto", hide_default_value = true)]
    pub(super) progress: ProgressMode,

    /// No progress, as --progress=off
    #[arg(short, long, aliases = ["no-progress", "only-show-errors", "silent", "no-progress-meter"], short_alias = 's')]
    pub(super) quiet: bool,

    /// Log requests and retries (-v), connections (-vv), everything (-vvv); filter with RUST_LOG
    ///
    /// No secret is ever logged.
    #[arg(short, long, action = ArgAction::Count)]
    pub(super) verbose: u8,

    /// Write to FILE, or to DIR/<last path segment>; - for stdout
    ///
    /// With -, bytes go to stdout even if it is a terminal. Until the object is complete it is in FILE.part, with a
    /// note beside it; then it is synced and renamed. A FILE that is not a regular file, such as a pipe or /dev/null,
    /// is written directly.
    #[arg(short, long, value_name = "FILE", help_heading = OUTPUT, value_parser = value_parser!(PathBuf))]
    pub(super) output: Option<PathBuf>,

    /// Write to a file here, named as the last path segment; as -o ./
    #[arg(short = 'O', long, conflicts_with = "output", help_heading = OUTPUT)]
    pub(super) remote_name: bool,

    /// Resume from FILE.part
    ///
    /// Without a FILE.part the download starts from the beginning. If the object has changed, it starts over and says
    /// so.
    #[arg(long = "continue", alias = "resume", help_heading = OUTPUT)]
    pub(super) resume: bool,

    /// Replace an existing FILE once the new one is complete
    #[arg(long, alias = "overwrite", help_heading = OUTPUT)]
    pub(super) force: bool,

    /// Give FILE the time of the object's last modification
    #[arg(long, short = 'R', help_heading = OUTPUT)]
    pub(super) remote_time: bool,

    /// Download only shard I of N (0-based)
    ///
    /// Needs --if-match or --version-id, so that all shards are of one version: s3fcp --info=json shows both. Shards
    /// start at multiples of --chunk-size (default 8MiB), which must be the same for all.
    #[arg(long, value_name = "I/N", help_heading = OUTPUT, conflicts_with = "range")]
    pub(super) shard: Option<Shard>,

    /// Write the shard to its own place in FILE, which other shards are written to as well
    ///
    /// FILE is created if necessary, and never truncated or renamed. It is complete when all shards have exited with 0.
    #[arg(long, requires_all = ["shard", "output"], conflicts_with_all = ["resume", "force"], help_heading = OUTPUT)]
    pub(super) in_place: bool,

    /// Maximum download rate in bytes per second: 52428800, 50MiB or 50MB
    ///
    /// For all objects together, as they are received. Takes precedence over the profile.
    #[arg(long, value_name = "SIZE", help_heading = TRANSFER, value_parser = value_parsers::rate)]
    pub(super) limit_rate: Option<NonZeroU64>,

    /// Number of concurrent range requests (1-1000) [default: adaptive, up to 256]
    #[arg(
        short,
        long,
        value_name = "N",
        help_heading = TRANSFER,
        value_parser = value_parser!(u16).range(1..=CONCURRENCY_MAX)
    )]
    pub(super) concurrency: Option<u16>,

    /// Number of threads that fetch ranges (1-64) [default: adaptive, up to the processors]
    ///
    /// One fetches until it has no time left. A further thread writes, whatever the number.
    #[arg(long, value_name = "N", help_heading = TRANSFER, value_parser = value_parser!(u16).range(1..=THREADS_MAX))]
    pub(super) threads: Option<u16>,

    /// Size of a range request: 8388608, 8MiB or 8MB [default: 8MiB with -c, else adaptive, 256KiB to 14MiB]
    ///
    /// A bare number is bytes, from 4096. KiB, MiB, GiB (also Ki, Mi, Gi) are binary: 8MiB = 8 x 1024 x 1024 bytes.
    /// KB, MB, GB (also K, M, G) are decimal: 8MB = 8 x 1000 x 1000 bytes. From 1 byte to 1GiB.
    #[arg(
        long,
        visible_alias = "part-size",
        value_name = "SIZE",
        help_heading = TRANSFER,
        value_parser = value_parsers::chunk_size
    )]
    pub(super) chunk_size: Option<NonZeroU64>,

    /// Limit the memory of the process: bytes, 64MiB or 64MB
    ///
    /// Takes precedence over --concurrency and --chunk-size. At least 34MiB. Without it, concurrency x chunk-size is
    /// the limit or, if neither is given, 56 MiB of the object, and up to 1 GiB where so many connections pay: at most
    /// an eighth of the machine's memory and a quarter of what a cgroup allows.
    #[arg(long, value_name = "SIZE", help_heading = TRANSFER, value_parser = value_parsers::max_memory)]
    pub(super) max_memory: Option<NonZeroU64>,

    /// Compare the delivered bytes with a checksum that the store keeps of the object
    ///
    /// A mismatch ends in exit code 7 after all bytes were delivered: in a pipe, use set -o pipefail.
    #[arg(long, value_name = "WHEN", help_heading = TRANSFER, default_value = "auto")]
    pub(super) checksum: ChecksumMode,

    /// Request ranges also of an object that has no strong ETag
    ///
    /// Nothing shows then whether all ranges are of one version, so that by default such an object comes in one
    /// response, over one connection. For servers where objects are never replaced during a download.
    #[arg(long, help_heading = TRANSFER)]
    pub(super) unsafe_ranges: bool,

    /// Redirects of a URL that are followed, one after the other; 0 follows none [default: 5]
    ///
    /// None leads from https to http, or to the metadata service of a cloud.
    #[arg(long, value_name = "N", help_heading = TRANSFER, value_parser = value_parser!(u32).range(..=50))]
    pub(super) max_redirs: Option<u32>,

    /// Consecutive attempts without progress before giving up [default: 10, or 4 before the first byte]
    ///
    /// A service that is throttling requests has 10 before the first byte too.
    #[arg(long, value_name = "N", help_heading = TRANSFER, value_parser = value_parser!(u32).range(1..))]
    pub(super) max_attempts: Option<u32>,

    /// Give up (exit 5) after this time: seconds, or 500ms, 2m
    ///
    /// A run that ends so can be continued, as after any failure of the network.
    #[arg(long, short = 'm', value_name = "SECONDS", help_heading = TRANSFER, value_parser = value_parsers::timeout)]
    pub(super) max_time: Option<Duration>,

    /// Time until a response must begin: seconds, or 500ms, 2m [default: 30; 60, 90, then 120 at later attempts]
    ///
    /// A new connection must be open, by way of a proxy and TLS, within this time too, and within 20 seconds.
    #[arg(long, value_name = "SECONDS", help_heading = TRANSFER, value_parser = value_parsers::timeout)]
    pub(super) first_byte_timeout: Option<Duration>,

    /// Abort a response that delivers no data for this long: seconds, or 500ms, 2m [default: 10]
    ///
    /// After either limit the rest is requested again, from the byte reached, on another connection. A slow reader of
    /// stdout does not count as a stalled response.
    #[arg(long, value_name = "SECONDS", help_heading = TRANSFER, value_parser = value_parsers::timeout)]
    pub(super) stall_timeout: Option<Duration>,

    /// Re-request the rest of ranges that lag far behind
    ///
    /// The faster response is used. Second requests that were not faster are limited to 5 % of the requests and bytes that
    /// the object needs, but at least 4.
    #[arg(long, value_name = "WHEN", help_heading = TRANSFER, default_value = "auto")]
    pub(super) hedge: Hedge,

    /// URL of an S3-compatible service: http(s)://host[:port]
    #[arg(
        long,
        visible_alias = "endpoint-url",
        alias = "s3-endpoint",
        value_name = "URL",
        help_heading = SERVER,
        value_parser = NonEmpty::new()
    )]
    pub(super) endpoint: Option<String>,

    /// Region to sign for; a wrong one is corrected by the service's response
    #[arg(long, aliases = ["source-region", "s3-region"], help_heading = SERVER, value_parser = NonEmpty::new())]
    pub(super) region: Option<String>,

    /// Profile in the AWS configuration files
    #[arg(long, alias = "s3-profile", value_name = "NAME", help_heading = SERVER, value_parser = NonEmpty::new())]
    pub(super) profile: Option<String>,

    /// PEM certificates to trust instead of the operating system's
    #[arg(long, aliases = ["cacert", "ca-certificate", "ca-cert"], value_name = "FILE", help_heading = SERVER)]
    pub(super) ca_bundle: Option<PathBuf>,

    /// PEM certificate to present to servers that ask for one
    #[arg(long, aliases = ["cert", "certificate"], short_alias = 'E', value_name = "FILE", help_heading = SERVER)]
    pub(super) client_cert: Option<PathBuf>,

    /// PEM private key of --client-cert, if it is in another file
    #[arg(long, aliases = ["key", "private-key"], value_name = "FILE", help_heading = SERVER, requires = "client_cert")]
    pub(super) client_key: Option<PathBuf>,

    /// Send unsigned requests, for public objects; skips the credential lookup
    #[arg(long, help_heading = SERVER)]
    pub(super) no_sign_request: bool,

    /// Bucket addressing: path or virtual-hosted [default: auto]
    #[arg(long, value_name = "STYLE", help_heading = SERVER)]
    pub(super) addressing_style: Option<AddressingStyle>,

    /// Use S3 Transfer Acceleration endpoints, for buckets where it is enabled
    #[arg(long, value_name = "BOOL", help_heading = SERVER, num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub(super) accelerate: Option<bool>,

    /// Use dual-stack (IPv4 and IPv6) endpoints
    #[arg(long, visible_alias = "dual-stack", value_name = "BOOL", help_heading = SERVER, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    pub(super) dualstack: Option<bool>,

    /// Use FIPS endpoints
    #[arg(long, value_name = "BOOL", help_heading = SERVER, num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub(super) fips: Option<bool>,

    /// Confirm requester-pays charges
    #[arg(long, value_name = "requester", help_heading = SERVER, value_parser = ["requester"])]
    pub(super) request_payer: Option<String>,

    /// SSE-C customer key: a file, or base64
    ///
    /// The file contains the 32 bytes of the key, or these in base64; its name may start with fileb://. A key on the
    /// command line is visible to every user of this machine. It is never sent to another machine over plain HTTP.
    #[arg(long, value_name = "KEY", help_heading = SERVER, value_hint = ValueHint::FilePath)]
    pub(super) sse_c_key: Option<KeyText>,

    #[command(flatten)]
    pub(super) self_description: completions::SelfDescription,
}

const OUTPUT: &str = "Output";
const TRANSFER: &str = "Transfer";
const SERVER: &str = "Server and credentials";

#[cfg(test)]
mod tests;
