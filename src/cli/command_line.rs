//! An [`Invocation`] as the words of a command line: the inverse of the parser.
//!
//! Pure. No secret is repeated: credentials come from the environment and from files alone, and a key is named by its
//! file or not at all.

use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use crate::cli::invocation::Invocation;
use crate::cli::progress::ProgressMode;
use crate::cli::report::format::Format;
use crate::cli::value_parsers::BARE_CHUNK_SIZE_MIN;
use crate::download::options::ChecksumMode;
use crate::download::options::Hedge;
use crate::download::threads::ThreadCount;
use crate::output::destination::{Destination, IfExists};
use crate::s3::address::addressing::AddressingStyle;
use crate::s3::address::source::Source;
use crate::s3::range_spec::RangeSpec;
use crate::s3::sse_c::KeyText;

/// The form of an option on the command line.
enum Argument {
    /// It is left out.
    Absent,
    /// Its name alone.
    Flag,
    /// Its name, so many times.
    Repeated(u8),
    /// Its name and a value.
    Value(String),
    /// Its name and a value, joined by `=`.
    Joined(String),
}

/// An option's name, and its form for an invocation.
type WrittenOption = (&'static str, fn(&Invocation) -> Argument);

/// The options in the order in which they are written. A test holds this table against the parser's definition.
const OPTIONS: [WrittenOption; 41] = [
    ("--from", |i| value(i.list.as_ref().map(|list| list.path.to_string_lossy()))),
    ("--null", |i| flag(i.list.as_ref().is_some_and(|list| list.is_null_separated))),
    ("--output", |i| match &i.target {
        Destination::Stdout { even_binary } => value(even_binary.then_some("-")),
        Destination::File { path, .. } => Argument::Value(path.to_string_lossy().into_owned()),
    }),
    ("--continue", |i| flag(i.target.resumes())),
    ("--force", |i| flag(matches!(existing(i), Some(IfExists::Replace { .. })))),
    ("--in-place", |i| flag(existing(i) == Some(IfExists::InPlace))),
    ("--remote-time", |i| flag(i.remote_time)),
    ("--limit-rate", |i| value(i.download.limit_rate)),
    ("--info", |i| format(i.info)),
    ("--stats", |i| format(i.stats)),
    ("--quiet", |i| flag(i.quiet)),
    ("--progress", |i| {
        value(match i.progress {
            ProgressMode::Auto => None,
            ProgressMode::Plain => Some("plain"),
            ProgressMode::Json => Some("json"),
            ProgressMode::Off => Some("off"),
        })
    }),
    ("--verbose", |i| Argument::Repeated(i.verbosity)),
    ("--concurrency", |i| value(i.download.concurrency)),
    ("--threads", |i| {
        value(if let ThreadCount::Exactly(count) = i.download.threads { Some(count) } else { None })
    }),
    ("--chunk-size", |i| value(i.download.chunk_size.map(chunk_size))),
    ("--max-memory", |i| value(i.download.max_memory)),
    ("--max-attempts", |i| value(i.download.max_attempts)),
    ("--max-time", |i| time(i.max_time)),
    ("--first-byte-timeout", |i| time(i.download.first_byte_timeout)),
    ("--stall-timeout", |i| time(i.download.stall_timeout)),
    ("--hedge", |i| value((i.download.hedge == Hedge::Off).then_some("off"))),
    ("--unsafe-ranges", |i| flag(i.download.unsafe_ranges)),
    ("--max-redirs", |i| value(i.download.max_redirects)),
    ("--endpoint", |i| value(i.settings.endpoint.as_ref())),
    ("--region", |i| value(i.settings.region.as_ref())),
    ("--profile", |i| value(i.settings.profile.as_ref())),
    ("--no-sign-request", |i| flag(i.settings.no_sign_request)),
    ("--addressing-style", |i| {
        value(i.settings.addressing_style.map(|style| match style {
            AddressingStyle::Auto => "auto",
            AddressingStyle::Path => "path",
            AddressingStyle::Virtual => "virtual",
        }))
    }),
    ("--checksum", |i| {
        value(match i.download.checksum {
            ChecksumMode::Auto => None,
            ChecksumMode::Require => Some("require"),
            ChecksumMode::Off => Some("off"),
        })
    }),
    ("--ca-bundle", |i| value(i.settings.ca_bundle.as_deref().and_then(Path::to_str))),
    ("--client-cert", |i| {
        let client = i.settings.client_certificate.as_ref();
        value(client.and_then(|client| client.certificate.to_str()))
    }),
    ("--client-key", |i| {
        let client = i.settings.client_certificate.as_ref();
        value(client.and_then(|client| client.key.as_deref()).and_then(Path::to_str))
    }),
    ("--fips", |i| choice(i.settings.fips)),
    ("--dualstack", |i| choice(i.settings.dualstack)),
    ("--accelerate", |i| choice(i.settings.accelerate)),
    ("--request-payer", |i| value(i.settings.request_payer.then_some("requester"))),
    ("--sse-c-key", |i| value(i.settings.sse_c_key.as_ref().and_then(KeyText::file))),
    ("--version-id", |i| value(i.download.version_id.as_ref())),
    ("--shard", |i| match i.download.range {
        Some(RangeSpec::Shard(shard)) => value(Some(shard)),
        _ => Argument::Absent,
    }),
    ("--range", |i| match i.download.range {
        Some(RangeSpec::Shard(_)) | None => Argument::Absent,
        range => value(range),
    }),
];

impl Invocation {
    /// Returns the program's name and the arguments that parse to this invocation, not quoted. A key that was typed
    /// itself and a URL's query are left out: their owner has to add them.
    #[must_use]
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = vec!["s3fcp".to_owned()];
        words.extend(self.sources.iter().map(Source::raw));
        for (name, argument) in OPTIONS {
            add(&mut words, name, argument(self));
        }
        add(&mut words, "--if-match", value(self.download.if_match.as_ref()));
        words
    }
}

fn add(words: &mut Vec<String>, name: &str, argument: Argument) {
    let short = match name {
        "--output" => "-o",
        "--concurrency" => "-c",
        long => long,
    };
    match argument {
        Argument::Absent => {}
        Argument::Flag => words.push(short.to_owned()),
        Argument::Repeated(times) => words.extend((0..times).map(|_| short.to_owned())),
        Argument::Joined(value) => words.push(format!("{name}={value}")),
        // The parser would take a value that starts with a hyphen for an option, unless it is joined to the name.
        Argument::Value(value) if value.starts_with('-') && value != "-" => {
            words.push(format!("{name}={value}"));
        }
        Argument::Value(value) => words.extend([short.to_owned(), value]),
    }
}

fn existing(invocation: &Invocation) -> Option<IfExists> {
    match &invocation.target {
        Destination::Stdout { .. } => None,
        Destination::File { existing, .. } => Some(*existing),
    }
}

fn flag(is_set: bool) -> Argument {
    if is_set { Argument::Flag } else { Argument::Absent }
}

fn value(value: Option<impl ToString>) -> Argument {
    value.map_or(Argument::Absent, |value| Argument::Value(value.to_string()))
}

fn time(limit: Option<Duration>) -> Argument {
    value(limit.map(humantime::format_duration))
}

/// Writes a small size with its unit, which the parser wants.
fn chunk_size(bytes: NonZeroU64) -> String {
    if bytes.get() < BARE_CHUNK_SIZE_MIN { format!("{bytes}B") } else { bytes.to_string() }
}

fn choice(is_chosen: Option<bool>) -> Argument {
    is_chosen.map_or(Argument::Absent, |chosen| Argument::Joined(chosen.to_string()))
}

fn format(format: Option<Format>) -> Argument {
    match format {
        None => Argument::Absent,
        Some(Format::Text) => Argument::Flag,
        Some(Format::Json) => Argument::Joined("json".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::args::Args;

    fn parsed(words: &[String]) -> Invocation {
        Args::try_parse_from(words).unwrap_or_else(|e| panic!("{words:?}: {e}")).try_into().unwrap()
    }

    #[test]
    fn the_words_parse_to_the_same_invocation() {
        for line in [
            &["s3://b/k"][..],
            &["s3://b/a b'c\"$d\n", "--info=json"],
            &["s3://b/k", "--info", "-q", "--profile", "a b"],
            &[
                "s3://b/k",
                "--stats",
                "-c",
                "3",
                "--chunk-size",
                "1MB",
                "--max-memory",
                "64MiB",
                "--max-attempts",
                "7",
            ],
            &["s3://b/k", "--first-byte-timeout", "90.5", "--stall-timeout", "1ms", "--no-sign-request"],
            &["s3://b/k", "--endpoint", "http://h:9", "--region", "eu-west-1", "--addressing-style", "path"],
            &["s3://b/k", "--addressing-style", "virtual", "--version-id=-v", "--profile=--p"],
            &["s3://b/k", "--range", "5-", "--if-match", "e"],
            &["s3://b/k", "-c", "2", "--chunk-size", "50B"],
            &["s3://b/k", "-c", "2", "--chunk-size", "4096"],
            &["s3://b/k", "--checksum", "require"],
            &["s3://b/k", "--checksum", "off", "--unsafe-ranges", "--max-redirs", "0"],
            &["s3://b/k", "--range", "-5", "--stats=json", "--quiet"],
            &["s3://b/k", "--range", "-5", "--stats=json", "--quiet", "--addressing-style", "auto"],
            &[
                "s3://b/k",
                "--ca-bundle",
                "ca.pem",
                "--client-cert",
                "c.pem",
                "--client-key",
                "k.pem",
                "--fips",
                "--dualstack=false",
                "--accelerate=true",
            ],
            &["s3://b/k", "--request-payer", "requester", "--sse-c-key", "fileb://a b"],
            &["s3://b/k", "s3://b/k2", "-o", "-", "--limit-rate", "1MB"],
            &["s3://b/k", "-o", "a b/", "--continue", "--force"],
            &["s3://b/k", "-o--continue", "--continue", "--remote-time", "--max-time", "1h"],
            &["s3://b/k", "-O", "--threads", "3"],
            &["--from", "-", "-0", "--quiet"],
            &["--from=-a b", "-o", "d/"],
            &["s3://b/k", "-o", "f", "--shard", "1/4", "--chunk-size=5MB", "--in-place", "--version-id", "v"],
        ] {
            let line: Vec<String> = ["s3fcp"].iter().chain(line).map(|word| (*word).to_owned()).collect();
            let invocation = parsed(&line);
            assert_eq!(parsed(&invocation.words()), invocation, "{line:?}");
        }
    }

    #[test]
    fn every_option_of_the_parser_is_in_the_table() {
        let ours: Vec<_> = OPTIONS.iter().map(|(name, _)| &name[2..]).collect();
        // -O is -o ./, and the last ones stand alone.
        let others = ["if-match", "remote-name", "completions", "man", "help", "version"];
        for argument in Args::command().get_arguments() {
            let Some(name) = argument.get_long() else { continue };
            assert!(ours.contains(&name) || others.contains(&name), "--{name} is missing");
        }
    }

    #[test]
    fn a_key_itself_is_never_repeated() {
        const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
        for key in [KEY.to_owned(), format!(" {KEY} ")] {
            let line: Vec<String> =
                ["s3fcp", "s3://b/k", "--sse-c-key", &key, "--quiet"].map(str::to_owned).into();
            assert_eq!(parsed(&line).words(), ["s3fcp", "s3://b/k", "--quiet"]);
        }
    }
}
