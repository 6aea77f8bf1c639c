//! The comparison of one download with its expected checksum.
//!
//! The response to HEAD may arrive after the first bytes. Until then every checksum that it could name is computed,
//! the expensive ones for the first bytes only; afterwards only the one that is needed.

use crate::error::{Error, ErrorKind, Result};
use crate::s3::checksum::algorithm::{ChecksumAlgorithm, Hasher};
use crate::s3::checksum::composite::CompositeDigest;
use crate::s3::checksum::expected::ExpectedChecksum;

/// SHA-256 and SHA-1 are computed for this many bytes before it is known whether they are needed: what a connection to
/// S3 brings in a fifth of a second, at about 20 ms of CPU.
const SPECULATIVE_BYTES_MAX: u64 = 16 << 20;

/// Compares the bytes of one object with their expected checksum.
#[derive(Debug)]
pub(crate) struct Verifier(VerifierState);

#[derive(Debug)]
enum VerifierState {
    /// The expected checksum is not known yet.
    Speculating {
        hashers: Vec<(ChecksumAlgorithm, Hasher)>,
        bytes: u64,
    },
    Comparing {
        expected: ExpectedChecksum,
        running: Box<CompositeDigest>,
    },
    Done(Option<&'static str>),
}

impl Verifier {
    /// Creates a verifier that computes nothing.
    pub(crate) fn off() -> Self {
        Self(VerifierState::Done(None))
    }

    /// Creates a verifier whose expected checksum is set later, by [`Verifier::set_expected`].
    pub(crate) fn speculating() -> Self {
        let hashers = ChecksumAlgorithm::OF_HEADERS.map(|algorithm| (algorithm, algorithm.hasher()));
        Self(VerifierState::Speculating { hashers: hashers.into(), bytes: 0 })
    }

    /// Creates a verifier that compares with `expected`, a checksum of the bytes themselves.
    pub(crate) fn whole(expected: ExpectedChecksum) -> Self {
        let running = Box::new(CompositeDigest::whole(expected.algorithm.hasher()));
        Self(VerifierState::Comparing { expected, running })
    }

    /// Creates a verifier that compares with `expected`, a checksum of parts of these sizes.
    pub(crate) fn parts(expected: ExpectedChecksum, sizes: Vec<u64>) -> Self {
        let running = Box::new(CompositeDigest::parts(expected.algorithm, sizes));
        Self(VerifierState::Comparing { expected, running })
    }

    /// Returns whether [`Verifier::set_expected`] is still to be called.
    pub(crate) fn awaits_expected(&self) -> bool {
        matches!(self.0, VerifierState::Speculating { .. })
    }

    /// Returns whether the verifier needs bytes: there is a checksum to compare with, or may be.
    pub(crate) fn needs_bytes(&self) -> bool {
        !matches!(self.0, VerifierState::Done(_))
    }

    /// Sets the checksum of the full object to compare with; `None` if there is none.
    pub(crate) fn set_expected(&mut self, expected: Option<ExpectedChecksum>) {
        let VerifierState::Speculating { hashers, .. } = &mut self.0 else { return };
        let comparing = expected.and_then(|expected| {
            let at = hashers.iter().position(|(algorithm, _)| *algorithm == expected.algorithm)?;
            let running = Box::new(CompositeDigest::whole(hashers.swap_remove(at).1));
            Some(VerifierState::Comparing { expected, running })
        });
        self.0 = comparing.unwrap_or(VerifierState::Done(None));
    }

    /// Hashes the next bytes of the object.
    pub(crate) fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            VerifierState::Speculating { hashers, bytes } => {
                *bytes += data.len() as u64;
                if *bytes > SPECULATIVE_BYTES_MAX {
                    hashers.retain(|(algorithm, _)| algorithm.is_cheap());
                }
                for (_, hasher) in hashers {
                    hasher.update(data);
                }
            }
            VerifierState::Comparing { running, .. } => running.update(data),
            VerifierState::Done(_) => {}
        }
    }

    /// Compares, after the last byte. Fails with an error of kind `Integrity` if the bytes are not those that were
    /// stored.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let verified = self.verified();
        let before = std::mem::replace(&mut self.0, VerifierState::Done(verified));
        let VerifierState::Comparing { expected, running } = before else { return Ok(()) };
        let computed = running.finish();
        if computed != expected.value {
            return Err(mismatch(&expected, &computed));
        }
        self.0 = VerifierState::Done(Some(expected.name()));
        Ok(())
    }

    /// Returns the name of the checksum that matched; `None` before the end, and if nothing was compared.
    pub(crate) fn verified(&self) -> Option<&'static str> {
        if let VerifierState::Done(name) = self.0 { name } else { None }
    }
}

fn mismatch(expected: &ExpectedChecksum, computed: &[u8]) -> Error {
    let (name, computed) = (expected.name(), expected.shown(computed));
    let what = format!(
        "the delivered bytes do not match the object's checksum: their {name} is {computed}, the store's is {expected}"
    );
    let advice = if expected.algorithm == ChecksumAlgorithm::Md5 {
        "all bytes were delivered but do not match: discard the output; a store whose ETags are not MD5s needs --checksum auto"
    } else {
        "all bytes were delivered but do not match: discard the output and download again; in a pipe, set -o pipefail"
    };
    Error::new(ErrorKind::Integrity, what).with_hint(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> ExpectedChecksum {
        let mut hasher = algorithm.hasher();
        hasher.update(bytes);
        ExpectedChecksum { algorithm, value: hasher.finish(), parts: None }
    }

    #[test]
    fn what_head_says_counts_whenever_it_comes() {
        let bytes = vec![7; 100_000];
        for algorithm in ChecksumAlgorithm::OF_HEADERS {
            for at in [0, 1, 50_000, bytes.len()] {
                let mut verifier = Verifier::speculating();
                verifier.update(&bytes[..at]);
                verifier.set_expected(Some(expected(algorithm, &bytes)));
                assert!(!verifier.awaits_expected() && verifier.needs_bytes());
                verifier.update(&bytes[at..]);
                assert_eq!(verifier.verified(), None);
                verifier.finish().unwrap();
                assert_eq!(verifier.verified(), Some(algorithm.name()), "settled at {at}");
                verifier.finish().unwrap();
                assert_eq!(verifier.verified(), Some(algorithm.name()), "it stays so");
            }
        }
    }

    #[test]
    fn late_means_cheap_ones_only() {
        let bytes = vec![7; 1 << 20];
        let rounds = usize::try_from(SPECULATIVE_BYTES_MAX >> 20).unwrap();
        for (extra, want) in [(0, Some("sha256")), (1, None)] {
            let mut all = bytes.repeat(rounds);
            all.extend(vec![8; extra]);
            for algorithm in [ChecksumAlgorithm::Sha256, ChecksumAlgorithm::Crc32c] {
                let mut verifier = Verifier::speculating();
                for piece in all.chunks(bytes.len()) {
                    verifier.update(piece);
                }
                verifier.set_expected(Some(expected(algorithm, &all)));
                verifier.finish().unwrap();
                let want = if algorithm.is_cheap() { Some("crc32c") } else { want };
                assert_eq!(verifier.verified(), want, "{extra} bytes more");
            }
        }
    }

    #[test]
    fn a_mismatch_shows_both_values() {
        let mut verifier = Verifier::whole(expected(ChecksumAlgorithm::Crc32, b"123456789"));
        verifier.update(b"123456780");
        let error = verifier.finish().unwrap_err();
        assert_eq!((error.exit_code(), error.is_retryable()), (7, false));
        let text = error.to_string();
        assert!(text.contains("crc32 is siiBgg==, the store's is y/Q5Jg=="), "{text}");
        assert!(text.contains("pipefail"), "{text}");
        assert_eq!(verifier.verified(), None);
    }

    #[test]
    fn nothing_to_compare_with_is_no_failure() {
        for mut verifier in [Verifier::off(), Verifier::speculating()] {
            verifier.update(b"123456789");
            verifier.set_expected(None);
            assert!(!verifier.needs_bytes());
            verifier.finish().unwrap();
            assert_eq!(verifier.verified(), None);
        }
    }
}
