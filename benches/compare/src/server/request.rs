//! One request head, off the wire.
//!
//! Three things of it decide the response. Requests of a download have no body, and none is
//! expected.

use std::io::{self, Read};

use httparse::Status;

/// More headers than any client here sends.
const HEADERS_MAX: usize = 64;
/// More bytes than any client here sends.
const HEAD_MAX: usize = 64 << 10;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The request target without its query.
    pub(crate) path: String,
    /// The value of `Range`.
    pub(crate) range: Option<String>,
}

impl Request {
    /// Whether it asks for a head alone.
    pub(crate) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// Reads the next request; `None` where the client closed the connection. `read` keeps the bytes that came after it.
pub(crate) fn next(wire: &mut impl Read, read: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let mut buffer = [0; 8 << 10];
    loop {
        if let Some((request, len)) = parse(read)? {
            read.drain(..len);
            return Ok(Some(request));
        }
        if read.len() > HEAD_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        match wire.read(&mut buffer)? {
            0 => return Ok(None),
            len => read.extend_from_slice(&buffer[..len]),
        }
    }
}

/// The request at the front of `bytes` and its length; `None` where it is not all there yet.
fn parse(bytes: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let Status::Complete(len) = head.parse(bytes).map_err(io::Error::other)? else { return Ok(None) };
    let target = head.path.unwrap_or_default();
    let range = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("range"));
    let request = Request {
        method: head.method.unwrap_or_default().to_owned(),
        path: target.split('?').next().unwrap_or_default().to_owned(),
        range: range.map(|header| String::from_utf8_lossy(header.value).into_owned()),
    };
    Ok(Some((request, len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_one_by_one_however_they_arrive() {
        let text = b"GET /b/k?x=1 HTTP/1.1\r\nHost: h\r\nrange: bytes=0-9\r\n\r\nHEAD /b/k HTTP/1.1\r\n\r\n";
        for step in [1, 7, text.len()] {
            let mut wire = text
                .chunks(step)
                .fold(Box::new(io::empty()) as Box<dyn Read>, |wire, chunk| Box::new(wire.chain(chunk)));
            let mut read = Vec::new();
            let first = next(&mut wire, &mut read).unwrap().unwrap();
            assert_eq!(
                (&*first.method, &*first.path, first.range.as_deref()),
                ("GET", "/b/k", Some("bytes=0-9"))
            );
            let second = next(&mut wire, &mut read).unwrap().unwrap();
            assert_eq!((&*second.method, &*second.path, second.range), ("HEAD", "/b/k", None));
            assert_eq!(next(&mut wire, &mut read).unwrap(), None);
        }
    }

    #[test]
    fn what_is_not_http_is_an_error() {
        assert!(next(&mut &b"\x16\x03\x01\x02\x00\x01"[..], &mut Vec::new()).is_err());
    }
}
