//! The first response: sizes, ranges, and how many requests a start takes.

use std::time::Duration;

use crate::download::in_process::{fetch, read, start};
use crate::download::options::Options;
use crate::error::{Error, ErrorKind};
use crate::s3::range_spec::RangeSpec;
use crate::transport::in_memory::{InMemoryServer, LATENCY, NEVER, RecordedRequest, ScriptedReply, object};

const MIB: usize = 1 << 20;

fn options(range: &str) -> Options {
    let range: Option<RangeSpec> = (!range.is_empty()).then(|| range.parse().unwrap());
    Options { range, ..Options::default() }
}

fn methods(server: &InMemoryServer) -> Vec<String> {
    server.requests().iter().map(|request| request.method.clone()).collect()
}

/// A server whose HEAD gets `head`, and whose GETs get `get`.
fn server(
    len: usize,
    head: impl Fn() -> ScriptedReply + Send + Sync + 'static,
    get: impl Fn(&RecordedRequest) -> ScriptedReply + Send + Sync + 'static,
) -> InMemoryServer {
    InMemoryServer::start(object(len), move |request| if request.is_get() { get(request) } else { head() })
}

fn usual(_: &RecordedRequest) -> ScriptedReply {
    ScriptedReply::default()
}

#[tokio::test(start_paused = true)]
async fn head_and_the_first_get_leave_together_and_the_get_alone_is_waited_for() {
    for head in [LATENCY, Duration::from_secs(5), NEVER] {
        let server = server(1000, move || ScriptedReply { latency: head, ..ScriptedReply::default() }, usual);
        let mut download = start(&server, &Options::default()).await.unwrap();
        assert_eq!(server.elapsed(), 2 * LATENCY, "connect and respond, whatever HEAD does");
        let requests = server.requests();
        assert!(requests.iter().all(|request| request.at == LATENCY), "{requests:?}");
        assert_eq!((requests.len(), server.dialled()), (2, 2));
        assert_eq!((download.info().size, download.range()), (1000, 0..1000));
        assert_eq!(read(&mut download).await.0, object(1000));
        assert_eq!(server.gets().len(), 1, "an object in one range needs one GET");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_download_waits_for_head_no_longer_than_three_seconds() {
    let server = server(1000, ScriptedReply::never, usual);
    let (bytes, download) = fetch(&server, &Options::default()).await.unwrap();
    assert_eq!((bytes, download.verified()), (object(1000), None));
    assert_eq!(server.elapsed(), 2 * LATENCY + Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_refused_head_costs_nothing() {
    for status in [403, 404, 405, 500, 501] {
        let server = server(1000, move || ScriptedReply::error(status, ""), usual);
        let (bytes, _) = fetch(&server, &Options::default()).await.unwrap();
        assert_eq!(bytes, object(1000), "{status}");
        assert_eq!(server.gets().len(), 1, "{status}");
        assert!(server.elapsed() < Duration::from_secs(1), "{status}: {:?}", server.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_object_is_confirmed_by_head_or_by_a_get_of_all() {
    let none = server(0, ScriptedReply::default, usual);
    let (bytes, download) = fetch(&none, &Options::default()).await.unwrap();
    assert!(bytes.is_empty() && download.info().size == 0);
    assert_eq!(none.requests().len(), 2);

    let refused = server(0, || ScriptedReply::error(403, "AccessDenied"), usual);
    let (bytes, _) = fetch(&refused, &Options::default()).await.unwrap();
    assert!(bytes.is_empty());
    assert_eq!(refused.gets().last().unwrap().header("range"), None);

    // A server that denies a byte that is there is not believed.
    let lies = server(1000, ScriptedReply::default, |request| match request.header("range") {
        Some(_) => ScriptedReply::error(416, "InvalidRange"),
        None => ScriptedReply::default(),
    });
    let (bytes, _) = fetch(&lies, &Options::default()).await.unwrap();
    assert_eq!((bytes, lies.gets().len()), (object(1000), 2));
}

#[tokio::test(start_paused = true)]
async fn bytes_from_the_end_are_requested_once_head_has_shown_the_size() {
    let server = server(10_000, ScriptedReply::default, usual);
    let (bytes, download) = fetch(&server, &options("-300")).await.unwrap();
    assert_eq!(bytes, object(10_000).slice(9_700..));
    assert_eq!(download.range(), 9_700..10_000);
    assert_eq!(methods(&server), ["HEAD", "GET"]);
    let requests = server.requests();
    assert_eq!(requests[1].at, 2 * LATENCY, "after the response to HEAD, on its connection");
    assert_eq!((requests[1].range.clone(), server.dialled()), (9_700..10_000, 1));
}

#[tokio::test(start_paused = true)]
async fn a_range_at_the_end_is_empty_and_one_after_it_is_an_error() {
    let at_end = server(1000, ScriptedReply::default, usual);
    let (bytes, download) = fetch(&at_end, &options("1000-")).await.unwrap();
    assert_eq!((bytes.len(), download.range()), (0, 1000..1000));

    let after = server(1000, ScriptedReply::default, usual);
    let error = fetch(&after, &options("1001-")).await.unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::Usage, 2));
}

#[tokio::test(start_paused = true)]
async fn a_server_without_ranges_is_read_from_one_response() {
    for (case, reply) in [
        ("200 to a ranged GET", ScriptedReply { status: Some(200), ..ScriptedReply::default() }),
        ("501 to a ranged GET", ScriptedReply::error(501, "NotImplemented")),
    ] {
        let server = server(3 * MIB, ScriptedReply::default, move |request| {
            if request.header("range").is_some() { reply.clone() } else { ScriptedReply::default() }
        });
        let (bytes, _) = fetch(&server, &Options::default()).await.unwrap();
        assert_eq!(bytes, object(3 * MIB), "{case}");
        assert!(server.gets().len() <= 2, "{case}");
        // A part of it is cut out.
        let (bytes, _) = fetch(&server, &options("1000-1999")).await.unwrap();
        assert_eq!(bytes, object(3 * MIB).slice(1000..2000), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_the_download_after_one_get_and_a_busy_server_is_asked_more_often() {
    let kinds: [(u16, &str, ErrorKind, usize); 5] = [
        (403, "AccessDenied", ErrorKind::Access, 1),
        (404, "NoSuchKey", ErrorKind::NotFound, 1),
        (404, "NoSuchBucket", ErrorKind::NotFound, 1),
        (500, "InternalError", ErrorKind::Server, 4),
        (503, "SlowDown", ErrorKind::Server, 10),
    ];
    for (status, code, kind, gets) in kinds {
        let server = server(
            1000,
            move || ScriptedReply { body: Some(object(0)), ..ScriptedReply::error(status, code) },
            move |_| ScriptedReply::error(status, code),
        );
        let error: Error = fetch(&server, &Options::default()).await.unwrap_err();
        assert_eq!((error.kind(), server.gets().len()), (kind, gets), "{code}");
        assert_eq!(error.service().unwrap().code(), code);
        // Three pauses of at most 100, 200 and 400 ms, or nine that grow to 5 s.
        let most = Duration::from_secs(if code == "SlowDown" { 60 } else { 5 });
        assert!(server.elapsed() < most, "{code}: {:?}", server.elapsed());
    }
}
