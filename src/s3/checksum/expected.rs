//! The checksum that an object's bytes must have, read from the response to HEAD, or to a GET of all of them.
//!
//! A malformed value (not base64, a wrong length, no number of parts) counts as none: servers differ, and a misread
//! checksum would reject good bytes.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::s3::address::directory_bucket::is_directory_bucket;
use crate::s3::checksum::algorithm::ChecksumAlgorithm;
use crate::s3::object::ObjectInfo;

/// A checksum's value and algorithm, and what it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExpectedChecksum {
    pub(crate) algorithm: ChecksumAlgorithm,
    pub(crate) value: Vec<u8>,
    /// The number of parts whose concatenated values it covers; `None` if it covers the object's bytes.
    pub(crate) parts: Option<u32>,
}

/// S3's limit of parts of an object ("Amazon S3 multipart upload limits").
const PARTS_MAX: u32 = 10_000;

impl ExpectedChecksum {
    /// Returns the checksum of the full object, if there is one.
    ///
    /// CRC64NVME always covers the full object (User Guide, "Full object and composite checksum types"), and older
    /// servers send it without a type. The others count with `x-amz-checksum-type: FULL_OBJECT`. A server that sends
    /// no type may mean either ("Checksum", S3 API Reference: a value "may not be a direct checksum value of the full
    /// object"); there a value counts only if neither it nor the `ETag` ends in a number of parts, which `SeaweedFS`
    /// shows for single uploads.
    pub(crate) fn full_object(info: &ObjectInfo) -> Option<Self> {
        let declared = info.checksum_type.as_deref();
        let is_single_upload = info.etag.as_deref().is_some_and(is_of_single_upload);
        first(info, |algorithm, value| {
            let counts = match declared {
                Some(declared) => declared.eq_ignore_ascii_case("FULL_OBJECT"),
                None => algorithm == ChecksumAlgorithm::Crc64Nvme || is_single_upload,
            };
            if counts { Self::of_base64(algorithm, value, None) } else { None }
        })
    }

    /// Returns the checksum of the full object that the response to a GET of all of its bytes showed as `info`, if it is certain
    /// to be one. S3 shows the composite checksum of an object uploaded in parts there without the number of parts
    /// (boto/botocore#3346): so the type has to be declared, and the `ETag` be that of a single upload.
    pub(crate) fn of_whole_response(info: &ObjectInfo) -> Option<Self> {
        let is_single_upload = info.etag.as_deref().is_some_and(is_of_single_upload);
        info.checksum_type.as_ref().filter(|_| is_single_upload).and_then(|_| Self::full_object(info))
    }

    /// Returns the checksum of the parts' checksums, if there is one: its value ends in `-` and the number of parts.
    pub(crate) fn composite(info: &ObjectInfo) -> Option<Self> {
        if info.checksum_type.as_deref().is_some_and(|declared| !declared.eq_ignore_ascii_case("COMPOSITE")) {
            return None;
        }
        first(info, |algorithm, value| {
            let (value, count) = value.split_once('-')?;
            Self::of_base64(algorithm, value, Some(parts(count)?))
        })
    }

    /// Returns the MD5 in an `ETag`: of the object, or of the MD5s of its parts, followed by their number. The tags of
    /// objects encrypted with KMS or customer keys are not MD5s ("Object", S3 API Reference, `ETag`), nor are those in
    /// directory buckets or of Swift's large objects.
    pub(crate) fn of_etag(info: &ObjectInfo, bucket: &str) -> Option<Self> {
        let is_encrypted = info.encryption.as_deref().is_some_and(|by| by != "AES256");
        if is_encrypted || is_directory_bucket(bucket) || info.is_made_of_others {
            return None;
        }
        let tag = info.etag.as_deref()?.strip_prefix('"')?.strip_suffix('"')?;
        let (md5, parts) = match tag.split_once('-') {
            Some((md5, count)) => (md5, Some(parts(count)?)),
            None => (tag, None),
        };
        let value = hex::decode(md5).ok().filter(|value| value.len() == ChecksumAlgorithm::Md5.len())?;
        Some(Self { algorithm: ChecksumAlgorithm::Md5, value, parts })
    }

    fn of_base64(algorithm: ChecksumAlgorithm, text: &str, parts: Option<u32>) -> Option<Self> {
        let value = BASE64.decode(text).ok().filter(|value| value.len() == algorithm.len())?;
        Some(Self { algorithm, value, parts })
    }

    /// Formats `value` as the store writes this kind of checksum.
    pub(crate) fn shown(&self, value: &[u8]) -> String {
        let mut text = match self.algorithm {
            ChecksumAlgorithm::Md5 => hex::encode(value),
            _ => BASE64.encode(value),
        };
        if let Some(parts) = self.parts {
            text = format!("{text}-{parts}");
        }
        text
    }

    /// Returns the name for statistics and messages.
    pub(crate) fn name(&self) -> &'static str {
        match (self.algorithm, self.parts) {
            (algorithm, None) => algorithm.name(),
            (ChecksumAlgorithm::Crc64Nvme, Some(_)) => "crc64nvme-composite",
            (ChecksumAlgorithm::Crc32c, Some(_)) => "crc32c-composite",
            (ChecksumAlgorithm::Crc32, Some(_)) => "crc32-composite",
            (ChecksumAlgorithm::Sha256, Some(_)) => "sha256-composite",
            (ChecksumAlgorithm::Sha1, Some(_)) => "sha1-composite",
            (ChecksumAlgorithm::Md5, Some(_)) => "md5-composite",
        }
    }
}

impl fmt::Display for ExpectedChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(&self.value))
    }
}

/// Returns the first checksum, in the order of `OF_HEADERS`, that `read` accepts.
fn first(
    info: &ObjectInfo,
    read: impl Fn(ChecksumAlgorithm, &str) -> Option<ExpectedChecksum>,
) -> Option<ExpectedChecksum> {
    ChecksumAlgorithm::OF_HEADERS.into_iter().find_map(|algorithm| {
        let (_, value) = info.checksums.iter().find(|(shown, _)| *shown == algorithm)?;
        read(algorithm, value)
    })
}

/// Returns whether `etag` is that of an object uploaded in one piece: it ends in no number of parts.
fn is_of_single_upload(etag: &str) -> bool {
    etag.trim_matches('"').rsplit_once('-').is_none_or(|(_, count)| parts(count).is_none())
}

fn parts(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|count| digits && (1..=PARTS_MAX).contains(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(declared: Option<&str>, checksums: &[(ChecksumAlgorithm, &str)]) -> ObjectInfo {
        ObjectInfo {
            checksum_type: declared.map(str::to_owned),
            checksums: checksums.iter().map(|(algorithm, value)| (*algorithm, (*value).to_owned())).collect(),
            ..ObjectInfo::default()
        }
    }

    #[test]
    fn declared_values_and_crc64nvme_cover_the_full_object() {
        let (crc64, crc32) =
            ((ChecksumAlgorithm::Crc64Nvme, "rosUhgp5mIg="), (ChecksumAlgorithm::Crc32, "y/Q5Jg=="));
        let full = Some("FULL_OBJECT");
        for (why, declared, checksums, want) in [
            ("declared", full, &[crc32][..], Some("y/Q5Jg==")),
            ("the cheaper of two", full, &[crc32, crc64], Some("rosUhgp5mIg=")),
            ("always one", None, &[crc64], Some("rosUhgp5mIg=")),
            ("not declared", None, &[crc32], None),
            ("not declared, beside one", None, &[crc32, crc64], Some("rosUhgp5mIg=")),
            ("declared otherwise", Some("COMPOSITE"), &[crc64, crc32], None),
            ("of parts", full, &[(ChecksumAlgorithm::Crc32, "y/Q5Jg==-3")], None),
            ("of parts, not declared", None, &[(ChecksumAlgorithm::Crc64Nvme, "rosUhgp5mIg=-3")], None),
            ("no base64", full, &[(ChecksumAlgorithm::Crc32, "y/Q5J")], None),
            ("too long", full, &[(ChecksumAlgorithm::Crc32, "rosUhgp5mIg=")], None),
            ("empty", full, &[(ChecksumAlgorithm::Crc32, "")], None),
            ("none", full, &[], None),
        ] {
            let expected = ExpectedChecksum::full_object(&info(declared, checksums));
            assert_eq!(expected.as_ref().map(ToString::to_string).as_deref(), want, "{why}");
            assert!(expected.is_none_or(|e| e.parts.is_none()), "{why}");
        }
    }

    /// `SeaweedFS` sends the checksum of a single upload without a type.
    #[test]
    fn without_a_type_a_checksum_counts_if_neither_it_nor_the_etag_counts_parts() {
        for (etag, value, counts) in [
            (Some("\"d41d8cd98f00b204e9800998ecf8427e\""), "y/Q5Jg==", true),
            (Some("d41d8cd98f00b204e9800998ecf8427e"), "y/Q5Jg==", true),
            (Some("\"a-tag\""), "y/Q5Jg==", true),
            (Some("\"d41d8cd98f00b204e9800998ecf8427e-3\""), "y/Q5Jg==", false),
            (Some("\"d41d8cd98f00b204e9800998ecf8427e\""), "y/Q5Jg==-3", false),
            (None, "y/Q5Jg==", false),
        ] {
            let mut info = info(None, &[(ChecksumAlgorithm::Crc32, value)]);
            info.etag = etag.map(str::to_owned);
            assert_eq!(ExpectedChecksum::full_object(&info).is_some(), counts, "{etag:?} {value}");
        }
    }

    #[test]
    fn the_checksum_in_the_response_to_a_get_is_declared_and_of_a_single_upload() {
        let (crc64, crc32) =
            ((ChecksumAlgorithm::Crc64Nvme, "rosUhgp5mIg="), (ChecksumAlgorithm::Crc32, "y/Q5Jg=="));
        let (single, of_parts) = (Some("\"d41d8cd98f00b204e9800998ecf8427e\""), Some("\"d41d-7\""));
        let (full, composite) = (Some("FULL_OBJECT"), Some("COMPOSITE"));
        for (why, declared, etag, checksum, counts) in [
            ("declared", full, single, crc32, true),
            ("declared, of an encrypted object", full, Some("\"a-tag\""), crc64, true),
            ("of parts", full, of_parts, crc64, false),
            ("of parts, without their number", composite, of_parts, crc32, false),
            ("of parts, with another tag", composite, single, crc32, false),
            ("not declared", None, single, crc32, false),
            ("not declared, not composite", None, single, crc64, false),
            ("of no tag", full, None, crc64, false),
            ("none", full, single, (ChecksumAlgorithm::Crc32, ""), false),
        ] {
            let mut info = info(declared, &[checksum]);
            info.etag = etag.map(str::to_owned);
            assert_eq!(ExpectedChecksum::of_whole_response(&info).is_some(), counts, "{why}");
        }
    }

    #[test]
    fn composites_say_how_many_parts() {
        for (declared, value, want) in [
            (Some("COMPOSITE"), "y/Q5Jg==-3", Some(3)),
            (None, "y/Q5Jg==-10000", Some(10_000)),
            (Some("FULL_OBJECT"), "y/Q5Jg==-3", None),
            (Some("COMPOSITE"), "y/Q5Jg==", None),
            (Some("COMPOSITE"), "y/Q5Jg==-0", None),
            (Some("COMPOSITE"), "y/Q5Jg==-10001", None),
            (Some("COMPOSITE"), "y/Q5Jg==-+3", None),
            (Some("COMPOSITE"), "y/Q5Jg==-", None),
        ] {
            let expected = ExpectedChecksum::composite(&info(declared, &[(ChecksumAlgorithm::Crc32, value)]));
            assert_eq!(expected.as_ref().and_then(|e| e.parts), want, "{declared:?} {value}");
            assert!(expected.is_none_or(|e| e.to_string() == value && e.name() == "crc32-composite"));
        }
    }

    #[test]
    fn an_md5_in_an_etag() {
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        for (etag, encryption, bucket, want) in [
            (format!("\"{md5}\""), None, "b", Some((None, "md5"))),
            (format!("\"{md5}\""), Some("AES256"), "b", Some((None, "md5"))),
            (format!("\"{md5}-7\""), None, "b", Some((Some(7), "md5-composite"))),
            (format!("\"{md5}\""), Some("aws:kms"), "b", None),
            (format!("\"{md5}\""), Some("aws:kms:dsse"), "b", None),
            (format!("\"{md5}\""), Some("SSE-C"), "b", None),
            (format!("\"{md5}\""), None, "b--usw2-az1--x-s3", None),
            (format!("\"{md5}\""), None, "ap--usw2-az1--xa-s3", None),
            (format!("W/\"{md5}\""), None, "b", None),
            (format!("\"{md5}0\""), None, "b", None),
            (format!("\"{}\"", &md5[1..]), None, "b", None),
            (format!("\"{}x\"", &md5[1..]), None, "b", None),
            (format!("\"{md5}-x\""), None, "b", None),
            ("\"\"".to_owned(), None, "b", None),
        ] {
            let info = ObjectInfo {
                etag: Some(etag.clone()),
                encryption: encryption.map(str::to_owned),
                ..ObjectInfo::default()
            };
            let expected = ExpectedChecksum::of_etag(&info, bucket);
            assert_eq!(expected.as_ref().map(|e| (e.parts, e.name())), want, "{etag} {encryption:?}");
            assert!(expected.is_none_or(|e| format!("\"{e}\"") == etag));
        }
    }
}
