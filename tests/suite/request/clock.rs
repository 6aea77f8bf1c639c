//! A wrong clock: the server's time is adopted, once, and the download continues where it was.

use crate::support::fault_server::{FaultServer, Reply, Request, always, cut_then};
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{Outcome, S3fcp, URI};
use crate::support::table;

/// The server's time, as `Date` has it and the beginning of it as `x-amz-date` does: what a run takes
/// is less than the minutes to the next hour.
const CLOCKS: [(&str, (&str, &str)); 2] = [
    ("years behind", ("Wed, 12 Oct 2022 17:05:00 GMT", "20221012T17")),
    ("years ahead", ("Sun, 06 Nov 2044 08:05:00 GMT", "20441106T08")),
];

fn skewed(date: &str) -> Reply {
    Reply::status(403).code("RequestTimeTooSkewed").header("date", date)
}

fn download(server: &FaultServer) -> Outcome {
    S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI)
}

fn date(request: &Request) -> &str {
    request.header("x-amz-date").expect("a signed request")
}

#[test]
fn the_first_request_is_signed_again_with_the_servers_time() {
    table::each(&CLOCKS, |&(now, signed)| {
        let server = FaultServer::start(object(SIZE), move |request| {
            if date(request).starts_with(signed) { Reply::ok() } else { skewed(now) }
        });
        let outcome = download(&server);
        outcome.assert_object(&object(SIZE));
        assert_eq!(outcome.stderr, "");
        let gets = server.gets();
        assert_eq!(gets.len(), CHUNKS + 1);
        assert!(gets[1..].iter().all(|get| date(get).starts_with(signed)), "{gets:?}");
        assert_eq!(server.object_bytes(), SIZE);
    });
}

#[test]
fn a_later_request_goes_on_from_where_it_was() {
    table::each(&CLOCKS, |&(now, signed)| {
        let server = FaultServer::start(object(SIZE), cut_then(3, 1000, skewed(now)));
        download(&server).assert_object(&object(SIZE));
        let attempts: Vec<_> = server.gets().into_iter().filter(|get| get.chunk(CHUNK) == Some(3)).collect();
        let starts: Vec<_> = attempts.iter().filter_map(|get| get.range.as_ref()).map(|r| r.start).collect();
        assert_eq!(starts, [3 * CHUNK, 3 * CHUNK + 1000, 3 * CHUNK + 1000]);
        assert!(!date(&attempts[1]).starts_with(signed));
        assert!(date(&attempts[2]).starts_with(signed));
        assert_eq!(server.gets().len(), CHUNKS + 2);
        assert_eq!(server.object_bytes(), SIZE);
    });
}

#[test]
fn a_server_that_is_not_content_with_its_own_time_is_not_asked_for_ever() {
    let table = [("first", 0), ("later", 3)];
    table::each(&table, |&chunk| {
        let server = FaultServer::start(object(SIZE), always(chunk, skewed(CLOCKS[0].1.0)));
        let outcome = download(&server);
        outcome.assert_failed(4, &object(SIZE));
        assert_eq!(outcome.stdout.len() as u64, chunk * CHUNK);
        assert!(outcome.stderr.contains("clock"), "{}", outcome.stderr);
        let tried = server.gets().iter().filter(|get| get.chunk(CHUNK) == Some(chunk)).count();
        assert_eq!(tried, 2);
    });
}

#[test]
fn a_server_that_does_not_tell_its_time_is_asked_once() {
    let table = [
        ("no date", Reply::status(403).code("RequestTimeTooSkewed")),
        ("not a date", skewed("yesterday")),
        ("before all time", skewed("Wed, 31 Dec 1969 23:59:59 GMT")),
    ];
    table::each(&table, |reply| {
        let server = FaultServer::start(object(SIZE), always(0, reply.clone()));
        download(&server).assert_failed(4, &[]);
        assert_eq!(server.gets().len(), 1);
    });
}
