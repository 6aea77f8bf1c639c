//! The check of one download: bytes in, a verdict at the end.
//!
//! HEAD may answer after the first bytes. Until then every checksum that it could show is computed, those
//! that are not cheap for the first bytes only; when it is in, what is not needed is dropped.

use crate::error::{Error, ErrorKind, Result};
use crate::s3::checksum::algorithm::{ChecksumAlgorithm, Hasher};
use crate::s3::checksum::composite::CompositeDigest;
use crate::s3::checksum::expected::ExpectedChecksum;

/// For so many bytes SHA-256 and SHA-1 are computed before it is known whether they are needed: what a
/// connection to S3 brings in a fifth of a second, and some 20 ms of a processor.
const GUESSED_MAX: u64 = 16 << 20;

/// Compares the bytes of one object with what they must come to.
#[derive(Debug)]
pub(crate) struct Verifier(VerifierState);

#[derive(Debug)]
enum VerifierState {
    /// It is not known yet what there is to compare with.
    Guessing {
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
    /// Computes nothing.
    pub(crate) fn off() -> Self {
        Self(VerifierState::Done(None))
    }

    /// Is told later what to compare with.
    pub(crate) fn guessing() -> Self {
        let hashers = ChecksumAlgorithm::OF_HEADERS.map(|algorithm| (algorithm, algorithm.hasher()));
        Self(VerifierState::Guessing { hashers: hashers.into(), bytes: 0 })
    }

    /// Compares with `expected`, a value of the bytes themselves.
    pub(crate) fn whole(expected: ExpectedChecksum) -> Self {
        let running = Box::new(CompositeDigest::whole(expected.algorithm.hasher()));
        Self(VerifierState::Comparing { expected, running })
    }

    /// Compares with `expected`, a value of parts of these sizes.
    pub(crate) fn parts(expected: ExpectedChecksum, sizes: Vec<u64>) -> Self {
        let running = Box::new(CompositeDigest::parts(expected.algorithm, sizes));
        Self(VerifierState::Comparing { expected, running })
    }

    /// Whether [`Verifier::settle`] is still to be called.
    pub(crate) fn is_guessing(&self) -> bool {
        matches!(self.0, VerifierState::Guessing { .. })
    }

    /// Whether bytes still count: there is something to compare with, or may be.
    pub(crate) fn is_due(&self) -> bool {
        !matches!(self.0, VerifierState::Done(_))
    }

    /// There is this checksum of the full object to compare with, or none.
    pub(crate) fn settle(&mut self, expected: Option<ExpectedChecksum>) {
        let VerifierState::Guessing { hashers, .. } = &mut self.0 else { return };
        let comparing = expected.and_then(|expected| {
            let at = hashers.iter().position(|(algorithm, _)| *algorithm == expected.algorithm)?;
            let running = Box::new(CompositeDigest::whole(hashers.swap_remove(at).1));
            Some(VerifierState::Comparing { expected, running })
        });
        self.0 = comparing.unwrap_or(VerifierState::Done(None));
    }

    /// The next bytes of the object.
    pub(crate) fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            VerifierState::Guessing { hashers, bytes } => {
                *bytes += data.len() as u64;
                if *bytes > GUESSED_MAX {
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

    /// That was the last byte. An error of kind `Integrity` where the bytes are not those that were stored.
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

    /// What the bytes were found equal to; `None` before the end, and where nothing was compared.
    pub(crate) fn verified(&self) -> Option<&'static str> {
        if let VerifierState::Done(name) = self.0 { name } else { None }
    }
}

fn mismatch(expected: &ExpectedChecksum, computed: &[u8]) -> Error {
    let (name, computed) = (expected.name(), expected.shown(computed));
    let what = format!(
        "the delivered bytes are not the object's: their {name} is {computed}, and the store has {expected}"
    );
    let advice = if expected.algorithm == ChecksumAlgorithm::Md5 {
        "every byte is out, but wrong: discard them; a store whose ETags are no MD5 needs --checksum auto"
    } else {
        "every byte is out, but wrong: discard what was made of them, and download again; in a pipe, set -o pipefail"
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
                let mut verifier = Verifier::guessing();
                verifier.update(&bytes[..at]);
                verifier.settle(Some(expected(algorithm, &bytes)));
                assert!(!verifier.is_guessing() && verifier.is_due());
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
        let rounds = usize::try_from(GUESSED_MAX >> 20).unwrap();
        for (extra, want) in [(0, Some("sha256")), (1, None)] {
            let mut all = bytes.repeat(rounds);
            all.extend(vec![8; extra]);
            for algorithm in [ChecksumAlgorithm::Sha256, ChecksumAlgorithm::Crc32c] {
                let mut verifier = Verifier::guessing();
                for piece in all.chunks(bytes.len()) {
                    verifier.update(piece);
                }
                verifier.settle(Some(expected(algorithm, &all)));
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
        assert!(text.contains("crc32 is siiBgg==, and the store has y/Q5Jg=="), "{text}");
        assert!(text.contains("pipefail"), "{text}");
        assert_eq!(verifier.verified(), None);
    }

    #[test]
    fn nothing_to_compare_with_is_no_failure() {
        for mut verifier in [Verifier::off(), Verifier::guessing()] {
            verifier.update(b"123456789");
            verifier.settle(None);
            assert!(!verifier.is_due());
            verifier.finish().unwrap();
            assert_eq!(verifier.verified(), None);
        }
    }
}
