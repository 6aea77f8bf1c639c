//! The commands that continue a stopped download: one that resumes from a file, or those that append the rest of one
//! object and the objects after it. No command could mix two versions of an object.
//!
//! Pure.

use std::fmt::Write as _;
use std::path::Path;

use crate::cli::invocation::Invocation;
use crate::cli::resume::stopped_download::StoppedDownload;
use crate::download::options::ChecksumMode;
use crate::download::options::Options;
use crate::output::destination::Destination;
use crate::s3::etag::ETag;
use crate::s3::range_spec::RangeSpec;

/// The longest text of a server that is repeated in a command, in bytes.
const SERVER_TEXT_BYTES_MAX: usize = 1024;

const LIST_NAME_NOT_UTF8: &str = "the list's name is not valid UTF-8";

/// A command that continues a run, as words.
struct ContinuingCommand {
    /// The line of the list at which its stdin begins, if it reads the list there.
    from_line: Option<u64>,
    words: Vec<String>,
}

impl StoppedDownload<'_> {
    /// Returns the continuing command as words, for programs. Unless it writes to a file, its stdout is to be appended.
    /// Two commands, for the rest of one object and the objects after it, become one of a shell.
    pub(super) fn words(&self) -> Option<Vec<String>> {
        if !self.can_continue() {
            return None;
        }
        let mut commands = self.commands().ok()?;
        if commands.len() > 1 || commands.iter().any(|command| command.from_line.is_some()) {
            return Some(vec!["sh".into(), "-c".into(), self.command_line(false).ok()?]);
        }
        commands.pop().map(|command| command.words)
    }

    /// Returns the commands as one line for a shell; if `is_redirected`, with the redirection that appends their
    /// output.
    pub(super) fn command_line(&self, is_redirected: bool) -> Result<String, &'static str> {
        let appends = is_redirected && !self.can_be_resumed();
        let redirection = if appends {
            let file = self.file.and_then(Path::to_str).unwrap_or("out");
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
            let path = listed.list.path.to_str().ok_or(LIST_NAME_NOT_UTF8)?;
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

    /// Returns the command that resumes from the file, or the reason why there is none.
    fn resuming(&self) -> Result<Vec<String>, &'static str> {
        let mut next = self.invocation.clone();
        next.target = next.target.resumed();
        // A pipe, such as that of a shell's `<(command)`, is gone after the run.
        if let Some(listed) = self.listed.filter(|listed| !listed.is_rereadable) {
            next.list = Some(listed.list.at_stdin());
        }
        if next.list.as_ref().is_some_and(|list| list.path.to_str().is_none()) {
            return Err(LIST_NAME_NOT_UTF8);
        }
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

    /// Returns the commands that append the rest of the current object and the objects after it, or the reason why
    /// there are none.
    fn appending(&self) -> Result<Vec<ContinuingCommand>, &'static str> {
        let invocation = self.to_stdout();
        let reached = self.reached();
        let mut commands = Vec::new();
        if reached < self.range.end {
            let mut next = invocation.of_sources(vec![self.current().clone()]);
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
            let rest = match self.listed {
                Some(listed) => Invocation { list: Some(listed.list.at_stdin()), ..invocation },
                None => invocation.of_sources(self.rest.to_vec()),
            };
            let from_line = self.listed.map(|listed| listed.line + 1);
            commands.push(ContinuingCommand { from_line, words: rest.words() });
        }
        Ok(commands)
    }

    /// Returns the options of the run with stdout as the target: a named pipe or a descriptor of a shell was for this
    /// run.
    fn to_stdout(&self) -> Invocation {
        let mut invocation = self.invocation.clone();
        if !invocation.target.is_stdout() {
            (invocation.target, invocation.remote_time) = (Destination::default(), false);
        }
        invocation
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
    let quoted: Result<Vec<_>, _> = words.iter().map(|word| quoted(word)).collect();
    Ok(quoted?.join(" "))
}

/// Quotes a word for a shell. A terminal would act on control characters, so that they are written as numbers, by what
/// every POSIX shell has.
fn quoted(word: &str) -> Result<String, &'static str> {
    if is_printable(word) {
        return shlex::try_quote(word).map(Into::into).map_err(|_| "it cannot be quoted");
    }
    // `$(...)` removes line breaks at its end.
    if word.ends_with('\n') {
        return Err("a name in its command ends in a line break");
    }
    let mut format = String::new();
    for c in word.chars() {
        match c {
            '\\' => format.push_str("\\\\"),
            '%' => format.push_str("%%"),
            c if c.is_control() || c == '\'' => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(format, "\\{byte:03o}");
                }
            }
            c => format.push(c),
        }
    }
    Ok(format!("\"$(printf '{format}')\""))
}

/// Returns whether a text of the server may be repeated in a message.
pub(super) fn is_repeatable(text: &str) -> bool {
    text.len() <= SERVER_TEXT_BYTES_MAX && is_printable(text)
}

fn is_printable(text: &str) -> bool {
    !text.contains(char::is_control)
}
