//! Responses by which the object has no byte that was requested: 416, 204, and a 206 of nothing. An empty object has none, by
//! HEAD as well; of any other one GET without `Range` brings the bytes, or the download ends with exit code 5.

use crate::support::fault_server::{ETAG, FaultServer, Reply, Request};
use crate::support::files::folder;
use crate::support::object::{SIZE, object};
use crate::support::run::URI;
use crate::support::table;

use super::unproven::{assert_range, run, serve};

/// Objects without a length have no ranges at some servers: 416, which is not that of an empty object. Nor is any other that
/// HEAD contradicts.
#[test]
fn a_416_for_bytes_that_may_be_there_is_answered_by_a_plain_get() {
    let chunked = |request: &Request, _| match request.range {
        Some(_) => Reply::status(416).code("InvalidRange"),
        None if request.is_get() => Reply::ok().chunked(),
        None => Reply::ok().without("content-length"),
    };
    let sized = |request: &Request, size| match request.range {
        Some(_) => Reply::status(416).content_range(format!("bytes */{size}")),
        None => Reply::ok(),
    };
    let bare = |request: &Request, _| if request.range.is_some() { Reply::status(416) } else { Reply::ok() };
    let empty = |request: &Request, _| match request.range {
        Some(_) => Reply::status(416).content_range("bytes */0"),
        None => Reply::ok(),
    };
    let empty_without_head = |request: &Request, _| match (request.is_get(), &request.range) {
        (false, _) => Reply::status(403),
        (true, Some(_)) => Reply::status(416).content_range("bytes */0"),
        (true, None) => Reply::ok(),
    };
    let no_content = |request: &Request, _| match request.range {
        Some(_) => Reply::status(204).without("content-length"),
        None => Reply::ok(),
    };
    let table: [(&str, fn(&Request, u64) -> Reply); 6] = [
        ("chunked", chunked),
        ("sized", sized),
        ("bare", bare),
        ("empty", empty),
        ("empty without HEAD", empty_without_head),
        ("no content", no_content),
    ];
    table::each(&table, |script| {
        let script = *script;
        for size in [SIZE, 1, 0] {
            let server = FaultServer::start(object(size), move |request| script(request, size));
            run(&server).download(URI).assert_object(&object(size));
            assert!(server.gets().len() <= 3, "{size}");
            let folder = folder();
            let out = folder.path().join("out");
            let outcome = run(&server).args(["-o".as_ref(), out.as_os_str()]).download(URI);
            assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
            assert!(std::fs::read(&out).expect("FILE") == object(size), "{size}");
        }
    });
    // A byte in the middle or near the end, by one number or the other, and of the version that was named.
    let table: [(&str, fn(&Request, u64) -> Reply); 3] = [("sized", sized), ("bare", bare), ("empty", empty)];
    table::each(&table, |script| {
        let script = *script;
        let serve = || FaultServer::start(object(SIZE), move |request| script(request, SIZE));
        for (range, start, end) in
            [("0-99", 0, 100), ("70000-70099", 70_000, 70_100), ("-10", SIZE - 10, SIZE)]
        {
            for args in [&["--range", range][..], &["--range", range, "--if-match", ETAG]] {
                let server = serve();
                assert_range(&run(&server).args(args).download(URI), start, end);
                assert!(server.gets().len() <= 2, "{:?}", server.gets());
            }
        }
        let other = run(&serve()).args(["--range", "0-99", "--if-match", "\"other\""]).download(URI);
        other.assert_failed(6, &[]);
    });
}

/// Not even a GET without a range brings it, and nothing shows that the object has changed.
#[test]
fn an_object_of_which_any_request_is_refused_is_exit_5() {
    let table = [
        ("bare", Reply::status(416)),
        ("empty", Reply::status(416).content_range("bytes */0")),
        ("a part of nothing", Reply::part(0..0).content_range("bytes 0-0/0")),
        ("no content", Reply::status(204).without("content-length")),
    ];
    table::each(&table, |reply| {
        for start in ["0-", "70000-"] {
            let reply = reply.clone();
            let server =
                FaultServer::start(
                    object(SIZE),
                    move |request| {
                        if request.is_get() { reply.clone() } else { Reply::ok() }
                    },
                );
            run(&server).args(["--range", start]).download(URI).assert_failed(5, &[]);
            assert!(server.gets().len() <= 3, "{:?}", server.gets());
        }
    });
}

#[test]
fn an_empty_object_may_be_a_206() {
    let table = [
        ("to -1", Some("bytes 0--1/0")),
        ("unsatisfied", Some("bytes */0")),
        ("one byte of none", Some("bytes 0-0/0")),
        ("from -1 to -1", Some("bytes -1--1/0")),
        ("to the largest number", Some("bytes 0-18446744073709551615/0")),
        ("of an unknown size", Some("bytes */*")),
        ("an asterisk", Some("*")),
        ("blank", Some("")),
        ("none", None),
    ];
    let framings: [fn(Reply) -> Reply; 2] = [|reply| reply, Reply::chunked];
    let check = |range: Option<&'static str>, framed: fn(Reply) -> Reply| {
        let empty = move |_: &Request| match range {
            Some(range) => framed(Reply::part(0..0)).content_range(range),
            None => framed(Reply::part(0..0)).without("content-range"),
        };
        run(&serve(0, empty)).download(URI).assert_object(&[]);
        // An object that HEAD knows to have bytes is not empty: a plain GET brings them.
        let server = serve(SIZE, empty);
        run(&server).download(URI).assert_object(&object(SIZE));
        assert_eq!(server.gets().len(), 2);
    };
    table::each(&table, |range| framings.iter().for_each(|framed| check(*range, *framed)));
    // Announced by s3rver, and not sent.
    check(Some("bytes 0-0/0"), |reply| reply.header("content-length", "1"));
}

/// HEAD says that it is empty, or a GET without a range does.
#[test]
fn an_empty_object_may_be_a_204() {
    let no_content = || Reply::raw("HTTP/1.1 204 No Content\r\nx-amz-request-id: 1\r\n\r\n");
    for head_is_refused in [false, true] {
        let script = move |request: &Request| match (request.is_get(), request.range.is_some()) {
            (true, true) => no_content(),
            (false, _) if head_is_refused => Reply::status(403),
            _ => Reply::ok(),
        };
        let server = FaultServer::start(object(0), script);
        run(&server).download(URI).assert_object(&[]);
        // A 204 for an object with bytes is no statement that it had none.
        let server = FaultServer::start(object(SIZE), script);
        run(&server).download(URI).assert_object(&object(SIZE));
    }
    let server = FaultServer::start(object(0), move |_| no_content());
    run(&server).download(URI).assert_failed(5, &[]);
}
