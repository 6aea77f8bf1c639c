//! What to tell when a download ends in its middle: how far it came, and the command that continues there.
//!
//! Pure. It gets what was asked for, what the object is and what was delivered, and hands on text. It tells
//! of no command that could mix two versions of an object, and never quotes for a shell by itself.

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

use crate::checksum::ChecksumMode;
use crate::cli::Invocation;
use crate::error::{Error, ErrorKind};
use crate::etag::ETag;
use crate::range::RangeSpec;
use crate::response::ObjectInfo;
use crate::source::Source;

/// A download that ended in its middle.
#[derive(Debug, Clone)]
pub(crate) struct Partial<'a> {
    /// What was asked for.
    pub(crate) invocation: &'a Invocation,
    /// The object.
    pub(crate) info: &'a ObjectInfo,
    /// The bytes that were to be delivered, by their offsets in the object.
    pub(crate) range: Range<u64>,
    /// How many of them were.
    pub(crate) delivered: u64,
    /// Whether the version that `info` names is no longer the newest.
    pub(crate) is_by_version: bool,
    /// Whether the reader of a pipe may have been ended with it, by the same interrupt.
    pub(crate) is_interrupted: bool,
    /// The file that they went to, where it is one.
    pub(crate) file: Option<&'a Path>,
}

/// Whether a download that `error` ended may be continued: by itself nothing is wrong with what came before,
/// and the same request may succeed later.
pub(crate) fn is_worth_it(error: &Error, source: &Source) -> bool {
    match error.kind() {
        ErrorKind::Network | ErrorKind::Server => true,
        // What a URL was good for a moment ago has come to its time.
        ErrorKind::Access => error.is_expiry() || source.url().is_some(),
        _ => false,
    }
}

impl Partial<'_> {
    /// The lines to show, each ended; `None` where nothing was delivered yet, or nothing is left.
    pub(crate) fn message(&self) -> Option<String> {
        let reached = self.range.start.saturating_add(self.delivered);
        if self.delivered == 0 || reached >= self.range.end {
            return None;
        }
        let mut text = format!("  stopped at byte {reached} of {}", self.info.size);
        if let Some(etag) = self.info.etag.as_deref().filter(|etag| is_shown(etag)) {
            let _ = write!(text, ", ETag {etag}");
        }
        match self.command(reached) {
            Ok(command) => {
                let from = match (self.file, self.is_interrupted) {
                    (None, true) => "if the reader has taken all that came before, this continues there",
                    _ => "this continues there",
                };
                let with = if self.has_secret_query() {
                    " with the URL's query, or a new URL's, in place of the dots"
                } else {
                    ""
                };
                let _ = write!(
                    text,
                    "\n  {from}{with} (what is continued is not checked end to end):\n    {command}\n"
                );
            }
            Err(why) => {
                let _ = writeln!(text, "\n  it cannot be continued safely: {why}");
            }
        }
        Some(text)
    }

    fn has_secret_query(&self) -> bool {
        self.invocation.uri.url().is_some_and(|url| url.query().is_some())
    }

    /// The command, quoted, that appends the bytes from `reached` on; or why there is none.
    fn command(&self, reached: u64) -> Result<String, &'static str> {
        let mut next = self.invocation.clone();
        let options = &mut next.download;
        options.range = Some(match options.range {
            Some(RangeSpec::Between { last, .. }) => RangeSpec::Between { first: reached, last },
            _ => RangeSpec::From(reached),
        });
        // The rest of an object has no checksum of its own, and `require` would not begin.
        options.checksum = ChecksumMode::Auto;
        let etag = self.info.etag.as_deref().filter(|etag| is_shown(etag));
        options.if_match = etag.and_then(|etag| etag.parse::<ETag>().ok());
        // Naming a version takes another permission on AWS: only where the ETag alone does not find it.
        let is_s3 = next.uri.url().is_none();
        if is_s3 && options.version_id.is_none() && (options.if_match.is_none() || self.is_by_version) {
            options.version_id = self.info.version_id.clone().filter(|id| is_shown(id));
        }
        // What has the id "null" can be replaced by another object with it.
        if options.if_match.is_none() && options.version_id.as_deref().is_none_or(|id| id == "null") {
            return Err("the store shows neither a strong ETag nor a version id");
        }
        let words = next.words();
        // A shell would take them, yet a terminal would act on them before.
        if !words.iter().all(|word| is_printable(word)) {
            return Err("the command has control characters in it");
        }
        let file = self.file.and_then(Path::to_str).filter(|path| is_printable(path)).unwrap_or("out");
        let quoted =
            |words: &[&str]| shlex::try_join(words.iter().copied()).map_err(|_| "it cannot be quoted");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(format!("{} >> {}", quoted(&words)?, quoted(&[file])?))
    }
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
    use crate::config::Settings;
    use crate::download::Options;
    use crate::error::ServiceError;

    const COMMAND: &str = "\n    s3fcp ";

    fn invocation(range: Option<&str>) -> Invocation {
        let range = range.map(|range| range.parse().unwrap());
        let download = Options { range, ..Options::default() };
        let uri = "s3://b/k".parse().unwrap();
        Invocation { uri, download, quiet: false, info: None, stats: None, settings: Settings::default() }
    }

    fn s3() -> Source {
        "s3://b/k".parse().unwrap()
    }

    fn object(etag: Option<&str>, version_id: Option<&str>) -> ObjectInfo {
        let [etag, version_id] = [etag, version_id].map(|text| text.map(str::to_owned));
        ObjectInfo { size: 100, etag, version_id, ..ObjectInfo::default() }
    }

    fn partial<'a>(invocation: &'a Invocation, info: &'a ObjectInfo) -> Partial<'a> {
        Partial {
            invocation,
            info,
            range: 0..100,
            delivered: 7,
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
        let interrupted = Partial { is_interrupted: true, ..partial(&invocation, &info) };
        assert!(interrupted.message().unwrap().contains("if the reader has taken all"));
        let file = Partial { file: Some(Path::new("/a b/c")), ..interrupted };
        let message = file.message().unwrap();
        assert!(message.contains("  this continues") && message.ends_with(" >> '/a b/c'\n"), "{message}");
    }

    #[test]
    fn nothing_is_told_before_the_first_byte_or_behind_the_last() {
        let (invocation, info) = (invocation(Some("90-")), object(Some("\"e\""), None));
        for (delivered, tells) in [(0, false), (1, true), (9, true), (10, false)] {
            let partial = Partial { range: 90..100, delivered, ..partial(&invocation, &info) };
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
            (Some("-1000"), 0..100, "--range 7- "),
        ] {
            let invocation = invocation(asked);
            let message = Partial { range, ..partial(&invocation, &info) }.message().unwrap();
            assert!(message.contains(want), "{asked:?}: {message}");
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
                Partial { is_by_version: by_version, ..partial(&invocation, &info) }.message().unwrap();
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
        let file = Partial { file: Some(Path::new("/a\u{1b}[2J")), ..partial(&invocation, &info) };
        assert!(file.message().unwrap().ends_with(" >> out\n"));
        invocation.uri = "s3://b/k\u{1b}[2J".parse().unwrap();
        let told = partial(&invocation, &info).message().unwrap();
        assert!(!told.contains('\u{1b}') && !told.contains(COMMAND), "{told:?}");
    }

    #[test]
    fn which_failures_can_be_continued() {
        let with = |kind, code: &str| {
            let service = ServiceError { code: Some(code.to_owned()), ..ServiceError::default() };
            is_worth_it(&Error::new(kind, "failed").with_service(service), &s3())
        };
        assert!(is_worth_it(&Error::network("cut"), &s3()) && with(ErrorKind::Server, "InternalError"));
        assert!(with(ErrorKind::Access, "ExpiredToken") && with(ErrorKind::Access, "TokenRefreshRequired"));
        assert!(is_worth_it(&Error::new(ErrorKind::Access, "the source gives no credentials"), &s3()));
        assert!(!with(ErrorKind::Access, "AccessDenied"));
        for kind in [
            ErrorKind::Changed,
            ErrorKind::Integrity,
            ErrorKind::Output,
            ErrorKind::Usage,
            ErrorKind::NotFound,
            ErrorKind::Other,
        ] {
            assert!(!is_worth_it(&Error::new(kind, "failed"), &s3()), "{kind:?}");
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
            invocation.uri = url.parse().unwrap();
            let told = partial(&invocation, &object(Some("\"e\""), Some("v1"))).message().unwrap();
            assert!(told.contains(says) && told.contains("https://h/p"), "{told}");
            assert!(!told.contains("hunter2") && !told.contains("v1"), "{told}");
            let told = partial(&invocation, &object(None, Some("v1"))).message().unwrap();
            assert!(told.contains("cannot be continued safely"), "{told}");
            let denied = Error::new(ErrorKind::Access, "denied").with_service(ServiceError::default());
            assert!(is_worth_it(&denied, &invocation.uri) && !is_worth_it(&denied, &s3()));
        }
    }
}
