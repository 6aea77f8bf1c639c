//! Habits of people who use aws, s5cmd, rclone, curl or wget: words of theirs are accepted where their meaning is the
//! same, and answered with one line that names ours where it is not.
//!
//! Options of the same meaning are aliases in `args.rs`; here is what an alias cannot express.

mod options;
mod spelling;
mod words;

#[cfg(test)]
mod tests;

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::{Error, Result};

pub(super) use words::{WordPlace, parse_source};

/// Returns the command line with the options that other programs write differently replaced by ours.
pub(super) fn translated(words: impl IntoIterator<Item = OsString>) -> Result<Vec<OsString>> {
    let mut translated: Vec<OsString> = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--") => {
                translated.push(word);
                translated.extend(words.by_ref());
            }
            Some("--debug") => translated.push("-vv".into()),
            // wget.
            Some("-nv" | "--no-verbose") => translated.push("-q".into()),
            Some("-qO-") => translated.extend(["-q", "-o", "-"].map(Into::into)),
            Some("-O-" | "--output-document=-") => translated.extend(["-o", "-"].map(Into::into)),
            Some("-O" | "-qO" | "--output-document") if words.peek().is_some_and(|next| next == "-") => {
                words.next();
                if word == "-qO" {
                    translated.push("-q".into());
                }
                translated.extend(["-o", "-"].map(Into::into));
            }
            // curl: "-C -" finds the offset itself.
            Some("-C" | "--continue-at") => {
                let next = words.next_if(|next| next == "-" || is_number(next));
                if next.is_some_and(|offset| offset != "-") {
                    return Err(Error::usage("there is no offset to continue at")
                        .with_hint("--continue finds it; --range N- delivers the bytes from N on"));
                }
                translated.push("--continue".into());
            }
            // rclone: it takes no value.
            Some("--progress") if words.peek().is_none_or(is_object) => {}
            // aws: its value may be left out.
            Some("--request-payer") if words.peek().is_none_or(|next| next != "requester") => {
                translated.push("--request-payer=requester".into());
            }
            _ => translated.push(word),
        }
    }
    Ok(translated)
}

fn is_number(word: &OsString) -> bool {
    word.to_str().is_some_and(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_object(word: &OsString) -> bool {
    word.to_str().is_some_and(|word| word.contains("://"))
}

/// Turns a refusal of the parser, which `command` is the definition of, into an error that names our option, if an
/// option in `words` is one of another program. Otherwise returns the refusal without tips that mislead.
pub(super) fn explained(
    mut refusal: clap::Error,
    words: &[OsString],
    command: &Command,
) -> Result<clap::Error> {
    if refusal.kind() == ErrorKind::ValueValidation
        && let Some(ContextValue::String(value)) = refusal.get(ContextKind::InvalidValue)
        && value.contains("://")
        && let Some(error) = invalid_option(&refusal).and_then(|option| flag_elsewhere(&option))
    {
        return Err(error);
    }
    if refusal.kind() != ErrorKind::UnknownArgument {
        return Ok(refusal);
    }
    let Some(option) = invalid_option(&refusal) else { return Ok(refusal) };
    // "-nc" is one option of wget, and three of a parser that reads letters.
    let whole = words.iter().filter_map(|word| word.to_str()).find(|word| {
        let is_cluster = word.len() > 2 && word.starts_with('-') && !word.starts_with("--");
        is_cluster && option.len() == 2 && word.contains(&option[1..]) && options::advice(word).is_some()
    });
    let option = whole.unwrap_or(&option);
    if let Some(advice) = options::advice(option) {
        return Err(Error::usage(format!("there is no {option}")).with_hint(advice));
    }
    // "to pass '--x' as a value, use '-- --x'": no object is called that.
    refusal.remove(ContextKind::Suggested);
    refusal.remove(ContextKind::SuggestedArg);
    if let Some(ours) = spelling::closest(option, command) {
        refusal.insert(ContextKind::SuggestedArg, ContextValue::String(ours));
    }
    Ok(refusal)
}

/// Returns the error for an option of ours that takes a value and was given none, because elsewhere it takes none.
fn flag_elsewhere(option: &str) -> Option<Error> {
    let (ours, hint) = [
        ("--concurrency", ("-c is --concurrency N here", "to resume a download use --continue")),
        (
            "--range",
            (
                "-r is --range RANGE here",
                "for many objects use --from - with the keys that aws s3api list-objects-v2 lists",
            ),
        ),
        ("--max-time", ("-m is --max-time SECONDS here", "for whole sites use wget")),
    ]
    .into_iter()
    .find_map(|(name, answer)| option.contains(name).then_some(answer))?;
    Some(Error::usage(ours).with_hint(hint))
}

fn invalid_option(refusal: &clap::Error) -> Option<String> {
    match refusal.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => Some(option.clone()),
        _ => None,
    }
}
