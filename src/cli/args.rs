//! The command line: flags as they are typed (`Args`) into options that hold ([`Invocation`]).
//!
//! It gets the process's arguments and hands on numbers with units, a parsed URI and the settings
//! that config.rs completes from the environment. It reads no variable and no file, and leaves
//! questions that need those (is the endpoint a URL? is there a region?) to who asks them.

use crate::cli::completions as itself;
use crate::cli::help;
use crate::cli::value_parsers as values;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser as NonEmpty;
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser, ValueHint, value_parser};

use crate::cli::progress::ProgressMode;
use crate::cli::report::format::Format;
use crate::config::settings::Settings;
use crate::download::options::ChecksumMode;
use crate::download::options::Hedge;
use crate::download::options::Options;
use crate::error::{Error, Result};
use crate::output::target::{Destination, IfExists};
use crate::s3::address::addressing::AddressingStyle;
use crate::s3::address::source::Source;
use crate::s3::etag::ETag;
use crate::s3::range_spec::RangeSpec;
use crate::s3::shard::Shard;
use crate::s3::sse_c::KeyText;
use crate::transport::tls::ClientCertificate;

/// The largest `--concurrency`. At S3's 85-90 MB/s a connection this is more than any network card
/// takes, and it stays within the usual limit of 1024 open files together with everything else.
const CONCURRENCY_MAX: i64 = 1000;

/// What to download and how: every value is within its limits, `None` means "not said".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// The objects and URLs, at least one, in the order of their bytes.
    pub(crate) uris: Vec<Source>,
    /// Which version of them, and how.
    pub(crate) download: Options,
    /// Where their bytes go.
    pub(crate) target: Destination,
    /// No progress bar.
    pub(crate) quiet: bool,
    /// How it is shown else.
    pub(crate) progress: ProgressMode,
    /// Describe the object instead of downloading it.
    pub(crate) info: Option<Format>,
    /// Tell at the end what the download cost.
    pub(crate) stats: Option<Format>,
    /// How much of what happens is told on stderr.
    pub(crate) verbosity: u8,
    /// What the environment and the profile may add to.
    pub(crate) settings: Settings,
}

/// Parses the process's arguments. `--help`, `--version`, `--completions` and `--man` print and exit with 0; a flag
/// that is unknown, missing or out of its limits prints what is right and exits with 2.
pub(crate) fn parse() -> Result<Invocation> {
    let command = Args::command();
    let matches = command.clone().get_matches();
    itself::answer(&matches, &command)?;
    Args::from_arg_matches(&matches).unwrap_or_else(|e| e.exit()).try_into()
}

/// The flags as they are typed; what one flag alone can get wrong is refused here.
#[expect(clippy::struct_excessive_bools, reason = "flags are what they are")]
#[derive(Debug, Parser)]
#[command(
    name = "s3fcp",
    version,
    long_version = help::LONG_VERSION,
    about = "Download an S3 object to stdout or a file, by parallel range requests, in order",
    long_about = help::LONG_ABOUT,
    after_help = "Examples, exit codes and environment: s3fcp --help",
    after_long_help = help::AFTER_LONG_HELP,
    max_term_width = 100,
    args_override_self = true
)]
pub(super) struct Args {
    /// The object, or several, whose bytes then follow one another; or URLs, presigned ones for example
    ///
    /// Keys are taken as they are typed: nothing is percent-decoded, and there are no patterns: * is a letter of the key.
    #[arg(value_name = "s3://BUCKET/KEY|URL", required = true, value_hint = ValueHint::Url)]
    uris: Vec<String>,

    /// Read this version of the object instead of the newest
    #[arg(long, value_name = "ID", value_parser = NonEmpty::new())]
    version_id: Option<String>,

    /// Deliver these bytes only: A-B (both included), A- (from A on) or -N (the last N), counted from 0
    ///
    /// As in HTTP and in curl: a B beyond the object's end, or an N larger than the object, means its end or its
    /// beginning. A range that begins where the object ends is empty; one that begins behind it is an error.
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
    range: Option<RangeSpec>,

    /// Only the object with this entity tag; any other is exit code 6, before the first byte
    ///
    /// With its quotes or without. A weak one (W/"...") is refused: it names no exact bytes, and a server never
    /// takes it for a match. Name such a version by --version-id.
    #[arg(long, value_name = "ETAG")]
    if_match: Option<ETag>,

    /// Describe the object instead of downloading it
    ///
    /// Its size, entity tag, version, date, storage class and checksums go to stdout, as lines or, with
    /// --info=json, as one line of JSON with stable keys.
    #[arg(
        long,
        value_name = "FORMAT",
        num_args = 0..=1,
        // Else "--info s3://bucket/key" would take the URI for the format.
        require_equals = true,
        default_missing_value = "text",
        // They would have no say in it.
        conflicts_with_all = ["range", "if_match", "output", "shard", "limit_rate"]
    )]
    info: Option<Format>,

    /// Tell on stderr, at the end, what the download cost and what held it back
    ///
    /// Bytes, seconds, rate, first byte, requests, connections, retries, memory and CPU time; with --stats=json
    /// as one line with stable keys.
    #[arg(
        long,
        value_name = "FORMAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "text"
    )]
    stats: Option<Format>,

    /// How progress is shown on stderr
    ///
    /// A bar tells percentage, bytes, speed and time left, and retries and hedges where there are any; several objects
    /// have one each under a total. There is none when stderr is not a terminal, or when the bytes go to one.
    #[arg(long, value_name = "FORM", default_value = "auto", hide_default_value = true)]
    progress: ProgressMode,

    /// No progress, as --progress=off
    #[arg(short, long)]
    quiet: bool,

    /// Tell on stderr what is done: -v each request, retry and correction, -vv also connections and levels
    ///
    /// -vvv tells the most. What it is about can be chosen by the environment, see below. No secret is ever told.
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,

    /// Write to FILE, or into DIR/ by the last name of the key or URL; - is stdout, even where that is a terminal
    ///
    /// Until the object is whole it is in FILE.part, with a note beside it; then it is synced and renamed. What is no
    /// regular file, such as a pipe or /dev/null, is written as it is.
    #[arg(short, long, value_name = "FILE", help_heading = OUTPUT, value_parser = value_parser!(PathBuf))]
    output: Option<PathBuf>,

    /// Go on with the FILE.part that an earlier run left
    ///
    /// Where there is none, the download begins. Where the object is another one now, it starts over, and says so.
    #[arg(long = "continue", requires = "output", help_heading = OUTPUT)]
    resume: bool,

    /// Replace FILE where there is one, once the new one is whole
    #[arg(long, requires = "output", help_heading = OUTPUT)]
    force: bool,

    /// Only one piece: the one with the number I, from 0 to N-1, of N equal ones
    ///
    /// Needs --if-match or --version-id, so that all pieces are of one object: s3fcp --info=json tells them. Pieces
    /// begin at multiples of --chunk-size, 8MiB unless said: it must be the same for all.
    #[arg(long, value_name = "I/N", help_heading = OUTPUT, conflicts_with = "range")]
    shard: Option<Shard>,

    /// Write the piece to its own place in FILE, which other pieces are written to as well
    ///
    /// FILE is made where there is none, and never truncated or renamed. It is whole when all pieces ended with 0.
    #[arg(long, requires_all = ["shard", "output"], conflicts_with_all = ["resume", "force"], help_heading = OUTPUT)]
    in_place: bool,

    /// No more than so many bytes a second: 52428800, 50MiB or 50MB
    ///
    /// Of all objects together, as they are received. It wins over what the profile says.
    #[arg(long, value_name = "SIZE", help_heading = TRANSFER, value_parser = values::rate)]
    limit_rate: Option<NonZeroU64>,

    /// Range requests in flight: exactly so many, 1 to 1000 [default: as many as pay, up to 64]
    #[arg(
        short,
        long,
        value_name = "N",
        help_heading = TRANSFER,
        value_parser = value_parser!(u16).range(1..=CONCURRENCY_MAX)
    )]
    concurrency: Option<u16>,

    /// Size of a range request: 8388608, 8MiB (binary) or 8MB (decimal) [default: 8MiB with -c, else about 4MiB]
    ///
    /// A bare number is bytes. KiB, MiB, GiB (also Ki, Mi, Gi) are binary: 8MiB = 8 x 1024 x 1024 bytes.
    /// KB, MB, GB (also K, M, G) are decimal: 8MB = 8 x 1000 x 1000 bytes. From 1 byte to 1GiB.
    #[arg(
        long,
        visible_alias = "part-size",
        value_name = "SIZE",
        help_heading = TRANSFER,
        value_parser = values::chunk_size
    )]
    chunk_size: Option<NonZeroU64>,

    /// What the process may take of memory: bytes, 64MiB (binary) or 64MB (decimal)
    ///
    /// It wins over --concurrency and --chunk-size. At least 34MiB. Where it is not given, concurrency x
    /// chunk-size decides or, with neither given, 56 MiB of the object are held at most, less in a cgroup
    /// with little memory.
    #[arg(long, value_name = "SIZE", help_heading = TRANSFER, value_parser = values::max_memory)]
    max_memory: Option<NonZeroU64>,

    /// Compare the delivered bytes with a checksum that the store keeps of the object
    ///
    /// A mismatch ends in exit code 7, when all bytes are out: in a pipe, set -o pipefail.
    #[arg(long, value_name = "WHEN", help_heading = TRANSFER, default_value = "auto")]
    checksum: ChecksumMode,

    /// Tries in a row that bring nothing new before giving up [default: 10, or 4 before the first byte]
    #[arg(long, value_name = "N", help_heading = TRANSFER, value_parser = value_parser!(u32).range(1..))]
    max_attempts: Option<u32>,

    /// How long the server may take to begin a response: seconds, or 500ms, 2m [default: 30]
    #[arg(long, value_name = "SECONDS", help_heading = TRANSFER, value_parser = values::timeout)]
    first_byte_timeout: Option<Duration>,

    /// How long a response may bring no byte, while they are read: seconds, or 500ms, 2m [default: 10]
    ///
    /// What is late by either limit is asked for again, from the byte reached, on another connection. A slow
    /// reader of stdout is never a slow server.
    #[arg(long, value_name = "SECONDS", help_heading = TRANSFER, value_parser = values::timeout)]
    stall_timeout: Option<Duration>,

    /// Whether what is left of a range that is much later than the others is asked for a second time
    ///
    /// The faster answer is taken. Within a budget: up to 5 % more requests and bytes than the object needs, but
    /// always up to 4.
    #[arg(long, value_name = "WHEN", help_heading = TRANSFER, default_value = "auto")]
    hedge: Hedge,

    /// The server, for S3-compatible services: http(s)://host[:port]
    #[arg(
        long,
        visible_alias = "endpoint-url",
        value_name = "URL",
        help_heading = SERVER,
        value_parser = NonEmpty::new()
    )]
    endpoint: Option<String>,

    /// The region to sign for; a wrong one is corrected by what the service answers
    #[arg(long, help_heading = SERVER, value_parser = NonEmpty::new())]
    region: Option<String>,

    /// The profile of the AWS configuration files
    #[arg(long, value_name = "NAME", help_heading = SERVER, value_parser = NonEmpty::new())]
    profile: Option<String>,

    /// A file of PEM certificates to trust instead of the operating system's
    #[arg(long, value_name = "FILE", help_heading = SERVER)]
    ca_bundle: Option<PathBuf>,

    /// PEM certificate to present to servers that ask for one
    #[arg(long, value_name = "FILE", help_heading = SERVER)]
    client_cert: Option<PathBuf>,

    /// PEM private key of --client-cert, if it is in another file
    #[arg(long, value_name = "FILE", help_heading = SERVER, requires = "client_cert")]
    client_key: Option<PathBuf>,

    /// Send unsigned requests, for public objects; no credentials are looked for
    #[arg(long, help_heading = SERVER)]
    no_sign_request: bool,

    /// Where the bucket's name goes [default: auto]
    #[arg(long, value_name = "STYLE", help_heading = SERVER)]
    addressing_style: Option<AddressingStyle>,

    /// Ask the hosts of S3 Transfer Acceleration, for buckets where it is enabled
    #[arg(long, value_name = "BOOL", help_heading = SERVER, num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    accelerate: Option<bool>,

    /// Ask AWS's hosts that have IPv6 addresses too
    #[arg(long, visible_alias = "dual-stack", value_name = "BOOL", help_heading = SERVER, num_args = 0..=1,
          require_equals = true, default_missing_value = "true")]
    dualstack: Option<bool>,

    /// Ask AWS's hosts with validated cryptography (FIPS 140)
    #[arg(long, value_name = "BOOL", help_heading = SERVER, num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    fips: Option<bool>,

    /// Pay for the requests to a bucket whose owner wants that
    #[arg(long, value_name = "requester", help_heading = SERVER, value_parser = ["requester"])]
    request_payer: Option<String>,

    /// The customer's own key that the object is encrypted with (SSE-C): a file, or base64
    ///
    /// A file holds the 32 bytes of the key, or these in base64; fileb:// may stand before its name. A key on the
    /// command line can be seen by everybody on this machine. It is never sent over plain HTTP to another one.
    #[arg(long, value_name = "KEY", help_heading = SERVER, value_hint = ValueHint::FilePath)]
    sse_c_key: Option<KeyText>,

    #[command(flatten)]
    itself: itself::SelfDescription,
}

const OUTPUT: &str = "Output";
const TRANSFER: &str = "Transfer";
const SERVER: &str = "Server and credentials";

impl TryFrom<Args> for Invocation {
    type Error = Error;

    fn try_from(args: Args) -> Result<Self> {
        let target = target(&args)?;
        let names_one = args.range.is_some() || args.if_match.is_some() || args.version_id.is_some();
        if args.uris.len() > 1 && (names_one || args.shard.is_some()) {
            let what = "--range, --shard, --if-match and --version-id are for one object";
            return Err(Error::usage(what).with_hint("run s3fcp once for each object"));
        }
        if args.shard.is_some() && args.if_match.is_none() && args.version_id.is_none() {
            let what = "--shard needs --if-match or --version-id, so that all pieces are of one object";
            return Err(Error::usage(what).with_hint("s3fcp --info tells both; a URL needs --if-match"));
        }
        let unit = args.chunk_size.unwrap_or(Shard::UNIT);
        let shard = args.shard.map(|shard| RangeSpec::Shard(shard.in_units_of(unit)));
        let download = Options {
            version_id: args.version_id,
            range: args.range.or(shard),
            if_match: args.if_match,
            concurrency: args.concurrency.and_then(|n| NonZeroUsize::new(usize::from(n))),
            chunk_size: args.chunk_size,
            max_memory: args.max_memory,
            max_attempts: args.max_attempts.and_then(NonZeroU32::new),
            first_byte_timeout: args.first_byte_timeout,
            stall_timeout: args.stall_timeout,
            hedge: args.hedge,
            checksum: args.checksum,
            limit_rate: args.limit_rate,
        };
        let invocation = Self {
            uris: args.uris.iter().map(|uri| uri.parse()).collect::<Result<_>>()?,
            download,
            target,
            quiet: args.quiet,
            progress: args.progress,
            info: args.info,
            stats: args.stats,
            verbosity: args.verbose,
            settings: Settings {
                endpoint: args.endpoint,
                region: args.region,
                profile: args.profile,
                no_sign_request: args.no_sign_request,
                ca_bundle: args.ca_bundle,
                client_certificate: args
                    .client_cert
                    .map(|certificate| ClientCertificate { certificate, key: args.client_key }),
                addressing_style: args.addressing_style,
                fips: args.fips,
                dualstack: args.dualstack,
                accelerate: args.accelerate,
                request_payer: args.request_payer.is_some(),
                sse_c_key: args.sse_c_key,
            },
        };
        invocation.fits_its_sources()?;
        Ok(invocation)
    }
}

impl Invocation {
    /// A URL says by itself where it leads, and is not signed here: options for that would have no say, unless there
    /// is an object of S3 among the others.
    fn fits_its_sources(&self) -> Result<()> {
        let settings = &self.settings;
        let urls = self.uris.iter().filter(|uri| uri.url().is_some()).count();
        let only_urls = urls == self.uris.len();
        if urls > 0 && self.download.checksum == ChecksumMode::Require {
            return Err(Error::usage("--checksum require is for s3://bucket/key, and has no say in a URL"));
        }
        for (is_given, option) in [
            (self.download.version_id.is_some(), "--version-id"),
            (settings.endpoint.is_some(), "--endpoint"),
            (settings.region.is_some(), "--region"),
            (settings.addressing_style.is_some(), "--addressing-style"),
            (settings.accelerate.is_some(), "--accelerate"),
            (settings.dualstack.is_some(), "--dualstack"),
            (settings.fips.is_some(), "--fips"),
            (settings.request_payer, "--request-payer"),
            (settings.sse_c_key.is_some(), "--sse-c-key"),
        ] {
            if is_given && only_urls {
                return Err(Error::usage(format!(
                    "{option} is for s3://bucket/key, and has no say in a URL"
                )));
            }
        }
        Ok(())
    }
}

fn target(args: &Args) -> Result<Destination> {
    let existing = match (args.in_place, args.force) {
        (true, _) => IfExists::InPlace,
        (false, true) => IfExists::Replace { resume: args.resume },
        (false, false) => IfExists::Fail { resume: args.resume },
    };
    match &args.output {
        None => Ok(Destination::Stdout { even_binary: false }),
        Some(path) if path.as_os_str() == "-" => {
            if existing != (IfExists::Fail { resume: false }) {
                return Err(Error::usage("--continue, --force and --in-place need a file: -o FILE"));
            }
            Ok(Destination::Stdout { even_binary: true })
        }
        Some(path) => Ok(Destination::File { path: path.clone(), existing }),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    const URI: &str = "s3://b/k";
    const URL: &str = "https://h/p?q";

    fn args(line: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from(std::iter::once(&"s3fcp").chain(line))
    }

    fn invocation(line: &[&str]) -> Invocation {
        args(line).unwrap_or_else(|e| panic!("{line:?}: {e}")).try_into().unwrap()
    }

    #[test]
    fn clap_finds_the_definition_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_uri_alone_gives_the_defaults() {
        assert_eq!(
            invocation(&[URI]),
            Invocation {
                uris: vec![URI.parse().unwrap()],
                download: Options::default(),
                target: Destination::default(),
                quiet: false,
                progress: ProgressMode::Auto,
                info: None,
                stats: None,
                verbosity: 0,
                settings: Settings::default(),
            }
        );
    }

    #[test]
    fn every_flag_reaches_its_field() {
        assert_eq!(invocation(&["--info=json", URI]).info, Some(Format::Json));
        let line = "--version-id v1 --range -5 --if-match e -c 3 --chunk-size 1MB --max-memory 64MiB \
                    --max-attempts 7 --first-byte-timeout 5 --stall-timeout 500ms --hedge off --checksum require \
                    --addressing-style path --stats=json --progress json --quiet -vv --endpoint http://h:9 \
                    --region eu-west-1 --profile p \
                    --no-sign-request --ca-bundle ca.pem --client-cert c.pem --client-key k.pem --fips --dualstack=false --accelerate=true \
                    --request-payer requester --sse-c-key key --continue --force --limit-rate 50MiB/s s3://b/k";
        let mut line: Vec<&str> = line.split_whitespace().collect();
        line.extend(["-o", "a b/"]);
        let download = Options {
            version_id: Some("v1".into()),
            range: NonZeroU64::new(5).map(RangeSpec::Last),
            if_match: Some("\"e\"".parse().unwrap()),
            concurrency: NonZeroUsize::new(3),
            chunk_size: NonZeroU64::new(1_000_000),
            max_memory: NonZeroU64::new(64 << 20),
            max_attempts: NonZeroU32::new(7),
            first_byte_timeout: Some(Duration::from_secs(5)),
            stall_timeout: Some(Duration::from_millis(500)),
            hedge: Hedge::Off,
            checksum: ChecksumMode::Require,
            limit_rate: NonZeroU64::new(50 << 20),
        };
        assert_eq!(
            invocation(&line),
            Invocation {
                uris: vec![URI.parse().unwrap()],
                download,
                target: Destination::File {
                    path: "a b/".into(),
                    existing: IfExists::Replace { resume: true }
                },
                quiet: true,
                progress: ProgressMode::Json,
                info: None,
                stats: Some(Format::Json),
                verbosity: 2,
                settings: Settings {
                    endpoint: Some("http://h:9".into()),
                    region: Some("eu-west-1".into()),
                    profile: Some("p".into()),
                    no_sign_request: true,
                    ca_bundle: Some("ca.pem".into()),
                    client_certificate: Some(ClientCertificate {
                        certificate: "c.pem".into(),
                        key: Some("k.pem".into()),
                    }),
                    addressing_style: Some(AddressingStyle::Path),
                    fips: Some(true),
                    dualstack: Some(false),
                    accelerate: Some(true),
                    request_payer: true,
                    sse_c_key: Some(String::from("key").into()),
                },
            }
        );
    }

    #[test]
    fn other_spellings_mean_the_same() {
        for (one, other) in [
            (&["--concurrency", "4", URI][..], &["-c4", URI][..]),
            (&["--chunk-size=2KiB", URI], &[URI, "--part-size", "2048"]),
            (&["--endpoint", "http://h", URI], &["--endpoint-url=http://h", URI]),
            (&["--info", URI], &["--info=text", URI]),
            (&["--stats", URI], &["--stats=text", URI]),
            (&["--quiet", URI], &[URI, "-q"]),
            (&["--verbose", "--verbose", URI], &["-vv", URI]),
            (&["--range=-7", URI], &[URI, "--range", "-7"]),
            (&["--if-match", "\"e\"", URI], &["--if-match=e", URI]),
            (&["--stall-timeout", "1.5", URI], &["--stall-timeout=1500ms", URI]),
            (&["--dualstack", URI], &["--dual-stack=true", URI]),
            (&["-c", "2", "-c", "9", URI], &["-c", "9", URI]),
        ] {
            assert_eq!(invocation(one), invocation(other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn what_clap_refuses() {
        for (line, kind, says) in [
            (&[][..], ErrorKind::MissingRequiredArgument, "s3://BUCKET/KEY"),
            (&[URI, "--limit-rate", "0"], ErrorKind::ValueValidation, "at least 1 byte"),
            (&[URI, "--output", ""], ErrorKind::InvalidValue, "--output"),
            (&[URI, "--continue"], ErrorKind::MissingRequiredArgument, "--output"),
            (&[URI, "--force"], ErrorKind::MissingRequiredArgument, "--output"),
            (&[URI, "--in-place", "-o", "f"], ErrorKind::MissingRequiredArgument, "--shard"),
            (&[URI, "--shard", "4/4"], ErrorKind::ValueValidation, "from 0 to N-1"),
            (&[URI, "--shard", "0/4", "--range", "5-"], ErrorKind::ArgumentConflict, "--range"),
            (&[URI, "--in-place", "--shard=0/4", "-of", "--force"], ErrorKind::ArgumentConflict, "--force"),
            (&[URI, "--info", "-o", "f"], ErrorKind::ArgumentConflict, "--output"),
            (&[URI, "--chunksize", "1"], ErrorKind::UnknownArgument, "'--chunk-size'"),
            (&["-c", "0", URI], ErrorKind::ValueValidation, "0 is not in 1..=1000"),
            (&["-c", "1001", URI], ErrorKind::ValueValidation, "1001 is not in 1..=1000"),
            (&["-c", "x", URI], ErrorKind::ValueValidation, "invalid digit"),
            (&["--max-attempts", "0", URI], ErrorKind::ValueValidation, "0 is not in 1.."),
            (&["--chunk-size", "0", URI], ErrorKind::ValueValidation, "at least 1 byte"),
            (&["--max-memory", "33MiB", URI], ErrorKind::ValueValidation, "at least 34.0 MiB"),
            (&["--chunk-size", "0.9B", URI], ErrorKind::ValueValidation, "at least 1 byte"),
            (&["--chunk-size", "2GiB", URI], ErrorKind::ValueValidation, "at most 1.0 GiB"),
            (&["--chunk-size", "99999999999EiB", URI], ErrorKind::ValueValidation, "at most 1.0 GiB"),
            (&["--chunk-size", "8Mib/s", URI], ErrorKind::ValueValidation, "8MiB or 8MB"),
            (&["--chunk-size", "", URI], ErrorKind::ValueValidation, "8MiB or 8MB"),
            (&["--addressing-style", "dns", URI], ErrorKind::InvalidValue, "auto, path, virtual"),
            (&["--checksum", "on", URI], ErrorKind::InvalidValue, "auto, require, off"),
            (&["--info=xml", URI], ErrorKind::InvalidValue, "text, json"),
            (&["--request-payer", "owner", URI], ErrorKind::InvalidValue, "requester"),
            (&["--fips=maybe", URI], ErrorKind::InvalidValue, "true, false"),
            (&["--ca-bundle", "", URI], ErrorKind::InvalidValue, "--ca-bundle"),
            (&["--version-id", "", URI], ErrorKind::InvalidValue, "--version-id"),
            (&["--range", "5", URI], ErrorKind::ValueValidation, "A-B, A- or -N"),
            (&["--range", "--quiet", URI], ErrorKind::ValueValidation, "A-B, A- or -N"),
            (&["--range", "9-5", URI], ErrorKind::ValueValidation, "ends before it begins"),
            (&["--if-match", "W/\"e\"", URI], ErrorKind::ValueValidation, "never matches"),
            (&["--info", "--range", "0-5", URI], ErrorKind::ArgumentConflict, "--range"),
            (&["--if-match", "e", "--info", URI], ErrorKind::ArgumentConflict, "--info"),
            (&["--stall-timeout", "0", URI], ErrorKind::ValueValidation, "more than 0"),
            (&["--first-byte-timeout", "soon", URI], ErrorKind::ValueValidation, "500ms or 2m"),
            (&["--endpoint", "", URI], ErrorKind::InvalidValue, "--endpoint"),
        ] {
            let error = args(line).unwrap_err();
            assert_eq!((error.kind(), error.exit_code()), (kind, 2), "{line:?}: {error}");
            assert!(error.to_string().contains(says), "{line:?}: {error}");
        }
    }

    #[test]
    fn help_and_version_are_no_errors() {
        for (flag, says) in
            [("-h", "--chunk-size"), ("--help", "Exit codes:"), ("-V", "s3fcp 0."), ("--version", "0.")]
        {
            let answer = args(&[flag]).unwrap_err();
            assert_eq!(answer.exit_code(), 0, "{flag}");
            assert!(answer.to_string().contains(says), "{flag}: {answer}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_a_usage_error() {
        for (line, says) in [
            (&[URI, URI, "--range", "5-"][..], "for one object"),
            (&[URI, URI, "--if-match", "e", "--shard", "0/4"], "for one object"),
            (&[URI, "--shard", "0/4"], "--if-match or --version-id"),
            (&[URI, "-o", "-", "--continue"], "need a file"),
            (&[URI, "-o", "-", "--force"], "need a file"),
            (&[URL, "--shard", "0/4"], "a URL needs --if-match"),
            (&[URL, "--shard", "0/4", "--version-id", "v"], "no say in a URL"),
            (&[URL, URL, "--region", "r"], "no say in a URL"),
            (&[URI, URL, "--checksum", "require"], "no say in a URL"),
        ] {
            let error = Invocation::try_from(args(line).unwrap()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line:?}");
            assert!(error.to_string().contains(says), "{line:?}: {error}");
        }
        // They have a say in the one.
        assert_eq!(invocation(&[URI, URL, "--region", "r", "--fips"]).uris.len(), 2);
    }

    #[test]
    fn where_bytes_go() {
        let file = |existing| Destination::File { path: "f".into(), existing };
        for (line, target) in [
            (&[URI][..], Destination::Stdout { even_binary: false }),
            (&[URI, "-o", "-"], Destination::Stdout { even_binary: true }),
            (&[URI, "-o", "f"], file(IfExists::Fail { resume: false })),
            (&[URI, "-of", "--continue"], file(IfExists::Fail { resume: true })),
            (&[URI, "--output=f", "--force"], file(IfExists::Replace { resume: false })),
            (&[URI, "-of", "--shard=1/4", "--in-place", "--if-match=e"], file(IfExists::InPlace)),
        ] {
            assert_eq!(invocation(line).target, target, "{line:?}");
        }
    }

    #[test]
    fn pieces_are_whole_chunks() {
        for (line, unit) in
            [(&[][..], 8 << 20), (&["--chunk-size", "5MB"], 5_000_000), (&["-c", "3"], 8 << 20)]
        {
            let line = [&[URI, "--shard=1/4", "--version-id=v"], line].concat();
            let shard = "1/4".parse::<Shard>().unwrap().in_units_of(NonZeroU64::new(unit).unwrap());
            assert_eq!(invocation(&line).download.range, Some(RangeSpec::Shard(shard)), "{line:?}");
        }
    }

    #[test]
    fn a_bad_uri_is_a_usage_error() {
        let error = Invocation::try_from(args(&["bucket/key"]).unwrap()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("s3://bucket/key"), "{error}");
    }
}
