//! Words that stand where an object should: what they probably are, and what to write instead.

use crate::error::{Error, Result};
use crate::s3::address::source::Source;
use crate::s3::address::typed_text::without_secrets;

/// Words that are commands of other programs.
const COMMANDS: [&str; 19] = [
    "cp",
    "copy",
    "copyto",
    "copyurl",
    "get",
    "get-object",
    "download",
    "cat",
    "mv",
    "sync",
    "ls",
    "list",
    "lsd",
    "rm",
    "du",
    "head",
    "s3",
    "s3api",
    "pipe",
];

/// A word's probable meaning, and what to write instead.
type WordHint = (&'static str, String);

/// The place of a word that should name an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum WordPlace {
    /// An argument; with `-O`, which in wget takes a file name, or without it.
    Argument { to_key_name: bool },
    /// A line of `--from`, where no option can stand.
    List,
}

/// Parses an object or a URL; a word that is neither is answered by what it probably is.
pub(in crate::cli) fn parse_source(word: &str, place: WordPlace) -> Result<Source> {
    let shown = without_secrets(word);
    let refused =
        |hint: WordHint| Error::usage(format!("{shown:?} is not an object: {}", hint.0)).with_hint(hint.1);
    if let Some(page) = console_page(word) {
        return Err(refused(page));
    }
    word.parse().map_err(|error: Error| match hint_for(&shown, place) {
        Some(hint) => refused(hint),
        None => error,
    })
}

/// Returns what to write instead of a URL of the page that the AWS console shows of an object.
fn console_page(word: &str) -> Option<WordHint> {
    let (host, path) = word.strip_prefix("https://")?.split_once('/')?;
    if !host.ends_with("console.aws.amazon.com") && !host.ends_with("console.amazonaws.cn") {
        return None;
    }
    let object = path.strip_prefix("s3/object/").unwrap_or_default();
    let (bucket, query) = object.split_once('?').unwrap_or((object, ""));
    let key = query.split('&').find_map(|pair| pair.strip_prefix("prefix="));
    let (bucket, key) = if bucket.is_empty() { ("bucket", "key") } else { (bucket, key.unwrap_or("key")) };
    Some(("it is a page of the AWS console", format!("write it as s3://{bucket}/{key}")))
}

/// Returns what `word` probably is, and what to write instead.
fn hint_for(word: &str, place: WordPlace) -> Option<WordHint> {
    let bare = word.trim().trim_matches(['"', '\'', '<', '>', '“', '”', '‘', '’', ',']);
    if bare != word && ["s3://", "http://", "https://"].iter().any(|scheme| bare.starts_with(scheme)) {
        return Some(("there are spaces or quotation marks around it", format!("write it as {bare}")));
    }
    if let Some(path) = word.strip_prefix("arn:aws:s3:::") {
        return Some(("it is an ARN", format!("write it as s3://{path}")));
    }
    for (wrong, scheme) in
        [("s3:", "s3://"), ("s3/", "s3://"), ("http:/", "http://"), ("https:/", "https://")]
    {
        if let Some(rest) =
            word.strip_prefix(wrong).filter(|rest| !rest.starts_with("//") && !word.contains("://"))
        {
            let rest = rest.trim_start_matches('/');
            return Some(("a slash is missing", format!("write it as {scheme}{rest}")));
        }
    }
    let scheme = word.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if let Some(scheme) = scheme {
        let rest = &word[scheme.len() + 3..];
        return match scheme.as_str() {
            "file" => Some(("it is a local file", "to write to a file use -o FILE".to_owned())),
            "s3a" | "s3n" => Some(("its scheme is not s3", format!("write it as s3://{rest}"))),
            "gs" | "az" | "abfs" | "abfss" | "wasb" | "b2" | "oss" | "r2" | "gcs" | "swift" | "minio" => {
                Some((
                    "it is in another kind of object store",
                    "use its S3-compatible endpoint, with --endpoint URL and s3://bucket/key".to_owned(),
                ))
            }
            _ => None,
        };
    }
    if COMMANDS.contains(&word) {
        let hint = match word {
            "ls" | "list" | "lsd" | "du" => "s3fcp has no listings: use aws s3 ls, or --info for one object",
            "rm" | "mv" => "s3fcp only downloads; it removes nothing",
            "head" | "s3api" => "there are no subcommands: s3fcp --info s3://bucket/key",
            _ => "there are no subcommands: s3fcp s3://bucket/key for stdout, or with -o FILE for a file",
        };
        return Some(("it is a command of another program", hint.to_owned()));
    }
    if matches!(word, "help" | "version") {
        return Some(("there are no subcommands", format!("s3fcp --{word}")));
    }
    if matches!(word, "json" | "text") {
        return Some((
            "it is a format",
            format!("write --info={word} or --stats={word}, with the equals sign"),
        ));
    }
    if word == "-" {
        return Some(("stdout is the default", "leave it out, or write -o -".to_owned()));
    }
    if place == (WordPlace::Argument { to_key_name: true }) {
        return Some(("-O takes no name", format!("to write to a file of this name use -o {word}")));
    }
    let host = word.split(['/', ':']).next().unwrap_or_default();
    let is_host =
        host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok() || host.ends_with(".amazonaws.com");
    if is_host && word.contains('/') {
        return Some((
            "it is a URL without a scheme",
            format!("write it as https://{word} or http://{word}"),
        ));
    }
    if place == WordPlace::List {
        return None;
    }
    if word == "." || word == ".." || word.ends_with('/') && !word.contains(':') {
        return Some(("it is a folder", format!("to write into it use -o {}/", word.trim_end_matches('/'))));
    }
    if word.starts_with(|first: char| first.is_ascii_digit()) && word.len() < 6 && !word.contains(['/', '.'])
    {
        return Some((
            "it looks like the value of an option that takes none",
            format!("s3fcp --help lists the options; to write to a file of this name use -o {word}"),
        ));
    }
    if word.starts_with(['/', '.', '~']) || !word.contains(['/', ':']) {
        return Some(("it looks like a file", format!("to write to it use -o {word}")));
    }
    None
}
