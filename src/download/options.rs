//! How a download is made, as its caller says it: data only.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use crate::client::object_client::ClientOptions;
use crate::s3::etag::ETag;
use crate::s3::range_spec::RangeSpec;

/// How a download is made. By default it finds its own level: few connections where one is fast or the
/// reader slow, up to 64 where that pays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The version to download; the latest where `None`.
    pub version_id: Option<String>,
    /// The bytes to deliver; all where `None`. A range that begins where the object ends is empty; one that
    /// begins behind it is an error of kind [`Usage`](crate::ErrorKind::Usage).
    pub range: Option<RangeSpec>,
    /// The `ETag` that the object must have: any other is an error of kind [`Changed`](crate::ErrorKind::Changed),
    /// before the first byte.
    pub if_match: Option<ETag>,
    /// How many ranges are fetched at once; where `None`, as many as pay.
    pub concurrency: Option<NonZeroUsize>,
    /// The size of a range, in bytes, at most [`Options::CHUNK_SIZE_MAX`]. Where `None`, 8 MiB with an
    /// explicit concurrency, else about 4 MiB.
    pub chunk_size: Option<NonZeroU64>,
    /// What the process may take of memory, in bytes. Where `None`, concurrency x chunk size decides, or, with
    /// neither given, 56 MiB of the object at most and a quarter of what a cgroup allows.
    pub max_memory: Option<NonZeroU64>,
    /// Tries in a row that bring nothing new, or less than 64 KiB; where `None`, 4 before the first byte and 10 after it.
    pub max_attempts: Option<NonZeroU32>,
    /// How long the server may take to begin a response; [`Options::FIRST_BYTE_TIMEOUT`] where `None`.
    pub first_byte_timeout: Option<Duration>,
    /// How long a body may bring no byte, while it is being read; [`Options::STALL_TIMEOUT`] where `None`.
    pub stall_timeout: Option<Duration>,
    /// Whether what is left of a range that is late is asked for again.
    pub hedge: Hedge,
    /// Whether the bytes are compared with a checksum that the store keeps of the object.
    pub checksum: ChecksumMode,
    /// Body bytes received in a second, at most, by all ranges together; where `None`, what the configuration's
    /// [`ProfileLimits`](crate::config::settings::ProfileLimits) say.
    pub limit_rate: Option<NonZeroU64>,
}

impl Options {
    /// The largest chunk: 1 GiB. A larger one would only delay the bytes behind it.
    pub const CHUNK_SIZE_MAX: u64 = 1 << 30;
    /// 30 seconds.
    pub const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(30);
    /// 10 seconds.
    pub const STALL_TIMEOUT: Duration = Duration::from_secs(10);
    /// The smallest [`Options::max_memory`] that can be kept: 34 MiB.
    pub const MAX_MEMORY_MIN: u64 = 34 << 20;

    /// What of this concerns requests; connections read `read_buffer` bytes at once.
    pub(crate) fn for_client(&self, read_buffer: usize) -> ClientOptions {
        ClientOptions {
            version_id: self.version_id.clone(),
            first_byte_timeout: self.first_byte_timeout.unwrap_or(Self::FIRST_BYTE_TIMEOUT),
            read_buffer,
        }
    }
}

/// Whether requests are hedged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Hedge {
    /// Where one is much later than the others, within a budget: up to 5 % more requests and 5 % more bytes than
    /// the object needs, but always up to 4 hedges.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// Whether the delivered bytes are compared with a checksum that the store keeps of the object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChecksumMode {
    /// Where the store shows one of the full object: CRC64NVME, or CRC32C, CRC32, SHA-256 or SHA-1 that it
    /// declares `FULL_OBJECT`. Nothing waits for it but the end of the download, and that for
    /// [`ChecksumMode::LATE`] at most; without one the download is not verified and succeeds.
    #[default]
    Auto,
    /// Always: also by a checksum of the parts' checksums or by an MD5 in the `ETag`, for which the sizes of the
    /// parts are asked for. No byte is yielded before it is known what the object is to be compared with; where
    /// there is nothing, the download fails ([`ErrorKind::Usage`](crate::ErrorKind::Usage)).
    Require,
    /// Never.
    Off,
}

impl ChecksumMode {
    /// How long the end of a download waits for an answer to its HEAD that has not come with all the bytes.
    pub const LATE: std::time::Duration = std::time::Duration::from_secs(3);
}
