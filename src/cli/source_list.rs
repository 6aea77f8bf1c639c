//! The sources of a run that come from a file or a pipe (`--from`), one a line, read as they come.
//!
//! A thread of its own reads, because opening a pipe or reading from one may block for as long as its writer likes; where
//! the system has no thread to give, a regular file is read without. The reader is never more than a short queue ahead of
//! the download, so a list of any length takes the same memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use crate::cli::habits::{self, WordPlace};
use crate::error::printable::Visible;
use crate::error::{Error, Result, shortage};
use crate::s3::address::source::Source;

/// Sources in the queue: at least as many as objects are requested before their turn.
const QUEUE_SOURCES: usize = 64;
/// The longest line, in bytes. A key has at most 1024, and servers refuse URLs long before this.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Bytes in a row without a source: a device of zeros, or a writer of blank lines, would be read for ever.
const BLANK_BYTES_MAX: usize = 1 << 20;
/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;
/// The mark that editors of some systems put before the first line.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A file or pipe that sources are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceList {
    /// As it was typed; `-` is stdin.
    pub(crate) path: PathBuf,
    /// Each source ends in NUL, and not in a newline.
    pub(crate) is_null_separated: bool,
}

/// A source, and the line of the list that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedSource {
    pub(crate) source: Source,
    /// Counted from 1, lines without a source included.
    pub(crate) line: u64,
}

impl SourceList {
    /// Returns whether it is this process's stdin.
    pub(crate) fn is_stdin(&self) -> bool {
        self.path == Path::new("-")
    }

    /// Returns the name of the list for messages.
    pub(crate) fn shown(&self) -> String {
        if self.is_stdin() { "stdin".to_owned() } else { Visible(&self.path.to_string_lossy()).to_string() }
    }

    /// Returns the name of the line `line` for messages.
    pub(crate) fn place(&self, line: u64) -> String {
        format!("line {line} of {}", self.shown())
    }

    /// Returns whether the list can be read a second time, from its beginning.
    pub(crate) fn is_rereadable(&self) -> bool {
        !self.is_stdin() && std::fs::metadata(&self.path).is_ok_and(|found| found.is_file())
    }

    /// Returns the list as it comes from stdin.
    pub(crate) fn at_stdin(&self) -> Self {
        Self { path: "-".into(), ..self.clone() }
    }

    /// Starts to read. After an error nothing more comes.
    pub(crate) fn read(&self) -> Result<mpsc::Receiver<Result<ListedSource>>> {
        let (found, queue) = mpsc::channel(QUEUE_SOURCES);
        let (list, found_by_thread) = (self.clone(), found.clone());
        let read = move || {
            for source in list.sources() {
                // Nobody takes it: the run has ended.
                if found_by_thread.blocking_send(source).is_err() {
                    return;
                }
            }
        };
        match std::thread::Builder::new().name("sources".into()).spawn(read) {
            Ok(_) => {}
            // Reading it does not wait for anybody.
            Err(_) if self.is_regular_file() => {
                let list = self.clone();
                tokio::spawn(async move {
                    for source in list.sources() {
                        if found.send(source).await.is_err() {
                            return;
                        }
                    }
                });
            }
            Err(e) => return Err(self.unreadable(shortage::of_thread(e))),
        }
        Ok(queue)
    }

    fn is_regular_file(&self) -> bool {
        if !self.is_stdin() {
            return self.is_rereadable();
        }
        let found = rustix::fs::fstat(rustix::stdio::stdin());
        found.is_ok_and(|found| rustix::fs::FileType::from_raw_mode(found.st_mode).is_file())
    }

    /// Returns the sources as they are read. After an error there is none.
    fn sources(&self) -> impl Iterator<Item = Result<ListedSource>> + Send {
        let opened: io::Result<Box<dyn Read + Send>> = if self.is_stdin() {
            Ok(Box::new(io::stdin()))
        } else {
            File::open(&self.path).map(|file| Box::new(file) as _)
        };
        let (mut list, failed) = match opened {
            Ok(list) => (Some(BufReader::with_capacity(READ_BYTES, list)), None),
            Err(e) => (None, Some(Err(self.unreadable(e)))),
        };
        let mut line = 0;
        failed.into_iter().chain(std::iter::from_fn(move || {
            let source = self.next(list.as_mut()?, &mut line).transpose()?;
            if source.is_err() {
                list = None;
            }
            Some(source.map(|source| ListedSource { source, line }))
        }))
    }

    /// Returns the next source; `None` at the end. Counts in `line`.
    fn next(&self, list: &mut impl BufRead, line: &mut u64) -> Result<Option<Source>> {
        let end = if self.is_null_separated { 0 } else { b'\n' };
        let mut text = Vec::new();
        let mut blank = 0;
        loop {
            text.clear();
            let most = LINE_BYTES_MAX as u64 + 1;
            if list.take(most).read_until(end, &mut text).map_err(|e| self.unreadable(e))? == 0 {
                return Ok(None);
            }
            *line += 1;
            blank += text.len();
            if text.len() > LINE_BYTES_MAX {
                return Err(self.wrong(*line, "longer than 64 KiB, which no object or URL is"));
            }
            if text.last() == Some(&end) {
                text.pop();
            }
            if *line == 1 && text.starts_with(BYTE_ORDER_MARK) {
                text.drain(..BYTE_ORDER_MARK.len());
            }
            // Only the end of a line of a text file: a key may begin and end with anything.
            if !self.is_null_separated && text.last() == Some(&b'\r') {
                text.pop();
            }
            if text.is_empty() || (!self.is_null_separated && text.trim_ascii().is_empty()) {
                if blank > BLANK_BYTES_MAX {
                    return Err(self.wrong(*line, "1 MiB without an object"));
                }
                continue;
            }
            return self.parse(&text, *line).map(Some);
        }
    }

    fn parse(&self, text: &[u8], line: u64) -> Result<Source> {
        if text.contains(&0) {
            let why = "contains a NUL byte";
            return Err(self.wrong(line, why).with_hint("use -0 if NUL bytes separate the objects"));
        }
        let text = str::from_utf8(text).map_err(|_| self.wrong(line, "not valid UTF-8"))?;
        habits::parse_source(text, WordPlace::List).map_err(|e| {
            let e = if text == NOTHING_LISTED { e.with_better_hint(NOTHING_LISTED_HINT) } else { e };
            e.listed_at(&self.place(line))
        })
    }

    /// Adds the place of a source to an error about it, and what may be wrong with the list.
    pub(crate) fn explain(&self, error: Error, source: &Source, line: u64) -> Error {
        let error = if error.exit_code() != NOT_FOUND {
            error
        } else if *source.last_name() == *NOTHING_LISTED {
            error.with_better_hint(NOTHING_LISTED_HINT)
        } else if source.raw().contains('\t') {
            error.with_better_hint(
                "if the line contains several keys, let the AWS CLI write one a line: --query 'Contents[].[Key]'",
            )
        } else {
            error
        };
        error.listed_at(&self.place(line))
    }

    /// Returns the error of a list without a source.
    pub(crate) fn empty(&self) -> Error {
        Error::usage(format!("{} contains no object", self.shown()))
            .with_hint("the command that wrote the list may have failed, or found nothing")
    }

    fn wrong(&self, line: u64, why: &str) -> Error {
        Error::usage(format!("{}: {why}", self.place(line)))
    }

    fn unreadable(&self, cause: io::Error) -> Error {
        Error::usage(format!("cannot read the list {}", self.shown())).with_source(cause)
    }
}

/// The word that the AWS CLI prints for a bucket or prefix without objects.
const NOTHING_LISTED: &str = "None";
const NOTHING_LISTED_HINT: &str = "the AWS CLI prints None where it has found no objects";
/// The exit code for a missing object.
const NOT_FOUND: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8], is_null_separated: bool) -> Vec<std::result::Result<(String, u64), String>> {
        let list = SourceList { path: "l".into(), is_null_separated };
        let (mut text, mut line, mut found) = (text, 0, Vec::new());
        loop {
            match list.next(&mut text, &mut line) {
                Ok(None) => return found,
                Ok(Some(source)) => found.push(Ok((source.raw(), line))),
                Err(e) => {
                    assert_eq!(e.exit_code(), 2);
                    found.push(Err(e.to_string()));
                    return found;
                }
            }
        }
    }

    #[test]
    fn lines_are_taken_literally_but_for_their_ends() {
        for (text, want) in [
            (&b""[..], &[][..]),
            (b"s3://b/k", &[("s3://b/k", 1)]),
            (b"s3://b/k\ns3://b/l\n", &[("s3://b/k", 1), ("s3://b/l", 2)]),
            (b"\n\n  \t\ns3://b/k\r\n\r\ns3://b/l\r\n", &[("s3://b/k", 4), ("s3://b/l", 6)]),
            (b"s3://b/a b \ns3://b/a\tb\n", &[("s3://b/a b ", 1), ("s3://b/a\tb", 2)]),
            (b"\xef\xbb\xbfs3://b/k\n", &[("s3://b/k", 1)]),
            ("s3://b/\u{e9}\nhttps://h/p?q\n".as_bytes(), &[("s3://b/\u{e9}", 1), ("https://h/p?...", 2)]),
        ] {
            let want: Vec<_> = want.iter().map(|(text, line)| Ok(((*text).to_owned(), *line))).collect();
            assert_eq!(all(text, false), want, "{}", String::from_utf8_lossy(text));
        }
        let blank = [b"\n".repeat(BLANK_BYTES_MAX), b"s3://b/k\n".to_vec()].concat();
        let found = all(&[blank.clone(), blank].concat(), false);
        assert!(found.len() == 2 && found.iter().all(std::result::Result::is_ok), "{found:?}");
        let want = [("s3://b/a\nb\r", 1), (" ", 2)].map(|(text, _)| text);
        let found = all(b"s3://b/a\nb\r\0\0s3://b/c\0", true);
        assert_eq!(found, [Ok((want[0].to_owned(), 1)), Ok(("s3://b/c".to_owned(), 3))]);
    }

    #[test]
    fn a_line_that_is_no_source_is_named() {
        let long = [b"s3://b/".to_vec(), vec![b'k'; 10 << 20]].concat();
        let after = |blank: &[u8], count: usize| [&blank.repeat(count), &b"s3://b/k"[..]].concat();
        for (text, is_null_separated, says) in [
            (&b"s3://b/k\nnothing\n"[..], false, "line 2 of l"),
            (b"s3://b/k\0s3://b/l\0", false, "-0"),
            (b"\ns3://b/\xff\n", false, "line 2 of l: not valid UTF-8"),
            (&long, false, "line 1 of l: longer than 64 KiB"),
            (&long, true, "line 1 of l: longer than 64 KiB"),
            (b"None\n", false, "prints None where"),
            (&after(b"\0", BLANK_BYTES_MAX + 1), true, "line 1048577 of l: 1 MiB without an object"),
            (&after(b"\n", BLANK_BYTES_MAX + 1), false, "line 1048577 of l: 1 MiB without an object"),
            (&after(b" \t\r\n", BLANK_BYTES_MAX / 4 + 1), false, "line 262145 of l: 1 MiB"),
            (b"s3://b/k\0nothing", true, "line 2 of l"),
        ] {
            let found = all(text, is_null_separated);
            let error = found.last().unwrap().as_ref().unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
