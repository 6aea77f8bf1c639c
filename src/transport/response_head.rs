//! Heads of responses that a strict parser refuses: a layer that reads along, and decides which of their lines may be
//! ignored.
//!
//! Some servers send lines that are no headers: names with spaces or control characters, a space before the colon,
//! lines without a colon. The parser can drop those silently, but then it drops a misspelt `Content-Length` too, and a
//! body that is cut would look whole. So on a connection that ignores invalid lines, this refuses a head in which one
//! of the headers that frame or identify the body is such a line. A space before the colon counts: clients disagree on
//! whether such a line is read, and so would they on the body's length. Source: RFC 9112, sections 5, 5.1 and 6.3.

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

    /// Takes the next bytes of the stream. In a head, zeros become another control character: the parser skips lines
    /// with those, and never one with a zero.
    fn read(&mut self, mut bytes: &mut [u8]) -> io::Result<()> {
        while let Some(head) = &mut self.head
            && !bytes.is_empty()
        {
            let before = head.len();
            head.extend_from_slice(bytes);
            let Some(end) = end_of_head(head, before) else {
                if head.len() > HEAD_BYTES_MAX {
                    return Err(invalid("the head of the response is too long"));
                }
                replace_zeros(head, bytes);
                return Ok(());
            };
            let (of_head, rest) = bytes.split_at_mut(end - before);
            replace_zeros(head, of_head);
            bytes = rest;
            head.truncate(end);
            check(head)?;
            // Another head follows an interim response (RFC 9110, section 15.2).
            self.head = is_interim(head).then(Vec::new);
        }
        Ok(())
    }
}

/// Replaces the zeros in `bytes`, which continue `head`. Bytes that do not begin like a head are left as they are.
fn replace_zeros(head: &[u8], bytes: &mut [u8]) {
    if !head.starts_with(b"HTTP/") {
        return;
    }
    bytes.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = 1);
}

/// Returns where a head ends: after an empty line. `from` bytes were looked at before.
pub(super) fn end_of_head(head: &[u8], from: usize) -> Option<usize> {
    let from = from.saturating_sub(3);
    let line_end =
        |at: usize| head[at] == b'\n' && (head[..at].ends_with(b"\n") || head[..at].ends_with(b"\n\r"));
    (from..head.len()).find(|at| line_end(*at)).map(|at| at + 1)
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
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let plain: String = name
            .iter()
            .filter(|byte| byte.is_ascii_alphabetic())
            .map(|byte| char::from(byte.to_ascii_lowercase()))
            .collect();
        let is_valid = colon.is_some() && name.iter().all(u8::is_ascii_graphic);
        let has_control = value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t');
        let is_decisive = DECISIVE.iter().any(|header| match colon {
            Some(_) => plain == *header,
            None => plain.starts_with(header),
        });
        if is_decisive && (!is_valid || has_control) {
            return Err(invalid(format!("the response has an invalid {plain} header")));
        }
    }
    Ok(())
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
        ] {
            let head = format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n");
            assert!(read(&[head.as_bytes()]).0.is_err(), "{line:?}");
            let head = format!("HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\nx: y\n{line}\n\n");
            let pieces: Vec<_> = head.as_bytes().chunks(5).collect();
            assert!(read(&pieces).0.is_err(), "{line:?}");
        }
    }

    #[test]
    fn zeros_of_a_head_are_replaced_and_those_of_a_body_are_not() {
        let whole = b"HTTP/1.1 200 OK\r\nx: a\0b\r\ny\0: c\r\n\r\nbody\0";
        let want = b"HTTP/1.1 200 OK\r\nx: a\x01b\r\ny\x01: c\r\n\r\nbody\0";
        for size in 1..=whole.len() {
            let mut check = HeadCheck::default();
            check.expect();
            let mut bytes = whole.to_vec();
            bytes.chunks_mut(size).for_each(|piece| check.read(piece).unwrap());
            assert_eq!(bytes, want, "{size}");
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
