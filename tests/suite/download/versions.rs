//! Versions of an object: the one that was asked for, or the one that was current when the download began.

use s3server::Server;

use crate::support::fault_server::{FaultServer, Gate, Reply, Request, always, once};
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY, URI};
use crate::support::table;

#[test]
fn the_version_asked_for_is_the_one_delivered() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).log_requests().start();
    let (old, new) = (object(SIZE), object(SIZE + 8).slice(8..));
    let version = server.put("bucket", "key", old.clone());
    server.put("bucket", "key", new.clone());

    S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI).assert_object(&new);
    for request in server.requests() {
        assert_eq!(request.target, "/bucket/key", "versionId needs another permission: only when given");
    }

    let before = server.requests().len();
    let run = S3fcp::at(&server.endpoint()).window(4, CHUNK).args(["--version-id", &version.id]);
    run.download(URI).assert_object(&old);
    for request in &server.requests()[before..] {
        assert_eq!(request.target, format!("/bucket/key?versionId={}", version.id));
    }
}

#[test]
fn a_version_that_is_not_there_is_not_found() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    server.put("bucket", "key", object(SIZE));
    let marker = server.delete("bucket", "key");
    // Newest, and by name: S3 answers 404 to the one and 405 to the other.
    S3fcp::at(&server.endpoint()).download(URI).assert_failed(3, &[]);
    for id in [marker.id.as_str(), "0123456789abcdef0123456789abcdef"] {
        let run = S3fcp::at(&server.endpoint()).args(["--version-id", id]);
        run.download(URI).assert_failed(3, &[]);
    }
    assert_eq!(server.stats().gets, 3);
}

/// A 416 for bytes that the version had: another size is another version, and the same size contradicts itself. So does none,
/// because a server that has another version refuses the tag first.
#[test]
fn a_range_that_is_refused_later_is_a_change_or_the_servers_fault() {
    let refused = || Reply::status(416).code("InvalidRange");
    let table = [
        ("bare", (refused().without("content-range"), 5, "although the object has 328914 bytes")),
        ("empty now", (refused().content_range("bytes */0"), 6, "its size was 328914 and is 0")),
        ("shorter", (refused().content_range("bytes */100"), 6, "its size was 328914 and is 100")),
        ("longer", (refused().content_range("bytes */328915"), 6, "its size was 328914 and is 328915")),
        ("not a number", (refused().content_range("bytes */x"), 5, "although the object has 328914 bytes")),
        ("the same", (refused().content_range("bytes */328914"), 5, "although the object has 328914 bytes")),
    ];
    table::each(&table, |(reply, exit, says)| {
        let server = FaultServer::start(object(SIZE), always(3, reply.clone()));
        let run = S3fcp::at(&server.endpoint()).window(1, CHUNK).args(["--max-attempts", "2"]);
        let outcome = run.download(URI);
        outcome.assert_failed(*exit, &object(SIZE));
        assert!(outcome.stderr.contains(says), "{}", outcome.stderr);
        assert_eq!(outcome.command().is_some(), *exit == 5, "{}", outcome.stderr);
        let attempts = server.gets().iter().filter(|request| request.chunk(CHUNK) == Some(3)).count();
        assert_eq!(attempts, if *exit == 5 { 2 } else { 1 });
    });
    let server = FaultServer::start(object(SIZE), once(3, refused().content_range("bytes */328914")));
    S3fcp::at(&server.endpoint()).window(1, CHUNK).download(URI).assert_object(&object(SIZE));
}

/// The object is replaced after the first GET; the bucket keeps versions, and `by_id` is what the
/// server answers to a request that names the old one. The next `window` requests are under way when
/// the first of them is refused.
fn replaced(window: usize, by_id: Reply) -> impl Fn(&Request) -> Reply + Send + Sync {
    let under_way = Gate::closed();
    move |request| {
        if request.target.ends_with("?versionId=v1") {
            return by_id.clone();
        }
        if request.is_get() && request.serial == window {
            under_way.open();
        }
        match request.chunk(CHUNK) {
            Some(0) | None => Reply::ok().header("x-amz-version-id", "v1"),
            Some(_) => Reply::status(412).code("PreconditionFailed").delay_until(&under_way),
        }
    }
}

#[test]
fn a_replaced_object_is_read_on_by_its_version() {
    let by_id = Reply::ok().header("x-amz-version-id", "v1");
    let server = FaultServer::start(object(SIZE), replaced(4, by_id));
    S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI).assert_object(&object(SIZE));
    assert_eq!(server.object_bytes(), SIZE);
    // What was under way is refused, and asked for once more without `If-Match`.
    assert!((CHUNKS + 4..=CHUNKS + 8).contains(&server.gets().len()));
}

#[test]
fn a_replaced_object_whose_version_is_refused_has_changed() {
    for window in [1, 4] {
        let refused = Reply::status(403).code("AccessDenied");
        let server = FaultServer::start(object(SIZE), replaced(window, refused));
        let outcome = S3fcp::at(&server.endpoint()).window(window as u64, CHUNK).download(URI);
        outcome.assert_failed(6, &object(SIZE));
        assert_eq!(outcome.stdout.len() as u64, CHUNK);
        let by_id = server.gets().iter().filter(|get| get.target.contains("versionId")).count();
        assert!((1..=window).contains(&by_id), "{by_id} requests by version id");
    }
}

#[test]
fn a_version_that_the_user_named_is_not_named_again_after_a_412() {
    let server = FaultServer::start(object(SIZE), |request| match request.chunk(CHUNK) {
        Some(0) | None => Reply::ok().header("x-amz-version-id", "v1"),
        Some(_) => Reply::status(412).code("PreconditionFailed"),
    });
    let run = S3fcp::at(&server.endpoint()).window(1, CHUNK).args(["--version-id", "v1"]);
    run.download(URI).assert_failed(6, &object(SIZE));
    assert_eq!(server.gets().len(), 3, "once more without If-Match");
}
