//! The message after a download that ended in its middle: how far it came, and the command that continues from there.
//!
//! Pure. It suggests no command that could mix two versions of an object.

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

use crate::cli::invocation::Invocation;
use crate::cli::source_list::SourceList;
use crate::download::options::ChecksumMode;
use crate::download::options::Options;
use crate::error::{Error, ErrorKind};
use crate::output::target::Destination;
use crate::s3::address::source::Source;
use crate::s3::etag::ETag;
use crate::s3::object::ObjectInfo;
use crate::s3::range_spec::RangeSpec;

/// The longest text of a server that is repeated in a command, in bytes.
const SERVER_TEXT_BYTES_MAX: usize = 1024;

/// A download that ended in its middle.
#[derive(Debug, Clone)]
pub(crate) struct ResumeHint<'a> {
    /// The options of the run.
    pub(crate) invocation: &'a Invocation,
    /// The object.
    pub(crate) info: &'a ObjectInfo,
    /// The bytes to deliver, as offsets in the object.
    pub(crate) range: Range<u64>,
    /// Number of these bytes that were delivered.
    pub(crate) delivered: u64,
    /// The objects that were to follow.
    pub(crate) rest: &'a [Source],
    /// Where the run was in its list of sources, if it has one.
    pub(crate) listed: Option<ListPosition<'a>>,
    /// The files that `--continue` resumes from.
    pub(crate) files: ResumableFiles,
    /// Set if the version in `info` is no longer the newest.
    pub(crate) is_by_version: bool,
    /// Set if the reader of a pipe may have been ended by the same signal.
    pub(crate) is_interrupted: bool,
    /// The file at stdout, if it is one.
    pub(crate) file: Option<&'a Path>,
}

/// The files that a run with `--continue` resumes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResumableFiles {
    /// None: the bytes are delivered, or there are none yet.
    None,
    /// One, with the bytes of all objects.
    One,
    /// One for each object; those before the current one are complete.
    Each,
}

/// The command that continues a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResumeCommand {
    /// How far the download came, and the command, as lines for people; or the reason why there is no command.
    pub(crate) message: String,
    /// The command as words for programs; `None` if there is none.
    pub(crate) words: Option<Vec<String>>,
}

/// Where a run was in its list of sources when it ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListPosition<'a> {
    pub(crate) list: &'a SourceList,
    /// The object that was under way, or the last one that was, and its line.
    pub(crate) source: &'a Source,
    pub(crate) line: u64,
    /// Set if no object follows it.
    pub(crate) is_last: bool,
    /// Set if the list is a file that can be read once more.
    pub(crate) is_rereadable: bool,
    /// Bytes that all objects together have brought.
    pub(crate) written: u64,
}

/// A command that continues a run, as words.
struct ContinuingCommand {
    /// The line of the list at which its stdin begins, if it reads the list there.
    from_line: Option<u64>,
    words: Vec<String>,
}

/// Returns whether a download that `error` ended may be continued: what was delivered is right, and the same request for
/// `source` may succeed later. One that `can_be_resumed` may also be continued after a full disk.
pub(crate) fn is_resumable(error: &Error, source: &Source, can_be_resumed: bool) -> bool {
    match error.kind() {
        // An error of the system may pass; an unusable name does not.
        ErrorKind::Output => can_be_resumed && std::error::Error::source(error).is_some(),
        ErrorKind::Network | ErrorKind::Server => true,
        // A URL that was valid a moment ago has expired.
        ErrorKind::Access => error.is_expiry() || source.url().is_some(),
        _ => false,
    }
}

impl ResumeHint<'_> {
    /// Returns how to continue; `None` if nothing was delivered yet, or nothing is left.
    pub(crate) fn command(&self) -> Option<ResumeCommand> {
        Some(ResumeCommand { message: self.message()?, words: self.words() })
    }

    /// Returns the lines to show, each with its newline; `None` if nothing was delivered yet, or nothing is left.
    fn message(&self) -> Option<String> {
        if !self.is_worth_a_message() {
            return None;
        }
        let reached = self.reached();
        let mut text = if reached == self.range.end && self.has_rest() {
            format!("  stopped after {}", self.current())
        } else if let Some(size) = self.info.known_size() {
            format!("  stopped at byte {reached} of {size}")
        } else {
            format!("  stopped at byte {reached}")
        };
        if (self.listed.is_some() || self.has_file_each()) && reached < self.range.end {
            let _ = write!(text, " of {}", self.current());
        }
        if let Some(listed) = self.listed {
            let _ = write!(text, ", {}, {} bytes in all", listed.list.place(listed.line), listed.written);
        }
        if let Some(etag) = self.info.etag.as_deref().filter(|etag| is_repeatable(etag)) {
            let _ = write!(text, ", ETag {etag}");
        }
        match self.command_line(true) {
            Ok(command) => {
                let list = if self.asks_for_list() { ", with the list as stdin again" } else { "" };
                let condition = if !self.can_be_resumed() && self.file.is_none() && self.is_interrupted {
                    ", if the reader has taken all bytes before it"
                } else {
                    ""
                };
                let query = if self.asks_for_secrets() {
                    ", with the URL's query (or a new URL's) in place of the dots"
                } else {
                    ""
                };
                let unverified =
                    if self.can_be_resumed() { "" } else { " (the result is not verified end to end)" };
                let _ = write!(
                    text,
                    "\n  To continue from there{condition}{query}{list}{unverified}:\n    {command}\n"
                );
            }
            Err(why) => {
                let _ = writeln!(text, "\n  it cannot be continued safely: {why}");
            }
        }
        Some(text)
    }

    /// Returns the continuing command as words, for programs. Unless it writes to a file, its stdout is to be appended.
    /// Two commands, for the rest of one object and the objects after it, become one of a shell.
    fn words(&self) -> Option<Vec<String>> {
        if !self.is_worth_a_message() {
            return None;
        }
        let mut commands = self.commands().ok()?;
        if commands.len() > 1 || commands.iter().any(|command| command.from_line.is_some()) {
            return Some(vec!["sh".into(), "-c".into(), self.command_line(false).ok()?]);
        }
        commands.pop().map(|command| command.words)
    }

    fn can_be_resumed(&self) -> bool {
        self.files != ResumableFiles::None
    }

    fn has_file_each(&self) -> bool {
        self.files == ResumableFiles::Each
    }

    fn is_worth_a_message(&self) -> bool {
        match &self.invocation.target {
            Destination::File { .. } => self.can_be_resumed(),
            Destination::Stdout { .. } if self.reached() < self.range.end => self.delivered > 0,
            // The next object could not be started.
            Destination::Stdout { .. } => self.has_rest(),
        }
    }

    /// Returns whether objects were to follow, as far as is known.
    fn has_rest(&self) -> bool {
        self.listed.map_or(!self.rest.is_empty(), |listed| !listed.is_last)
    }

    /// Returns whether the command needs the list at its stdin.
    fn asks_for_list(&self) -> bool {
        let is_needed = self.can_be_resumed() || self.has_rest();
        self.listed.is_some_and(|listed| {
            is_needed && if self.can_be_resumed() { listed.list.is_stdin() } else { !listed.is_rereadable }
        })
    }

    /// Returns the offset in the object up to which bytes were delivered.
    fn reached(&self) -> u64 {
        self.range.start.saturating_add(self.delivered).min(self.range.end)
    }

    /// Returns the commands as one line for a shell; if `is_redirected`, with the redirection that appends their
    /// output.
    fn command_line(&self, is_redirected: bool) -> Result<String, &'static str> {
        let appends = is_redirected && !self.can_be_resumed();
        let redirection = if appends {
            let file = self.file.and_then(Path::to_str).filter(|path| is_printable(path)).unwrap_or("out");
            format!(" >> {}", quoted_words(&[file.to_owned()])?)
        } else {
            String::new()
        };
        let commands = self.commands()?;
        let lines: Result<Vec<_>, &'static str> = commands
            .iter()
            .map(|command| {
                Ok(self.lines_from(command.from_line)? + &quoted_words(&command.words)? + &redirection)
            })
            .collect();
        Ok(lines?.join(" && "))
    }

    /// Returns the command whose output is the list from `line` on, and the pipe after it.
    fn lines_from(&self, line: Option<u64>) -> Result<String, &'static str> {
        let (Some(line), Some(listed)) = (line, self.listed) else { return Ok(String::new()) };
        let mut words = vec!["tail".to_owned()];
        words.extend(listed.list.is_null_separated.then(|| "-z".to_owned()));
        words.extend(["-n".to_owned(), format!("+{line}")]);
        if listed.is_rereadable {
            let path = listed.list.path.to_str().ok_or("the list's name is not valid UTF-8")?;
            words.push(if path.starts_with('-') { format!("./{path}") } else { path.to_owned() });
        }
        Ok(quoted_words(&words)? + " | ")
    }

    /// Returns the commands that continue, one after the other, as words; or the reason why there are none.
    fn commands(&self) -> Result<Vec<ContinuingCommand>, &'static str> {
        if self.can_be_resumed() {
            return Ok(vec![ContinuingCommand { from_line: None, words: self.resuming()? }]);
        }
        self.appending()
    }

    /// Returns the object that was under way, or the last one that was.
    fn current(&self) -> &Source {
        if let Some(listed) = self.listed {
            return listed.source;
        }
        let sources = &self.invocation.sources;
        &sources[sources.len().saturating_sub(self.rest.len() + 1)]
    }

    /// Returns whether the command has a URL whose query is not shown.
    fn asks_for_secrets(&self) -> bool {
        if self.listed.is_some() {
            let has_query = self.current().url().is_some_and(|url| url.query().is_some());
            return has_query && !self.can_be_resumed() && self.reached() < self.range.end;
        }
        let sources = &self.invocation.sources;
        let remaining = self.rest.len() + usize::from(self.reached() < self.range.end);
        let repeated =
            if self.can_be_resumed() { &sources[..] } else { &sources[sources.len() - remaining..] };
        repeated.iter().any(|source| source.url().is_some_and(|url| url.query().is_some()))
    }

    /// Returns the command that resumes from the file, or the reason why there is none.
    fn resuming(&self) -> Result<Vec<String>, &'static str> {
        let mut next = self.invocation.clone();
        next.target = next.target.resumed();
        let pinned = self.pinned(&next.download)?;
        // The sidecar has the ETag; the version must be named because it is no longer the newest.
        if self.is_by_version && !self.has_file_each() {
            if next.has_several() {
                return Err("one of the objects was replaced during the download");
            }
            next.download.version_id = pinned.version_id;
        }
        match &next.target {
            Destination::File { path, .. } if path.to_str().is_none() => {
                Err("the file's name is not valid UTF-8")
            }
            _ => Ok(next.words()),
        }
    }

    /// Returns the commands that append the rest of the current object and the objects after it, or the reason why there
    /// are none.
    fn appending(&self) -> Result<Vec<ContinuingCommand>, &'static str> {
        let reached = self.reached();
        let mut commands = Vec::new();
        if reached < self.range.end {
            let mut next = self.invocation.clone();
            (next.sources, next.list) = (vec![self.current().clone()], None);
            let options = &mut next.download;
            *options = self.pinned(options)?;
            // The rest of an object has no checksum of its own: `require` would fail.
            options.checksum = ChecksumMode::Auto;
            options.range = Some(match options.range {
                Some(RangeSpec::Between { last, .. }) => RangeSpec::Between { first: reached, last },
                Some(RangeSpec::Shard(_)) => RangeSpec::Between { first: reached, last: self.range.end - 1 },
                _ => RangeSpec::From(reached),
            });
            commands.push(ContinuingCommand { from_line: None, words: next.words() });
        }
        if self.has_rest() {
            let mut rest = self.invocation.clone();
            rest.sources = self.rest.to_vec();
            if let Some(list) = &mut rest.list {
                list.path = "-".into();
            }
            let from_line = self.listed.map(|listed| listed.line + 1);
            commands.push(ContinuingCommand { from_line, words: rest.words() });
        }
        Ok(commands)
    }

    /// Returns `options` pinned to the version that was begun, or the reason why it cannot be pinned.
    fn pinned(&self, options: &Options) -> Result<Options, &'static str> {
        let mut options = options.clone();
        let etag = self.info.etag.as_deref().filter(|etag| is_repeatable(etag));
        options.if_match = etag.and_then(ETag::of_header);
        // A version id needs another permission on AWS: use it only if the ETag alone does not select the version.
        let is_s3 = self.current().url().is_none();
        if is_s3 && options.version_id.is_none() && (options.if_match.is_none() || self.is_by_version) {
            options.version_id = self.info.version_id.clone().filter(|id| is_repeatable(id));
        }
        // The version "null" can be replaced by another object with the same id.
        if options.if_match.is_none() && options.version_id.as_deref().is_none_or(|id| id == "null") {
            return Err("the store shows neither a strong ETag nor a version id");
        }
        Ok(options)
    }
}

fn quoted_words(words: &[String]) -> Result<String, &'static str> {
    // A shell would accept control characters, but a terminal would act on them.
    if !words.iter().all(|word| is_printable(word)) {
        return Err("the command contains control characters");
    }
    shlex::try_join(words.iter().map(String::as_str)).map_err(|_| "it cannot be quoted")
}

/// Returns whether a text of the server may be repeated in a message.
fn is_repeatable(text: &str) -> bool {
    text.len() <= SERVER_TEXT_BYTES_MAX && is_printable(text)
}

fn is_printable(text: &str) -> bool {
    !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::ProgressMode;
    use crate::config::settings::Settings;
    use crate::error::ServiceError;
    use crate::output::target::IfExists;

    const COMMAND: &str = "\n    s3fcp ";

    fn invocation(range: Option<&str>) -> Invocation {
        let range = range.map(|text| {
            let shard = text.parse().map(RangeSpec::Shard);
            shard.or_else(|_| text.parse()).unwrap()
        });
        let download = Options { range, ..Options::default() };
        Invocation {
            sources: vec!["s3://b/k".parse().unwrap()],
            list: None,
            download,
            target: Destination::default(),
            quiet: false,
            progress: ProgressMode::default(),
            max_time: None,
            remote_time: false,
            info: None,
            stats: None,
            verbosity: 0,
            settings: Settings::default(),
        }
    }

    fn s3() -> Source {
        "s3://b/k".parse().unwrap()
    }

    fn object(etag: Option<&str>, version_id: Option<&str>) -> ObjectInfo {
        let [etag, version_id] = [etag, version_id].map(|text| text.map(str::to_owned));
        ObjectInfo { size: 100, etag, version_id, ..ObjectInfo::default() }
    }

    fn partial<'a>(invocation: &'a Invocation, info: &'a ObjectInfo) -> ResumeHint<'a> {
        ResumeHint {
            invocation,
            info,
            range: 0..100,
            delivered: 7,
            rest: &[],
            listed: None,
            files: ResumableFiles::None,
            is_by_version: false,
            is_interrupted: false,
            file: None,
        }
    }

    #[test]
    fn the_whole_message() {
        let (invocation, info) = (invocation(None), object(Some("\"e\""), Some("v1")));
        assert_eq!(
            partial(&invocation, &info).message().unwrap(),
            "  stopped at byte 7 of 100, ETag \"e\"\n  \
             To continue from there (the result is not verified end to end):\n    \
             s3fcp s3://b/k --range 7- --if-match '\"e\"' >> out\n"
        );
        let mut required = invocation.clone();
        required.download.checksum = ChecksumMode::Require;
        assert_eq!(partial(&required, &info).message(), partial(&invocation, &info).message());
        let interrupted = ResumeHint { is_interrupted: true, ..partial(&invocation, &info) };
        assert!(interrupted.message().unwrap().contains(", if the reader has taken all"));
        let file = ResumeHint { file: Some(Path::new("/a b/c")), ..interrupted };
        let message = file.message().unwrap();
        assert!(
            message.contains("  To continue from there (") && message.ends_with(" >> '/a b/c'\n"),
            "{message}"
        );
    }

    #[test]
    fn programs_get_the_command_as_words() {
        let (mut invocation, info) = (invocation(None), object(Some("\"e\""), None));
        let one = partial(&invocation, &info).words().unwrap();
        assert_eq!(one, ["s3fcp", "s3://b/k", "--range", "7-", "--if-match", "\"e\""]);
        assert_eq!(ResumeHint { delivered: 0, ..partial(&invocation, &info) }.words(), None);
        invocation.sources.push("s3://b/k2".parse().unwrap());
        let two = ResumeHint { rest: &invocation.sources[1..], ..partial(&invocation, &info) };
        let shell = "s3fcp s3://b/k --range 7- --if-match '\"e\"' && s3fcp s3://b/k2";
        assert_eq!(two.words().unwrap(), ["sh", "-c", shell]);
    }

    #[test]
    fn there_is_no_message_before_the_first_byte_or_after_the_last() {
        let (invocation, info) = (invocation(Some("90-")), object(Some("\"e\""), None));
        for (delivered, is_some) in [(0, false), (1, true), (9, true), (10, false)] {
            let partial = ResumeHint { range: 90..100, delivered, ..partial(&invocation, &info) };
            assert_eq!(partial.message().is_some(), is_some, "{delivered}");
        }
    }

    #[test]
    fn the_range_continues_where_the_download_stopped() {
        let info = object(Some("\"e\""), None);
        for (asked, range, want) in [
            (None, 0..100, "--range 7- "),
            (Some("20-"), 20..100, "--range 27- "),
            (Some("20-29"), 20..30, "--range 27-29 "),
            (Some("20-999"), 20..100, "--range 27-999 "),
            (Some("-10"), 90..100, "--range 97- "),
            (Some("1/4"), 25..50, "--range 32-49 "),
            (Some("-1000"), 0..100, "--range 7- "),
        ] {
            let invocation = invocation(asked);
            let message = ResumeHint { range, ..partial(&invocation, &info) }.message().unwrap();
            assert!(message.contains(want), "{asked:?}: {message}");
        }
    }

    #[test]
    fn a_file_is_continued_by_the_same_command() {
        let info = object(Some("\"e\""), Some("v1"));
        let mut invocation = invocation(None);
        let existing = IfExists::Fail { resume: false };
        invocation.target = Destination::File { path: "a b".into(), existing };
        // Also where nothing came in this run, or all did and could not be brought to the disk.
        for (delivered, can_be_resumed) in [(0, false), (0, true), (7, true), (100, true)] {
            let files = if can_be_resumed { ResumableFiles::One } else { ResumableFiles::None };
            let partial = ResumeHint { delivered, files, ..partial(&invocation, &info) };
            let message = partial.message();
            assert_eq!(message.is_some(), can_be_resumed, "{delivered}");
            let command = "To continue from there:\n    s3fcp s3://b/k -o 'a b' --continue\n";
            assert!(message.is_none_or(|message| message.ends_with(command)));
        }
        let partial =
            ResumeHint { files: ResumableFiles::One, is_by_version: true, ..partial(&invocation, &info) };
        assert!(partial.message().unwrap().ends_with(" --continue --version-id v1\n"));
        let mut several = invocation.clone();
        several.sources.push("s3://b/k2".parse().unwrap());
        let message = ResumeHint { invocation: &several, ..partial.clone() }.message().unwrap();
        assert!(message.contains("cannot be continued safely") && message.contains("replaced"), "{message}");
        let bare = object(None, None);
        let partial = ResumeHint { info: &bare, is_by_version: false, ..partial };
        assert!(partial.message().unwrap().contains("cannot be continued safely"));
    }

    #[test]
    fn several_objects_continue_with_the_rest_of_one_and_those_after_it() {
        let info = object(Some("\"e\""), None);
        let mut invocation = invocation(None);
        invocation.sources = ["a", "b", "c"].map(|key| format!("s3://b/{key}").parse().unwrap()).into();
        for (rest, delivered, command) in [
            (
                2,
                7,
                Some("s3fcp s3://b/a --range 7- --if-match '\"e\"' >> out && s3fcp s3://b/b s3://b/c >> out"),
            ),
            (1, 7, Some("s3fcp s3://b/b --range 7- --if-match '\"e\"' >> out && s3fcp s3://b/c >> out")),
            (1, 100, Some("s3fcp s3://b/c >> out")),
            (0, 7, Some("s3fcp s3://b/c --range 7- --if-match '\"e\"' >> out")),
            (0, 100, None),
        ] {
            let partial = ResumeHint {
                rest: &invocation.sources[3 - rest..],
                delivered,
                ..partial(&invocation, &info)
            };
            let message = partial.message();
            assert_eq!(message.as_deref().map(|t| t.lines().last().unwrap().trim()), command);
            let is_after = message.is_some_and(|message| message.contains("stopped after s3://b/b,"));
            assert_eq!(is_after, (rest, delivered) == (1, 100));
        }
    }

    #[test]
    fn a_list_continues_with_the_rest_of_one_object_and_the_lines_after_it() {
        let info = object(Some("\"e\""), None);
        let source = s3();
        let rest_of_it = "s3fcp s3://b/k --range 7- --if-match '\"e\"' >> out";
        for (path, is_null_separated, delivered, is_last, want) in [
            ("a b", false, 7, false, format!("{rest_of_it} && tail -n +43 'a b' | s3fcp --from - >> out")),
            ("a b", false, 100, false, "tail -n +43 'a b' | s3fcp --from - >> out".to_owned()),
            ("-l", true, 100, false, "tail -z -n +43 ./-l | s3fcp --from - --null >> out".to_owned()),
            ("-", false, 100, false, "tail -n +43 | s3fcp --from - >> out".to_owned()),
            ("-", false, 7, true, rest_of_it.to_owned()),
        ] {
            let mut invocation = invocation(None);
            let list = SourceList { path: path.into(), is_null_separated };
            (invocation.sources, invocation.list) = (vec![], Some(list.clone()));
            let is_rereadable = path != "-";
            let (list, source) = (&list, &source);
            let listed = Some(ListPosition { list, source, line: 42, is_last, is_rereadable, written: 1234 });
            let partial = ResumeHint { delivered, listed, ..partial(&invocation, &info) };
            let message = partial.message().unwrap();
            assert_eq!(message.lines().last().unwrap().trim(), want);
            assert!(message.contains("s3://b/k, line 42 of ") && message.contains("1234 bytes"), "{message}");
            assert_eq!(message.contains("list as stdin again"), path == "-" && !is_last, "{message}");
            let words = partial.words().unwrap();
            assert_eq!(words[0], if is_last { "s3fcp" } else { "sh" });
        }
    }

    #[test]
    fn the_message_asks_for_a_query_if_the_command_has_a_url_with_one() {
        let info = object(Some("\"e\""), None);
        let mut invocation = invocation(None);
        let url = "https://h/p?X-Amz-Signature=hunter2";
        invocation.sources = ["s3://b/a", url, "s3://b/c"].map(|uri| uri.parse().unwrap()).into();
        for (rest, delivered, can_be_resumed, asks, commands) in [
            (
                2,
                7,
                false,
                true,
                "s3fcp s3://b/a --range 7- --if-match '\"e\"' >> out && s3fcp 'https://h/p?...' s3://b/c >> out",
            ),
            (
                1,
                7,
                false,
                true,
                "s3fcp 'https://h/p?...' --range 7- --if-match '\"e\"' >> out && s3fcp s3://b/c >> out",
            ),
            (1, 100, false, false, "s3fcp s3://b/c >> out"),
            (0, 7, false, false, "s3fcp s3://b/c --range 7- --if-match '\"e\"' >> out"),
            (0, 7, true, true, "s3fcp s3://b/a 'https://h/p?...' s3://b/c -o f --continue"),
        ] {
            if can_be_resumed {
                let existing = IfExists::Fail { resume: false };
                invocation.target = Destination::File { path: "f".into(), existing };
            }
            let files = if can_be_resumed { ResumableFiles::One } else { ResumableFiles::None };
            let (rest, info) = (&invocation.sources[3 - rest..], &info);
            let message = ResumeHint { delivered, rest, files, ..partial(&invocation, info) }.message();
            let message = message.unwrap();
            assert_eq!(message.lines().last().unwrap().trim(), commands);
            assert_eq!(message.contains(", with the URL's query"), asks, "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn the_command_pins_the_version_by_etag_or_version_id() {
        const ETAG: &str = "--if-match '\"e\"' ";
        for (etag, shown, named, by_version, version, pins) in [
            (Some("\"e\""), None, None, false, None, Some(ETAG)),
            (Some("\"e\""), Some("v1"), None, false, None, Some(ETAG)),
            (Some("\"e\""), Some("v1"), None, true, Some("--version-id v1 "), Some(ETAG)),
            (Some("\"e\""), Some("v1"), Some("v1"), false, Some("--version-id v1 "), Some(ETAG)),
            (Some("e"), None, None, false, None, Some(ETAG)),
            (Some("W/\"e\""), Some("v1"), None, false, Some("--version-id v1 "), Some("")),
            (None, Some("v1"), None, false, Some("--version-id v1 "), Some("")),
            (None, None, Some("v0"), false, Some("--version-id v0 "), Some("")),
            (None, None, Some("null"), false, None, None),
            (Some("W/\"e\""), None, None, false, None, None),
            (None, None, None, false, None, None),
            (Some(&*"e".repeat(1025)), None, None, false, None, None),
            (None, Some(&*"v".repeat(1025)), None, false, None, None),
        ] {
            let mut invocation = invocation(None);
            invocation.download.version_id = named.map(str::to_owned);
            let info = object(etag, shown);
            let message =
                ResumeHint { is_by_version: by_version, ..partial(&invocation, &info) }.message().unwrap();
            assert!(message.contains("stopped at byte 7 of 100"), "{message}");
            assert_eq!(message.contains(COMMAND), pins.is_some(), "{message}");
            assert_eq!(message.contains("cannot be continued safely"), pins.is_none(), "{message}");
            assert!(message.contains(pins.unwrap_or_default()), "{message}");
            assert_eq!(message.contains("--if-match"), pins == Some(ETAG), "{message}");
            assert!(message.contains(version.unwrap_or_default()), "{message}");
            assert_eq!(message.contains("--version-id"), version.is_some(), "{message}");
        }
    }

    #[test]
    fn control_characters_reach_no_terminal() {
        let info = object(Some("\"e\""), None);
        let mut invocation = invocation(None);
        let file = ResumeHint { file: Some(Path::new("/a\u{1b}[2J")), ..partial(&invocation, &info) };
        assert!(file.message().unwrap().ends_with(" >> out\n"));
        invocation.sources[0] = "s3://b/k\u{1b}[2J".parse().unwrap();
        let message = partial(&invocation, &info).message().unwrap();
        assert!(!message.contains('\u{1b}') && !message.contains(COMMAND), "{message:?}");
    }

    #[test]
    fn which_failures_can_be_continued() {
        let with = |kind, code: &str| {
            let service = ServiceError { code: Some(code.to_owned()), ..ServiceError::default() };
            is_resumable(&Error::new(kind, "failed").with_service(service), &s3(), false)
        };
        assert!(
            is_resumable(&Error::network("cut"), &s3(), false) && with(ErrorKind::Server, "InternalError")
        );
        assert!(with(ErrorKind::Access, "ExpiredToken") && with(ErrorKind::Access, "TokenRefreshRequired"));
        assert!(is_resumable(
            &Error::new(ErrorKind::Access, "the source gives no credentials"),
            &s3(),
            false
        ));
        assert!(!with(ErrorKind::Access, "AccessDenied"));
        for kind in [
            ErrorKind::Changed,
            ErrorKind::Integrity,
            ErrorKind::Output,
            ErrorKind::Usage,
            ErrorKind::NotFound,
            ErrorKind::Other,
        ] {
            assert!(!is_resumable(&Error::new(kind, "failed"), &s3(), false), "{kind:?}");
        }
    }

    #[test]
    fn a_url_is_repeated_without_its_query_and_without_a_version() {
        let mut invocation = invocation(None);
        for (url, says) in [
            ("https://h/p", "To continue from there (the result"),
            (
                "https://h/p?X-Amz-Signature=hunter2",
                "To continue from there, with the URL's query (or a new URL's)",
            ),
        ] {
            invocation.sources = vec![url.parse().unwrap()];
            let message = partial(&invocation, &object(Some("\"e\""), Some("v1"))).message().unwrap();
            assert!(message.contains(says) && message.contains("https://h/p"), "{message}");
            assert!(!message.contains("hunter2") && !message.contains("v1"), "{message}");
            let message = partial(&invocation, &object(None, Some("v1"))).message().unwrap();
            assert!(message.contains("cannot be continued safely"), "{message}");
            let denied = Error::new(ErrorKind::Access, "denied").with_service(ServiceError::default());
            assert!(
                is_resumable(&denied, &invocation.sources[0], false) && !is_resumable(&denied, &s3(), false)
            );
        }
    }
}
