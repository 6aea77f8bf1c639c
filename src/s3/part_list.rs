//! The sizes of the parts that an object was uploaded in, read from the response to `GetObjectAttributes` or to a HEAD
//! of one part.
//!
//! A response that contradicts the object or itself is ignored as a whole.

use http::HeaderMap;
use http::response::Parts;
use serde::Deserialize;

use crate::s3::header::{content_length, header_text};
use crate::s3::object::ObjectInfo;
use crate::s3::range::content_range;

/// A page of the list of parts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PartsPage {
    /// In bytes, in the order of the parts.
    pub(crate) sizes: Vec<u64>,
    /// Set if more pages follow.
    pub(crate) more: bool,
}

/// Reads the response to `GetObjectAttributes` (S3 API Reference) with the parts after number `after` of the object
/// `info`. Returns `None` if it lists none, or not the next ones, or is about another object.
pub(crate) fn parts_listed(body: &[u8], after: u32, info: &ObjectInfo) -> Option<PartsPage> {
    let text = std::str::from_utf8(body).ok()?;
    let document: PartListDocument = quick_xml::de::from_str(text).ok()?;
    let etag = info.etag.as_deref().map(unquoted);
    if document.e_tag.as_deref().map(unquoted).is_some_and(|shown| Some(shown) != etag)
        || document.object_size.is_some_and(|size| size != info.size)
    {
        return None;
    }
    let ObjectParts { is_truncated, part } = document.object_parts?;
    let in_order = (after + 1..).zip(&part).all(|(number, part)| part.part_number == number);
    (in_order && !part.is_empty())
        .then(|| PartsPage { sizes: part.iter().map(|part| part.size).collect(), more: is_truncated })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PartListDocument {
    #[serde(rename = "ETag")]
    e_tag: Option<String>,
    object_size: Option<u64>,
    object_parts: Option<ObjectParts>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct ObjectParts {
    is_truncated: bool,
    part: Vec<ListedPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedPart {
    part_number: u32,
    size: u64,
}

fn unquoted(etag: &str) -> &str {
    etag.trim_matches('"')
}

/// Reads the response to a HEAD of one of the `count` parts of the object `info`. Returns the part's offset, if the
/// response shows it, and its size, both in bytes; `None` if the response is not about such a part.
pub(crate) fn part_size(head: &Parts, count: u32, info: &ObjectInfo) -> Option<(Option<u64>, u64)> {
    let headers = &head.headers;
    let counted = number(headers, "x-amz-mp-parts-count");
    // Some servers show the part's own ETag: then nothing says that it is a part of this object.
    if counted.is_some_and(|shown| shown != u64::from(count))
        || header_text(headers, "etag") != info.etag.as_deref()
    {
        return None;
    }
    let length = content_length(headers)?;
    let Some(range) = header_text(headers, "content-range") else { return counted.map(|_| (None, length)) };
    let (range, size) = content_range(range)?;
    (range.len() == length && size == info.size).then(|| (Some(range.start()), length))
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    header_text(headers, name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> ObjectInfo {
        ObjectInfo { size: 30, etag: Some("\"e-3\"".to_owned()), ..ObjectInfo::default() }
    }

    /// The form of the example in the S3 API Reference, `GetObjectAttributes`.
    fn document(etag: &str, size: &str, parts: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <GetObjectAttributesResponse xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <ETag>{etag}</ETag><Checksum><ChecksumCRC32>y/Q5Jg==-3</ChecksumCRC32></Checksum>\
             <ObjectParts><PartsCount>3</PartsCount><PartNumberMarker>0</PartNumberMarker>{parts}</ObjectParts>\
             <ObjectSize>{size}</ObjectSize></GetObjectAttributesResponse>"
        )
    }

    fn part(number: &str, size: &str) -> String {
        format!(
            "<Part><PartNumber>{number}</PartNumber><ChecksumCRC32>x</ChecksumCRC32><Size>{size}</Size></Part>"
        )
    }

    #[test]
    fn lists_of_parts() {
        let two = [part("1", "12"), part("2", "8")].concat();
        let more = "<IsTruncated>true</IsTruncated>";
        for (why, body, after, want) in [
            ("all", document("e-3", "30", &two), 0, Some((vec![12, 8], false))),
            ("a page", document("\"e-3\"", "30", &format!("{more}{two}")), 0, Some((vec![12, 8], true))),
            ("the next", document("e-3", "30", &part("3", "10")), 2, Some((vec![10], false))),
            ("not the next", document("e-3", "30", &two), 2, None),
            ("a gap", document("e-3", "30", &[part("1", "1"), part("3", "1")].concat()), 0, None),
            ("none", document("e-3", "30", ""), 0, None),
            ("another object", document("f-3", "30", &two), 0, None),
            ("another size", document("e-3", "31", &two), 0, None),
            ("a negative size", document("e-3", "30", &part("1", "-1")), 0, None),
            ("no parts", "<GetObjectAttributesResponse/>".to_owned(), 0, None),
            ("no XML", "the object itself".to_owned(), 0, None),
            ("nothing", String::new(), 0, None),
        ] {
            let listed = parts_listed(body.as_bytes(), after, &info());
            assert_eq!(listed, want.map(|(sizes, more)| PartsPage { sizes, more }), "{why}");
        }
        assert_eq!(parts_listed(b"\xff\xfe", 0, &info()), None);
    }

    #[test]
    fn heads_of_parts() {
        let (range, length, tag, count) = (
            ("content-range", "bytes 10-19/30"),
            ("content-length", "10"),
            ("etag", "\"e-3\""),
            ("x-amz-mp-parts-count", "3"),
        );
        for (why, headers, want) in [
            ("as S3 does", vec![range, length, tag, count], Some((Some(10), 10))),
            ("without the count", vec![range, length, tag], Some((Some(10), 10))),
            ("without a range", vec![length, tag, count], Some((None, 10))),
            ("of an object", vec![length, tag], None),
            ("another count", vec![range, length, tag, ("x-amz-mp-parts-count", "4")], None),
            ("the part's own tag", vec![range, length, count, ("etag", "\"f\"")], None),
            ("no tag", vec![range, length, count], None),
            ("no length", vec![range, tag, count], None),
            ("another length", vec![range, ("content-length", "9"), tag, count], None),
            ("another size", vec![("content-range", "bytes 10-19/31"), length, tag, count], None),
        ] {
            let mut response = http::Response::builder().status(206);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            let head = response.body(()).unwrap().into_parts().0;
            assert_eq!(part_size(&head, 3, &info()), want, "{why}");
        }
    }
}
