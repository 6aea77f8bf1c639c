//! The sidecar of a part file, and the lists of an upload's parts.

use crate::fuzzing::checks::divided;
use crate::output::resume::{DownloadRequest, resume_by};
use crate::s3::address::source::Source;
use crate::s3::object::ObjectInfo;
use crate::s3::part_list::{part_size, parts_listed};
use crate::s3::range_spec::RangeSpec;

/// Takes a sidecar: the first line is the length of the part file and the range asked for, the rest its JSON. A FILE
/// that results must be the objects.
pub fn sidecar(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, json) = (String::from_utf8_lossy(&data[..end]), data.get(end + 1..).unwrap_or_default());
    let (length, asked) = line.split_once(' ').unwrap_or((&line, ""));
    let length = length.parse().unwrap_or(10);
    let asked: Option<RangeSpec> = asked.parse().ok();
    let sources: Vec<Source> = ["s3://b/a", "s3://b/b"].iter().filter_map(|uri| uri.parse().ok()).collect();
    for count in 1..=sources.len() {
        let request =
            DownloadRequest { sources: &sources[..count], asked, endpoint: "http://h:9", run_files: None };
        let Some((resume, pieces)) = resume_by(json, length, request) else { continue };
        assert!(resume.length <= length && resume.complete <= count);
        let right = |size: u64| asked.map_or(0..size, |asked| asked.of(size).start()..asked.of(size).end());
        let whole = &pieces[..resume.complete];
        let within = resume.within.as_ref().map_or(0, |(_, written)| *written);
        for (size, range) in pieces.iter().take(resume.complete + usize::from(within > 0)) {
            assert_eq!(*range, right(*size), "the bytes that were asked for");
        }
        let before: u64 = whole.iter().map(|(_, range)| range.end - range.start).sum();
        assert_eq!(before + within, resume.length, "no byte is missing or there twice");
        if let Some((size, _)) = pieces.get(resume.complete).filter(|_| within > 0) {
            let range = right(*size);
            assert!(within < range.end - range.start, "something is left that proves the version");
        }
    }
}

/// Takes the response to a list of parts, or to a HEAD of one.
pub fn part_list(data: &[u8]) {
    let (head, body) = divided(data);
    let info = ObjectInfo { size: 100, etag: Some("\"e-2\"".to_owned()), ..ObjectInfo::default() };
    for after in [0, 1, 9999] {
        if let Some(page) = parts_listed(body, after, &info) {
            assert!(!page.sizes.is_empty(), "a page has parts");
        }
    }
    if let Some((Some(start), size)) = part_size(&head, 2, &info) {
        assert!(start.checked_add(size).is_some_and(|end| end <= info.size), "a part of the object");
    }
}
