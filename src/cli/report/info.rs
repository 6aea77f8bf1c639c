//! The output of `--info`: an [`ObjectInfo`] as lines for people or as one line of JSON for programs.
//!
//! The keys of the JSON form are listed at [`render`] and are stable.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::cli::report::format::{self, Format, json_line};
use crate::error::printable::printable;
use crate::s3::address::source::Source;
use crate::s3::object::ObjectInfo;

/// Describes an object, in `format`; the text ends with a newline.
///
/// | key | JSON type | value |
/// |---|---|---|
/// | `uri` | string | `s3://bucket/key`, or a URL without its query; the text form escapes control characters |
/// | `size` | number | bytes; null where the server does not show it |
/// | `etag` | string | as HTTP has it, with its quotes |
/// | `version_id` | string | |
/// | `last_modified` | string | RFC 3339 in UTC, such as `2024-11-21T08:49:37Z` |
/// | `storage_class` | string | S3 names none for `STANDARD` |
/// | `content_type` | string | |
/// | `checksum_type` | string | `FULL_OBJECT` or `COMPOSITE` |
/// | `checksums` | object | algorithm (`crc64nvme`, `sha256`, ...) to base64 value; may be empty |
///
/// The text form has the same keys, with one line `checksum_<algorithm>` for each checksum.
#[must_use]
pub(crate) fn render(uri: &Source, info: &ObjectInfo, format: Format) -> String {
    match format {
        Format::Text => text(uri, info),
        Format::Json => json(uri, info),
    }
}

fn text(uri: &Source, info: &ObjectInfo) -> String {
    let last_modified = info.last_modified.as_deref().map(rfc3339);
    let mut lines = vec![
        ("uri:".to_owned(), uri.to_string()),
        ("size:".to_owned(), info.known_size().map_or_else(|| "unknown".to_owned(), size)),
    ];
    for (key, value) in [
        ("etag", info.etag.as_deref()),
        ("version_id", info.version_id.as_deref()),
        ("last_modified", last_modified.as_deref()),
        ("storage_class", info.storage_class.as_deref()),
        ("content_type", info.content_type.as_deref()),
        ("checksum_type", info.checksum_type.as_deref()),
    ] {
        lines.extend(value.map(|value| (format!("{key}:"), printable(value))));
    }
    for (algorithm, value) in &info.checksums {
        lines.push((format!("checksum_{}:", algorithm.name()), printable(value)));
    }
    let width = lines.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    lines.iter().fold(String::new(), |mut out, (key, value)| {
        let _ = writeln!(out, "{key:width$} {value}");
        out
    })
}

/// Shows a size in bytes, and from 1 KiB on also in a larger unit.
fn size(bytes: u64) -> String {
    if bytes < 1024 { bytes.to_string() } else { format!("{bytes} ({})", format::size(bytes)) }
}

/// The JSON form; the order of the fields is the order of the keys.
#[derive(Serialize)]
struct InfoJson<'a> {
    uri: String,
    size: Option<u64>,
    etag: Option<&'a str>,
    version_id: Option<&'a str>,
    last_modified: Option<String>,
    storage_class: Option<&'a str>,
    content_type: Option<&'a str>,
    checksum_type: Option<&'a str>,
    checksums: BTreeMap<&'a str, &'a str>,
}

fn json(uri: &Source, info: &ObjectInfo) -> String {
    let view = InfoJson {
        uri: uri.raw(),
        size: info.known_size(),
        etag: info.etag.as_deref(),
        version_id: info.version_id.as_deref(),
        last_modified: info.last_modified.as_deref().map(rfc3339),
        storage_class: info.storage_class.as_deref(),
        content_type: info.content_type.as_deref(),
        checksum_type: info.checksum_type.as_deref(),
        checksums: info.checksums.iter().map(|(a, v)| (a.name(), v.as_str())).collect(),
    };
    json_line(&view)
}

/// Converts an HTTP date (RFC 9110, section 5.6.7) to RFC 3339; any other text is returned as the server wrote it.
fn rfc3339(http_date: &str) -> String {
    httpdate::parse_http_date(http_date)
        .map_or_else(|_| http_date.to_owned(), |time| humantime::format_rfc3339_seconds(time).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::checksum::algorithm::ChecksumAlgorithm;

    fn full() -> ObjectInfo {
        ObjectInfo {
            size: 536_870_912,
            etag: Some("\"9b2cf535f27731c974343645a3985328-64\"".into()),
            version_id: Some("3HL4kqtJlcpXroDTDmJ".into()),
            last_modified: Some("Thu, 21 Nov 2024 08:49:37 GMT".into()),
            storage_class: Some("STANDARD_IA".into()),
            checksum_type: Some("FULL_OBJECT".into()),
            checksums: vec![
                (ChecksumAlgorithm::Crc64Nvme, "nvvKxnV1Wmc=".into()),
                (ChecksumAlgorithm::Crc32, "4qDlqg==".into()),
            ],
            content_type: Some("application/zstd".into()),
            content_encoding: None,
            encryption: None,
            ..ObjectInfo::default()
        }
    }

    fn bare(size: u64) -> ObjectInfo {
        ObjectInfo { size, ..ObjectInfo::default() }
    }

    fn uri(text: &str) -> Source {
        text.parse().unwrap()
    }

    #[test]
    fn text_is_aligned_and_complete() {
        assert_eq!(
            render(&uri("s3://b/k.tar.zst"), &full(), Format::Text),
            "uri:                s3://b/k.tar.zst\n\
             size:               536870912 (512.0 MiB)\n\
             etag:               \"9b2cf535f27731c974343645a3985328-64\"\n\
             version_id:         3HL4kqtJlcpXroDTDmJ\n\
             last_modified:      2024-11-21T08:49:37Z\n\
             storage_class:      STANDARD_IA\n\
             content_type:       application/zstd\n\
             checksum_type:      FULL_OBJECT\n\
             checksum_crc64nvme: nvvKxnV1Wmc=\n\
             checksum_crc32:     4qDlqg==\n"
        );
    }

    #[test]
    fn text_leaves_out_what_is_unknown() {
        assert_eq!(render(&uri("s3://b/k"), &bare(7), Format::Text), "uri:  s3://b/k\nsize: 7\n");
    }

    #[test]
    fn json_is_one_line_with_every_key_in_a_stable_order() {
        assert_eq!(
            render(&uri("s3://b/k"), &full(), Format::Json),
            concat!(
                r#"{"uri":"s3://b/k","size":536870912,"etag":"\"9b2cf535f27731c974343645a3985328-64\"","#,
                r#""version_id":"3HL4kqtJlcpXroDTDmJ","last_modified":"2024-11-21T08:49:37Z","#,
                r#""storage_class":"STANDARD_IA","content_type":"application/zstd","#,
                r#""checksum_type":"FULL_OBJECT","#,
                r#""checksums":{"crc32":"4qDlqg==","crc64nvme":"nvvKxnV1Wmc="}}"#,
                "\n"
            )
        );
        assert_eq!(
            render(&uri("s3://b/k"), &bare(0), Format::Json),
            concat!(
                r#"{"uri":"s3://b/k","size":0,"etag":null,"version_id":null,"last_modified":null,"#,
                r#""storage_class":null,"content_type":null,"checksum_type":null,"checksums":{}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn control_characters_never_come_out_raw() {
        let uri = uri("s3://b/a\nb\u{1b}[2J");
        let info = ObjectInfo { content_type: Some("x\u{9b}31m".into()), ..bare(1) };
        for format in [Format::Text, Format::Json] {
            let out = render(&uri, &info, format);
            assert!(!out.contains('\u{1b}'), "{out:?}");
        }
        let text = render(&uri, &info, Format::Text);
        assert!(text.contains("s3://b/a\\nb\\u{1b}[2J\n") && text.contains("x\\u{9b}31m\n"), "{text:?}");
        let json: serde_json::Value = serde_json::from_str(&render(&uri, &info, Format::Json)).unwrap();
        assert_eq!(json["uri"], "s3://b/a\nb\u{1b}[2J");
    }

    #[test]
    fn dates() {
        for (http, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"),
            ("Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37Z"),
            ("Sun Nov  6 08:49:37 1994", "1994-11-06T08:49:37Z"),
            ("Thu, 29 Feb 2024 23:59:59 GMT", "2024-02-29T23:59:59Z"),
            ("Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59Z"),
            ("2024-11-21T08:49:37.000Z", "2024-11-21T08:49:37.000Z"),
            ("yesterday", "yesterday"),
            ("", ""),
        ] {
            assert_eq!(rfc3339(http), expected, "{http}");
        }
    }
}
