//! Responses of servers as they are and as they should not be, and what each proves.

use super::*;
use crate::s3::checksum::algorithm::ChecksumAlgorithm;

fn head(status: u16, headers: &[(&str, &str)]) -> Parts {
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(()).unwrap().into_parts().0
}

#[test]
fn a_partial_response_must_be_the_range_asked() {
    let asked = ByteRange::new(10, 20);
    let ok = [("content-range", "bytes 10-19/30"), ("content-length", "10"), ("etag", "\"e\"")];
    let opened = RangeResponse::check(&head(206, &ok), asked, None).unwrap();
    assert_eq!((opened.body, opened.info.size, opened.whole), (asked, 30, false));
    assert_eq!(opened.info.etag.as_deref(), Some("\"e\""));
    // The object may end inside the first range, whose size was not known.
    let short = [("content-range", "bytes 10-14/15"), ("content-length", "5")];
    assert_eq!(RangeResponse::check(&head(206, &short), asked, None).unwrap().body, ByteRange::new(10, 15));
    for (why, headers, size, kind) in [
        ("no range", vec![("content-length", "10")], Some(30), ErrorKind::Server),
        ("other start", vec![("content-range", "bytes 0-9/30")], None, ErrorKind::Server),
        ("other end", vec![("content-range", "bytes 10-18/30")], None, ErrorKind::Server),
        ("longer", vec![("content-range", "bytes 10-20/30")], None, ErrorKind::Server),
        ("unknown size", vec![("content-range", "bytes 10-19/*")], None, ErrorKind::Server),
        (
            "wrong length",
            vec![("content-range", "bytes 10-19/30"), ("content-length", "9")],
            None,
            ErrorKind::Server,
        ),
    ] {
        let error = RangeResponse::check(&head(206, &headers), asked, size).unwrap_err();
        assert_eq!(error.kind(), kind, "{why}: {error}");
    }
}

/// A tab is the one control character that a header may have.
#[test]
fn no_header_is_shown_with_a_control_character() {
    for shown in ["bytes \t0-9/30", "bytes\t0-9/30"] {
        let headers = [("content-range", shown)];
        let error = RangeResponse::check(&head(206, &headers), ByteRange::new(10, 20), None).unwrap_err();
        assert!(!error.to_string().contains(char::is_control), "{error}");
    }
}

#[test]
fn a_whole_response_needs_a_length() {
    let asked = ByteRange::new(0, 10);
    let opened =
        RangeResponse::check(&head(200, &[("content-length", "30"), ("etag", "\"e\"")]), asked, None)
            .unwrap();
    assert!(opened.whole);
    assert_eq!(opened.body, ByteRange::new(0, 30));
    assert!(RangeResponse::check(&head(200, &[("etag", "\"e\"")]), asked, None).is_err());
    assert!(RangeResponse::check(&head(200, &[("content-length", "30")]), asked, None).is_err());
}

#[test]
fn a_200_with_the_range_of_a_part_is_that_part() {
    let asked = ByteRange::new(10, 20);
    let with =
        |range, length| head(200, &[("content-range", range), ("content-length", length), ("etag", "\"e\"")]);
    let opened = RangeResponse::check(&with("bytes 10-19/30", "10"), asked, None).unwrap();
    assert_eq!((opened.body, opened.info.size, opened.whole), (asked, 30, false));
    let opened = RangeResponse::check(&with("bytes 0-29/30", "30"), asked, None).unwrap();
    assert_eq!((opened.body, opened.whole), (ByteRange::new(0, 30), true));
    for (range, length) in [
        ("bytes 0-9/30", "10"),
        ("bytes 10-19/30", "30"),
        ("bytes 10-19/*", "10"),
        ("bytes 0-29/30", "10"),
        ("10-19/30", "10"),
    ] {
        let error = RangeResponse::check(&with(range, length), asked, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server, "{range}, {length} bytes: {error}");
    }
}

#[test]
fn head_shows_checksums_and_a_range_does_not() {
    let headers = [
        ("content-length", "30"),
        ("content-range", "bytes 0-29/30"),
        ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA="),
        ("x-amz-checksum-type", "FULL_OBJECT"),
        ("x-amz-version-id", "null"),
    ];
    let info = ObjectInfo::from_head(&head(200, &headers)).unwrap();
    assert_eq!(info.checksums, [(ChecksumAlgorithm::Crc64Nvme, "AAAAAAAAAAA=".to_owned())]);
    assert_eq!(info.version_id, None);
    let opened = RangeResponse::check(&head(206, &headers), ByteRange::new(0, 30), None).unwrap();
    assert_eq!((opened.info.checksums.len(), opened.info.checksum_type), (0, None));
}

/// Reads the response of an S3 server to a GET of `bytes=10-19`.
fn read(status: u16, headers: &[(&str, &str)], size: Option<u64>) -> Result<ResponseProof> {
    let sent = SentGet { range: Some(ByteRange::new(10, 20)), size, is_s3: true };
    ResponseProof::read(&head(status, headers), sent)
}

#[test]
fn a_length_alone_never_shows_which_bytes_come() {
    let (etag, ten) = (("etag", "\"e\""), ("content-length", "10"));
    for (why, status, headers, size, proves_nothing) in [
        ("a 200 as long as the range", 200, vec![etag, ten], None, true),
        ("the same of another object", 200, vec![etag, ten], Some(30), false),
        ("a 206 without a range", 206, vec![etag, ten], None, true),
        ("the same later", 206, vec![etag, ten], Some(30), true),
        ("a range from 0", 206, vec![etag, ten, ("content-range", "bytes 0-19/30")], None, true),
        ("the same later", 206, vec![etag, ten, ("content-range", "bytes 0-19/30")], Some(30), true),
    ] {
        match read(status, &headers, size) {
            Ok(ResponseProof::Nothing(_) | ResponseProof::PartOrWhole(_)) => {
                assert!(proves_nothing, "{why}");
            }
            Err(error) => assert!(!proves_nothing && error.kind() == ErrorKind::Server, "{why}: {error}"),
            Ok(other) => panic!("{why}: {other:?}"),
        }
    }
    // Of an object of this size it is all.
    let proof = read(200, &[etag, ten], Some(10)).unwrap();
    assert!(matches!(proof, ResponseProof::Bytes(RangeResponse { whole: true, .. })));
}

#[test]
fn the_beginning_of_the_range_is_used_if_the_body_shows_its_end() {
    let (of_nine, chunked) = (("content-length", "9"), ("transfer-encoding", "chunked"));
    for (why, shown, framing, size, is_used) in [
        ("first", "bytes 10-18/30", Some(of_nine), None, true),
        ("later", "bytes 10-18/30", Some(of_nine), Some(30), true),
        ("a byte", "bytes 10-10/30", Some(("content-length", "1")), None, true),
        ("in chunks", "bytes 10-18/30", Some(chunked), None, true),
        ("up to the end of the connection", "bytes 10-18/30", None, None, false),
        ("with another length", "bytes 10-18/30", Some(("content-length", "10")), None, false),
        ("of another size", "bytes 10-18/31", Some(of_nine), Some(30), false),
        ("from before", "bytes 9-17/30", Some(of_nine), None, false),
        ("from later", "bytes 11-19/30", Some(of_nine), None, false),
    ] {
        let headers: Vec<_> =
            [("etag", "\"e\""), ("content-range", shown)].into_iter().chain(framing).collect();
        for status in [200, 206] {
            match read(status, &headers, size) {
                Ok(ResponseProof::Bytes(response)) => {
                    assert!(is_used && !response.whole, "{why}");
                    assert_eq!(response.body.start(), 10, "{why}");
                }
                other => assert!(!is_used && other.is_err(), "{why}: {other:?}"),
            }
        }
    }
}

#[test]
fn more_than_was_requested_is_used_only_where_it_is_all() {
    let etag = ("etag", "\"e\"");
    for (why, shown, length, size, want) in [
        ("all of it", "bytes 0-29/30", Some("30"), None, Some(true)),
        ("all of it later", "bytes 0-29/30", Some("30"), Some(30), None),
        ("all of it with another length", "bytes 0-29/30", Some("10"), None, None),
        ("all of it without a length", "bytes 0-29/30", None, None, None),
        ("from where it was requested on", "bytes 10-29/30", Some("20"), None, Some(false)),
        ("the same later", "bytes 10-29/30", Some("20"), Some(30), Some(false)),
        ("from before", "bytes 5-19/30", Some("15"), None, None),
    ] {
        let headers: Vec<_> =
            [Some(etag), Some(("content-range", shown)), length.map(|l| ("content-length", l))]
                .into_iter()
                .flatten()
                .collect();
        match (read(206, &headers, size), want) {
            (Ok(ResponseProof::Bytes(response)), Some(true)) => {
                assert!(response.whole && response.body == ByteRange::new(0, 30), "{why}");
            }
            (Ok(ResponseProof::Nothing(_)), Some(false)) => {}
            (Err(error), None) => assert_eq!(error.kind(), ErrorKind::Server, "{why}"),
            (other, _) => panic!("{why}: {other:?}"),
        }
    }
}

#[test]
fn chunks_count_and_not_the_length_beside_them() {
    let both = [("etag", "\"e\""), ("content-length", "100"), ("transfer-encoding", "chunked")];
    assert!(matches!(read(200, &both, None), Ok(ResponseProof::Unsized(_))));
    let part = [both.as_slice(), &[("content-range", "bytes 10-19/30")]].concat();
    assert!(matches!(read(206, &part, None), Ok(ResponseProof::Bytes(_))));
    let sent = SentGet { range: None, size: None, is_s3: true };
    assert!(matches!(ResponseProof::read(&head(200, &both), sent), Ok(ResponseProof::Unsized(_))));
}

#[test]
fn a_body_in_several_parts_shows_no_range() {
    for kind in ["multipart/byteranges; boundary=X", "Multipart/ByteRanges"] {
        let (kind, etag) = (("content-type", kind), ("etag", "\"e\""));
        let range = ("content-range", "bytes 10-19/30");
        let (chunked, ten) = (("transfer-encoding", "chunked"), ("content-length", "10"));
        let unlike = ("content-range", "bytes 0-29/30");
        for headers in [
            &[kind, etag, ten][..],
            &[kind, etag, range, chunked],
            &[kind, etag, range],
            &[kind, etag, range, ten],
            &[kind, etag, unlike],
        ] {
            assert!(matches!(read(206, headers, None), Ok(ResponseProof::Nothing(_))), "{headers:?}");
            assert!(read(206, headers, Some(30)).is_err_and(|e| e.kind() == ErrorKind::Server));
        }
        // An object may have been stored with that type: this is all of it.
        let thirty = ("content-length", "30");
        let sent = SentGet { range: None, size: None, is_s3: true };
        let proof = ResponseProof::read(&head(200, &[kind, etag, thirty]), sent);
        assert!(matches!(proof, Ok(ResponseProof::Bytes(_))));
    }
}

#[test]
fn a_body_that_only_the_connection_ends_is_no_whole_object() {
    let etag = ("etag", "\"e\"");
    for coding in ["identity", "gzip", "gzip, chunked", "chunked, identity"] {
        let headers = [etag, ("transfer-encoding", coding)];
        assert!(read(200, &headers, None).is_err_and(|e| e.kind() == ErrorKind::Server), "{coding}");
        let part = [etag, ("content-range", "bytes 10-19/30"), ("transfer-encoding", coding)];
        for size in [None, Some(30)] {
            assert!(read(206, &part, size).is_err_and(|e| e.kind() == ErrorKind::Server), "{coding}");
        }
    }
}

#[test]
fn a_206_of_nothing_stands_for_a_416() {
    let nothing = ("content-length", "0");
    let spellings = ["bytes 0--1/0", "bytes */0", "bytes 0-0/0", "bytes -1--1/0", "bytes */*", "*", ""];
    for shown in spellings.into_iter().map(Some).chain([None]) {
        let mut headers = vec![nothing];
        headers.extend(shown.map(|shown| ("content-range", shown)));
        let error = read(206, &headers, None).unwrap_err();
        assert_eq!(error.service().map(|s| (s.status, s.object_size)), Some((416, Some(0))), "{shown:?}");
        assert!(read(206, &headers, Some(30)).is_err_and(|e| e.kind() == ErrorKind::Server));
    }
    assert!(
        read(206, &[("content-length", "5"), ("content-range", "bytes */0")], None)
            .is_err_and(|e| e.service().is_none())
    );
}

/// RFC 9110, section 14.4: `*` stands for a size that the server does not know.
#[test]
fn a_range_without_a_size_counts_where_the_size_is_known() {
    let shown = [("content-range", "bytes 10-19/*"), ("content-length", "10"), ("etag", "\"e\"")];
    assert!(matches!(read(206, &shown, None), Ok(ResponseProof::Nothing(_))));
    let proof = read(206, &shown, Some(30)).unwrap();
    assert!(
        matches!(proof, ResponseProof::Bytes(r) if r.body == ByteRange::new(10, 20) && r.info.size == 30)
    );
    for untagged in [&shown[..2], &[shown[0], shown[1], ("etag", "W/\"e\"")]] {
        assert!(matches!(read(206, untagged, Some(30)), Ok(ResponseProof::Nothing(_))));
    }
    for wrong in ["bytes 10-18/*", "bytes 0-9/*", "bytes 20-29/*", "bytes 19-10/*"] {
        let headers = [("content-range", wrong), shown[1], shown[2]];
        assert!(read(206, &headers, Some(30)).is_err_and(|e| e.kind() == ErrorKind::Server), "{wrong}");
    }
    assert!(
        !matches!(read(206, &shown, Some(15)), Ok(ResponseProof::Bytes(_))),
        "the object ends before that"
    );
}

#[test]
fn a_web_page_is_no_object_of_s3() {
    let page =
        [("content-type", "text/html; charset=utf-8"), ("content-length", "30"), ("last-modified", "Mon")];
    for kind in ["text/html", "Text/HTML; charset=utf-8", " text/html ;x", "application/xhtml+xml"] {
        let page = [page[1], page[2], ("content-type", kind)];
        for status in [200, 206] {
            let error = read(status, &page, None).unwrap_err();
            assert!(error.to_string().contains("does not look like an S3 server"), "{kind}");
        }
    }
    for proof in [("etag", "\"e\""), ("x-amz-request-id", "1")] {
        assert!(read(200, &[page.as_slice(), &[proof]].concat(), None).is_ok(), "{proof:?}");
    }
    let sent = SentGet { range: Some(ByteRange::new(10, 20)), size: None, is_s3: false };
    assert!(ResponseProof::read(&head(200, &page), sent).is_ok(), "a URL may name a page");
}

#[test]
fn two_ranges_in_one_response_prove_nothing() {
    let both = [("content-range", "bytes 10-19/30"), ("content-range", "bytes 10-19/40")];
    assert!(read(206, &both, None).is_err());
}
