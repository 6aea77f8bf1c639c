//! A second request for a late or silent range, and what it costs.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use tokio::time::timeout;

use crate::download::in_process::fetch;
use crate::download::options::{ChecksumMode, Options};
use crate::error::ErrorKind;
use crate::transport::in_memory::{
    BodyFate, InMemoryServer, LATENCY, RecordedRequest, ScriptedDial, ScriptedReply, object,
};

const MIB: usize = 1 << 20;
const RATE: u64 = 10 << 20;

fn options() -> Options {
    Options {
        concurrency: NonZeroUsize::new(4),
        chunk_size: NonZeroU64::new(MIB as u64),
        checksum: ChecksumMode::Off,
        ..Options::default()
    }
}

/// A server of 16 MiB at 10 MiB/s a connection, whose GETs get what `script` says, if anything.
fn server(
    script: impl Fn(&RecordedRequest) -> Option<ScriptedReply> + Send + Sync + 'static,
) -> InMemoryServer {
    InMemoryServer::start(object(16 * MIB), move |request| {
        Some(request)
            .filter(|request| request.is_get())
            .and_then(&script)
            .unwrap_or_else(|| ScriptedReply::at_rate(RATE))
    })
}

/// The GETs that begin with byte `start`, or in the MiB after it.
fn of_range(server: &InMemoryServer, start: usize) -> Vec<RecordedRequest> {
    let all = start as u64..(start + MIB) as u64;
    server.gets().into_iter().filter(|get| all.contains(&get.range.start)).collect()
}

/// The script that replies to the first GET for the tenth MiB.
fn tenth(request: &RecordedRequest, reply: ScriptedReply) -> Option<ScriptedReply> {
    (request.number == 9).then_some(reply)
}

const TENTH: usize = 9 * MIB;

#[tokio::test(start_paused = true)]
async fn a_request_without_a_response_is_hedged_when_it_is_three_latencies_late() {
    let server = server(|request| tenth(request, ScriptedReply::never()));
    let (bytes, download) = fetch(&server, &options()).await.unwrap();
    assert_eq!(bytes, object(16 * MIB));
    let traffic = download.traffic();
    assert_eq!((traffic.hedges, traffic.hedges_won, server.gets().len()), (1, 1, 17));
    let gets = of_range(&server, TENTH);
    assert_eq!(gets[1].range, gets[0].range);
    // Three latencies and 100 ms; where no connection is idle, one more to connect.
    let late = gets[1].at.saturating_sub(gets[0].at);
    let due = 3 * LATENCY + Duration::from_millis(100);
    assert!((due..due + LATENCY + Duration::from_millis(15)).contains(&late), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_is_hedged_as_soon_as_its_rate_is_known_and_only_its_rest_is_requested() {
    let server = server(|request| tenth(request, ScriptedReply::at_rate(100 << 10)));
    let (bytes, download) = fetch(&server, &options()).await.unwrap();
    assert_eq!(bytes, object(16 * MIB));
    let traffic = download.traffic();
    assert_eq!((traffic.hedges, traffic.hedges_won), (1, 1));
    let gets = of_range(&server, TENTH);
    assert_eq!((gets.len(), gets[1].range.end), (2, gets[0].range.end));
    // Twice the 25 ms in which a read buffer fills.
    let known = gets[1].at.saturating_sub(gets[0].at + LATENCY);
    assert!((Duration::from_millis(40)..Duration::from_millis(120)).contains(&known), "{known:?}");
    assert!(traffic.fetched <= 16 * MIB as u64 + MIB as u64 / 4, "{} bytes", traffic.fetched);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_is_cut_costs_nothing_while_the_first_request_lives() {
    let server = server(|request| {
        let is_hedge = request.range.start > TENTH as u64 && request.range.end == (TENTH + MIB) as u64;
        if is_hedge {
            return Some(ScriptedReply::ending(BodyFate::CutAt(0)));
        }
        tenth(request, ScriptedReply::at_rate(1 << 20))
    });
    let (bytes, download) = fetch(&server, &options()).await.unwrap();
    assert_eq!(bytes, object(16 * MIB));
    let traffic = download.traffic();
    assert!(traffic.hedges >= 1, "{traffic:?}");
    assert_eq!((traffic.hedges_won, traffic.retries), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_takes_over_where_the_first_request_fails() {
    let server = server(|request| match request.number {
        9 => Some(ScriptedReply { latency: Duration::from_millis(260), ..ScriptedReply::error(500, "") }),
        _ => None,
    });
    let (bytes, download) = fetch(&server, &options()).await.unwrap();
    assert_eq!(bytes, object(16 * MIB));
    assert_eq!((download.traffic().hedges, of_range(&server, TENTH).len()), (1, 2), "no third request");
}

/// A second request that replaced a failed one is hedged in its turn: that must not make attempts endless.
#[tokio::test(start_paused = true)]
async fn a_range_that_never_comes_ends_the_download_whether_or_not_it_is_hedged() {
    for (case, reply) in [
        ("no response", ScriptedReply::never()),
        ("a head without a body", ScriptedReply::ending(BodyFate::SilentAt(0))),
        ("a late 500", ScriptedReply { latency: Duration::from_secs(5), ..ScriptedReply::error(500, "") }),
    ] {
        for connections in [1, 3, 4].map(NonZeroUsize::new).into_iter().chain([None]) {
            let last = 15 * MIB as u64;
            let reply = reply.clone();
            let server = server(move |request| (request.range.end > last).then(|| reply.clone()));
            let first_byte_timeout = Some(Duration::from_secs(10));
            let options = Options { concurrency: connections, first_byte_timeout, ..options() };
            let case = format!("{case}, {connections:?}");
            let fetched = timeout(Duration::from_mins(5), fetch(&server, &options)).await;
            let error = fetched.unwrap_or_else(|_| panic!("{case}: it never ends")).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Network | ErrorKind::Server), "{case}: {error}");
            let requests = of_range(&server, 15 * MIB).len();
            assert!((10..=100).contains(&requests), "{case}: {requests} requests");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_hedge_is_sent_where_all_are_slow() {
    let mib = 1 << 20;
    for (case, rate, link, latency) in [
        ("one rate for all", mib, None, LATENCY),
        ("a full link", 90 * mib, Some(12 * mib), LATENCY),
        ("a slow, full link", 90 * mib, Some(mib / 2), LATENCY),
        ("a long way", 5 * mib, None, Duration::from_millis(300)),
    ] {
        let server = InMemoryServer::start(object(16 * MIB), move |_| ScriptedReply {
            latency,
            ..ScriptedReply::at_rate(rate)
        });
        let server = if let Some(link) = link { server.over_link(link) } else { server };
        let (bytes, download) = fetch(&server, &options()).await.unwrap();
        assert_eq!(bytes, object(16 * MIB), "{case}");
        assert_eq!((download.traffic().hedges, server.gets().len()), (0, 16), "{case}");
        assert!(server.open().1 <= 5, "{case}: {:?} connections, HEAD's included", server.open());
    }
}

/// After 4 s a second connection is tried, whose range gets next to nothing beside that of the front range.
#[tokio::test(start_paused = true)]
async fn on_a_full_link_a_range_that_starves_beside_the_front_range_is_not_hedged_before_its_turn() {
    let mut starved_gets = 0;
    for rate in [3 << 19, 11 << 17, 5 << 18, 9 << 17] {
        // When the bytes before this range are received.
        let turn = move |get: &RecordedRequest| Duration::from_millis(1000 * get.range.start / rate);
        let is_starved = move |get: &RecordedRequest| {
            get.at > Duration::from_secs(4) && turn(get) > get.at + Duration::from_millis(200)
        };
        let server = InMemoryServer::start(object(16 * MIB), move |get| {
            ScriptedReply::at_rate(if is_starved(get) { 20 << 10 } else { rate })
        });
        let options = Options { concurrency: None, chunk_size: None, ..options() };
        let server = server.over_link(rate);
        let (bytes, _) = fetch(&server, &options).await.unwrap();
        assert_eq!(bytes, object(16 * MIB));
        let gets = server.gets();
        for first in gets.iter().filter(|get| is_starved(get)) {
            starved_gets += 1;
            let again = gets.iter().find(|get| get.at > first.at && get.range.end == first.range.end);
            assert!(again.is_none_or(|again| again.at >= turn(first)), "{first:?} {again:?}");
        }
    }
    assert!(starved_gets > 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_falls_silent_is_requested_again_after_two_seconds_whatever_the_budget() {
    let server = InMemoryServer::start(object(MIB), |request| match request.number {
        0 if request.is_get() => ScriptedReply::ending(BodyFate::SilentAt(200_000)),
        _ => ScriptedReply::default(),
    });
    let (bytes, download) = fetch(&server, &options()).await.unwrap();
    assert_eq!(bytes, object(MIB));
    let gets = server.gets();
    assert_eq!((gets.len(), gets[1].range.start, download.traffic().hedges_won), (2, 200_000, 1));
    assert_ne!(gets[0].connection, gets[1].connection);
    let silent = gets[1].at.saturating_sub(2 * LATENCY);
    let due = Duration::from_secs(2);
    assert!((due..due + LATENCY + Duration::from_millis(15)).contains(&silent), "{silent:?}");
}

#[tokio::test(start_paused = true)]
async fn eight_seconds_of_silence_cost_ten_at_most() {
    for connections in [1, 4].map(NonZeroUsize::new) {
        let options = Options { concurrency: connections, ..options() };
        let at_rate = || InMemoryServer::start(object(16 * MIB), |_| ScriptedReply::at_rate(2 << 20));
        let whole = at_rate();
        fetch(&whole, &options).await.unwrap();
        let usual = whole.elapsed();
        for from in [500, 1000, 1500] {
            let from = Duration::from_millis(from);
            let server = at_rate().with_outage(from..from + Duration::from_secs(8));
            let (bytes, _) = fetch(&server, &options).await.unwrap();
            assert_eq!(bytes, object(16 * MIB));
            let cost = server.elapsed().saturating_sub(usual);
            assert!(cost <= Duration::from_secs(10), "{connections:?}, {from:?}: {cost:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_were_forgotten_are_replaced_within_five_seconds() {
    for connections in [NonZeroUsize::new(1), NonZeroUsize::new(4), None] {
        let options = Options { concurrency: connections, ..options() };
        let at_rate = || InMemoryServer::start(object(16 * MIB), |_| ScriptedReply::at_rate(2 << 20));
        let whole = at_rate();
        fetch(&whole, &options).await.unwrap();
        let usual = whole.elapsed();
        let server = at_rate().forgetting_at(Duration::from_millis(500));
        let (bytes, _) = fetch(&server, &options).await.unwrap();
        assert_eq!(bytes, object(16 * MIB));
        let cost = server.elapsed().saturating_sub(usual);
        assert!(cost <= Duration::from_secs(5), "{connections:?}: {cost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_allows_few_connections_gets_no_hedges_beyond_them() {
    for live in [1, 2, 3] {
        let dials =
            move |number| if number <= live { ScriptedDial::Accept(LATENCY) } else { ScriptedDial::Refuse };
        let server = server(|_| None).accept_by(dials);
        let (bytes, download) = fetch(&server, &options()).await.unwrap();
        assert_eq!(bytes, object(16 * MIB), "{live}");
        assert_eq!(download.traffic().hedges, 0, "{live}");
        assert!(server.dialled() <= 12, "{live}: {} attempts", server.dialled());
    }
}

/// While the number of connections is being found there are many new ones, whose first packets are lost as well, and which
/// the kernel sends again after 1, 3 and 7 s: the end of the silence is seen up to 1.7 s late.
#[tokio::test(start_paused = true)]
async fn eight_seconds_of_silence_cost_twelve_at_most_while_the_number_of_connections_is_found() {
    let options = Options { concurrency: None, chunk_size: None, ..options() };
    for rate in [2 << 20, 10 << 20] {
        let at_rate = || InMemoryServer::start(object(16 * MIB), move |_| ScriptedReply::at_rate(rate));
        let whole = at_rate();
        fetch(&whole, &options).await.unwrap();
        let usual = whole.elapsed();
        for from in [100, 300, 500, 1000, 1500] {
            let from = Duration::from_millis(from);
            let server = at_rate().with_outage(from..from + Duration::from_secs(8));
            let (bytes, _) = fetch(&server, &options).await.unwrap();
            assert_eq!(bytes, object(16 * MIB));
            let cost = server.elapsed().saturating_sub(usual);
            assert!(cost <= Duration::from_secs(12), "{rate}, {from:?}: {cost:?}");
            assert!(server.dialled() <= 40, "{rate}, {from:?}: {} connections", server.dialled());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_ten_times_slower_is_not_used_again() {
    for slow_rate in [RATE / 100, RATE / 10] {
        for slow in [2, 3, 4] {
            let server =
                server(move |get| (get.connection == slow).then(|| ScriptedReply::at_rate(slow_rate)));
            let (bytes, download) = fetch(&server, &options()).await.unwrap();
            assert_eq!(bytes, object(16 * MIB));
            let used = server.gets().iter().filter(|get| get.connection == slow).count();
            assert_eq!((used, server.gets().len()), (1, 17), "{slow_rate}, connection {slow}");
            assert_eq!((download.traffic().hedges, download.traffic().hedges_won), (1, 1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_slow_again_and_again_is_not_used_again() {
    for share in [3, 4] {
        for slow in [2, 3, 4] {
            let server =
                server(move |get| (get.connection == slow).then(|| ScriptedReply::at_rate(RATE / share)));
            let (bytes, _) = fetch(&server, &options()).await.unwrap();
            assert_eq!(bytes, object(16 * MIB));
            let used = server.gets().iter().filter(|get| get.connection == slow).count();
            assert!(used <= 2, "a {share}rd of the rate, connection {slow}: {used} times");
            assert!(server.dialled() <= 7, "{share}, connection {slow}: {} connections", server.dialled());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_connection_is_kept_where_the_host_allows_no_other() {
    let dials = |number| if number <= 3 { ScriptedDial::Accept(LATENCY) } else { ScriptedDial::Refuse };
    let server = server(|get| (get.connection == 2).then(|| ScriptedReply::at_rate(RATE / 3)));
    let server = server.accept_by(dials);
    let (bytes, _) = fetch(&server, &options()).await.unwrap();
    assert_eq!(bytes, object(16 * MIB));
    assert!(server.gets().iter().filter(|get| get.connection == 2).count() > 2);
}
