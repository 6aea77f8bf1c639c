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
use crate::s3::address::typed_text::without_secrets;

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
    if refusal.kind() == ErrorKind::MissingRequiredArgument && lacks_only_object(&refusal) {
        return Err(no_object(words));
    }
    if let Some(error) = flag_elsewhere(&refusal, words) {
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

/// Returns whether an object is all that the command line lacks.
fn lacks_only_object(refusal: &clap::Error) -> bool {
    match refusal.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) => {
            missing.len() == 1 && missing.iter().all(|argument| argument.contains("://"))
        }
        _ => false,
    }
}

/// Returns the error for a command line that has no object, or has it as the file of `-o`.
fn no_object(words: &[OsString]) -> Error {
    match object_as_value(words, "--output", 'o') {
        Some((option, object)) => {
            Error::usage(format!("{option} took {object} as FILE, so that no object is left"))
                .with_hint(format!("write {option} FILE {object}"))
        }
        None => Error::usage("name an object")
            .with_hint("s3fcp s3://bucket/key, or --from FILE for a list; s3fcp --help lists the options"),
    }
}

/// An option that takes a value here, and whose letter takes none in other programs.
struct FlagElsewhere {
    long: &'static str,
    letter: char,
    value: &'static str,
    hint: &'static str,
}

const FLAGS_ELSEWHERE: [FlagElsewhere; 3] = [
    FlagElsewhere {
        long: "--concurrency",
        letter: 'c',
        value: "N",
        hint: "to resume a download use --continue",
    },
    FlagElsewhere {
        long: "--range",
        letter: 'r',
        value: "RANGE",
        hint: "for many objects use --from - with the keys that aws s3api list-objects-v2 lists",
    },
    FlagElsewhere { long: "--max-time", letter: 'm', value: "SECONDS", hint: "for whole sites use wget" },
];

/// Returns the error for an option of ours that takes a value and was given none, because elsewhere it takes none, or
/// that took the object for its value.
fn flag_elsewhere(refusal: &clap::Error, words: &[OsString]) -> Option<Error> {
    let option = invalid_option(refusal)?;
    let FlagElsewhere { long, letter, value, hint } =
        FLAGS_ELSEWHERE.iter().find(|flag| option.contains(flag.long))?;
    let short = format!("-{letter}");
    let is_short = match (refusal.kind(), refusal.get(ContextKind::InvalidValue)) {
        (ErrorKind::ValueValidation, Some(ContextValue::String(given))) if given.contains("://") => {
            match object_as_value(words, long, *letter) {
                Some((typed, object)) if typed == *long => {
                    return Some(
                        Error::usage(format!("{long} took {object} as {value}"))
                            .with_hint(format!("write {long} {value} {object}")),
                    );
                }
                _ => true,
            }
        }
        // "a value is required": the next word is an option, or there is none.
        (ErrorKind::InvalidValue, Some(ContextValue::String(given))) if given.is_empty() => {
            words.iter().any(|word| *word == *short)
        }
        _ => false,
    };
    is_short.then(|| Error::usage(format!("{short} is {long} {value} here")).with_hint(*hint))
}

/// Returns the name that an option was typed by, if an object or a URL follows as its value, and that one as messages
/// show it.
fn object_as_value(words: &[OsString], long: &str, letter: char) -> Option<(String, String)> {
    let short = format!("-{letter}");
    let texts: Vec<&str> = words.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    let joined = texts.iter().filter_map(|word| {
        let value = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
        let of_letter = || word.strip_prefix(&*short).map(|rest| rest.trim_start_matches('='));
        value.map(|value| (long, value)).or_else(|| of_letter().map(|value| (&*short, value)))
    });
    let separate = texts.windows(2).filter_map(|pair| {
        let is_cluster = pair[0].starts_with('-') && !pair[0].starts_with("--") && pair[0].ends_with(letter);
        let typed = if pair[0] == long { Some(long) } else { is_cluster.then_some(&*short) };
        typed.map(|typed| (typed, pair[1]))
    });
    let (typed, object) = separate.chain(joined).find(|(_, value)| value.contains("://"))?;
    Some((typed.to_owned(), without_secrets(object).into_owned()))
}

fn invalid_option(refusal: &clap::Error) -> Option<String> {
    match refusal.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => Some(option.clone()),
        _ => None,
    }
}
