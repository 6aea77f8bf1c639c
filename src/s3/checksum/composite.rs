//! The running value of one [`Expected`](super::Expected): over the bytes, or part by part over the parts' values.

use std::collections::VecDeque;

use crate::s3::checksum::algorithm::{Algorithm, Hasher};

#[derive(Debug)]
pub(crate) struct Running {
    /// Over the bytes, or over the values of the parts that are complete.
    outer: Hasher,
    part: Option<Part>,
}

/// The part that the next byte belongs to.
#[derive(Debug)]
struct Part {
    algorithm: Algorithm,
    hasher: Hasher,
    /// Bytes of it that are still to come.
    left: u64,
    /// The sizes of those behind it.
    next: VecDeque<u64>,
}

impl Running {
    /// Over the bytes themselves.
    pub(crate) fn whole(hasher: Hasher) -> Self {
        Self { outer: hasher, part: None }
    }

    /// Over parts of these sizes, in bytes.
    pub(crate) fn parts(algorithm: Algorithm, sizes: Vec<u64>) -> Self {
        let mut next = VecDeque::from(sizes);
        let left = next.pop_front().unwrap_or(0);
        let part = Part { algorithm, hasher: algorithm.hasher(), left, next };
        Self { outer: algorithm.hasher(), part: Some(part) }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        let Some(part) = &mut self.part else { return self.outer.update(bytes) };
        while !bytes.is_empty() {
            if part.left == 0 {
                // Bytes behind the last part belong to no sum that could be right; whoever gave the sizes checked them.
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

impl Part {
    /// The value of the part that ends here.
    fn replace(&mut self) -> Vec<u8> {
        std::mem::replace(&mut self.hasher, self.algorithm.hasher()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(algorithm: Algorithm, bytes: &[u8]) -> Vec<u8> {
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
                    of_parts.extend(value(Algorithm::Crc32c, &bytes[at..end]));
                    at = end;
                }
                let mut running = Running::parts(Algorithm::Crc32c, sizes.clone());
                for piece in bytes.chunks(step) {
                    running.update(piece);
                }
                assert_eq!(running.finish(), value(Algorithm::Crc32c, &of_parts), "{sizes:?} by {step}");
            }
        }
    }

    #[test]
    fn an_empty_object_of_one_part() {
        let empty = value(Algorithm::Md5, b"");
        assert_eq!(Running::parts(Algorithm::Md5, vec![0]).finish(), value(Algorithm::Md5, &empty));
    }
}
