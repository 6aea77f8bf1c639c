//! A bucket in another region: the signature uses the region that the service names, once, and nothing else changes. A
//! custom endpoint keeps its host.

use crate::support::fault_server::{FaultServer, Gate, Reply, Request, always, cut_then};
use crate::support::object::{CHUNK, CHUNKS, SIZE, object};
use crate::support::run::{Outcome, S3fcp, URI};
use crate::support::table;

/// Runs sign for us-east-1.
const HERE: &str = "/us-east-1/s3/aws4_request";
const THERE: &str = "/eu-west-1/s3/aws4_request";

/// The statuses and codes that name a region.
const ELSEWHERE: [(u16, &str); 3] =
    [(301, "PermanentRedirect"), (307, "TemporaryRedirect"), (400, "AuthorizationHeaderMalformed")];

/// Every way in which the service says that the bucket is in `region`.
fn moved(region: &str) -> Vec<(String, Reply)> {
    let mut all = Vec::new();
    for (status, code) in ELSEWHERE {
        let by_header = Reply::status(status).header("x-amz-bucket-region", region);
        let document = format!("<Error><Code>{code}</Code><Region>{region}</Region></Error>");
        all.push((format!("{code} with a header"), by_header.clone().code(code)));
        all.push((format!("{status} with a header alone"), by_header));
        all.push((format!("{code} with a document"), Reply::status(status).body(document)));
    }
    all
}

fn each_moved(region: &str, check: impl Fn(&Reply) + Sync) {
    let all = moved(region);
    let table: Vec<_> = all.iter().map(|(name, reply)| (name.as_str(), reply.clone())).collect();
    table::each(&table, check);
}

fn download(server: &FaultServer) -> Outcome {
    S3fcp::at(&server.endpoint()).window(4, CHUNK).download(URI)
}

fn is_signed_for(request: &Request, scope: &str) -> bool {
    request.header("authorization").expect("a signed request").contains(scope)
}

/// Every request names the host that the user named.
fn assert_same_host(server: &FaultServer) {
    let host = server.address().to_string();
    assert!(server.requests().iter().all(|r| r.header("host") == Some(&host)), "{:?}", server.requests());
}

/// A custom endpoint's region may be named by the server as it may be with `--region`.
#[test]
fn the_first_request_is_signed_again_for_the_region_named() {
    for region in ["eu-west-1", "RegionOne", "zg_publicru", "eu.west", "region:1"] {
        each_moved(region, |reply| {
            let (reply, asked) = (reply.clone(), Gate::closed());
            let there = format!("/{region}/s3/aws4_request");
            let scope = there.clone();
            let server = FaultServer::start(object(SIZE), move |request| {
                if request.is_get() {
                    asked.open();
                }
                // The answer to HEAD waits, or it might be the first to know.
                if is_signed_for(request, &scope) { Reply::ok() } else { reply.clone().delay_until(&asked) }
            });
            let outcome = download(&server);
            outcome.assert_object(&object(SIZE));
            assert_eq!(outcome.stderr, "");
            let gets = server.gets();
            assert_eq!(gets.len(), CHUNKS + 1);
            assert!(is_signed_for(&gets[0], HERE));
            assert!(gets[1..].iter().all(|get| is_signed_for(get, &there)));
            assert_eq!(server.object_bytes(), SIZE);
            assert_same_host(&server);
        });
    }
}

#[test]
fn a_later_request_continues_from_where_it_was() {
    each_moved("eu-west-1", |reply| {
        let server = FaultServer::start(object(SIZE), cut_then(3, 1000, reply.clone()));
        download(&server).assert_object(&object(SIZE));
        let attempts: Vec<_> = server.gets().into_iter().filter(|get| get.chunk(CHUNK) == Some(3)).collect();
        let starts: Vec<_> = attempts.iter().filter_map(|get| get.range.as_ref()).map(|r| r.start).collect();
        assert_eq!(starts, [3 * CHUNK, 3 * CHUNK + 1000, 3 * CHUNK + 1000]);
        assert!(is_signed_for(&attempts[1], HERE));
        assert!(is_signed_for(&attempts[2], THERE));
        assert_eq!(server.gets().len(), CHUNKS + 2);
        assert_eq!(server.object_bytes(), SIZE);
        assert_same_host(&server);
    });
}

/// All requests under way are refused together: the region is found once, and each of them continues.
#[test]
fn requests_refused_together_move_together() {
    let under_way = Gate::closed();
    let server = FaultServer::start(object(SIZE), move |request: &Request| {
        if request.is_get() && request.serial == 3 {
            under_way.open();
        }
        match request.chunk(CHUNK) {
            Some(0) => Reply::ok().pause_after(1, &under_way),
            Some(_) if !is_signed_for(request, THERE) => {
                Reply::status(301).header("x-amz-bucket-region", "eu-west-1").delay_until(&under_way)
            }
            _ => Reply::ok(),
        }
    });
    download(&server).assert_object(&object(SIZE));
    assert_eq!(server.gets().len(), CHUNKS + 3);
    assert_eq!(server.object_bytes(), SIZE);
}

#[test]
fn a_region_that_leads_nowhere_is_not_followed() {
    for region in
        ["us-east-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "eusc-de-east-1", "evil.example/#", ""]
    {
        each_moved(region, |reply| {
            for chunk in [0, 3] {
                let server = FaultServer::start(object(SIZE), always(chunk, reply.clone()));
                let outcome = download(&server);
                outcome.assert_contract(&object(SIZE));
                assert!(
                    matches!(outcome.code(), Some(2 | 4 | 5)),
                    "{:?}: {}",
                    outcome.status,
                    outcome.stderr
                );
                assert_eq!(outcome.stdout.len() as u64, chunk * CHUNK);
                let tried = server.gets().into_iter().filter(|get| get.chunk(CHUNK) == Some(chunk));
                let tried: Vec<_> = tried.collect();
                assert_eq!(tried.len(), 1, "{region:?}");
                assert!(server.requests().iter().all(|request| is_signed_for(request, HERE)));
            }
        });
    }
}

#[test]
fn a_correction_that_is_refused_ends_it_after_one_more_request() {
    let pointing = |there: &'static str, else_to: &'static str| {
        move |request: &Request| {
            let region = if is_signed_for(request, HERE) { there } else { else_to };
            Reply::status(301).code("PermanentRedirect").header("x-amz-bucket-region", region)
        }
    };
    let table = [
        ("the same again", pointing("eu-west-1", "eu-west-1")),
        ("another one", pointing("eu-west-1", "ap-south-1")),
        ("back", pointing("eu-west-1", "us-east-1")),
    ];
    table::each(&table, |script| {
        let server = FaultServer::start(object(SIZE), *script);
        let outcome = download(&server);
        outcome.assert_failed(2, &[]);
        assert!(outcome.stderr.contains("--region"), "{}", outcome.stderr);
        // One that HEAD had found already need not be found again.
        assert!(server.gets().len() <= 2, "{}", server.gets().len());
        assert_same_host(&server);
    });
}
