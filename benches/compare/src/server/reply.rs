//! What a request is answered with: the head, and which bytes of the object follow it. Pure.
//!
//! The headers are those that S3 sends and that a client may look at.

use std::fmt::Write;
use std::ops::Range;

use super::BUCKET;
use super::keys::Keys;
use super::request::Request;

/// A multipart upload's, so that no client takes it for the MD5 of the bytes.
const ETAG: &str = "9e107d9d372bb6826bd81d3542a419d6-128";
const COMMON: &str = "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nAccept-Ranges: bytes\r\n\
    Content-Type: binary/octet-stream\r\nx-amz-request-id: BENCH\r\nServer: AmazonS3\r\n";
const NO_SUCH_KEY: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>";

/// A response: its head, with the blank line and perhaps a document, and then these bytes of the object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) head: String,
    pub(crate) body: Range<u64>,
}

impl Reply {
    /// Answers `request`, for a bucket with these keys.
    pub(crate) fn new(request: &Request, keys: Keys) -> Self {
        let is_head = request.is_head();
        let path = request.path.trim_start_matches('/');
        let whole = match path.split_once('/').unwrap_or((path, "")) {
            (BUCKET, "") if request.method == "GET" => return Self::document("200 OK", &listing(keys)),
            (BUCKET, key) if is_head || request.method == "GET" => keys.find(key),
            _ => None,
        };
        let Some(whole) = whole else {
            return Self::document("404 Not Found", if is_head { "" } else { NO_SUCH_KEY });
        };
        let size = whole.end - whole.start;
        let (status, body) = match request.range.as_deref() {
            None => ("200 OK", 0..size),
            Some(range) => match interval(range, size) {
                Some(interval) => ("206 Partial Content", interval),
                None => return Self::unsatisfiable(size),
            },
        };
        let mut head = format!("HTTP/1.1 {status}\r\n{COMMON}ETag: \"{ETAG}\"\r\n");
        if request.range.is_some() {
            // Writing to a String does not fail.
            let _ = write!(head, "Content-Range: bytes {}-{}/{size}\r\n", body.start, body.end - 1);
        }
        let _ = write!(head, "Content-Length: {}\r\n\r\n", body.end - body.start);
        let body = whole.start + body.start..whole.start + body.end;
        Self { head, body: if is_head { 0..0 } else { body } }
    }

    /// S3 asks for fewer requests.
    pub(crate) fn busy() -> Self {
        Self::document("503 Slow Down", "<Error><Code>SlowDown</Code></Error>")
    }

    fn document(status: &str, xml: &str) -> Self {
        let len = xml.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len}\r\n\r\n{xml}"
        );
        Self { head, body: 0..0 }
    }

    fn unsatisfiable(size: u64) -> Self {
        let head = format!(
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{size}\r\nContent-Length: 0\r\n\r\n"
        );
        Self { head, body: 0..0 }
    }
}

/// The bucket's objects, for clients that look for a key by listing.
fn listing(keys: Keys) -> String {
    let size = keys.piece_size();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult><Name>{BUCKET}</Name>\
        <MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>"
    );
    for key in keys.all() {
        // Writing to a String does not fail.
        let _ = write!(
            xml,
            "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
            <ETag>&quot;{ETAG}&quot;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        );
    }
    xml + "</ListBucketResult>"
}

/// `bytes=FIRST-` or `bytes=FIRST-LAST`, cut to the object; no client here asks for a suffix or for several ranges.
fn interval(range: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = if last.is_empty() { size } else { last.parse::<u64>().ok()?.saturating_add(1).min(size) };
    let start = first.parse().ok()?;
    (start < end).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(method: &str, path: &str, range: Option<&str>) -> Reply {
        let request = Request { method: method.into(), path: path.into(), range: range.map(Into::into) };
        Reply::new(&request, Keys::new(100, 1))
    }

    #[test]
    fn ranges_are_cut_to_the_object() {
        for (range, status, want) in [
            (None, "200", 0..100),
            (Some("bytes=0-9"), "206", 0..10),
            (Some("bytes=90-"), "206", 90..100),
            (Some("bytes=90-1000"), "206", 90..100),
            (Some("bytes=100-"), "416", 0..0),
            (Some("bytes=9-8"), "416", 0..0),
            (Some("lines=0-1"), "416", 0..0),
        ] {
            let reply = reply("GET", "/bench/object", range);
            assert_eq!((&reply.head[9..12], reply.body), (status, want), "{range:?}");
        }
        let head = reply("GET", "/bench/object", Some("bytes=90-")).head;
        assert!(head.contains("\r\nContent-Range: bytes 90-99/100\r\nContent-Length: 10\r\n\r\n"), "{head}");
    }

    #[test]
    fn a_range_of_a_piece_is_counted_from_its_beginning() {
        let range = Some("bytes=5-50".into());
        let request = Request { method: "GET".into(), path: "/bench/object.00002".into(), range };
        let reply = Reply::new(&request, Keys::new(100, 4));
        assert_eq!(reply.body, 55..75);
        let expected = "\r\nContent-Range: bytes 5-24/25\r\nContent-Length: 20\r\n\r\n";
        assert!(reply.head.ends_with(expected), "{}", reply.head);
    }

    #[test]
    fn a_head_has_the_length_and_no_body() {
        let reply = reply("HEAD", "/bench/object", None);
        assert!(reply.head.ends_with("Content-Length: 100\r\n\r\n"));
        assert_eq!(reply.body, 0..0);
    }

    #[test]
    fn there_is_one_object() {
        assert!(reply("GET", "/bench", None).head.contains("<Key>object</Key>"));
        for (method, path) in
            [("GET", "/bench/other"), ("GET", "/"), ("PUT", "/bench/object"), ("HEAD", "/bench")]
        {
            assert!(reply(method, path, None).head.starts_with("HTTP/1.1 404 "), "{method} {path}");
        }
    }
}
