//! An [`Invocation`] as the words of a command line: the parser above, backwards.
//!
//! Pure. It takes the options apart field by field, so that a new one is not forgotten here. It never repeats a
//! secret: credentials come from the environment and from files alone, and a key is named by its file or not at all.

use std::path::Path;

use crate::cli::args::Invocation;
use crate::cli::progress::ProgressMode;
use crate::cli::report::format::Format;
use crate::config::settings::Settings;
use crate::download::options::ChecksumMode;
use crate::download::options::Hedge;
use crate::download::options::Options;
use crate::output::target::{Destination, IfExists};
use crate::s3::address::addressing::AddressingStyle;
use crate::s3::address::source::Source;
use crate::s3::range_spec::RangeSpec;
use crate::s3::sse_c::KeyText;

impl Invocation {
    /// The program's name and the arguments that parse to this, none of them quoted; but for a key that was typed
    /// itself and for a URL's query, which their owner has to add again.
    #[must_use]
    pub(crate) fn words(&self) -> Vec<String> {
        let Self { uris, download, target, quiet, progress, info, stats, verbosity, settings } = self;
        let Options {
            version_id,
            range,
            if_match,
            concurrency,
            chunk_size,
            max_memory,
            max_attempts,
            first_byte_timeout,
            stall_timeout,
            hedge,
            checksum,
            limit_rate,
        } = download;
        let Settings {
            endpoint,
            region,
            profile,
            no_sign_request,
            ca_bundle,
            client_certificate,
            addressing_style,
            fips,
            dualstack,
            accelerate,
            request_payer,
            sse_c_key,
        } = settings;

        let mut words = ArgumentWriter(vec!["s3fcp".to_owned()]);
        words.0.extend(uris.iter().map(Source::raw));
        match target {
            Destination::Stdout { even_binary } => words.option("-o", even_binary.then_some("-")),
            Destination::File { path, existing } => {
                words.option("-o", Some(path.to_string_lossy()));
                words.flag("--continue", target.resumes());
                words.flag("--force", matches!(existing, IfExists::Replace { .. }));
                words.flag("--in-place", *existing == IfExists::InPlace);
            }
        }
        words.option("--limit-rate", limit_rate.as_ref());
        words.format("--info", *info);
        words.format("--stats", *stats);
        words.flag("--quiet", *quiet);
        words.option(
            "--progress",
            match progress {
                ProgressMode::Auto => None,
                ProgressMode::Plain => Some("plain"),
                ProgressMode::Json => Some("json"),
                ProgressMode::Off => Some("off"),
            },
        );
        (0..*verbosity).for_each(|_| words.flag("--verbose", true));
        words.option("-c", concurrency.as_ref());
        words.option("--chunk-size", chunk_size.as_ref());
        words.option("--max-memory", max_memory.as_ref());
        words.option("--max-attempts", max_attempts.as_ref());
        let time = |limit: &std::time::Duration| humantime::format_duration(*limit).to_string();
        words.option("--first-byte-timeout", first_byte_timeout.as_ref().map(time));
        words.option("--stall-timeout", stall_timeout.as_ref().map(time));
        words.option("--hedge", (*hedge == Hedge::Off).then_some("off"));
        words.option("--endpoint", endpoint.as_ref());
        words.option("--region", region.as_ref());
        words.option("--profile", profile.as_ref());
        words.flag("--no-sign-request", *no_sign_request);
        words.option(
            "--addressing-style",
            addressing_style.map(|style| match style {
                AddressingStyle::Auto => "auto",
                AddressingStyle::Path => "path",
                AddressingStyle::Virtual => "virtual",
            }),
        );
        words.option(
            "--checksum",
            match checksum {
                ChecksumMode::Auto => None,
                ChecksumMode::Require => Some("require"),
                ChecksumMode::Off => Some("off"),
            },
        );
        words.option("--ca-bundle", ca_bundle.as_deref().and_then(Path::to_str));
        if let Some(client) = client_certificate {
            words.option("--client-cert", client.certificate.to_str());
            words.option("--client-key", client.key.as_deref().and_then(Path::to_str));
        }
        words.choice("--fips", *fips);
        words.choice("--dualstack", *dualstack);
        words.choice("--accelerate", *accelerate);
        words.option("--request-payer", request_payer.then_some("requester"));
        words.option("--sse-c-key", sse_c_key.as_ref().and_then(KeyText::file));
        words.option("--version-id", version_id.as_ref());
        match range {
            Some(RangeSpec::Shard(shard)) => words.option("--shard", Some(shard)),
            range => words.option("--range", range.as_ref()),
        }
        words.option("--if-match", if_match.as_ref());
        words.0
    }
}

struct ArgumentWriter(Vec<String>);

impl ArgumentWriter {
    fn option(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value.map(|value| value.to_string()) {
            // A value that looks like an option is one to the parser, unless it is joined to its name.
            if value.starts_with('-') && value != "-" {
                let joint = if name.starts_with("--") { "=" } else { "" };
                self.0.push(format!("{name}{joint}{value}"));
            } else {
                self.0.extend([name.to_owned(), value]);
            }
        }
    }

    fn flag(&mut self, name: &str, is_set: bool) {
        self.0.extend(is_set.then(|| name.to_owned()));
    }

    fn choice(&mut self, name: &str, is_chosen: Option<bool>) {
        self.0.extend(is_chosen.map(|chosen| format!("{name}={chosen}")));
    }

    fn format(&mut self, name: &str, format: Option<Format>) {
        self.0.extend(format.map(|format| match format {
            Format::Text => name.to_owned(),
            Format::Json => format!("{name}=json"),
        }));
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::Args;

    fn parsed(words: &[String]) -> Invocation {
        Args::try_parse_from(words).unwrap_or_else(|e| panic!("{words:?}: {e}")).try_into().unwrap()
    }

    #[test]
    fn the_words_parse_to_what_they_are_made_from() {
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
            &["s3://b/k", "--checksum", "require"],
            &["s3://b/k", "--checksum", "off"],
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
            &["s3://b/k", "-o--continue", "--continue"],
            &["s3://b/k", "-o", "f", "--shard", "1/4", "--chunk-size=5MB", "--in-place", "--version-id", "v"],
        ] {
            let line: Vec<String> = ["s3fcp"].iter().chain(line).map(|word| (*word).to_owned()).collect();
            let invocation = parsed(&line);
            assert_eq!(parsed(&invocation.words()), invocation, "{line:?}");
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
