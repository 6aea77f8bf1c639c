//! What to tell when a download ends in its middle: how far it came, and the command that continues there.
//!
//! Pure. It gets what was asked for, what the object is and what was delivered, and hands on text. It tells
//! of no command that could mix two versions of an object, and never quotes for a shell by itself.

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

use crate::cli::args::Invocation;
use crate::download::options::ChecksumMode;
use crate::download::options::Options;
use crate::error::{Error, ErrorKind};
use crate::output::target::Destination;
use crate::s3::address::source::Source;
use crate::s3::etag::ETag;
use crate::s3::object::ObjectInfo;
use crate::s3::range_spec::RangeSpec;

/// A download that ended in its middle.
#[derive(Debug, Clone)]
pub(crate) struct ResumeHint<'a> {
    /// What was asked for.
    pub(crate) invocation: &'a Invocation,
    /// The object.
    pub(crate) info: &'a ObjectInfo,
    /// The bytes that were to be delivered, by their offsets in the object.
    pub(crate) range: Range<u64>,
    /// How many of them were.
    pub(crate) delivered: u64,
    /// The objects that were to follow.
    pub(crate) rest: &'a [Source],
    /// Whether the bytes are in a file that `--continue` goes on with.
    pub(crate) can_be_resumed: bool,
    /// Whether the version that `info` names is no longer the newest.
    pub(crate) is_by_version: bool,
    /// Whether the reader of a pipe may have been ended with it, by the same interrupt.
    pub(crate) is_interrupted: bool,
    /// The file that they went to, where it is one.
    pub(crate) file: Option<&'a Path>,
}

/// Whether a download that `error` ended may be continued: by itself nothing is wrong with what came before,
/// and the same request for `source` may succeed later. One that `can_be_resumed` also, when there is room on the disk
/// again.
pub(crate) fn is_resumable(error: &Error, source: &Source, can_be_resumed: bool) -> bool {
    match error.kind() {
        // What the system said may change; what is wrong with a name does not.
        ErrorKind::Output => can_be_resumed && std::error::Error::source(error).is_some(),
        ErrorKind::Network | ErrorKind::Server => true,
        // What a URL was good for a moment ago has come to its time.
        ErrorKind::Access => error.is_expiry() || source.url().is_some(),
        _ => false,
    }
}

impl ResumeHint<'_> {
    /// The lines to show, each ended; `None` where nothing was delivered yet, or nothing is left.
    pub(crate) fn message(&self) -> Option<String> {
        let reached = self.range.start.saturating_add(self.delivered).min(self.range.end);
        let is_complete = reached == self.range.end;
        let tells = match (&self.invocation.target, is_complete) {
            (Destination::File { .. }, _) => self.can_be_resumed,
            (Destination::Stdout { .. }, false) => self.delivered > 0,
            // The next object could not be begun.
            (Destination::Stdout { .. }, true) => !self.rest.is_empty(),
        };
        if !tells {
            return None;
        }
        let mut text = if is_complete && !self.rest.is_empty() {
            format!("  stopped behind {}", self.current())
        } else {
            format!("  stopped at byte {reached} of {}", self.info.size)
        };
        if let Some(etag) = self.info.etag.as_deref().filter(|etag| is_shown(etag)) {
            let _ = write!(text, ", ETag {etag}");
        }
        let command = if self.can_be_resumed { self.resuming() } else { self.appending(reached) };
        match command {
            Ok(command) => {
                let from = match (self.file, self.is_interrupted) {
                    _ if self.can_be_resumed => "this continues there",
                    (None, true) => "if the reader has taken all that came before, this continues there",
                    _ => "this continues there",
                };
                let with = if self.asks_for_secrets(reached) {
                    " with the URL's query, or a new URL's, in place of the dots"
                } else {
                    ""
                };
                let unchecked =
                    if self.can_be_resumed { "" } else { " (what is continued is not checked end to end)" };
                let _ = write!(text, "\n  {from}{with}{unchecked}:\n    {command}\n");
            }
            Err(why) => {
                let _ = writeln!(text, "\n  it cannot be continued safely: {why}");
            }
        }
        Some(text)
    }

    /// The object that was under way, or the last one that was.
    fn current(&self) -> &Source {
        let uris = &self.invocation.uris;
        &uris[uris.len().saturating_sub(self.rest.len() + 1)]
    }

    /// Whether the command has a URL whose query is not shown.
    fn asks_for_secrets(&self, reached: u64) -> bool {
        let uris = &self.invocation.uris;
        let from_current = self.rest.len() + usize::from(reached < self.range.end);
        let told = if self.can_be_resumed { &uris[..] } else { &uris[uris.len() - from_current..] };
        told.iter().any(|source| source.url().is_some_and(|url| url.query().is_some()))
    }

    /// The command, quoted, that goes on with what is in the file; or why there is none.
    fn resuming(&self) -> Result<String, &'static str> {
        let mut next = self.invocation.clone();
        next.target = next.target.resumed();
        let pinned = self.pinned(&next.download)?;
        // The file's note has the ETag; the version is not the newest any more.
        if self.is_by_version {
            if next.uris.len() > 1 {
                return Err("one of the objects was replaced meanwhile");
            }
            next.download.version_id = pinned.version_id;
        }
        match &next.target {
            Destination::File { path, .. } if path.to_str().is_none() => Err("the file's name is no UTF-8"),
            _ => quoted(&next),
        }
    }

    /// The command, quoted, that appends the bytes from `reached` on, and the objects behind them; or why there is none.
    fn appending(&self, reached: u64) -> Result<String, &'static str> {
        let file = self.file.and_then(Path::to_str).filter(|path| is_printable(path)).unwrap_or("out");
        let file = quoted_words(&[file.to_owned()])?;
        let mut commands = Vec::new();
        if reached < self.range.end {
            let mut next = self.invocation.clone();
            next.uris = vec![self.current().clone()];
            let options = &mut next.download;
            *options = self.pinned(options)?;
            // The rest of an object has no checksum of its own, and `require` would not begin.
            options.checksum = ChecksumMode::Auto;
            options.range = Some(match options.range {
                Some(RangeSpec::Between { last, .. }) => RangeSpec::Between { first: reached, last },
                Some(RangeSpec::Shard(_)) => RangeSpec::Between { first: reached, last: self.range.end - 1 },
                _ => RangeSpec::From(reached),
            });
            commands.push(format!("{} >> {file}", quoted(&next)?));
        }
        if !self.rest.is_empty() {
            let mut rest = self.invocation.clone();
            rest.uris = self.rest.to_vec();
            commands.push(format!("{} >> {file}", quoted(&rest)?));
        }
        Ok(commands.join(" && "))
    }

    /// `options` for no other version than the one that was begun; or why there is no such thing.
    fn pinned(&self, options: &Options) -> Result<Options, &'static str> {
        let mut options = options.clone();
        let etag = self.info.etag.as_deref().filter(|etag| is_shown(etag));
        options.if_match = etag.and_then(|etag| etag.parse::<ETag>().ok());
        // Naming a version takes another permission on AWS: only where the ETag alone does not find it.
        let is_s3 = self.current().url().is_none();
        if is_s3 && options.version_id.is_none() && (options.if_match.is_none() || self.is_by_version) {
            options.version_id = self.info.version_id.clone().filter(|id| is_shown(id));
        }
        // What has the id "null" can be replaced by another object with it.
        if options.if_match.is_none() && options.version_id.as_deref().is_none_or(|id| id == "null") {
            return Err("the store shows neither a strong ETag nor a version id");
        }
        Ok(options)
    }
}

fn quoted(invocation: &Invocation) -> Result<String, &'static str> {
    quoted_words(&invocation.words())
}

fn quoted_words(words: &[String]) -> Result<String, &'static str> {
    // A shell would take them, yet a terminal would act on them before.
    if !words.iter().all(|word| is_printable(word)) {
        return Err("the command has control characters in it");
    }
    shlex::try_join(words.iter().map(String::as_str)).map_err(|_| "it cannot be quoted")
}

/// What a server says goes to a terminal, but not without end.
fn is_shown(text: &str) -> bool {
    text.len() <= 1024 && is_printable(text)
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
            uris: vec!["s3://b/k".parse().unwrap()],
            download,
            target: Destination::default(),
            quiet: false,
            progress: ProgressMode::default(),
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
            can_be_resumed: false,
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
             this continues there (what is continued is not checked end to end):\n    \
             s3fcp s3://b/k --range 7- --if-match '\"e\"' >> out\n"
        );
        let mut required = invocation.clone();
        required.download.checksum = ChecksumMode::Require;
        assert_eq!(partial(&required, &info).message(), partial(&invocation, &info).message());
        let interrupted = ResumeHint { is_interrupted: true, ..partial(&invocation, &info) };
        assert!(interrupted.message().unwrap().contains("if the reader has taken all"));
        let file = ResumeHint { file: Some(Path::new("/a b/c")), ..interrupted };
        let message = file.message().unwrap();
        assert!(message.contains("  this continues") && message.ends_with(" >> '/a b/c'\n"), "{message}");
    }

    #[test]
    fn nothing_is_told_before_the_first_byte_or_behind_the_last() {
        let (invocation, info) = (invocation(Some("90-")), object(Some("\"e\""), None));
        for (delivered, tells) in [(0, false), (1, true), (9, true), (10, false)] {
            let partial = ResumeHint { range: 90..100, delivered, ..partial(&invocation, &info) };
            assert_eq!(partial.message().is_some(), tells, "{delivered}");
        }
    }

    #[test]
    fn the_range_goes_on_where_it_stopped() {
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
            let partial = ResumeHint { delivered, can_be_resumed, ..partial(&invocation, &info) };
            let told = partial.message();
            assert_eq!(told.is_some(), can_be_resumed, "{delivered}");
            let command = "this continues there:\n    s3fcp s3://b/k -o 'a b' --continue\n";
            assert!(told.is_none_or(|told| told.ends_with(command)));
        }
        let partial = ResumeHint { can_be_resumed: true, is_by_version: true, ..partial(&invocation, &info) };
        assert!(partial.message().unwrap().ends_with(" --continue --version-id v1\n"));
        let mut several = invocation.clone();
        several.uris.push("s3://b/k2".parse().unwrap());
        let told = ResumeHint { invocation: &several, ..partial.clone() }.message().unwrap();
        assert!(told.contains("cannot be continued safely") && told.contains("replaced"), "{told}");
        let bare = object(None, None);
        let partial = ResumeHint { info: &bare, is_by_version: false, ..partial };
        assert!(partial.message().unwrap().contains("cannot be continued safely"));
    }

    #[test]
    fn several_objects_go_on_with_the_rest_of_one_and_those_behind_it() {
        let info = object(Some("\"e\""), None);
        let mut invocation = invocation(None);
        invocation.uris = ["a", "b", "c"].map(|key| format!("s3://b/{key}").parse().unwrap()).into();
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
            let partial =
                ResumeHint { rest: &invocation.uris[3 - rest..], delivered, ..partial(&invocation, &info) };
            let told = partial.message();
            assert_eq!(told.as_deref().map(|t| t.lines().last().unwrap().trim()), command);
            let behind = told.is_some_and(|told| told.contains("stopped behind s3://b/b,"));
            assert_eq!(behind, (rest, delivered) == (1, 100));
        }
    }

    #[test]
    fn a_query_is_asked_for_where_the_command_has_such_a_url() {
        let info = object(Some("\"e\""), None);
        let mut invocation = invocation(None);
        let url = "https://h/p?X-Amz-Signature=hunter2";
        invocation.uris = ["s3://b/a", url, "s3://b/c"].map(|uri| uri.parse().unwrap()).into();
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
            let (rest, info) = (&invocation.uris[3 - rest..], &info);
            let told = ResumeHint { delivered, rest, can_be_resumed, ..partial(&invocation, info) }.message();
            let told = told.unwrap();
            assert_eq!(told.lines().last().unwrap().trim(), commands);
            assert_eq!(told.contains("with the URL's query"), asks, "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn what_pins_it() {
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
            let told =
                ResumeHint { is_by_version: by_version, ..partial(&invocation, &info) }.message().unwrap();
            assert!(told.contains("stopped at byte 7 of 100"), "{told}");
            assert_eq!(told.contains(COMMAND), pins.is_some(), "{told}");
            assert_eq!(told.contains("cannot be continued safely"), pins.is_none(), "{told}");
            assert!(told.contains(pins.unwrap_or_default()), "{told}");
            assert_eq!(told.contains("--if-match"), pins == Some(ETAG), "{told}");
            assert!(told.contains(version.unwrap_or_default()), "{told}");
            assert_eq!(told.contains("--version-id"), version.is_some(), "{told}");
        }
    }

    #[test]
    fn control_characters_reach_no_terminal() {
        let info = object(Some("\"e\""), None);
        let mut invocation = invocation(None);
        let file = ResumeHint { file: Some(Path::new("/a\u{1b}[2J")), ..partial(&invocation, &info) };
        assert!(file.message().unwrap().ends_with(" >> out\n"));
        invocation.uris[0] = "s3://b/k\u{1b}[2J".parse().unwrap();
        let told = partial(&invocation, &info).message().unwrap();
        assert!(!told.contains('\u{1b}') && !told.contains(COMMAND), "{told:?}");
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
    fn a_url_is_told_without_its_query_and_never_by_a_version() {
        let mut invocation = invocation(None);
        for (url, says) in [
            ("https://h/p", "this continues there (what"),
            (
                "https://h/p?X-Amz-Signature=hunter2",
                "this continues there with the URL's query, or a new URL's,",
            ),
        ] {
            invocation.uris = vec![url.parse().unwrap()];
            let told = partial(&invocation, &object(Some("\"e\""), Some("v1"))).message().unwrap();
            assert!(told.contains(says) && told.contains("https://h/p"), "{told}");
            assert!(!told.contains("hunter2") && !told.contains("v1"), "{told}");
            let told = partial(&invocation, &object(None, Some("v1"))).message().unwrap();
            assert!(told.contains("cannot be continued safely"), "{told}");
            let denied = Error::new(ErrorKind::Access, "denied").with_service(ServiceError::default());
            assert!(
                is_resumable(&denied, &invocation.uris[0], false) && !is_resumable(&denied, &s3(), false)
            );
        }
    }
}
