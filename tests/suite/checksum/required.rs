//! `--checksum require`: anything the store offers to compare with is compared, checksums of parts included. If there
//! is nothing, no byte is delivered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use s3server::{Checksum, Object, Server};

use crate::support::checksums::{HEADERS, assert_right, assert_wrong, digest, full, value, with_head};
use crate::support::fault_server::{ETAG, FaultServer, Gate, Reply};
use crate::support::object::{CHUNK, SIZE, object};
use crate::support::run::{ACCESS_KEY, Outcome, S3fcp, SECRET_KEY, URI};
use crate::support::table;

/// Sizes of parts that fit no chunk, and add up to the object.
fn sizes() -> Vec<usize> {
    let size = usize::try_from(SIZE).expect("a small number");
    vec![100_000, 1, 99_999, size - 200_000]
}

/// The values of the parts, one after the other.
fn of_parts(bytes: &[u8], sizes: &[usize], of: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut rest = bytes;
    let mut values = Vec::new();
    for size in sizes {
        let (part, after) = rest.split_at(*size);
        values.extend(of(part));
        rest = after;
    }
    values
}

/// As S3 computes a composite.
fn composite(header: &str, bytes: &[u8], sizes: &[usize]) -> String {
    let values = of_parts(bytes, sizes, |part| digest(header, part));
    format!("{}-{}", STANDARD.encode(digest(header, &values)), sizes.len())
}

fn md5(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// As S3 makes the `ETag` of a multipart upload.
fn md5_of_md5s(bytes: &[u8], sizes: &[usize]) -> String {
    let values = of_parts(bytes, sizes, |part| Md5::digest(part).to_vec());
    format!("{}-{}", md5(&values), sizes.len())
}

fn run(endpoint: &str) -> S3fcp {
    S3fcp::at(endpoint).window(4, CHUNK).args(["--checksum", "require", "--stats=json"])
}

/// Downloads `object` from the embedded server; says also how many requests for attributes, and how many HEADs of
/// parts, there were.
fn download(object: Object) -> (Outcome, usize, usize) {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests().start();
    server.put("bucket", "key", object);
    let outcome = run(&server.endpoint()).download(URI);
    let asked = |what: &str| server.requests().iter().filter(|r| r.target.contains(what)).count();
    (outcome, asked("?attributes"), asked("?partNumber="))
}

/// Nothing was delivered, since there is nothing to compare with.
#[track_caller]
fn assert_unverifiable(outcome: &Outcome) {
    assert_eq!((outcome.code(), outcome.stdout.len()), (Some(2), 0), "{}", outcome.stderr);
    for part in ["s3://bucket/key: the object cannot be verified", "--checksum auto"] {
        assert!(outcome.stderr.contains(part), "no {part} in {}", outcome.stderr);
    }
}

#[test]
fn a_checksum_of_the_object_needs_no_parts() {
    let with = |bytes: &Bytes| {
        let crc = value("x-amz-checksum-crc64nvme", bytes);
        Object::new(object(SIZE)).e_tag("0123-4").parts(sizes()).checksum(Checksum::Crc64Nvme, crc)
    };
    let (outcome, lists, heads) = download(with(&object(SIZE)));
    assert_right(&outcome, &object(SIZE), Some("crc64nvme"));
    assert_eq!((lists, heads), (0, 0));
    assert_wrong(&download(with(&object(SIZE - 1))).0, &object(SIZE));
}

#[test]
fn composites_by_listed_parts() {
    let algorithms = [
        (Checksum::Crc32c, HEADERS[1], "crc32c-composite"),
        (Checksum::Crc32, HEADERS[2], "crc32-composite"),
        (Checksum::Sha256, HEADERS[3], "sha256-composite"),
        (Checksum::Sha1, HEADERS[4], "sha1-composite"),
    ];
    for (algorithm, header, name) in algorithms {
        let with =
            |value| Object::new(object(SIZE)).e_tag("0123-4").parts(sizes()).checksum(algorithm, value);
        let (outcome, lists, heads) = download(with(composite(header, &object(SIZE), &sizes())));
        assert_right(&outcome, &object(SIZE), Some(name));
        assert_eq!((lists, heads), (1, 0));

        let mut other = object(SIZE).to_vec();
        other[150_000] ^= 1;
        let stored = composite(header, &other, &sizes());
        let (outcome, ..) = download(with(stored.clone()));
        assert_wrong(&outcome, &object(SIZE));
        assert!(outcome.stderr.contains(&stored), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(&composite(header, &object(SIZE), &sizes())), "{}", outcome.stderr);
    }
}

#[test]
fn many_parts_are_listed_by_pages() {
    let sizes = vec![131; 2500];
    let bytes = object(131 * 2500);
    let stored = composite(HEADERS[3], &bytes, &sizes);
    let (outcome, lists, heads) = download(
        Object::new(bytes.clone()).e_tag("0123-2500").parts(sizes).checksum(Checksum::Sha256, stored),
    );
    assert_right(&outcome, &bytes, Some("sha256-composite"));
    assert_eq!((lists, heads), (3, 0));
}

#[test]
fn md5s_in_etags() {
    struct Case {
        e_tag: String,
        /// The sizes of the parts.
        parts: Vec<usize>,
        /// The checksum that `--stats` names.
        verified: &'static str,
        /// The numbers of requests for attributes and of HEADs of parts.
        lists_and_heads: (usize, usize),
    }
    let bytes = object(SIZE);
    let whole = [bytes.len()];
    let table = [
        (
            "of the object",
            Case { e_tag: md5(&bytes), parts: vec![], verified: "md5", lists_and_heads: (0, 0) },
        ),
        (
            "of one part",
            Case {
                e_tag: md5_of_md5s(&bytes, &whole),
                parts: whole.to_vec(),
                verified: "md5-composite",
                lists_and_heads: (0, 0),
            },
        ),
        (
            "of parts",
            Case {
                e_tag: md5_of_md5s(&bytes, &sizes()),
                parts: sizes(),
                verified: "md5-composite",
                // As on AWS, parts without checksums are not listed.
                lists_and_heads: (1, 4),
            },
        ),
    ];
    table::each(&table, |Case { e_tag, parts, verified, lists_and_heads }| {
        let object = |bytes: Bytes| Object::new(bytes).e_tag(e_tag).parts(parts.iter().copied());
        let (outcome, lists, heads) = download(object(bytes.clone()).encryption("AES256"));
        assert_right(&outcome, &bytes, Some(verified));
        assert_eq!((lists, heads), *lists_and_heads);

        let mut wrong = bytes.to_vec();
        wrong[99_999] ^= 1;
        let (outcome, ..) = download(object(wrong.clone().into()));
        assert_wrong(&outcome, &wrong);
        assert!(outcome.stderr.contains(e_tag.as_str()), "{}", outcome.stderr);
    });
}

#[test]
fn what_cannot_be_verified_is_not_delivered() {
    let bytes = object(SIZE);
    let new = || Object::new(bytes.clone());
    let of_parts = md5_of_md5s(&bytes, &sizes());
    let crc32 = |parts: &[usize]| composite(HEADERS[2], &bytes, parts);
    let table = [
        ("no checksum", new().e_tag("a-tag")),
        ("a tag of KMS", new().e_tag(&md5(&bytes)).encryption("aws:kms")),
        ("tags of parts under KMS", new().e_tag(&of_parts).parts(sizes()).encryption("aws:kms")),
        ("no layout", new().e_tag(&of_parts)),
        ("too few parts", new().e_tag(&of_parts).parts(sizes()[..3].to_vec())),
        ("another layout's sum", new().e_tag(&of_parts).parts([1, 2, 3, 4])),
        ("an empty part", new().e_tag(&of_parts).parts([0, 100_000, 100_000, bytes.len() - 200_000])),
        ("a composite without layout", new().e_tag("a").checksum(Checksum::Crc32, crc32(&sizes()))),
        (
            "a composite of other parts",
            new().e_tag("a").parts([1, 2]).checksum(Checksum::Crc32, crc32(&sizes())),
        ),
        ("parts without end", new().e_tag(&format!("{}-10001", md5(&bytes)))),
    ];
    table::each(&table, |object| assert_unverifiable(&download(object.clone()).0));
}

/// The list, the change of each part's HEAD, and whether the sizes are known then.
type ByParts = (&'static str, (Reply, fn(Reply, usize) -> Reply, bool));

/// Each part is asked for where the list is refused; answers that do not mention a part show nothing.
#[test]
fn the_list_of_parts_may_be_refused() {
    let bytes = object(SIZE);
    let sizes = sizes();
    let stored = composite(HEADERS[3], &bytes, &sizes);
    let part = |headers: fn(Reply, usize) -> Reply| {
        let sizes = sizes.clone();
        move |number: usize| {
            let start: usize = sizes[..number - 1].iter().sum();
            let end = start + sizes[number - 1];
            let range = format!("bytes {start}-{}/{SIZE}", end - 1);
            let reply = Reply::ok().header("content-length", sizes[number - 1].to_string());
            headers(reply.header("x-amz-mp-parts-count", "4").content_range(range), end - start)
        }
    };
    let refused = || Reply::status(403).code("AccessDenied");
    let table: [ByParts; 11] = [
        ("denied", (refused(), |part, _| part, true)),
        ("not known", (Reply::status(501), |part, _| part, true)),
        ("the object itself", (Reply::whole_with_200(), |part, _| part, true)),
        ("an endless one", (Reply::endless("HTTP/1.1 200 OK\r\n\r\n", "<a>"), |part, _| part, true)),
        ("without ranges", (refused(), |part, _| part.without("content-range"), true)),
        ("without the count", (refused(), |part, _| part.without("x-amz-mp-parts-count"), true)),
        ("parts not known", (refused(), |_, _| Reply::ok(), false)),
        ("parts refused", (refused(), |_, _| Reply::status(403), false)),
        ("tags of parts", (refused(), |part, _| part.etag("\"0123\""), false)),
        ("another count", (refused(), |part, _| part.header("x-amz-mp-parts-count", "5"), false)),
        (
            "the same part",
            (refused(), |part, size| part.content_range(format!("bytes 0-{}/{SIZE}", size - 1)), false),
        ),
    ];
    table::each(&table, |(list, headers, known)| {
        let (list, part) = (list.clone(), part(*headers));
        let head = Reply::ok().header(HEADERS[3], stored.clone()).header("x-amz-checksum-type", "COMPOSITE");
        let server = FaultServer::start(bytes.clone(), move |request| {
            if request.target.ends_with("?attributes") {
                return list.clone();
            }
            match request.target.split_once("?partNumber=") {
                Some((_, number)) => part(number.parse().expect("a number")),
                None if request.is_get() => Reply::ok(),
                None => head.clone(),
            }
        });
        let outcome = run(&server.endpoint()).download(URI);
        if *known {
            assert_right(&outcome, &bytes, Some("sha256-composite"));
        } else {
            assert_unverifiable(&outcome);
        }
    });
}

/// No byte is yielded before it is known what to compare with, though the bytes are there.
#[test]
fn the_first_byte_waits_for_the_head() {
    let sent = Gate::closed();
    let head = Reply::ok().etag(ETAG.replace('b', "x")).delay_until(&sent);
    let server = FaultServer::start(object(SIZE), move |request| match request.chunk(CHUNK) {
        Some(0) => Reply::ok().etag(ETAG.replace('b', "x")).then_open(&sent),
        Some(_) => Reply::ok().etag(ETAG.replace('b', "x")),
        None => head.clone(),
    });
    assert_unverifiable(&run(&server.endpoint()).download(URI));
}

/// Its own exit code, and not that of a checksum.
#[test]
fn a_head_that_fails_ends_the_download() {
    let table = [
        ("denied", (Reply::status(403), 4)),
        ("busy", (Reply::status(503), 5)),
        ("another version", (Reply::ok().etag("\"other\""), 6)),
        ("another size for the same ETag", (Reply::ok().header("content-length", "7"), 5)),
    ];
    table::each(&table, |(head, code)| {
        let server = FaultServer::start(object(SIZE), with_head(head.clone()));
        let outcome = run(&server.endpoint()).args(["--max-attempts", "2"]).download(URI);
        outcome.assert_failed(*code, b"");
    });
}

#[test]
fn a_busy_head_is_asked_again() {
    let right = full(HEADERS[0], value(HEADERS[0], &object(SIZE)));
    let server = FaultServer::start(object(SIZE), move |request| match (request.is_get(), request.serial) {
        (true, _) => Reply::ok(),
        (false, 0..=2) => Reply::status(503),
        (false, _) => right.clone(),
    });
    assert_right(&run(&server.endpoint()).download(URI), &object(SIZE), Some("crc64nvme"));
    assert_eq!(server.heads(), 4);
}

#[test]
fn a_version_that_was_named_is_named_for_its_parts_too() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests().start();
    let bytes = object(SIZE);
    let e_tag = md5_of_md5s(&bytes, &sizes());
    let version = server.put("bucket", "key", Object::new(bytes.clone()).e_tag(&e_tag).parts(sizes()));
    server.put("bucket", "key", "another one");
    let outcome = run(&server.endpoint()).args(["--version-id", &version.id]).download(URI);
    assert_right(&outcome, &bytes, Some("md5-composite"));
    for request in server.requests() {
        assert!(request.target.ends_with(&format!("versionId={}", version.id)), "{}", request.target);
    }
}
