//! The options of a download: data only.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use crate::client::request_sender::ClientOptions;
use crate::download::threads::ThreadCount;
use crate::s3::etag::ETag;
use crate::s3::range_spec::RangeSpec;
use crate::s3::redirect::Redirects;

/// The options of a download. By default the number of connections adapts: few where one is fast or the reader is slow,
/// up to 256 where they pay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The version to download; the latest if `None`.
    pub version_id: Option<String>,
    /// The bytes to deliver; all if `None`. A range that begins at the end of the object is empty; one that begins after it is
    /// an error of kind [`Usage`](crate::ErrorKind::Usage).
    pub range: Option<RangeSpec>,
    /// The `ETag` that the object must have: any other is an error of kind [`Changed`](crate::ErrorKind::Changed), before the
    /// first byte.
    pub if_match: Option<ETag>,
    /// The number of ranges fetched at the same time; adaptive if `None`.
    pub concurrency: Option<NonZeroUsize>,
    /// The size of a range, in bytes, at most [`Options::CHUNK_SIZE_MAX`]. If `None`, 8 MiB with an explicit concurrency, else
    /// adaptive: 256 KiB to 14 MiB.
    pub chunk_size: Option<NonZeroU64>,
    /// The most memory that the process may use, in bytes. If `None`, concurrency x chunk size; where neither is given,
    /// at most 56 MiB of the object, or up to 1 GiB where so many connections pay, and never more than an eighth of the
    /// machine's memory and a quarter of what a cgroup allows.
    pub max_memory: Option<NonZeroU64>,
    /// Consecutive attempts without progress (16 KiB, or less of a small range or under a rate limit) before giving up; if
    /// `None`, 4 before the first byte and 10 after it.
    pub max_attempts: Option<NonZeroU32>,
    /// How long the server may take to begin a response. If `None`, 30 s at the first attempt, 60 s at the second one, up to
    /// 120 s: cold storage tiers are slow to begin.
    pub first_byte_timeout: Option<Duration>,
    /// How long a body may deliver no byte while it is being read; [`Options::STALL_TIMEOUT`] if `None`.
    pub stall_timeout: Option<Duration>,
    /// The treatment of ranges that are late.
    pub hedge: Hedge,
    /// The comparison of the bytes with a checksum that the store keeps of the object.
    pub checksum: ChecksumMode,
    /// Combines ranges also where the server shows no strong `ETag`. By default such an object comes in one response, because
    /// nothing would show that several are of one version; set this only for a server that never replaces an object
    /// during a download.
    pub unsafe_ranges: bool,
    /// How many redirects of a URL are followed, one after the other; 5 if `None`. None leads from https to http, or to the
    /// metadata service of a cloud.
    pub max_redirects: Option<u32>,
    /// The most body bytes received per second, by all ranges together; if `None`, what the configuration's
    /// [`ProfileLimits`](crate::config::settings::ProfileLimits) say.
    pub limit_rate: Option<NonZeroU64>,
    /// The threads that fetch ranges: for the program alone, because programs that embed the library choose their own
    /// runtime.
    pub(crate) threads: ThreadCount,
}

impl Options {
    /// The largest chunk: 1 GiB. A larger one would only delay the bytes after it.
    pub const CHUNK_SIZE_MAX: u64 = 1 << 30;
    /// 10 seconds.
    pub const STALL_TIMEOUT: Duration = Duration::from_secs(10);
    /// The smallest [`Options::max_memory`] that can be kept: 34 MiB.
    pub const MAX_MEMORY_MIN: u64 = 34 << 20;

    /// Returns the part of the options that concerns requests; connections read `read_buffer` bytes in one call.
    pub(crate) fn for_client(&self, read_buffer: usize) -> ClientOptions {
        ClientOptions {
            version_id: self.version_id.clone(),
            first_byte_timeout: self.first_byte_timeout,
            document_timeout: self.stall_timeout.unwrap_or(Self::STALL_TIMEOUT),
            read_buffer,
            max_redirects: self.max_redirects.unwrap_or(Redirects::MAX),
        }
    }
}

/// The treatment of ranges that are late: the rest of one may be requested a second time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hedge {
    /// Hedges requests that are much later than the others, within a budget.
    #[default]
    Auto,
    /// Hedges no request.
    Off,
}

/// The comparison of the delivered bytes with a checksum that the store keeps of the object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChecksumMode {
    /// Compares where the store shows a checksum of the full object: CRC64NVME, or CRC32C, CRC32, SHA-256 or SHA-1 that it
    /// declares `FULL_OBJECT`. Only the end of the download waits for it, for at most [`ChecksumMode::LATE`]; without one
    /// the download is not verified and succeeds.
    #[default]
    Auto,
    /// Always compares: also with a checksum of the parts' checksums or an MD5 in the `ETag`, for which the sizes of the parts
    /// are requested. No byte is yielded before it is known what to compare with; where there is nothing, the download
    /// fails ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
    Require,
    /// Never compares.
    Off,
}

impl ChecksumMode {
    /// How long the end of a download waits for its HEAD.
    pub const LATE: std::time::Duration = std::time::Duration::from_secs(3);
}
