//! Servers that replace their object meanwhile, and lose or bend what shows it: sizes, validators, framing and ends.
//!
//! The oracle is the promise itself: success means that the bytes are those of one version, and on any failure they are
//! a beginning of one. What a server says with a strong `ETag` is true here, or missing: nobody could see such a lie.

use std::fmt::Write as _;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use futures_util::StreamExt as _;
use s3fcp::{Client, Config, Hedge, Options, S3Uri, Source};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::support::fault_server::{FaultServer, Reply, Request};
use crate::support::object::object;
use crate::support::run::URI;

const TIME_LIMIT: Duration = Duration::from_mins(2);
const SIZE_MAX: u64 = 60_000;

/// What responses show of the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Strong,
    /// The same for all versions.
    Weak,
    Blank,
    Date,
    None,
}

/// What is wrong with a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bend {
    No,
    LosesTag,
    WeakensTag,
    LargerTotal,
    /// Only where HEAD and the tags tell the truth: else nobody could see it.
    SmallerTotal,
    NoContentRange,
    Called200,
    /// As the one before, without a length.
    Called200InChunks,
    /// All bytes from the first one asked for on, as a 200.
    Called200ToTheEnd,
    Whole,
    ChunkedAndLength,
    LongerLength,
    Cut,
    /// No length: the end of the connection is the end of the body.
    Close,
    Busy,
    RefusesTag,
}

const BENDS: [Bend; 16] = [
    Bend::No,
    Bend::LosesTag,
    Bend::WeakensTag,
    Bend::LargerTotal,
    Bend::SmallerTotal,
    Bend::NoContentRange,
    Bend::Called200,
    Bend::Called200InChunks,
    Bend::Called200ToTheEnd,
    Bend::Whole,
    Bend::ChunkedAndLength,
    Bend::LongerLength,
    Bend::Cut,
    Bend::Close,
    Bend::Busy,
    Bend::RefusesTag,
];

/// A server and a download, drawn from a seed.
#[derive(Debug, Clone)]
pub(super) struct Liar {
    seed: u64,
    pub(super) sizes: [u64; 2],
    /// So many GETs are answered with the first version.
    replaced_after: usize,
    get: Tag,
    head: Tag,
    honours_if_match: bool,
    head_is_refused: bool,
    /// What HEAD adds to the size.
    head_lie: i64,
    /// Of a hundred responses so many are bent, each in one of these ways.
    trouble: u8,
    bends: [Bend; 2],
    pub(super) is_url: bool,
    pub(super) chunk: u64,
    pub(super) concurrency: usize,
    pub(super) range: Option<Range<u64>>,
}

/// The object of a liar, and how many GETs for it came.
pub(super) struct LyingObject {
    pub(super) liar: Liar,
    versions: [Bytes; 2],
    gets: AtomicUsize,
    is_honest: AtomicBool,
}

impl LyingObject {
    pub(super) fn of(liar: Liar) -> Self {
        let versions = [liar.version(0), liar.version(1)];
        Self { liar, versions, gets: AtomicUsize::new(0), is_honest: AtomicBool::new(false) }
    }

    /// From now on the server tells the truth of the version that it has, and nothing goes wrong.
    pub(super) fn be_honest(&self) {
        self.is_honest.store(true, Relaxed);
    }

    /// The version that the next GET is answered with.
    pub(super) fn version(&self) -> usize {
        usize::from(self.gets.load(Relaxed) >= self.liar.replaced_after)
    }

    pub(super) fn respond(&self, request: &Request) -> Reply {
        if self.is_honest.load(Relaxed) {
            let version = self.version();
            return self.liar.honest().respond(request, 0, version, &self.versions[version]);
        }
        let number = self.gets.fetch_add(usize::from(request.is_get()), Relaxed);
        let version = usize::from(number >= self.liar.replaced_after);
        self.liar.respond(request, number, version, &self.versions[version])
    }

    /// The bytes that are wanted of each version.
    pub(super) fn wanted(&self) -> [Bytes; 2] {
        let place = |at: u64| usize::try_from(at).expect("a place in memory");
        self.versions.clone().map(|all| match &self.liar.range {
            Some(range) => {
                let end = place(range.end).min(all.len());
                all.slice(place(range.start).min(end)..end)
            }
            None => all,
        })
    }
}

impl Liar {
    pub(super) fn drawn(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let size = rng.u64(1..SIZE_MAX);
        let tag = |rng: &mut Rng| {
            let tags = [Tag::Strong, Tag::Strong, Tag::Weak, Tag::Blank, Tag::Date, Tag::None];
            *rng.choice(&tags).unwrap_or(&Tag::None)
        };
        let get = tag(&mut rng);
        let other = if rng.bool() { size } else { rng.u64(1..SIZE_MAX) };
        let start = rng.u64(..size);
        Self {
            seed,
            sizes: [size, other],
            replaced_after: if rng.bool() { usize::MAX } else { rng.usize(..8) },
            get,
            head: if rng.u8(..3) == 0 { tag(&mut rng) } else { get },
            honours_if_match: rng.bool(),
            head_is_refused: rng.u8(..4) == 0,
            head_lie: if rng.u8(..4) == 0 { rng.i64(-100..100) } else { 0 },
            trouble: *rng.choice(&[0, 10, 30, 100]).unwrap_or(&0),
            bends: [(); 2].map(|()| *rng.choice(&BENDS).unwrap_or(&Bend::No)),
            is_url: rng.u8(..4) == 0,
            chunk: match rng.u8(..3) {
                0 => size,
                1 => other,
                _ => rng.u64((size / 12).max(1)..=size),
            },
            concurrency: rng.usize(1..=6),
            range: (rng.u8(..4) == 0).then(|| start..rng.u64(start + 1..=size)),
        }
    }

    /// The same object at a server that does not lie.
    fn honest(&self) -> Self {
        Self {
            get: Tag::Strong,
            head: Tag::Strong,
            honours_if_match: true,
            head_is_refused: false,
            head_lie: 0,
            trouble: 0,
            ..self.clone()
        }
    }

    fn version(&self, number: usize) -> Bytes {
        let bytes = object(self.sizes[number]);
        if number == 0 { bytes } else { bytes.iter().map(|byte| !byte).collect() }
    }

    /// Returns whether what HEAD says of a size can be held against a GET.
    fn is_checkable(&self) -> bool {
        let is_honest = (self.get, self.head, self.head_lie) == (Tag::Strong, Tag::Strong, 0);
        is_honest && !self.head_is_refused && !self.is_url && self.replaced_after == usize::MAX
    }

    fn respond(&self, request: &Request, number: usize, version: usize, bytes: &Bytes) -> Reply {
        let mut rng = Rng::with_seed(self.seed ^ ((number as u64 + 1) << 20));
        let is_bent = request.is_get() && rng.u8(..100) < self.trouble;
        let bend = if is_bent { self.bends[rng.usize(..2)] } else { Bend::No };
        let tag = format!("\"{:032x}\"", version + 1);
        let size = bytes.len() as u64;
        let named = request.header("if-match");
        if request.is_get()
            && named.is_some()
            && (bend == Bend::RefusesTag || (self.honours_if_match && named != Some(&tag)))
        {
            return Reply::status(412).code("PreconditionFailed");
        }
        if bend == Bend::Busy {
            return Reply::status(503).code("SlowDown");
        }
        let mut shown = if request.is_get() { self.get } else { self.head };
        match bend {
            Bend::LosesTag => shown = Tag::Date,
            Bend::WeakensTag if shown == Tag::Strong => shown = Tag::Weak,
            _ => {}
        }
        let mut head = String::from("x-amz-request-id: 1\r\nconnection: close\r\n");
        let weakened = if bend == Bend::WeakensTag { format!("W/{tag}") } else { "W/\"same\"".to_owned() };
        // Writing into a string cannot fail.
        let _ = match shown {
            Tag::Strong => write!(head, "etag: {tag}\r\n"),
            Tag::Weak => write!(head, "etag: {weakened}\r\n"),
            Tag::Blank => write!(head, "etag: \"\"\r\n"),
            Tag::Date | Tag::None => Ok(()),
        };
        if shown != Tag::None {
            head += "last-modified: Wed, 12 Oct 2022 17:50:00 GMT\r\n";
        }
        if !request.is_get() {
            if self.head_is_refused {
                return Reply::status(403);
            }
            let told = size.saturating_add_signed(self.head_lie);
            return Reply::raw(format!("HTTP/1.1 200 OK\r\n{head}content-length: {told}\r\n\r\n"));
        }
        let asked = asked(request).filter(|_| bend != Bend::Whole);
        if asked.as_ref().is_some_and(|asked| asked.start >= size) {
            return Reply::status(416).code("InvalidRange").content_range(format!("bytes */{size}"));
        }
        let end =
            |asked: &Range<u64>| if bend == Bend::Called200ToTheEnd { size } else { asked.end.min(size) };
        let range = asked.clone().map_or(0..size, |asked| asked.start..end(&asked));
        let place = |at: u64| usize::try_from(at).expect("a place in memory");
        let mut body = bytes[place(range.start)..place(range.end)].to_vec();
        let is_part = asked.is_some();
        let total = match bend {
            Bend::LargerTotal => size + rng.u64(1..1000),
            Bend::SmallerTotal if self.is_checkable() => range.end,
            _ => size,
        };
        let is_called_200 =
            matches!(bend, Bend::Called200 | Bend::Called200InChunks | Bend::Called200ToTheEnd);
        if is_part && !is_called_200 && bend != Bend::NoContentRange {
            let _ = write!(head, "content-range: bytes {}-{}/{total}\r\n", range.start, range.end - 1);
        }
        let status = if is_part && !is_called_200 { "206 Partial Content" } else { "200 OK" };
        let length = body.len();
        match bend {
            Bend::Close => {}
            Bend::ChunkedAndLength | Bend::Called200InChunks => {
                head += "transfer-encoding: chunked\r\n";
                if bend == Bend::ChunkedAndLength {
                    let _ = write!(head, "content-length: {}\r\n", rng.usize(..length + 9));
                }
                body = [format!("{length:x}\r\n").as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
            }
            Bend::LongerLength => {
                let _ = write!(head, "content-length: {}\r\n", length + rng.usize(1..50));
            }
            _ => {
                let _ = write!(head, "content-length: {length}\r\n");
            }
        }
        if matches!(bend, Bend::Cut | Bend::Close) {
            body.truncate(rng.usize(..=length));
        }
        Reply::raw([format!("HTTP/1.1 {status}\r\n{head}\r\n").as_bytes(), &body].concat())
    }

    fn options(&self) -> Options {
        let mut options = Options::default();
        options.concurrency = NonZeroUsize::new(self.concurrency);
        options.chunk_size = NonZeroU64::new(self.chunk);
        options.max_attempts = NonZeroU32::new(2);
        options.hedge = Hedge::Off;
        options.stall_timeout = Some(Duration::from_secs(2));
        options.range = self
            .range
            .as_ref()
            .map(|range| format!("{}-{}", range.start, range.end - 1).parse().expect("a range"));
        options
    }
}

/// The bytes that the request asks for, as it writes them.
fn asked(request: &Request) -> Option<Range<u64>> {
    let (first, last) = request.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
    let last = if last.is_empty() { u64::MAX - 1 } else { last.parse().ok()? };
    Some(first.parse().ok()?..last + 1)
}

/// Downloads from the server of `seed`, and compares.
pub(super) fn check(runtime: &Runtime, seed: u64) {
    let liar = Liar::drawn(seed);
    let lying = Arc::new(LyingObject::of(liar.clone()));
    let script = {
        let lying = Arc::clone(&lying);
        move |request: &Request| lying.respond(request)
    };
    let server = FaultServer::start(lying.versions[0].clone(), script);
    let mut received = Vec::new();
    let result =
        runtime.block_on(async { timeout(TIME_LIMIT, download(&liar, &server, &mut received)).await });
    let wanted = lying.wanted();
    let Ok(result) = result else { panic!("a hang after {} bytes: {liar:?}", received.len()) };
    match result {
        Ok(()) => {
            let is_one = wanted.iter().any(|version| *version == received);
            assert!(is_one, "success with {} bytes of no version: {liar:?}", received.len());
        }
        Err(error) => {
            let is_begun = wanted.iter().any(|version| version.starts_with(&received));
            assert!(is_begun, "{} bytes of a mix before {error}: {liar:?}", received.len());
        }
    }
}

async fn download(liar: &Liar, server: &FaultServer, received: &mut Vec<u8>) -> s3fcp::Result<()> {
    let mut config = Config::default();
    config.endpoint = Some(server.endpoint().parse().expect("a URL"));
    let source: Source = if liar.is_url {
        format!("{}/bucket/key", server.endpoint()).parse()?
    } else {
        URI.parse::<S3Uri>()?.into()
    };
    let mut download = Client::new(config).download(source, &liar.options()).await?;
    while let Some(bytes) = download.next().await {
        received.extend_from_slice(&bytes?);
    }
    let verdict = download.verdict().expect("a verdict after success");
    assert!(verdict.responses > 0 || received.is_empty(), "{verdict:?}");
    Ok(())
}
