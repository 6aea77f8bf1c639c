//! The limits of a download: memory for its window, bytes per request, connections.
//!
//! [`Options`], the [`ProfileLimits`] of the configuration, and the memory that the system leaves to this process are
//! resolved once into numbers that fit together. An explicit memory limit wins over everything else, except the limit on
//! the address space, beyond which there is no memory.

use std::num::{NonZero, NonZeroU64};

use crate::config::settings::{ChecksumValidation, ProfileLimits};
use crate::download::options::{ChecksumMode, Options};
use crate::download::{address_space, machine_memory};

/// The default chunk size, in bytes. Half of what S3 clients usually request: with as many connections as a link needs, the
/// window stays small and its bytes stay in the cache.
const CHUNK: u64 = 4 << 20;
/// The default chunk size when `--concurrency` is given: 8 MiB, as in other S3 clients.
const CHUNK_EXPLICIT: u64 = 8 << 20;
/// The most connections where no number is given: what 100 Gbit/s takes at S3's 85-90 MB/s a connection, and some more.
const CONNECTIONS_MAX: usize = 256;
/// The window that a download begins with where neither memory nor concurrency is given: enough for some 25 connections.
/// Measured: with less, they wait for memory; more only touches fresh pages.
const WINDOW: u64 = 56 << 20;
/// The largest window where neither is given: what 256 connections at S3's rate fill. It grows to that only where as many
/// connections pay.
const WINDOW_MAX: u64 = 1 << 30;
/// The most that the window grows once stragglers were seen: what a fast link brings in the time that it takes to detect
/// and request a late range again. Measured: twice as much gains nothing.
const RESERVE_MAX: u64 = WINDOW;
/// The smallest window: the front range and one range after it.
const WINDOW_MIN: u64 = 2 * CHUNK;
/// Memory that the process uses beside the window: its code, TLS, buffers of connections.
const BESIDE: u64 = 24 << 20;

/// The bytes that a connection reads in one call. Larger reads mean fewer system calls, but the buffers are memory beside
/// the window, so small chunks have small ones. The minimum is what hyper allows.
pub(crate) const READ_BUFFER_MAX: u64 = 256 << 10;
const READ_BUFFER_MIN: u64 = 8 << 10;
/// The read buffers of all connections together are at most this part of the window; where no number of connections is given,
/// they are sized for so many, and what they leave room for is the most. Measured over TLS: with 256 KiB a connection takes
/// 0.8 MiB beside the window, and 23 of them exceeded a limit of 34 MiB by 4 MiB.
const READ_BUFFERS_DIVISOR: u64 = 8;
const CONNECTIONS_EXPECTED: u64 = 16;
/// With a rate limit, one read takes at most this part of a second's bytes; otherwise a low limit would arrive in bursts.
const READS_PER_SECOND: u64 = 20;

/// The numbers of one download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The most body bytes held at first.
    pub(crate) window: u64,
    /// The most body bytes held, where more connections pay than the first window is enough for.
    pub(crate) window_max: u64,
    /// Bytes to add to the window once ranges were late, so that later ranges keep flowing.
    pub(crate) reserve: u64,
    /// The bytes that one request asks for.
    pub(crate) chunk: u64,
    /// Where chunk sizes may differ: the size while few ranges are fetched at a time.
    pub(crate) large: Option<u64>,
    /// The most ranges fetched at the same time; exactly this many unless `adaptive` is set.
    pub(crate) connections: usize,
    /// Set if the number of connections is found while the download runs.
    pub(crate) adaptive: bool,
    /// The bytes that a connection reads in one call.
    pub(crate) read_buffer: usize,
    /// The most body bytes received per second.
    pub(crate) bytes_per_second: Option<NonZeroU64>,
    /// The least bytes of a frame that is passed on without a copy, so that it pins hardly more than itself.
    pub(crate) zero_copy_min: usize,
}

impl Limits {
    /// Resolves `options` for this machine, with `profile_limits` as defaults.
    pub(crate) fn of(options: &Options, profile_limits: &ProfileLimits) -> Self {
        Self::within(
            options,
            profile_limits,
            options.max_memory.map(NonZero::get).or_else(machine_memory::default_share),
            address_space::available()
                .map(|available| address_space::memory_within(available, options.threads)),
        )
    }

    /// Resolves the limits where the whole process may use `memory` bytes, and cannot have more than `available`.
    fn within(
        options: &Options,
        profile_limits: &ProfileLimits,
        memory: Option<u64>,
        available: Option<u64>,
    ) -> Self {
        // The inverse of the promise: resident memory is never more than 1.25 x window + 24 MiB.
        let window_of = |m: u64| (m.saturating_sub(BESIDE) / 5 * 4).max(WINDOW_MIN);
        let allowed = memory.into_iter().chain(available).min().map(window_of);
        let explicit = options.max_memory.is_some();
        let default_chunk = if options.concurrency.is_some() { CHUNK_EXPLICIT } else { CHUNK };
        let chunk_max = profile_limits.chunk_size.map_or(u64::MAX, NonZero::get);
        let default_chunk = default_chunk.min(chunk_max);
        let chunk = options.chunk_size.map_or(default_chunk, |c| c.get().min(Options::CHUNK_SIZE_MAX));
        let (window, reserve, connections) = if let Some(n) = options.concurrency {
            let asked = chunk.saturating_mul(n.get() as u64);
            (allowed.filter(|_| explicit).map_or(asked, |a| a.min(asked)), 0, n.get())
        } else {
            let window = allowed.map_or(WINDOW, |a| if explicit { a } else { a.min(WINDOW) });
            let ceiling =
                profile_limits.concurrency.map_or(CONNECTIONS_MAX, |n| CONNECTIONS_MAX.min(n.get()));
            // A single chunk that the user wants larger than the window is the window.
            let window = window.max(if explicit { 0 } else { chunk });
            let reserve = allowed.map_or(RESERVE_MAX, |a| a.saturating_sub(window).min(RESERVE_MAX));
            (window, reserve, ceiling)
        };
        let window = window.min(available.map_or(u64::MAX, window_of));
        let chunk = chunk.min(window);
        let may_grow = options.concurrency.is_none() && !explicit;
        let window_max =
            if may_grow { allowed.unwrap_or(WINDOW_MAX).min(WINDOW_MAX).max(window) } else { window };
        let each = window
            / READ_BUFFERS_DIVISOR
            / options.concurrency.map_or(CONNECTIONS_EXPECTED, |n| n.get() as u64);
        let bytes_per_second = options.limit_rate.or(profile_limits.bytes_per_second);
        let step = bytes_per_second.map_or(u64::MAX, |rate| rate.get() / READS_PER_SECOND);
        let read_buffer = (chunk / 16).min(each).min(step).clamp(READ_BUFFER_MIN, READ_BUFFER_MAX);
        let adaptive = options.concurrency.is_none();
        let room =
            usize::try_from(window_max / READ_BUFFERS_DIVISOR / read_buffer).unwrap_or(usize::MAX).max(1);
        let connections = if adaptive { connections.min(room) } else { connections };
        Self {
            window,
            window_max,
            reserve,
            chunk,
            // Sizes that differ exceed a chunk by half: below a low limit all are equal.
            large: (adaptive && options.chunk_size.is_none() && chunk + chunk / 2 <= chunk_max)
                .then(|| (4 * chunk).min(window / 4).min(chunk_max).max(chunk)),
            connections,
            adaptive,
            bytes_per_second,
            read_buffer: usize::try_from(read_buffer).unwrap_or(usize::MAX),
            zero_copy_min: usize::try_from(read_buffer / 4 * 3).unwrap_or(usize::MAX),
        }
    }
}

/// Returns what is compared with a checksum: the download's options, or else `validation`, the configuration's default.
pub(crate) fn checksum_mode(options: &Options, validation: ChecksumValidation) -> ChecksumMode {
    match (options.checksum, validation) {
        // A GET requires none.
        (ChecksumMode::Auto, ChecksumValidation::WhenRequired) => ChecksumMode::Off,
        (mode, _) => mode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroUsize;

    const MIB: u64 = 1 << 20;

    fn budget(concurrency: usize, chunk: u64, max_memory: u64, outside: Option<u64>) -> Limits {
        let options = Options {
            concurrency: NonZeroUsize::new(concurrency),
            chunk_size: NonZeroU64::new(chunk),
            max_memory: NonZeroU64::new(max_memory),
            ..Options::default()
        };
        let profile_limits = ProfileLimits::default();
        Limits::within(
            &options,
            &profile_limits,
            NonZeroU64::new(max_memory).map(NonZeroU64::get).or(outside),
            None,
        )
    }

    #[test]
    fn no_number_exceeds_the_memory_that_is_available() {
        for (concurrency, chunk, max_memory) in
            [(0, 0, 0), (8, 0, 0), (32, 0, 0), (0, 512 * MIB, 0), (0, 0, 1 << 32), (1, 64 * MIB, 0)]
        {
            let options = Options {
                concurrency: NonZeroUsize::new(concurrency),
                chunk_size: NonZeroU64::new(chunk),
                max_memory: NonZeroU64::new(max_memory),
                ..Options::default()
            };
            let memory = options.max_memory.map(NonZeroU64::get);
            for (available, window) in [(44 * MIB, 16 * MIB), (20 * MIB, WINDOW_MIN)] {
                let b = Limits::within(&options, &ProfileLimits::default(), memory, Some(available));
                assert_eq!((b.window, b.window_max, b.reserve), (window, window, 0), "{b:?}");
                assert!(b.chunk <= window && b.large.is_none_or(|large| large <= window), "{b:?}");
            }
        }
        // A large one changes nothing.
        let much = Limits::within(&Options::default(), &ProfileLimits::default(), None, Some(1 << 40));
        assert_eq!(much, budget(0, 0, 0, None));
    }

    #[test]
    fn explicit_numbers_are_taken_as_they_are() {
        let b = budget(16, 8 * MIB, 0, None);
        assert_eq!((b.connections, b.chunk, b.window, b.adaptive), (16, 8 * MIB, 128 * MIB, false));
        let one = budget(1, 8 * MIB, 0, None);
        assert_eq!((one.connections, one.window, one.read_buffer), (1, 8 * MIB, 256 << 10));
        let tiny = budget(3, 1, 0, None);
        assert_eq!((tiny.connections, tiny.chunk, tiny.window), (3, 1, 3));
        assert_eq!((b.reserve, one.reserve, tiny.reserve), (0, 0, 0));
        // A limit from outside is for defaults: who names numbers means them.
        assert_eq!(budget(16, 8 * MIB, 0, Some(64 * MIB)).window, 128 * MIB);
    }

    #[test]
    fn an_explicit_memory_limit_wins() {
        let b = budget(16, 8 * MIB, 64 * MIB, None);
        assert_eq!((b.connections, b.chunk), (16, 8 * MIB));
        assert!(b.window * 5 / 4 + BESIDE <= 64 * MIB, "{b:?}");
        let adaptive = budget(0, 0, 64 * MIB, None);
        assert!((adaptive.window + adaptive.reserve) * 5 / 4 + BESIDE <= 64 * MIB, "{adaptive:?}");
        let shrunk = budget(2, 100 * MIB, 64 * MIB, None);
        assert!(shrunk.chunk <= 32 * MIB && shrunk.window >= shrunk.chunk, "{shrunk:?}");
        // Less than can be done with is the least that can.
        assert_eq!(budget(0, 0, 1, None).chunk, CHUNK);
    }

    #[test]
    fn defaults_adapt_to_the_machine() {
        let b = budget(0, 0, 0, None);
        assert_eq!((b.connections, b.chunk, b.adaptive, b.large), (256, CHUNK, true, Some(WINDOW / 4)));
        assert_eq!((b.window, b.window_max, b.reserve), (WINDOW, WINDOW_MAX, RESERVE_MAX));
        let small = budget(0, 0, 0, Some(64 * MIB));
        assert!(small.window < WINDOW && small.window_max == small.window && small.reserve == 0, "{small:?}");
        // Their buffers beside the window are a part of it.
        assert_eq!((small.connections, small.read_buffer), (16, 256 << 10));
        let least = budget(0, 0, 0, Some(34 * MIB));
        assert_eq!((least.window, least.connections, least.read_buffer), (8 * MIB, 16, 64 << 10));
        let larger = budget(0, 0, 0, Some(120 * MIB));
        assert_eq!((larger.window, larger.window_max), (WINDOW, (120 * MIB - BESIDE) / 5 * 4));
        assert!(0 < larger.reserve && larger.reserve < RESERVE_MAX, "{larger:?}");
        let large = budget(0, 512 * MIB, 0, None);
        assert_eq!((large.window, large.chunk), (512 * MIB, 512 * MIB));
    }

    #[test]
    fn ceilings_hold_where_nothing_is_said_and_nowhere_else() {
        let profile_limits = ProfileLimits {
            concurrency: NonZeroUsize::new(6),
            chunk_size: NonZeroU64::new(MIB),
            ..ProfileLimits::default()
        };
        let unsaid = Limits::within(&Options::default(), &profile_limits, None, None);
        assert_eq!((unsaid.connections, unsaid.chunk, unsaid.large), (6, MIB, None));
        assert!(unsaid.adaptive, "a ceiling is no number to keep");

        let answer = Options {
            concurrency: NonZeroUsize::new(9),
            chunk_size: NonZeroU64::new(2 * MIB),
            ..Options::default()
        };
        let answer = Limits::within(&answer, &profile_limits, None, None);
        assert_eq!((answer.connections, answer.chunk), (9, 2 * MIB));

        let high = ProfileLimits {
            concurrency: NonZeroUsize::new(500),
            chunk_size: NonZeroU64::new(64 * MIB),
            ..profile_limits
        };
        assert_eq!(
            Limits::within(&Options::default(), &high, None, None),
            Limits::within(&Options::default(), &ProfileLimits::default(), None, None)
        );
    }

    #[test]
    fn a_rate_comes_in_small_steps_and_the_one_asked_for_wins() {
        let profile_limits =
            ProfileLimits { bytes_per_second: NonZeroU64::new(MIB), ..ProfileLimits::default() };
        for (limit_rate, rate, read_buffer) in [
            (0, MIB, MIB / 20),
            (1000, 1000, READ_BUFFER_MIN),
            (2 * MIB, 2 * MIB, MIB / 10),
            (100 * MIB, 100 * MIB, READ_BUFFER_MAX),
        ] {
            let options = Options { limit_rate: NonZeroU64::new(limit_rate), ..Options::default() };
            let b = Limits::within(&options, &profile_limits, None, None);
            assert_eq!(b.bytes_per_second.map_or(0, NonZeroU64::get), rate);
            assert_eq!(b.read_buffer as u64, read_buffer, "{rate}");
        }
        assert_eq!(
            Limits::within(&Options::default(), &ProfileLimits::default(), None, None).bytes_per_second,
            None
        );
    }

    #[test]
    fn every_budget_lets_every_chunk_in() {
        for concurrency in [0, 1, 2, 7, 64, 1000] {
            for chunk in [0, 1, 1000, 64 << 10, 3 * MIB, 8 * MIB, 1 << 30] {
                for memory in [0, 1, 30 * MIB, 64 * MIB, 1 << 32] {
                    let b = budget(concurrency, chunk, memory, None);
                    let largest = b.large.map_or(b.chunk, |large| large.max(b.chunk + b.chunk / 2));
                    assert!(largest <= b.window, "{b:?}");
                    if memory == 0 {
                        assert!(b.window / b.chunk >= b.connections as u64 || b.adaptive, "{b:?}");
                    }
                }
            }
        }
    }
}
