//! The options of a run, validated: what was typed, with units, parsed addresses, and nothing that contradicts itself.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::args::Args;
use crate::cli::habits::{self, WordPlace};
use crate::cli::progress::ProgressMode;
use crate::cli::report::format::Format;
use crate::cli::source_list::SourceList;
use crate::config::settings::Settings;
use crate::download::options::ChecksumMode;
use crate::download::options::Options;
use crate::download::threads::ThreadCount;
use crate::error::{Error, Result};
use crate::output::destination::{Destination, IfExists};
use crate::s3::address::source::Source;
use crate::s3::range_spec::RangeSpec;
use crate::s3::shard::Shard;
use crate::transport::tls::ClientCertificate;

/// The options of a run: every value is within its limits; `None` means "not given".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// The objects and URLs, in the order in which they are delivered: at least one, or none where there is a list.
    pub(crate) sources: Vec<Source>,
    /// Where the objects and URLs are read from otherwise.
    pub(crate) list: Option<SourceList>,
    /// How they are downloaded.
    pub(crate) download: Options,
    /// Where their bytes go.
    pub(crate) target: Destination,
    /// No progress is shown.
    pub(crate) quiet: bool,
    /// The form of progress otherwise.
    pub(crate) progress: ProgressMode,
    /// The time after which the run gives up.
    pub(crate) max_time: Option<Duration>,
    /// The file gets the time of the object.
    pub(crate) remote_time: bool,
    /// Describes the object instead of downloading it, in this format.
    pub(crate) info: Option<Format>,
    /// Prints transfer statistics when done, in this format.
    pub(crate) stats: Option<Format>,
    /// How often `-v` was given.
    pub(crate) verbosity: u8,
    /// Settings that the environment and the profile complete.
    pub(crate) settings: Settings,
}

impl TryFrom<Args> for Invocation {
    type Error = Error;

    fn try_from(args: Args) -> Result<Self> {
        // A word that is no object explains more than what does not go together with it.
        let sources: Vec<Source> = args
            .sources
            .iter()
            .map(|source| habits::parse_source(source, WordPlace::Argument { to_key_name: args.remote_name }))
            .collect::<Result<_>>()?;
        if args.from.len() > 1 {
            let hint = "join the lists: cat LIST1 LIST2 | s3fcp --from -";
            return Err(Error::usage("--from is given more than once").with_hint(hint));
        }
        let target = target(&args)?;
        check_options_of_one_object(&args, &sources)?;
        let invocation = Self {
            sources,
            list: args.from.first().cloned().map(|path| SourceList { path, is_null_separated: args.null }),
            download: download_options(&args),
            target,
            quiet: args.quiet,
            progress: args.progress,
            max_time: args.max_time,
            remote_time: args.remote_time,
            info: args.info,
            stats: args.stats,
            verbosity: args.verbose,
            settings: settings(args),
        };
        invocation.fits_its_sources()?;
        Ok(invocation)
    }
}

/// Refuses options that name bytes or a version of one object where there are several, and a shard of any version.
fn check_options_of_one_object(args: &Args, sources: &[Source]) -> Result<()> {
    let names_version = args.if_match.is_some() || args.version_id.is_some();
    let names_one = names_version || args.range.is_some() || args.shard.is_some();
    if names_one && (sources.len() > 1 || !args.from.is_empty()) {
        let what = "--range, --shard, --if-match and --version-id apply to a single object";
        return Err(Error::usage(what).with_hint("run s3fcp once for each object"));
    }
    if args.shard.is_some() && !names_version {
        let what = "--shard needs --if-match or --version-id, so that all shards are of one version";
        return Err(Error::usage(what).with_hint("s3fcp --info shows both; a URL needs --if-match"));
    }
    Ok(())
}

/// Returns how the objects are downloaded.
fn download_options(args: &Args) -> Options {
    let number = |n: Option<u16>| n.and_then(|n| NonZeroUsize::new(usize::from(n)));
    let shard_unit = args.chunk_size.unwrap_or(Shard::UNIT);
    let shard = args.shard.map(|shard| RangeSpec::Shard(shard.in_units_of(shard_unit)));
    Options {
        version_id: args.version_id.clone(),
        range: args.range.or(shard),
        if_match: args.if_match.clone(),
        concurrency: number(args.concurrency),
        chunk_size: args.chunk_size,
        max_memory: args.max_memory,
        max_attempts: args.max_attempts.and_then(NonZeroU32::new),
        first_byte_timeout: args.first_byte_timeout,
        stall_timeout: args.stall_timeout,
        hedge: args.hedge,
        checksum: args.checksum,
        unsafe_ranges: args.unsafe_ranges,
        max_redirects: args.max_redirs,
        limit_rate: args.limit_rate,
        threads: number(args.threads).map_or(ThreadCount::Adaptive, ThreadCount::Exactly),
    }
}

/// Returns the settings that the environment and the profile complete.
fn settings(args: Args) -> Settings {
    Settings {
        endpoint: args.endpoint,
        region: args.region,
        profile: args.profile,
        no_sign_request: args.no_sign_request,
        ca_bundle: args.ca_bundle,
        client_certificate: args
            .client_cert
            .map(|certificate| ClientCertificate::new(certificate, args.client_key)),
        addressing_style: args.addressing_style,
        fips: args.fips,
        dualstack: args.dualstack,
        accelerate: args.accelerate,
        request_payer: args.request_payer.is_some(),
        sse_c_key: args.sse_c_key,
    }
}

impl Invocation {
    /// Returns whether the run has more than one object, or may have.
    pub(crate) fn has_several(&self) -> bool {
        self.list.is_some() || self.sources.len() > 1
    }

    /// Refuses `source` if the run asks for what it cannot give.
    pub(crate) fn fits(&self, source: &Source) -> Result<()> {
        if source.url().is_some() && self.download.checksum == ChecksumMode::Require {
            return Err(Error::usage(
                "--checksum require has no effect on http(s) URLs; it applies to s3:// objects only",
            ));
        }
        Ok(())
    }

    /// Returns the run of `sources`, which this run has too, without the options that none of them can use.
    pub(crate) fn of_sources(&self, sources: Vec<Source>) -> Self {
        let mut run = Self { sources, list: None, ..self.clone() };
        if run.has_only_urls() {
            run.download.version_id = None;
            let Settings { profile, no_sign_request, ca_bundle, client_certificate, .. } = run.settings;
            run.settings =
                Settings { profile, no_sign_request, ca_bundle, client_certificate, ..Settings::default() };
        }
        run
    }

    fn has_only_urls(&self) -> bool {
        self.list.is_none() && self.sources.iter().all(|source| source.url().is_some())
    }

    /// Refuses options that have no effect: a URL already says which server it is on and is not signed here, so options
    /// for that need at least one S3 object.
    fn fits_its_sources(&self) -> Result<()> {
        let settings = &self.settings;
        self.sources.iter().try_for_each(|source| self.fits(source))?;
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
            if is_given && self.has_only_urls() {
                return Err(Error::usage(format!(
                    "{option} has no effect on http(s) URLs; it applies to s3:// objects only"
                )));
            }
        }
        Ok(())
    }
}

/// Returns where the bytes go.
fn target(args: &Args) -> Result<Destination> {
    let existing = match (args.in_place, args.force) {
        (true, _) => IfExists::InPlace,
        (false, true) => IfExists::Replace { resume: args.resume },
        (false, false) => IfExists::Fail { resume: args.resume },
    };
    let here = args.remote_name.then(|| PathBuf::from("./"));
    match args.output.as_ref().or(here.as_ref()) {
        None if args.resume || args.force || args.remote_time => {
            let flag = if args.resume {
                "--continue"
            } else if args.force {
                "--force"
            } else {
                "--remote-time"
            };
            Err(Error::usage(format!("{flag} needs a file"))
                .with_hint("use -o FILE, or -O for the last segment of the key"))
        }
        None => Ok(Destination::Stdout { even_binary: false }),
        Some(path) if path.as_os_str() == "-" => {
            if args.remote_time || existing != (IfExists::Fail { resume: false }) {
                return Err(Error::usage(
                    "--continue, --force, --remote-time and --in-place need a file: use -o FILE",
                ));
            }
            Ok(Destination::Stdout { even_binary: true })
        }
        Some(path) => Ok(Destination::File { path: path.clone(), existing }),
    }
}

#[cfg(test)]
mod tests;
