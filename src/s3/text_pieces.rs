//! A fast test of whether a few texts hold a run of a long secret.
//!
//! Each response has a dozen headers, and a session token in all its encodings has tens of thousands of bytes. Looking for
//! every run of it in every header would take longer than most requests. So the pieces of the texts are noted, and only
//! every fifth piece of the secret is looked for among them.

use std::collections::HashSet;

/// A run of this many characters of a secret is blanked out, even if the rest is missing.
pub(super) const RUN_MIN: usize = 12;
/// Shorter secrets may stand in a text by chance: the text is dropped as a whole.
pub(super) const BLANKED_MIN: usize = 8;

/// As many bytes as the shortest secret that is blanked out has.
type Piece = [u8; BLANKED_MIN];

/// Every run of [`RUN_MIN`] bytes has a piece that begins at a multiple of this.
const PIECE_INTERVAL: usize = RUN_MIN - BLANKED_MIN + 1;

/// The pieces of a few texts.
pub(super) struct TextPieces {
    pieces: Vec<u64>,
    /// A bit for each hash of a piece.
    hashes: Vec<u64>,
}

impl TextPieces {
    const HASH_BITS: u32 = 16;

    /// Notes the pieces of `texts`.
    pub(super) fn of<'a>(texts: impl Iterator<Item = &'a Vec<u8>>) -> Self {
        let pieces =
            texts.flat_map(|text| text.array_windows().map(|piece: &Piece| u64::from_le_bytes(*piece)));
        let pieces: Vec<u64> = pieces.collect();
        let mut hashes = vec![0; 1 << Self::HASH_BITS >> 6];
        for piece in &pieces {
            let (word, bit) = Self::place(*piece);
            hashes[word] |= bit;
        }
        Self { pieces, hashes }
    }

    /// Returns whether the texts may hold a run of `secret` or all of it; if not, they do not.
    pub(super) fn may_hold(&self, secret: &[u8]) -> bool {
        secret.array_windows().step_by(PIECE_INTERVAL).any(|piece: &Piece| {
            let piece = u64::from_le_bytes(*piece);
            let (word, bit) = Self::place(piece);
            self.hashes[word] & bit != 0 && self.pieces.contains(&piece)
        })
    }

    /// Returns the word that holds the hash of `piece`, and its bit there.
    fn place(piece: u64) -> (usize, u64) {
        // Multiplicative hashing: this odd number spreads what differs in any byte over the highest bits.
        let hash = piece.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - Self::HASH_BITS);
        (usize::try_from(hash >> 6).unwrap_or(0), 1 << (hash & 63))
    }
}

/// Returns whether `text` holds `secret`, or a run of it that is blanked out.
pub(super) fn holds_run(text: &[u8], secret: &[u8]) -> bool {
    if secret.len() < BLANKED_MIN {
        return false;
    }
    let least = secret.len().min(RUN_MIN);
    // A server may send long headers that begin as the secret does, so both are read once.
    let runs: HashSet<&[u8]> = secret.windows(least).collect();
    text.windows(least).any(|run| runs.contains(run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_wherever_it_begins() {
        let secret: Vec<u8> = (b'!'..b'~').collect();
        for from in 0..70 {
            for len in 8..20 {
                let text = [b"\0", &secret[from..from + len], b"\0"].concat();
                let is_in = len >= RUN_MIN;
                assert_eq!(holds_run(&text, &secret), is_in, "{from} {len}");
                let may_be = TextPieces::of([b"another text".to_vec(), text].iter()).may_hold(&secret);
                assert!(may_be || !is_in, "{from} {len}");
            }
        }
        let short = &secret[..BLANKED_MIN];
        assert!(holds_run(&secret, short) && TextPieces::of([secret.clone()].iter()).may_hold(short));
        assert!(
            !holds_run(&secret[1..], short) && !TextPieces::of([secret[1..].to_vec()].iter()).may_hold(short)
        );
        let shorter = &secret[..BLANKED_MIN - 1];
        assert!(!holds_run(&secret, shorter) && !TextPieces::of([secret.clone()].iter()).may_hold(shorter));
        assert!(!TextPieces::of([].iter()).may_hold(&secret));
    }
}
