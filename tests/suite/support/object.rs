//! Objects to download. Their bytes differ everywhere, so that a range that is missing, duplicated or misplaced shows.

use bytes::Bytes;

/// The chunk size of most tests, in bytes: several frames, yet small enough for many chunks.
pub(crate) const CHUNK: u64 = 64 << 10;
/// The size of most tests' object, in bytes: the last chunk is a short one.
pub(crate) const SIZE: u64 = 5 * CHUNK + 1234;
/// The number of chunks of that object.
pub(crate) const CHUNKS: usize = 6;

/// Returns an object of `size` bytes, the same in every run.
pub(crate) fn object(size: u64) -> Bytes {
    let mut bytes = vec![0; usize::try_from(size).expect("a size that fits memory")];
    for (word, place) in (0..).zip(bytes.chunks_mut(8)) {
        place.copy_from_slice(&scrambled(word).to_le_bytes()[..place.len()]);
    }
    bytes.into()
}

/// `SplitMix64`'s output function: neighbours have nothing in common.
fn scrambled(word: u64) -> u64 {
    let z = word.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[test]
fn every_place_looks_different() {
    let bytes = object(8 * 1000 + 3);
    assert_eq!(bytes.len(), 8003);
    let words: std::collections::HashSet<&[u8]> = bytes.chunks_exact(8).collect();
    assert_eq!(words.len(), 1000);
}
