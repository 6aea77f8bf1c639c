//! A wrong clock: the server's time is adopted, once, and the download continues where it was.

use std::time::{Duration, SystemTime};

use crate::support::fault_server::{FaultServer, Reply, Request, always, cut_then};
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{Outcome, S3fcp, URI};
use crate::support::table;

/// By how many seconds the server's clock differs, and how it shows that.
const CLOCKS: [(&str, (i64, fn(i64) -> Reply)); 6] = [
    ("hours behind", (-20 * 3600, skewed)),
    ("hours ahead", (20 * 3600, skewed)),
    ("hours behind, in the document", (-20 * 3600, skewed_in_document)),
    ("hours ahead, in the document", (20 * 3600, skewed_in_document)),
    ("hours behind, in the header", (-20 * 3600, skewed_in_header)),
    ("hours ahead, in the header", (20 * 3600, skewed_in_header)),
];

/// The server's clock.
fn clock(skew: i64) -> SystemTime {
    let by = Duration::from_secs(skew.unsigned_abs());
    if skew < 0 { SystemTime::now() - by } else { SystemTime::now() + by }
}

fn skewed(skew: i64) -> Reply {
    dated(&httpdate::fmt_http_date(clock(skew)))
}

/// The document has the right time, and the header a wrong one.
fn skewed_in_document(skew: i64) -> Reply {
    let time = humantime::format_rfc3339_seconds(clock(skew));
    let document = format!("<Error><Code>RequestTimeTooSkewed</Code><ServerTime>{time}</ServerTime></Error>");
    Reply::status(403).body(document).header("date", "Wed, 12 Oct 2022 17:05:00 GMT")
}

/// The header has the right time, and the document one of another age.
fn skewed_in_header(skew: i64) -> Reply {
    let document =
        "<Error><Code>RequestTimeTooSkewed</Code><ServerTime>9999-12-31T23:59:59Z</ServerTime></Error>";
    Reply::status(403).body(document).header("date", httpdate::fmt_http_date(clock(skew)))
}

fn dated(date: &str) -> Reply {
    Reply::status(403).code("RequestTimeTooSkewed").header("date", date)
}

/// Returns whether a request is signed for a clock that differs by `skew` seconds, or by a few minutes more or less.
fn is_signed_for(request: &Request, skew: i64) -> bool {
    [-300, 0, 300].iter().any(|by| {
        let time = humantime::format_rfc3339_seconds(clock(skew + by)).to_string().replace(['-', ':'], "");
        date(request).get(..11) == time.get(..11)
    })
}

fn download(server: &FaultServer) -> Outcome {
    S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI)
}

fn date(request: &Request) -> &str {
    request.header("x-amz-date").expect("a signed request")
}

#[test]
fn the_first_request_is_signed_again_with_the_servers_time() {
    table::each(&CLOCKS, |&(skew, reply)| {
        let server = FaultServer::start(object(SIZE), move |request| {
            if is_signed_for(request, skew) { Reply::ok() } else { reply(skew) }
        });
        let outcome = download(&server);
        outcome.assert_object(&object(SIZE));
        assert_eq!(outcome.stderr, "");
        let gets = server.gets();
        assert_eq!(gets.len(), CHUNKS + 1);
        assert!(gets[1..].iter().all(|get| is_signed_for(get, skew)), "{gets:?}");
        assert_eq!(server.object_bytes(), SIZE);
    });
}

#[test]
fn a_later_request_continues_from_where_it_was() {
    table::each(&CLOCKS, |&(skew, reply)| {
        let server = FaultServer::start(object(SIZE), cut_then(3, 1000, reply(skew)));
        download(&server).assert_object(&object(SIZE));
        let attempts: Vec<_> = server.gets().into_iter().filter(|get| get.chunk(CHUNK) == Some(3)).collect();
        let starts: Vec<_> = attempts.iter().filter_map(|get| get.range.as_ref()).map(|r| r.start).collect();
        assert_eq!(starts, [3 * CHUNK, 3 * CHUNK + 1000, 3 * CHUNK + 1000]);
        assert!(!is_signed_for(&attempts[1], skew));
        assert!(is_signed_for(&attempts[2], skew));
        assert_eq!(server.gets().len(), CHUNKS + 2);
        assert_eq!(server.object_bytes(), SIZE);
    });
}

#[test]
fn a_server_that_is_not_content_with_its_own_time_is_not_asked_for_ever() {
    let table = [("first", 0), ("later", 3)];
    table::each(&table, |&chunk| {
        let server = FaultServer::start(object(SIZE), always(chunk, skewed(-3600)));
        let outcome = download(&server);
        outcome.assert_failed(4, &object(SIZE));
        assert_eq!(outcome.stdout.len() as u64, chunk * CHUNK);
        assert!(outcome.stderr.contains("clock"), "{}", outcome.stderr);
        let tried = server.gets().iter().filter(|get| get.chunk(CHUNK) == Some(chunk)).count();
        assert_eq!(tried, 2);
    });
}

#[test]
fn a_server_whose_time_is_unknown_or_not_believable_is_asked_once() {
    let table = [
        ("no date", Reply::status(403).code("RequestTimeTooSkewed")),
        ("not a date", dated("yesterday")),
        ("before all time", dated("Wed, 31 Dec 1969 23:59:59 GMT")),
        ("years behind", dated("Wed, 12 Oct 2022 17:05:00 GMT")),
        ("years ahead", dated("Fri, 31 Dec 9999 23:59:59 GMT")),
        ("a day and an hour", skewed(25 * 3600)),
    ];
    table::each(&table, |reply| {
        let server = FaultServer::start(object(SIZE), always(0, reply.clone()));
        download(&server).assert_failed(4, &[]);
        assert_eq!(server.gets().len(), 1);
    });
}
