//! The checksum algorithms that S3 knows, and how each is computed.

use crc_fast::CrcAlgorithm;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A checksum algorithm that S3 supports (Amazon S3 User Guide, "Checking object integrity in Amazon S3").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChecksumAlgorithm {
    /// CRC-64/NVME.
    Crc64Nvme,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// SHA-256.
    Sha256,
    /// SHA-1.
    Sha1,
    /// MD5, which appears only in an `ETag`.
    Md5,
}

impl ChecksumAlgorithm {
    /// The algorithms of the headers `x-amz-checksum-*`, cheapest first.
    pub(crate) const OF_HEADERS: [Self; 5] =
        [Self::Crc64Nvme, Self::Crc32c, Self::Crc32, Self::Sha256, Self::Sha1];

    /// Returns the name as in the header `x-amz-checksum-NAME`, for example `crc64nvme`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "crc64nvme",
            Self::Crc32c => "crc32c",
            Self::Crc32 => "crc32",
            Self::Sha256 => "sha256",
            Self::Sha1 => "sha1",
            Self::Md5 => "md5",
        }
    }

    /// Returns the name of the header that shows it; `None` for the one that has none.
    pub(crate) fn header(self) -> Option<&'static str> {
        match self {
            Self::Crc64Nvme => Some("x-amz-checksum-crc64nvme"),
            Self::Crc32c => Some("x-amz-checksum-crc32c"),
            Self::Crc32 => Some("x-amz-checksum-crc32"),
            Self::Sha256 => Some("x-amz-checksum-sha256"),
            Self::Sha1 => Some("x-amz-checksum-sha1"),
            Self::Md5 => None,
        }
    }

    /// Returns the length of a value, in bytes.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Crc64Nvme => 8,
            Self::Crc32c | Self::Crc32 => 4,
            Self::Sha256 => 32,
            Self::Sha1 => 20,
            Self::Md5 => 16,
        }
    }

    /// Returns whether computing it costs next to nothing.
    pub(crate) fn is_cheap(self) -> bool {
        matches!(self, Self::Crc64Nvme | Self::Crc32c | Self::Crc32)
    }

    pub(crate) fn hasher(self) -> Hasher {
        let crc = |algorithm| Hasher(HasherState::Crc(crc_fast::Digest::new(algorithm), self.len()));
        match self {
            Self::Crc64Nvme => crc(CrcAlgorithm::Crc64Nvme),
            Self::Crc32c => crc(CrcAlgorithm::Crc32Iscsi),
            Self::Crc32 => crc(CrcAlgorithm::Crc32IsoHdlc),
            Self::Sha256 => Hasher(HasherState::Sha256(Sha256::new())),
            Self::Sha1 => Hasher(HasherState::Sha1(Sha1::new())),
            Self::Md5 => Hasher(HasherState::Md5(Md5::new())),
        }
    }
}

/// The running computation of one algorithm.
#[derive(Debug)]
pub(crate) struct Hasher(HasherState);

#[derive(Debug)]
enum HasherState {
    /// The digest, and the length of its value in bytes.
    Crc(crc_fast::Digest, usize),
    Sha256(Sha256),
    Sha1(Sha1),
    Md5(Md5),
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            HasherState::Crc(digest, _) => digest.update(bytes),
            HasherState::Sha256(digest) => digest.update(bytes),
            HasherState::Sha1(digest) => digest.update(bytes),
            HasherState::Md5(digest) => digest.update(bytes),
        }
    }

    /// Returns the value in S3's byte order: a CRC is big-endian.
    pub(crate) fn finish(self) -> Vec<u8> {
        match self.0 {
            HasherState::Crc(digest, len) => {
                let value = digest.finalize().to_be_bytes();
                value[value.len() - len..].to_vec()
            }
            HasherState::Sha256(digest) => digest.finalize().to_vec(),
            HasherState::Sha1(digest) => digest.finalize().to_vec(),
            HasherState::Md5(digest) => digest.finalize().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [ChecksumAlgorithm; 6] = [
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Crc32c,
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Sha256,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Md5,
    ];

    fn of(algorithm: ChecksumAlgorithm, pieces: &[&[u8]]) -> String {
        let mut hasher = algorithm.hasher();
        for piece in pieces {
            hasher.update(piece);
        }
        hex::encode(hasher.finish())
    }

    /// CRCs of "123456789" are the check values of the catalogue of parametrised CRC algorithms (reveng):
    /// CRC-64/NVME, CRC-32/ISCSI, CRC-32/ISO-HDLC. That of 4 KiB of zeros stands in the NVM Command Set
    /// Specification (section 5.2.1.3.5), those of 32 bytes in RFC 3720, appendix B.4. SHA-256 and SHA-1:
    /// NIST's examples for FIPS 180-4; MD5: RFC 1321, appendix A.5.
    #[test]
    fn known_answers() {
        let rising: Vec<u8> = (0..32).collect();
        let million = vec![b'a'; 1_000_000];
        for (algorithm, bytes, want) in [
            (ChecksumAlgorithm::Crc64Nvme, &b"123456789"[..], "ae8b14860a799888"),
            (ChecksumAlgorithm::Crc64Nvme, &[0; 4096], "6482d367eb22b64e"),
            (ChecksumAlgorithm::Crc64Nvme, b"", "0000000000000000"),
            (ChecksumAlgorithm::Crc32c, b"123456789", "e3069283"),
            (ChecksumAlgorithm::Crc32c, &[0; 32], "8a9136aa"),
            (ChecksumAlgorithm::Crc32c, &[0xff; 32], "62a8ab43"),
            (ChecksumAlgorithm::Crc32c, &rising, "46dd794e"),
            (ChecksumAlgorithm::Crc32, b"123456789", "cbf43926"),
            (ChecksumAlgorithm::Crc32, b"", "00000000"),
            (
                ChecksumAlgorithm::Sha256,
                b"abc",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                ChecksumAlgorithm::Sha256,
                b"",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            (
                ChecksumAlgorithm::Sha256,
                &million,
                "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
            ),
            (ChecksumAlgorithm::Sha1, b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (ChecksumAlgorithm::Sha1, &million, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
            (ChecksumAlgorithm::Md5, b"", "d41d8cd98f00b204e9800998ecf8427e"),
            (ChecksumAlgorithm::Md5, b"message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ] {
            assert_eq!(of(algorithm, &[bytes]), want, "{algorithm:?} of {} bytes", bytes.len());
            assert_eq!(want.len(), 2 * algorithm.len());
        }
    }

    #[test]
    fn pieces_come_to_the_same_as_the_whole() {
        let bytes: Vec<u8> = (0..=250).cycle().take(70_001).collect();
        for algorithm in ALL {
            let whole = of(algorithm, &[&bytes]);
            for at in [0, 1, 15, 64, 4097, 65_536, bytes.len()] {
                let (a, b) = bytes.split_at(at);
                assert_eq!(of(algorithm, &[a, &[], b]), whole, "{algorithm:?} cut at {at}");
            }
        }
    }
}
