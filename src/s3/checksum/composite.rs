//! The running value of one expected checksum: over the bytes, or over the values of the parts.

use std::collections::VecDeque;

use crate::s3::checksum::algorithm::{ChecksumAlgorithm, Hasher};

#[derive(Debug)]
pub(crate) struct CompositeDigest {
    /// Hashes the bytes, or the values of the parts that are complete.
    outer: Hasher,
    part: Option<PartDigest>,
}

/// The hash of the part that the next byte belongs to.
#[derive(Debug)]
struct PartDigest {
    algorithm: ChecksumAlgorithm,
    hasher: Hasher,
    /// Bytes of the part that are still to come.
    left: u64,
    /// The sizes of the parts after it.
    next: VecDeque<u64>,
}

impl CompositeDigest {
    /// Hashes the bytes themselves.
    pub(crate) fn whole(hasher: Hasher) -> Self {
        Self { outer: hasher, part: None }
    }

    /// Hashes parts of these sizes, in bytes.
    pub(crate) fn parts(algorithm: ChecksumAlgorithm, sizes: Vec<u64>) -> Self {
        let mut next = VecDeque::from(sizes);
        let left = next.pop_front().unwrap_or(0);
        let part = PartDigest { algorithm, hasher: algorithm.hasher(), left, next };
        Self { outer: algorithm.hasher(), part: Some(part) }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        let Some(part) = &mut self.part else { return self.outer.update(bytes) };
        while !bytes.is_empty() {
            if part.left == 0 {
                // The sizes add up to the object's; bytes beyond them cannot be part of a right checksum.
                let Some(size) = part.next.pop_front() else { return };
                part.left = size;
                self.outer.update(&part.replace());
            }
            let count = usize::try_from(part.left).unwrap_or(usize::MAX).min(bytes.len());
            part.hasher.update(&bytes[..count]);
            part.left -= count as u64;
            bytes = &bytes[count..];
        }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        if let Some(mut part) = self.part {
            self.outer.update(&part.replace());
        }
        self.outer.finish()
    }
}

impl PartDigest {
    /// Returns the value of the part that ends here, and starts the next one.
    fn replace(&mut self) -> Vec<u8> {
        std::mem::replace(&mut self.hasher, self.algorithm.hasher()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Vec<u8> {
        let mut hasher = algorithm.hasher();
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn of_parts_is_the_value_of_the_concatenated_values() {
        let bytes: Vec<u8> = (0..=250).cycle().take(10_000).collect();
        for sizes in [vec![10_000], vec![5000, 5000], vec![4096, 4096, 1808], vec![1, 9998, 1]] {
            for step in [1, 7, 4096, 10_000] {
                let mut at = 0;
                let mut of_parts = Vec::new();
                for size in &sizes {
                    let end = at + usize::try_from(*size).unwrap();
                    of_parts.extend(value(ChecksumAlgorithm::Crc32c, &bytes[at..end]));
                    at = end;
                }
                let mut running = CompositeDigest::parts(ChecksumAlgorithm::Crc32c, sizes.clone());
                for piece in bytes.chunks(step) {
                    running.update(piece);
                }
                assert_eq!(
                    running.finish(),
                    value(ChecksumAlgorithm::Crc32c, &of_parts),
                    "{sizes:?} by {step}"
                );
            }
        }
    }

    #[test]
    fn an_empty_object_of_one_part() {
        let empty = value(ChecksumAlgorithm::Md5, b"");
        assert_eq!(
            CompositeDigest::parts(ChecksumAlgorithm::Md5, vec![0]).finish(),
            value(ChecksumAlgorithm::Md5, &empty)
        );
    }
}
