//! Habits of people who use aws, s5cmd, rclone, curl or wget: words of theirs are accepted where their meaning is the
//! same, and answered with one line that names ours where it is not.
//!
//! Options of the same meaning are aliases in `args.rs`; here is what an alias cannot express.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::{Error, Result};
use crate::s3::address::source::Source;

/// Options of other programs that this one does not have, and what to do instead.
const ADVICE: [(&[&str], &str); 21] = [
    (&["--retry", "--retries", "--retry-count", "--tries", "-t", "--retry-max-time"], "use --max-attempts N"),
    (
        &["--numworkers", "-j", "--jobs", "--parallel", "--transfers", "--max-concurrent-requests", "-P"],
        "use -c N for the number of concurrent requests, which is adaptive without it",
    ),
    (&["--multi-thread-streams"], "use -c N"),
    (&["--multipart-chunksize", "--multi-thread-chunk-size", "--s3-chunk-size"], "use --chunk-size SIZE"),
    (&["--bwlimit", "--max-bandwidth"], "use --limit-rate SIZE"),
    (&["--json", "--format", "--human-readable"], "use --info=json, --stats=json or --progress=json"),
    (&["--head", "-I", "--stat"], "use --info to describe the object"),
    (
        &["--dryrun", "--dry-run", "-n", "--spider"],
        "nothing is ever changed in the bucket; use --info to see whether the object can be read",
    ),
    (
        &["-k", "--insecure", "--no-verify-ssl", "--no-check-certificate"],
        "certificates are always verified; use --ca-bundle FILE to trust another one",
    ),
    (
        &["--connect-timeout", "--contimeout", "--cli-connect-timeout", "--dns-timeout"],
        "use --first-byte-timeout SECONDS, which includes the connection, or --max-time for the whole run",
    ),
    (
        &[
            "--timeout",
            "-T",
            "--cli-read-timeout",
            "--read-timeout",
            "--speed-time",
            "-y",
            "--speed-limit",
            "-Y",
        ],
        "use --stall-timeout SECONDS for a response that delivers nothing, or --max-time for the whole run",
    ),
    (
        &["--recursive", "--include", "--exclude", "--exact-timestamps", "--page-size"],
        "s3fcp downloads the objects that are named: --from - reads keys that aws s3api list-objects-v2 lists",
    ),
    (&["--location", "-L", "--max-redirs"], "redirects of URLs are always followed"),
    (
        &["--fail", "-f", "--show-error", "-S"],
        "failures always have an exit code and a message: leave it out",
    ),
    (
        &[
            "--header",
            "-H",
            "--user",
            "-u",
            "--user-agent",
            "-A",
            "--cookie",
            "-b",
            "--data",
            "-d",
            "--request",
            "-X",
        ],
        "s3fcp sends no headers or bodies of its user; for those use curl",
    ),
    (&["--output-dir", "--directory-prefix", "-P/", "--output-document"], "use -o DIR/ or -o FILE"),
    (&["--proxy", "-x"], "set HTTPS_PROXY, as for curl"),
    (
        &["--credentials-file", "--access-key", "--secret-key", "--aws-access-key-id"],
        "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; keys on a command line are visible to others",
    ),
    (
        &["--sse-c", "--sse-customer-key", "--sse-c-copy-source-key", "--sse-customer-algorithm"],
        "use --sse-c-key KEY",
    ),
    (
        &["--expected-bucket-owner", "--acl", "--storage-class", "--sse", "--metadata"],
        "it is for uploads; s3fcp only downloads",
    ),
    (&["--no-clobber", "-nc", "--ignore-existing"], "an existing FILE is never replaced without --force"),
];

/// Words that are commands of other programs.
const COMMANDS: [&str; 18] = [
    "cp",
    "copy",
    "copyto",
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

/// Returns the command line with the options that other programs write differently replaced by ours.
pub(super) fn translated(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut translated: Vec<OsString> = Vec::new();
    let mut words = words.into_iter().peekable();
    let mut options_end = false;
    while let Some(word) = words.next() {
        options_end |= word == "--";
        match word.to_str() {
            Some("--debug") if !options_end => translated.push("-vv".into()),
            // curl: "-C -" finds the offset itself.
            Some("-C" | "--continue-at") if !options_end => {
                words.next_if(|next| next == "-");
                translated.push("--continue".into());
            }
            _ => translated.push(word),
        }
    }
    translated
}

/// Turns a refusal of the parser into an error that names our option, if the option is one of another program. Otherwise
/// returns the refusal without tips that mislead.
pub(super) fn explained(mut refusal: clap::Error) -> Result<clap::Error> {
    if refusal.kind() == ErrorKind::ValueValidation
        && let Some(ContextValue::String(value)) = refusal.get(ContextKind::InvalidValue)
        && value.contains("://")
        && invalid_option(&refusal).is_some_and(|option| option.contains("--concurrency"))
    {
        return Err(
            Error::usage("-c is --concurrency N here").with_hint("to resume a download use --continue")
        );
    }
    if refusal.kind() != ErrorKind::UnknownArgument {
        return Ok(refusal);
    }
    let Some(option) = invalid_option(&refusal) else { return Ok(refusal) };
    if let Some(advice) = advice(&option) {
        return Err(Error::usage(format!("there is no {option}")).with_hint(advice));
    }
    // "to pass '--x' as a value, use '-- --x'": no object is called that.
    refusal.remove(ContextKind::Suggested);
    let suggested = match refusal.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(suggested)) => suggested.clone(),
        _ => return Ok(refusal),
    };
    if !is_misspelling(&option, &suggested) {
        refusal.remove(ContextKind::SuggestedArg);
    }
    Ok(refusal)
}

fn invalid_option(refusal: &clap::Error) -> Option<String> {
    match refusal.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => Some(option.clone()),
        _ => None,
    }
}

fn advice(option: &str) -> Option<&'static str> {
    let name = option.split('=').next().unwrap_or(option);
    ADVICE.iter().find(|(options, _)| options.contains(&name)).map(|(_, advice)| *advice)
}

/// Returns whether `suggested` is what was meant: the same letters at the start, apart from hyphens.
fn is_misspelling(option: &str, suggested: &str) -> bool {
    let letters = |text: &str| text.chars().filter(|c| *c != '-').take(4).collect::<String>();
    let (typed, ours) = (letters(option), letters(suggested));
    typed.starts_with(&ours) || ours.starts_with(&typed)
}

/// Parses an object or a URL; a word that is neither is answered by what it probably is. `to_key_name` says whether `-O`
/// was given, which in wget takes a file name.
pub(super) fn parse_source(word: &str, to_key_name: bool) -> Result<Source> {
    word.parse().map_err(|error: Error| match hint_for(word, to_key_name) {
        Some(hint) => Error::usage(format!("{word:?} is not an object: {}", hint.0)).with_hint(hint.1),
        None => error,
    })
}

/// Returns what `word` probably is, and what to write instead.
fn hint_for(word: &str, to_key_name: bool) -> Option<(&'static str, String)> {
    let scheme = word.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if let Some(scheme) = scheme {
        let rest = &word[scheme.len() + 3..];
        return match scheme.as_str() {
            "file" => Some(("it is a local file", "to write to a file use -o FILE".to_owned())),
            "s3a" | "s3n" => Some(("the scheme is s3", format!("write it as s3://{rest}"))),
            "gs" | "az" | "abfs" | "wasb" | "b2" | "oss" | "r2" | "gcs" | "swift" => Some((
                "it is in another kind of store",
                "use its S3-compatible endpoint, with --endpoint URL and s3://bucket/key".to_owned(),
            )),
            _ => None,
        };
    }
    if COMMANDS.contains(&word) {
        let hint = match word {
            "ls" | "list" | "lsd" | "du" => "s3fcp lists nothing: use aws s3 ls, or --info for one object",
            "rm" | "mv" => "s3fcp only downloads, and removes nothing",
            "head" | "s3api" => "there are no subcommands: s3fcp --info s3://bucket/key",
            _ => "there are no subcommands: s3fcp s3://bucket/key for stdout, or with -o FILE for a file",
        };
        return Some(("it is a command of another program", hint.to_owned()));
    }
    if matches!(word, "json" | "text") {
        return Some(("it is a format", format!("write --info={word}, with the equals sign")));
    }
    if word == "-" {
        return Some(("stdout is the default", "leave it out, or write -o -".to_owned()));
    }
    if to_key_name {
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
    if word == "." || word == ".." || word.ends_with('/') && !word.contains(':') {
        return Some(("it is a folder", format!("to write into it use -o {}/", word.trim_end_matches('/'))));
    }
    if word.starts_with(['/', '.', '~']) || !word.contains(['/', ':']) {
        return Some(("it looks like a file", format!("to write to it use -o {word}")));
    }
    None
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::args::Args;
    use crate::cli::invocation::Invocation;

    const URI: &str = "s3://b/k";

    /// Returns what a command line means, or all that is said about it.
    fn run(line: &str) -> std::result::Result<Invocation, String> {
        let words = ["s3fcp"].into_iter().chain(line.split_whitespace()).map(OsString::from);
        match Args::try_parse_from(translated(words)) {
            Ok(args) => Invocation::try_from(args).map_err(|error| error.to_string()),
            Err(refusal) => Err(explained(refusal).map_or_else(|e| e.to_string(), |e| e.to_string())),
        }
    }

    #[test]
    fn words_of_other_tools_with_the_same_meaning_are_accepted() {
        for (theirs, ours) in [
            ("--no-progress s3://b/k", "-q s3://b/k"),
            ("--only-show-errors s3://b/k", "-q s3://b/k"),
            ("-s s3://b/k", "-q s3://b/k"),
            ("--silent s3://b/k", "-q s3://b/k"),
            ("--no-progress-meter s3://b/k", "-q s3://b/k"),
            ("--debug s3://b/k", "-vv s3://b/k"),
            ("-r 0-99 s3://b/k", "--range 0-99 s3://b/k"),
            ("--range bytes=0-99 s3://b/k", "--range 0-99 s3://b/k"),
            ("-r -500 s3://b/k", "--range=-500 s3://b/k"),
            ("--resume -o f s3://b/k", "--continue -o f s3://b/k"),
            ("-C - -o f s3://b/k", "--continue -o f s3://b/k"),
            ("--continue-at - -o f s3://b/k", "--continue -o f s3://b/k"),
            ("-C - -O s3://b/k", "--continue -o ./ s3://b/k"),
            ("--overwrite -o f s3://b/k", "--force -o f s3://b/k"),
            ("-O s3://b/a/k", "-o ./ s3://b/a/k"),
            ("--remote-name s3://b/a/k", "-o ./ s3://b/a/k"),
            ("-R -O s3://b/k", "--remote-time -o ./ s3://b/k"),
            ("-m 60 s3://b/k", "--max-time 60 s3://b/k"),
            ("--endpoint-url http://h s3://b/k", "--endpoint http://h s3://b/k"),
            ("--source-region eu-west-1 s3://b/k", "--region eu-west-1 s3://b/k"),
            ("--cacert c.pem s3://b/k", "--ca-bundle c.pem s3://b/k"),
            ("--ca-certificate c.pem s3://b/k", "--ca-bundle c.pem s3://b/k"),
            ("--part-size 8MiB s3://b/k", "--chunk-size 8MiB s3://b/k"),
        ] {
            let (theirs_means, ours_means) = (run(theirs), run(ours));
            assert!(ours_means.is_ok(), "{ours}: {ours_means:?}");
            assert_eq!(theirs_means, ours_means, "{theirs}");
        }
    }

    #[test]
    fn words_of_other_tools_with_another_meaning_are_answered_by_ours() {
        for (line, says) in [
            ("s3://b/k .", "-o ./"),
            ("s3://b/k ..", "-o ../"),
            ("s3://b/k dir/", "-o dir/"),
            ("s3://b/k file", "-o file"),
            ("s3://b/k ./file", "-o ./file"),
            ("s3://b/k /tmp/file", "-o /tmp/file"),
            ("s3://b/k ~/file.gz", "-o ~/file.gz"),
            ("s3://b/k -", "-o -"),
            ("cp s3://b/k -", "there are no subcommands"),
            ("cp s3://b/k .", "there are no subcommands"),
            ("get s3://b/k", "there are no subcommands"),
            ("cat s3://b/k", "there are no subcommands"),
            ("copyto s3://b/k f", "there are no subcommands"),
            ("s3 cp s3://b/k -", "there are no subcommands"),
            ("sync s3://b/k .", "there are no subcommands"),
            ("s3api get-object", "there are no subcommands"),
            ("ls s3://b/k", "lists nothing"),
            ("du s3://b/k", "lists nothing"),
            ("mv s3://b/k f", "removes nothing"),
            ("head s3://b/k", "--info s3://bucket/key"),
            ("--info json s3://b/k", "--info=json"),
            ("--stats json s3://b/k", "equals sign"),
            ("127.0.0.1/x", "http://127.0.0.1/x"),
            ("localhost:9000/b/k", "http://localhost:9000/b/k"),
            ("b.s3.amazonaws.com/k", "https://b.s3.amazonaws.com/k"),
            ("s3://b/k file:///tmp/x", "-o FILE"),
            ("s3a://b/k", "s3://b/k"),
            ("gs://b/k", "--endpoint"),
            ("b/k", "s3://bucket/key"),
            ("-O out s3://b/k", "-o out"),
            ("-c s3://b/k", "--continue"),
            ("--retry 5 s3://b/k", "--max-attempts"),
            ("--tries=5 s3://b/k", "--max-attempts"),
            ("-t 5 s3://b/k", "--max-attempts"),
            ("--retry-count 5 s3://b/k", "--max-attempts"),
            ("--numworkers 5 s3://b/k", "-c N"),
            ("-j 5 s3://b/k", "-c N"),
            ("--transfers 5 s3://b/k", "-c N"),
            ("--multi-thread-streams 5 s3://b/k", "-c N"),
            ("--multi-thread-chunk-size 5M s3://b/k", "--chunk-size"),
            ("--bwlimit 5M s3://b/k", "--limit-rate"),
            ("--json s3://b/k", "--info=json"),
            ("-I https://h/k", "--info"),
            ("--head https://h/k", "--info"),
            ("--stat s3://b/k", "--info"),
            ("--dryrun s3://b/k", "--info"),
            ("--dry-run s3://b/k", "--info"),
            ("--spider https://h/k", "--info"),
            ("-k https://h/k", "--ca-bundle"),
            ("--insecure https://h/k", "--ca-bundle"),
            ("--no-verify-ssl s3://b/k", "--ca-bundle"),
            ("--no-check-certificate https://h/k", "--ca-bundle"),
            ("--connect-timeout 5 s3://b/k", "--first-byte-timeout"),
            ("--cli-read-timeout 5 s3://b/k", "--stall-timeout"),
            ("--timeout 5 s3://b/k", "--stall-timeout"),
            ("--speed-limit 5 s3://b/k", "--stall-timeout"),
            ("--recursive s3://b/k", "--from -"),
            ("--include x s3://b/k", "--from -"),
            ("-L https://h/k", "always followed"),
            ("-f https://h/k", "leave it out"),
            ("-S https://h/k", "leave it out"),
            ("-H a:b https://h/k", "curl"),
            ("-u a:b https://h/k", "curl"),
            ("--directory-prefix d https://h/k", "-o DIR/"),
            ("--output-document d https://h/k", "-o FILE"),
            ("--proxy http://p https://h/k", "HTTPS_PROXY"),
            ("--credentials-file f s3://b/k", "AWS_PROFILE"),
            ("--sse-c AES256 s3://b/k", "--sse-c-key"),
            ("--sse AES256 s3://b/k", "only downloads"),
            ("--no-clobber s3://b/k", "--force"),
            ("-n s3://b/k", "--info"),
        ] {
            let said = run(line).expect_err(line);
            assert!(said.contains(says), "{line}: no {says:?} in {said}");
            assert!(!said.contains("as a value"), "{line}: {said}");
        }
    }

    #[test]
    fn no_tip_misleads() {
        for (line, tips) in [
            ("--chunksize 1 s3://b/k", Some("'--chunk-size'")),
            ("--outptu f s3://b/k", Some("'--output'")),
            ("--frobnicate s3://b/k", None),
            ("--soup s3://b/k", None),
            ("--raise s3://b/k", None),
        ] {
            let said = run(line).expect_err(line);
            assert_eq!(said.contains("tip:"), tips.is_some(), "{line}: {said}");
            assert!(said.contains(tips.unwrap_or("unexpected argument")), "{line}: {said}");
        }
    }

    #[test]
    fn an_option_of_ours_is_never_in_the_table() {
        use clap::CommandFactory as _;
        for argument in Args::command().get_arguments() {
            let long = argument.get_long().map(|name| format!("--{name}"));
            let short = argument.get_short().map(|name| format!("-{name}"));
            for name in long.iter().chain(&short) {
                assert_eq!(advice(name), None, "{name}");
            }
        }
        assert!(run(URI).is_ok());
    }
}
