//! `--checksum auto`: if HEAD declares a checksum of the whole object, the delivered bytes are compared with it;
//! nothing else is compared.

use std::io::Read as _;

use bytes::Bytes;

use crate::support::checksums::{HEADERS, assert_right, assert_wrong, full, name, value, with_head};
use crate::support::fault_server::{FaultServer, Gate, Reply, once};
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{S3fcp, URI};
use crate::support::table;

fn run(server: &FaultServer) -> S3fcp {
    S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--stats=json"])
}

#[test]
fn each_algorithm_is_verified() {
    for header in HEADERS {
        let server = FaultServer::start(object(SIZE), with_head(full(header, value(header, &object(SIZE)))));
        assert_right(&run(&server).download(URI), &object(SIZE), Some(name(header)));
        assert_eq!((server.heads(), server.gets().len()), (1, CHUNKS));
        assert_eq!(server.object_bytes(), SIZE);
    }
}

/// One bit in the last byte, or in the first, on the way or on the store's disk.
#[test]
fn bytes_that_are_not_those_stored_are_reported_with_both_values() {
    for header in HEADERS {
        for at in [0, usize::try_from(SIZE).unwrap() - 1] {
            let mut wrong = object(SIZE).to_vec();
            wrong[at] ^= 1;
            let right = value(header, &object(SIZE));
            let server =
                FaultServer::start(Bytes::from(wrong.clone()), with_head(full(header, right.clone())));
            let outcome = run(&server).download(URI);
            assert_wrong(&outcome, &wrong);
            for part in [name(header), &right, &value(header, &wrong), "s3://bucket/key"] {
                assert!(outcome.stderr.contains(part), "no {part} in {}", outcome.stderr);
            }
            assert_eq!(server.gets().len(), CHUNKS, "nothing is fetched again");
        }
    }
}

#[test]
fn a_checksum_that_may_not_cover_the_whole_object_is_not_compared() {
    let (crc32, crc64) = ("x-amz-checksum-crc32", "x-amz-checksum-crc64nvme");
    let table = [
        ("none", Reply::ok()),
        ("composite", Reply::ok().header(crc32, "AAAAAA==-6").header("x-amz-checksum-type", "COMPOSITE")),
        ("composite by its form", Reply::ok().header(crc32, "AAAAAA==-6")),
        ("composite, declared full", full(crc32, "AAAAAA==-6")),
        ("no base64", full(crc32, "!")),
        ("another length", full(crc64, "AAAAAA==")),
        ("unknown", full("x-amz-checksum-crc7", "AA==")),
        ("of another version", full(crc64, "AAAAAAAAAAA=").etag("\"other\"")),
        ("of another size", full(crc64, "AAAAAAAAAAA=").header("content-length", "7")),
    ];
    table::each(&table, |head| {
        let server = FaultServer::start(object(SIZE), with_head(head.clone()));
        assert_right(&run(&server).download(URI), &object(SIZE), None);
        assert_eq!((server.heads(), server.gets().len()), (1, CHUNKS));
    });
}

#[test]
fn the_checksum_of_a_single_upload_needs_no_type() {
    for header in HEADERS {
        let reply = Reply::ok().header(header, value(header, &object(SIZE)));
        let server = FaultServer::start(object(SIZE), with_head(reply));
        assert_right(&run(&server).download(URI), &object(SIZE), Some(name(header)));
    }
}

#[test]
fn off_compares_nothing() {
    let server = FaultServer::start(object(SIZE), with_head(full(HEADERS[0], "AAAAAAAAAAA=")));
    assert_right(&run(&server).args(["--checksum", "off"]).download(URI), &object(SIZE), None);
}

/// A head that is refused is asked for once more, and then goes without; one that is refused for its
/// header is asked for without it.
#[test]
fn a_head_that_is_refused_verifies_nothing_and_harms_nothing() {
    let table = [
        ("denied", (403, "", 2)),
        ("busy", (503, "", 2)),
        ("checksums not known", (501, "", 2 * 2)),
        ("bad request", (400, "", 2 * 2)),
    ];
    table::each(&table, |&(status, code, heads)| {
        let server = FaultServer::start(object(SIZE), with_head(Reply::status(status).code(code)));
        assert_right(&run(&server).download(URI), &object(SIZE), None);
        assert_eq!((server.heads(), server.gets().len()), (heads, CHUNKS));
    });
}

#[test]
fn a_server_that_rejects_the_checksum_header_still_works() {
    let header = HEADERS[0];
    for status in [400, 501] {
        let server =
            FaultServer::start(object(SIZE), move |request| match request.header("x-amz-checksum-mode") {
                Some(_) => Reply::status(status),
                None if request.is_get() => Reply::ok(),
                None => full(header, value(header, &object(SIZE))),
            });
        assert_right(&run(&server).download(URI), &object(SIZE), Some("crc64nvme"));
        assert_eq!(server.heads(), 2);
    }
}

/// A busy moment does not cost the verification.
#[test]
fn a_head_that_fails_once_is_made_up_for() {
    for failure in [Reply::status(503), Reply::raw(""), Reply::status(403)] {
        let header = HEADERS[3];
        let right = full(header, value(header, &object(SIZE)));
        let server =
            FaultServer::start(object(SIZE), move |request| match (request.is_get(), request.serial) {
                (true, _) => Reply::ok(),
                (false, 0) => failure.clone(),
                (false, _) => right.clone(),
            });
        assert_right(&run(&server).download(URI), &object(SIZE), Some("sha256"));
        assert_eq!(server.heads(), 2);
    }
}

/// The head's answer comes when all bytes have been sent.
#[test]
fn a_late_head_is_waited_for_at_the_end() {
    for header in HEADERS {
        for (bytes, code) in [(object(SIZE), 0), (object(SIZE - 1), 7)] {
            let sent = Gate::closed();
            let head = full(header, value(header, &bytes)).delay_until(&sent);
            let server = FaultServer::start(object(SIZE), move |request| match request.chunk(CHUNK) {
                Some(5) => Reply::ok().then_open(&sent),
                Some(_) => Reply::ok(),
                None => head.clone(),
            });
            let outcome = S3fcp::at(&server.endpoint()).window(1, CHUNK).args(["--stats=json"]).download(URI);
            match code {
                0 => assert_right(&outcome, &object(SIZE), Some(name(header))),
                _ => assert_wrong(&outcome, &object(SIZE)),
            }
        }
    }
}

/// No byte waits for it: it is answered when the reader has them all. The reader then goes, and what it
/// has is judged all the same.
#[test]
fn no_byte_waits_for_the_head() {
    for value in [value(HEADERS[0], &object(SIZE)), "AAAAAAAAAAA=".to_owned()] {
        let read = Gate::closed();
        let head = full(HEADERS[0], value.clone()).delay_until(&read);
        let server = FaultServer::start(object(SIZE), with_head(head));
        let (running, stdout) = run(&server).args([URI]).start_unread();
        let mut stdout = stdout.expect("a pipe");
        let mut received = vec![0; usize::try_from(SIZE).expect("a small number")];
        stdout.read_exact(&mut received).expect("all bytes");
        drop(stdout);
        read.open();
        let mut outcome = running.wait();
        outcome.stdout = received;
        if value == "AAAAAAAAAAA=" {
            assert_wrong(&outcome, &object(SIZE));
        } else {
            assert_right(&outcome, &object(SIZE), Some("crc64nvme"));
        }
    }
}

/// Some servers show the object's checksum with a part of it, and some the part's.
#[test]
fn checksums_of_ranged_gets_are_never_looked_at() {
    let header = HEADERS[0];
    let right = full(header, value(header, &object(SIZE)));
    for (head, name) in [(Reply::status(403), None), (Reply::ok(), None), (right, Some("crc64nvme"))] {
        let server = FaultServer::start(object(SIZE), move |request| match request.chunk(CHUNK) {
            Some(n) if n % 2 == 0 => full(header, value(header, &object(SIZE))),
            Some(_) => full(header, "AAAAAAAAAAA="),
            None => head.clone(),
        });
        assert_right(&run(&server).download(URI), &object(SIZE), name);
    }
}

#[test]
fn a_resumed_download_is_verified_in_order() {
    let header = HEADERS[1];
    let head = full(header, value(header, &object(SIZE)));
    let cut = once(2, Reply::ok().cut_after(CHUNK / 2 + 7));
    let server = FaultServer::start(
        object(SIZE),
        move |request| {
            if request.is_get() { cut(request) } else { head.clone() }
        },
    );
    assert_right(&run(&server).download(URI), &object(SIZE), Some("crc32c"));
    assert_eq!((server.gets().len(), server.object_bytes()), (CHUNKS + 1, SIZE));
}

#[test]
fn a_server_without_ranges_is_verified() {
    let header = HEADERS[3];
    for (bytes, code) in [(object(SIZE), 0), (object(SIZE + 1), 7)] {
        let head = full(header, value(header, &bytes));
        let server = FaultServer::start(object(SIZE), move |request| {
            let whole = Reply::whole_with_200().without("accept-ranges");
            match (request.is_get(), request.serial) {
                (true, 0) => whole.cut_after(CHUNK + 1),
                (true, _) => whole,
                (false, _) => head.clone(),
            }
        });
        let outcome = run(&server).download(URI);
        match code {
            0 => assert_right(&outcome, &object(SIZE), Some("sha256")),
            _ => assert_wrong(&outcome, &object(SIZE)),
        }
        assert_eq!(server.gets().len(), 2);
    }
}

#[test]
fn an_empty_object_is_verified() {
    for mode in ["auto", "require"] {
        for header in HEADERS {
            let server = FaultServer::start(Bytes::new(), with_head(full(header, value(header, b""))));
            let outcome = run(&server).args(["--checksum", mode]).download(URI);
            assert_right(&outcome, b"", Some(name(header)));
            let server = FaultServer::start(Bytes::new(), with_head(full(header, value(header, b"x"))));
            assert_wrong(&run(&server).args(["--checksum", mode]).download(URI), b"");
        }
    }
}

/// A checksum of the object says nothing of a part of it; a range that is all of it is the object.
#[test]
fn a_part_of_an_object_is_not_compared() {
    let header = HEADERS[0];
    for (range, part) in [("1-", 1..SIZE), ("0-99", 0..100), ("-1", SIZE - 1..SIZE)] {
        let bytes = object(SIZE).slice(
            usize::try_from(part.start).expect("a small number")
                ..usize::try_from(part.end).expect("a small number"),
        );
        // Neither with that of the object nor with that of the part.
        for head in [full(header, value(header, &object(SIZE))), full(header, value(header, &bytes))] {
            let server = FaultServer::start(object(SIZE), with_head(head));
            assert_right(&run(&server).args(["--range", range]).download(URI), &bytes, None);
            let outcome = run(&server).args(["--range", range, "--checksum", "require"]).download(URI);
            assert_eq!((outcome.code(), outcome.stdout.len()), (Some(2), 0), "{}", outcome.stderr);
            assert!(outcome.stderr.contains("only a part of it"), "{}", outcome.stderr);
        }
    }
    for range in ["0-", "0-999999999", "-999999999"] {
        for (stored, name) in [(object(SIZE), Some("crc64nvme")), (object(1), None)] {
            let server = FaultServer::start(object(SIZE), with_head(full(header, value(header, &stored))));
            let outcome = run(&server).args(["--range", range]).download(URI);
            if name.is_some() {
                assert_right(&outcome, &object(SIZE), name);
            } else {
                assert_wrong(&outcome, &object(SIZE));
            }
        }
    }
}
