//! The faults that a schedule draws from, each with what it may cost and how it may end a download.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use fastrand::Rng;

use crate::support::fault_server::{ETAG, Reply, Request};

/// A request, and what the server's answers to it depend on.
pub(super) struct Moment<'a> {
    pub(super) request: &'a Request,
    /// The object's, in bytes.
    pub(super) size: u64,
    pub(super) ranges: bool,
}

/// What the server does with a request, and what that may do to the download.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    pub(super) name: &'static str,
    pub(super) reply: Reply,
    pub(super) effect: Effect,
    /// Body bytes that the server may send for nothing, or beside those of the object.
    pub(super) wasted: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// None, though the next request on the same connection may have to be sent again.
    None,
    /// The range is tried again.
    Again,
    /// It is tried again immediately; twice in a row it is exit code 4.
    Corrected,
    /// The download ends with this exit code.
    Exit(u8),
}

impl Moment<'_> {
    /// How many bytes the body has.
    fn length(&self) -> u64 {
        match &self.request.range {
            Some(range) if self.ranges => range.end - range.start,
            _ => self.size,
        }
    }

    fn asked(&self) -> Range<u64> {
        self.request.range.clone().unwrap_or_default()
    }

    /// The bytes of `range`, declared as those requested; only their end shows that they are not.
    fn told_as_asked(&self, range: Range<u64>) -> Reply {
        let (asked, size) = (self.asked(), self.size);
        let shown = format!("bytes {}-{}/{size}", asked.start, asked.end.saturating_sub(1));
        Reply::part(range).content_range(shown).chunked()
    }

    fn right(&self) -> Reply {
        if self.ranges { Reply::ok() } else { Reply::whole_with_200().without("accept-ranges") }
    }

    /// An answer that is right, in whatever form.
    pub(super) fn odd(&self, rng: &mut Rng) -> Drawn {
        let (right, length) = (self.right(), self.length());
        let none = |name, reply| Drawn { name, reply, effect: Effect::None, wasted: 0 };
        // A server without ranges needs a length, and one after a 416 has no body to bend.
        if !self.ranges || self.size == 0 {
            return none("right", right);
        }
        match rng.u8(..12) {
            0 => {
                let piece = if length < 20_000 { rng.u64(1..=9) } else { rng.u64(1000..=length) };
                let reply = right.chunked_by(usize::try_from(piece).unwrap_or(usize::MAX));
                Drawn { wasted: 9 * length.div_ceil(piece) + 5, ..none("chunked", reply) }
            }
            1 => none("interim", right.after_interim("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")),
            2 => none("closing", right.header("connection", "close")),
            3 => none("no length", right.without("content-length")),
            4 => none("a cut after the body", right.cut_after(length)),
            5 => none("no coding", right.header("content-encoding", "identity")),
            6 => Drawn { wasted: 8 + length, ..none("excess", right.with_excess("and more")) },
            7 if length > 1 => {
                let asked = self.asked();
                none("less", Reply::part(asked.start..asked.end - rng.u64(1..length)))
            }
            _ => none("right", right),
        }
    }

    /// A fault that another try survives.
    pub(super) fn transient(&self, rng: &mut Rng) -> Drawn {
        let length = self.length();
        let within = rng.u64(..length.max(1));
        // Without ranges everything is sent again, up to what was delivered and beyond.
        let repeated = if self.ranges { 0 } else { self.size };
        let again =
            |name, reply, wasted| Drawn { name, reply, effect: Effect::Again, wasted: wasted + repeated };
        match rng.u8(..24) {
            0..4 => again("cut", self.right().cut_after(within), 0),
            4 | 5 => again("reset", self.right().reset_after(within), within),
            6 => again("closed", Reply::raw(""), 0),
            7 => again("reset first", Reply::raw("").reset_after(0), 0),
            8 => again("half a head", Reply::raw("HTTP/1.1 206 Partial Content\r\ncontent-le"), 0),
            9 => again("garbage", Reply::raw("SSH-2.0-OpenSSH_9.2\r\n"), 0),
            10 | 11 => again("busy", Reply::status(503).code("SlowDown"), 0),
            12 => again("busy for no time", Reply::status(503).retry_after(0), 0),
            13 => again("failing", Reply::status(*rng.choice(&[408, 429, 500, 502, 504]).unwrap_or(&500)), 0),
            14 => again("failing in XML", Reply::status(400).code("RequestTimeout"), 0),
            15 => again("an error as the object", Reply::status(200).code("InternalError"), 0),
            16 if self.ranges && self.size > 0 => {
                let bad = ["bytes 0-0/*", "bytes 9-5/10", "items 0-5/10", "none", "bytes 1-0/0"];
                let shown = *rng.choice(&bad).unwrap_or(&"");
                again("a wrong range", self.right().content_range(shown), length)
            }
            17 if self.ranges && self.size > 0 => again(
                "a wrong length",
                self.right().header("content-length", (length + 1).to_string()),
                length,
            ),
            // Unless it is the first answer: then the server is one without ranges.
            18 if self.is_pinned() => again("the whole object", Reply::whole_with_200(), self.size),
            19 => {
                let reply = Reply::status(403).code("RequestTimeTooSkewed");
                let reply = reply
                    .header("date", httpdate::fmt_http_date(SystemTime::now() - Duration::from_hours(1)));
                Drawn { effect: Effect::Corrected, ..again("skewed", reply, 0) }
            }
            23 => again("stalled", self.right().stall_after(within), 0),
            // A part without bytes is how some servers show an empty object.
            20 if self.ranges && (self.asked().start > 0 || self.asked().end < self.size) => {
                let range = self.asked();
                let start = if range.start > 0 { rng.u64(..range.start) } else { range.end };
                let other = start..self.size.min(start + length);
                again("another range", Reply::part(other), length)
            }
            21 if self.ranges && self.size > 0 && self.asked().end < self.size => {
                let more = self.asked().start..self.size.min(self.asked().end + rng.u64(1..100));
                again("more than asked", self.told_as_asked(more), 2 * length + 1000)
            }
            22 if self.ranges && self.request.range.is_some() && length > 1 => {
                let less = self.asked().start..self.asked().end - rng.u64(1..length);
                again("less than asked", self.told_as_asked(less), length + 1000)
            }
            _ => again("no range", Reply::status(206), 0),
        }
    }

    /// A fault that ends the download.
    pub(super) fn last(&self, rng: &mut Rng) -> Drawn {
        let length = self.length();
        let exit = |name, code, reply| Drawn { name, reply, effect: Effect::Exit(code), wasted: length };
        let status = |status, code| Reply::status(status).code(code);
        // With the object's own size, or none, it would contradict itself, and be asked again.
        let gone = || status(416, "InvalidRange").content_range(format!("bytes */{}", self.asked().start));
        match rng.u8(..9) {
            // Later on, a few tries are made before a refusal is believed.
            0..=3 if self.is_pinned() => exit("gone", 6, gone()),
            0 => exit("denied", 4, status(403, "AccessDenied")),
            1 => exit("archived", 4, status(403, "InvalidObjectState")),
            2 => exit("not found", 3, status(404, "NoSuchKey")),
            3 => exit("deleted", 3, Reply::status(405).header("x-amz-delete-marker", "true")),
            4 => exit("refused", 5, status(400, "InvalidRequest")),
            5 if self.is_pinned() => exit("another version", 6, self.right().etag("\"other\"")),
            6 if self.is_pinned() && self.ranges => {
                let (range, more) = (self.asked(), self.size + 1);
                let shown = format!("bytes {}-{}/{more}", range.start, range.end.saturating_sub(1));
                exit("another size", 6, self.right().content_range(shown))
            }
            // A 412 for `If-Match` is asked again without it.
            _ if self.is_pinned() => exit("gone", 6, gone()),
            _ => exit("changed", 6, status(412, "PreconditionFailed")),
        }
    }

    /// The download needs no HEAD: whatever comes of it, nothing comes of that.
    pub(super) fn of_head(&self, rng: &mut Rng) -> Drawn {
        let (name, reply) = match rng.u8(..10) {
            0 => ("denied", Reply::status(403)),
            1 => ("busy", Reply::status(503)),
            2 => ("closed", Reply::raw("")),
            3 => ("reset", Reply::raw("").reset_after(0)),
            4 => ("another version", Reply::ok().etag("\"other\"")),
            // An empty object is only believed in when HEAD says so too: that would take long.
            5 if self.size > 0 => ("silent", Reply::raw("").stall_after(0)),
            _ => ("right", Reply::ok()),
        };
        Drawn { name, reply, effect: Effect::None, wasted: 0 }
    }

    /// The client knows already which version it downloads.
    fn is_pinned(&self) -> bool {
        self.request.header("if-match") == Some(ETAG)
    }
}
