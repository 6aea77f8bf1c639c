//! The log on stderr that `-v` and `RUST_LOG` enable: this crate's [`events`], one a line.
//!
//! Events of other crates are never shown, even if the filter names them: some of AWS's are requests with all their
//! headers.

use std::env;
use std::fmt::Debug;

use tracing::Level;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::prelude::*;

use crate::cli::stderr::Console;
use crate::cli::warnings::{self, WarningLayer};
use crate::error::printable::printable_within;
use crate::error::{Error, Result};
use crate::events;

/// The variable from which Rust programs usually read such a filter.
const VARIABLE: &str = "RUST_LOG";
/// The longest value of a field, in characters: that of an S3 URI, whose key has up to 1,024 bytes. A server's `ETag` may
/// be as long as the head of a response.
const VALUE_CHARS_MAX: usize = 1200;
/// All levels, from quiet to verbose.
const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

/// Installs the process's subscriber: for the events that `-v`, given `verbosity` times, or `RUST_LOG` asks for, and
/// for warnings that are shown without either. A subscriber that is already installed stays.
pub(crate) fn start(verbosity: u8) -> Result<()> {
    let requested = requested(&env::var(VARIABLE).unwrap_or_default())?;
    let shown = shown(verbosity, &requested);
    let is_logged =
        |target: &str| shown.as_ref().is_some_and(|shown| shown.would_enable(target, &Level::WARN));
    let warned = warnings::TARGETS.into_iter().filter(|target| !is_logged(target));
    let warned = Targets::new().with_targets(warned.map(|target| (target, LevelFilter::WARN)));
    let lines = shown.map(|shown| {
        let layer = fmt::layer().with_ansi(false).log_internal_errors(false).with_writer(|| Console);
        layer.fmt_fields(debug_fn(write_field).delimited(" ")).with_filter(shown)
    });
    let _ = tracing_subscriber::registry().with(lines).with(WarningLayer.with_filter(warned)).try_init();
    Ok(())
}

/// Writes the message of an event or one of its fields. A long value is cut, and a text keeps its second quote.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> std::fmt::Result {
    let text = format!("{value:?}");
    let shown = printable_within(&text, VALUE_CHARS_MAX);
    let end = if text.starts_with('"') && !shown.ends_with('"') { "\"" } else { "" };
    match field.name() {
        "message" => write!(writer, "{shown}{end}"),
        name => write!(writer, "{name}={shown}{end}"),
    }
}

/// Parses the variable. It is shared by many programs: a directive that cannot be parsed is an error only if it names
/// this program.
fn requested(variable: &str) -> Result<Targets> {
    let mut ours = Vec::new();
    // An empty directive would mean "errors of everything".
    for directive in variable.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        match directive.parse::<Targets>() {
            Ok(_) => ours.push(directive),
            Err(bad) if directive.starts_with(env!("CARGO_PKG_NAME")) => {
                return Err(Error::usage(format!("invalid {VARIABLE}: cannot parse {directive:?}"))
                    .with_source(bad)
                    .with_hint("use for example s3fcp=debug or s3fcp::retry=warn"));
            }
            Err(_) => {}
        }
    }
    if ours.is_empty() {
        return Ok(Targets::new());
    }
    ours.join(",").parse().map_err(|e| Error::usage(format!("invalid {VARIABLE}")).with_source(e))
}

/// Returns the level of each of our targets, the higher one of `-v` and the variable; `None` if nothing is enabled.
fn shown(verbosity: u8, requested: &Targets) -> Option<Targets> {
    let by_flag = match verbosity {
        0 => LevelFilter::OFF,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let by_variable = |target: &str| {
        let is_requested =
            |level: &LevelFilter| level.into_level().is_some_and(|l| requested.would_enable(target, &l));
        LEVELS.into_iter().rfind(is_requested).unwrap_or(LevelFilter::OFF)
    };
    let levels: Vec<_> =
        events::TARGETS.iter().map(|target| (*target, by_flag.max(by_variable(target)))).collect();
    let is_any = levels.iter().any(|(_, level)| *level != LevelFilter::OFF);
    is_any.then(|| Targets::new().with_targets(levels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_verbose_of_flag_and_variable_wins_and_only_for_this_crate() {
        for (verbosity, variable, request, level, others) in [
            (0, "", LevelFilter::OFF, LevelFilter::OFF, false),
            (1, "", LevelFilter::INFO, LevelFilter::INFO, false),
            (2, "", LevelFilter::DEBUG, LevelFilter::DEBUG, false),
            (9, "", LevelFilter::TRACE, LevelFilter::TRACE, false),
            (0, "trace", LevelFilter::TRACE, LevelFilter::TRACE, false),
            (0, "s3fcp", LevelFilter::TRACE, LevelFilter::TRACE, false),
            (0, "warn,s3fcp::level=debug", LevelFilter::WARN, LevelFilter::DEBUG, false),
            (0, "s3fcp=off", LevelFilter::OFF, LevelFilter::OFF, false),
            (0, "hyper=trace,aws_sigv4=trace", LevelFilter::OFF, LevelFilter::OFF, false),
            (1, "warn, s3fcp::level=debug,", LevelFilter::INFO, LevelFilter::DEBUG, false),
            (0, "other[span{a=b}]=debug,s3fcp=info", LevelFilter::INFO, LevelFilter::INFO, false),
        ] {
            let shown = shown(verbosity, &requested(variable).unwrap()).unwrap_or_default();
            let is = |target: &str| {
                LEVELS
                    .into_iter()
                    .rfind(|l| l.into_level().is_some_and(|l| shown.would_enable(target, &l)))
                    .unwrap_or(LevelFilter::OFF)
            };
            assert_eq!((is(events::REQUEST), is(events::LEVEL)), (request, level), "{verbosity} {variable}");
            for other in ["aws_sigv4::http_request::sign", "hyper_util", "s3", ""] {
                assert_eq!(shown.would_enable(other, &Level::ERROR), others, "{other}: {variable}");
            }
        }
    }

    #[test]
    fn a_directive_for_this_program_that_cannot_be_parsed_is_an_error() {
        for bad in ["s3fcp=verbose", "info,s3fcp::retry=a=b"] {
            let error = requested(bad).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(VARIABLE), "{error}");
        }
    }
}
