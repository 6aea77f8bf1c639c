//! What `-v` and `RUST_LOG` show on stderr: this crate's [`events`], one a line.
//!
//! It gets how often `-v` was given and the variable's value, and sets up the process's subscriber, or none. Events of
//! other crates are never shown, whatever is asked for: some of AWS's are requests with all their headers.

use std::env;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use crate::cli::stderr::Console;
use crate::error::{Error, Result};
use crate::events;

/// The variable that programs in Rust read such a filter from.
const VARIABLE: &str = "RUST_LOG";
/// From quiet to talkative.
const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

/// Shows what `-v`, given so many times, and `RUST_LOG` ask for, from now on and for the whole process. Where nothing is
/// asked for nothing is set up; a subscriber that is there already stays.
pub(crate) fn start(verbosity: u8) -> Result<()> {
    let asked = asked(&env::var(VARIABLE).unwrap_or_default())?;
    if let Some(shown) = shown(verbosity, &asked) {
        let lines = fmt::layer().with_ansi(false).log_internal_errors(false).with_writer(|| Console);
        let _ = tracing_subscriber::registry().with(shown).with(lines).try_init();
    }
    Ok(())
}

/// What the variable asks for. It is for many programs: what is not understood in it is an error where it names this
/// one, and passed over where it does not.
fn asked(variable: &str) -> Result<Targets> {
    let mut ours = Vec::new();
    // An empty directive would be understood as one for errors.
    for directive in variable.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        match directive.parse::<Targets>() {
            Ok(_) => ours.push(directive),
            Err(bad) if directive.starts_with(env!("CARGO_PKG_NAME")) => {
                return Err(Error::usage(format!("{VARIABLE} cannot be read: {directive:?}"))
                    .with_source(bad)
                    .with_hint("for example s3fcp=debug, or s3fcp::retry=warn"));
            }
            Err(_) => {}
        }
    }
    if ours.is_empty() {
        return Ok(Targets::new());
    }
    ours.join(",").parse().map_err(|e| Error::usage(format!("{VARIABLE} cannot be read")).with_source(e))
}

/// The level of each of our targets: the higher one of what `-v` and the variable ask for. `None` where that is nothing.
fn shown(verbosity: u8, asked: &Targets) -> Option<Targets> {
    let by_flag = match verbosity {
        0 => LevelFilter::OFF,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let by_variable = |target: &str| {
        let is_asked =
            |level: &LevelFilter| level.into_level().is_some_and(|l| asked.would_enable(target, &l));
        LEVELS.into_iter().rfind(is_asked).unwrap_or(LevelFilter::OFF)
    };
    let levels: Vec<_> =
        events::TARGETS.iter().map(|target| (*target, by_flag.max(by_variable(target)))).collect();
    let is_any = levels.iter().any(|(_, level)| *level != LevelFilter::OFF);
    is_any.then(|| Targets::new().with_targets(levels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn the_flag_and_the_variable_add_up_and_never_beyond_this_crate() {
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
            let shown = shown(verbosity, &asked(variable).unwrap()).unwrap_or_default();
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
    fn a_directive_for_this_program_that_cannot_be_read_is_an_error() {
        for bad in ["s3fcp=verbose", "info,s3fcp::retry=a=b"] {
            let error = asked(bad).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(VARIABLE), "{error}");
        }
    }
}
