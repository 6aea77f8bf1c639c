//! The keys of the server: one for the whole object, or one for each of the equal pieces that it is cut into.
//!
//! Pieces follow one another in the object, so the concatenation of all keys, in their order, is the object.

use std::ops::Range;

/// The only key, and the beginning of the keys of pieces.
pub(crate) const KEY: &str = "object";

/// An object of so many bytes, and how many pieces it is cut into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys {
    size: u64,
    pieces: u64,
}

impl Keys {
    /// Returns the keys of an object of `size` bytes in `pieces` pieces, which divide it.
    pub(crate) fn new(size: u64, pieces: u64) -> Self {
        Self { size, pieces: pieces.max(1) }
    }

    /// Returns all keys, in the order of their bytes.
    pub(crate) fn all(self) -> impl Iterator<Item = String> {
        (0..self.pieces).map(move |piece| self.name(piece))
    }

    /// Returns the bytes of the object that are under `key`.
    pub(crate) fn find(self, key: &str) -> Option<Range<u64>> {
        let piece = match key.strip_prefix(KEY)? {
            "" => 0,
            number => number.strip_prefix('.')?.parse().ok()?,
        };
        let size = self.piece_size();
        (piece < self.pieces && self.name(piece) == key).then_some(piece * size..(piece + 1) * size)
    }

    /// Returns the bytes of each piece.
    pub(crate) fn piece_size(self) -> u64 {
        self.size / self.pieces
    }

    fn name(self, piece: u64) -> String {
        if self.pieces == 1 { KEY.to_owned() } else { format!("{KEY}.{piece:05}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_found_by_their_keys_and_lie_one_after_the_other() {
        let keys = Keys::new(30, 3);
        let found: Vec<_> = keys.all().map(|key| keys.find(&key)).collect();
        assert_eq!(found, [Some(0..10), Some(10..20), Some(20..30)]);
        for key in ["object", "object.3", "object.00003", "object.1", "objects", ""] {
            assert_eq!(keys.find(key), None, "{key}");
        }
    }

    #[test]
    fn what_is_not_cut_has_one_key() {
        let keys = Keys::new(30, 1);
        assert_eq!(keys.all().collect::<Vec<_>>(), ["object"]);
        assert_eq!((keys.find("object"), keys.find("object.00000")), (Some(0..30), None));
    }
}
