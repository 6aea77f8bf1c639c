//! Heads of responses with lines that are no headers: a layer that reads along, and decides which of them do no harm.
//!
//! Some servers send lines that are no headers: names with spaces or control characters, a space before the colon, lines
//! without a colon. The parser can drop those silently, but then it drops a misspelt `Content-Length` too, and a body that is cut would look
//! whole. A folded line continues the header before it, but a server that put a space before `Transfer-Encoding` may have meant the
//! header. So on every connection a head is refused in which one of the headers that frame or identify the body is such a line.
//! A space before the colon counts: clients disagree on whether such a line is read, and so would they on the body's
//! length. Source: RFC 9112, sections 2.2, 5, 5.1, 5.2 and 6.3.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use crate::transport::layered::ReadLayer;

/// The longest head that is read.
pub(super) const HEAD_BYTES_MAX: usize = 256 << 10;
/// Headers that decide which bytes the body has: the letters of their names.
const DECISIVE: [&str; 5] = ["contentlength", "contentrange", "transferencoding", "contentencoding", "etag"];

/// The check of each response's head.
#[derive(Debug, Default)]
pub(super) struct HeadCheck {
    /// The beginning of a head whose end has not arrived.
    head: Option<Vec<u8>>,
}

impl HeadCheck {
    /// Notes that a request is sent: the bytes that follow are the head of a response.
    fn expect(&mut self) {
        self.head.get_or_insert_default();
    }

    /// Takes the next bytes of the stream. In a head, a zero or a carriage return within a line becomes a control character
    /// with which the parser skips the line where it is lenient.
    fn read(&mut self, mut bytes: &mut [u8]) -> io::Result<()> {
        while let Some(head) = &mut self.head
            && !bytes.is_empty()
        {
            // By lines: a body that begins in the same read is not copied.
            let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
            let (line, rest) = bytes.split_at_mut(end);
            head.extend_from_slice(line);
            if head.starts_with(b"HTTP/") {
                replace_unskippable(line);
            }
            bytes = rest;
            if head.ends_with(b"\n\n") || head.ends_with(b"\n\r\n") {
                check(head)?;
                // Another head follows an interim response (RFC 9110, section 15.2).
                self.head = is_interim(head).then(Vec::new);
            } else if head.len() > HEAD_BYTES_MAX {
                return Err(invalid("the head of the response is too long"));
            }
        }
        Ok(())
    }
}

/// Replaces the bytes because of which the parser refuses a line and never skips it. A carriage return at the end of what has
/// arrived may be that of the line's end.
fn replace_unskippable(line: &mut [u8]) {
    let before_last = line.len().saturating_sub(1);
    for at in 0..line.len() {
        let is_bare_return = line[at] == b'\r' && at < before_last && line[at + 1] != b'\n';
        if line[at] == 0 || is_bare_return {
            line[at] = 1;
        }
    }
}

/// Returns whether another head follows this one, complete: 101 alone ends with it (RFC 9110, section 15.2).
fn is_interim(head: &[u8]) -> bool {
    let status = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    status.starts_with(b"1") && !status.starts_with(b"101")
}

/// Checks the lines of a head.
fn check(head: &[u8]) -> io::Result<()> {
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        check_line(line, false)?;
        // For some readers a carriage return alone ends a line.
        line.split(|byte| *byte == b'\r').skip(1).try_for_each(|rest| check_line(rest, true))?;
    }
    Ok(())
}

/// Checks a line, or, where it `is_rest`, what follows a carriage return in one.
fn check_line(line: &[u8], is_rest: bool) -> io::Result<()> {
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = line.split_at(colon.unwrap_or(line.len()));
    let is_header = colon.is_some() && !is_rest && name.iter().all(u8::is_ascii_graphic);
    if is_header && !value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Ok(());
    }
    let plain: String = name
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect();
    let is_decisive = DECISIVE.iter().any(|header| match colon {
        Some(_) => plain == *header,
        None => plain.starts_with(header),
    });
    if is_decisive { Err(invalid(format!("the response has an invalid {plain} header"))) } else { Ok(()) }
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

impl<S: AsyncRead> ReadLayer<S> for HeadCheck {
    fn poll_read(
        &mut self,
        stream: Pin<&mut S>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(stream.poll_read(cx, buf))?;
        let checked = self.read(&mut buf.filled_mut()[before..]);
        if checked.is_err() {
            // The parser must not see them.
            buf.set_filled(before);
        }
        Poll::Ready(checked)
    }

    fn before_write(&mut self) {
        self.expect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> (io::Result<()>, bool) {
        let mut check = HeadCheck::default();
        check.expect();
        let read = pieces.iter().try_for_each(|piece| check.read(&mut piece.to_vec()));
        (read, check.head.is_none())
    }

    #[test]
    fn lines_that_decide_nothing_may_be_invalid() {
        for line in [
            "x strange: 1",
            "x-\u{1}strange: 1",
            "no colon",
            "",
            "x-fine: content-length: 5",
            "x-fine: a\r\n content-type: folded",
            "x-strange: a\rb",
            "x-strange: a\r",
            "x-strange : 5",
            "x-strange\t: 5",
            "etag: \"a\tb\"",
            "content-lengths: 5",
            "(x): 1",
        ] {
            let head = format!("HTTP/1.1 200 OK\r\na: b\r\n{line}\r\nc: d\r\n\r\nbody\x01");
            assert!(read(&[head.as_bytes()]).0.is_ok(), "{line:?}");
            // In pieces of any size, and after an interim response.
            let head = format!("HTTP/1.1 103 Early Hints\r\n\r\n{head}");
            for size in [1, 2, 3, 7] {
                let pieces: Vec<_> = head.as_bytes().chunks(size).collect();
                let (read, is_over) = read(&pieces);
                assert!(read.is_ok() && is_over, "{line:?}");
            }
        }
    }

    #[test]
    fn lines_that_frame_or_identify_the_body_may_not() {
        for line in [
            "content length: 5",
            "content-length : 5",
            "Content-Length\t: 5",
            "content-length  \t : 5",
            "content-range : bytes 0-1/2",
            "Transfer-Encoding : chunked",
            "transfer-encoding\t: chunked",
            "content-encoding : gzip",
            "ETag : \"x\"",
            "content-\u{1}length: 5",
            " content-length: 5",
            "Content-Length 5",
            "Content-Length",
            "content-length: 5\u{1}",
            "e tag: \"x\"",
            "etag: \"\u{7f}\"",
            "transfer encoding: chunked",
            "Transfer-Encoding chunked",
            "content-range\u{1}: bytes 0-1/2",
            "content encoding: gzip",
            "x: folded\r\n transfer-encoding: chunked",
            "x: folded\r\n\tContent-Encoding: gzip",
            "x: folded\r\n Content-Length 5",
            "x: a\rcontent-length: 5",
            "x: a\rb\r etag : \"x\"",
            "content-length: 1\r5",
            "content-\rlength: 5",
        ] {
            let head = format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n");
            assert!(read(&[head.as_bytes()]).0.is_err(), "{line:?}");
            let head = format!("HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\nx: y\n{line}\n\n");
            let pieces: Vec<_> = head.as_bytes().chunks(5).collect();
            assert!(read(&pieces).0.is_err(), "{line:?}");
        }
    }

    #[test]
    fn what_the_parser_never_skips_is_replaced_in_a_head_and_not_in_a_body() {
        let whole = b"HTTP/1.1 200 OK\r\nx: a\0b\r\ny\0: c\r\nz: d\re\r\r\n\r\nbody\0\r.\n\r\n\0";
        let want = b"HTTP/1.1 200 OK\r\nx: a\x01b\r\ny\x01: c\r\nz: d\x01e\x01\r\n\r\nbody\0\r.\n\r\n\0";
        for size in 1..=whole.len() {
            let mut check = HeadCheck::default();
            check.expect();
            let mut bytes = whole.to_vec();
            bytes.chunks_mut(size).for_each(|piece| check.read(piece).unwrap());
            // Whether a carriage return is one of a line's end shows only with the byte after it.
            let is_last = |at: usize| (at + 1).is_multiple_of(size);
            let same = bytes
                .iter()
                .zip(want)
                .enumerate()
                .all(|(at, (is, want))| is == want || (whole[at] == b'\r' && is_last(at)));
            assert!(same, "{size}: {}", bytes.escape_ascii());
        }
        let mut no_head = b"a\0b\r\n\r\n".to_vec();
        let mut check = HeadCheck::default();
        check.expect();
        check.read(&mut no_head).unwrap();
        assert_eq!(no_head, b"a\0b\r\n\r\n");
        assert!(read(&[b"HTTP/1.1 200 OK\r\ncontent-length: 5\0\r\n\r\n"]).0.is_err());
    }

    #[test]
    fn a_head_has_an_end() {
        let line = [b'x'; 1000];
        let pieces = vec![&line[..]; 300];
        assert!(read(&pieces).0.is_err());
    }
}
