//! Connections: used again, capped, waited for and closed.

use futures_util::future::join_all;
use http_body_util::BodyExt;
use tokio::time::sleep;

use super::*;
use crate::transport::connection::OPEN_TIMEOUT;
use crate::transport::in_memory::{InMemoryServer, LATENCY, NEVER, ScriptedDial, ScriptedReply, object};

fn pool(server: &InMemoryServer) -> Arc<Pool> {
    let base = server.url().parse().unwrap();
    Pool::new(base, &Tls::default(), &Proxies::default(), 64 << 10, false).unwrap()
}

fn order(offset: u64) -> RequestOrder {
    RequestOrder { object: 0, offset }
}

fn usual() -> InMemoryServer {
    InMemoryServer::start(object(1000), |_| ScriptedReply::default())
}

/// Sends a GET and reads the response; returns the connection that it used.
async fn get(pool: &Arc<Pool>, offset: u64) -> Result<u64> {
    let mut lease = pool.lease(false, order(offset), OPEN_TIMEOUT).await?;
    let response = lease.send(Request::new(Empty::new())).await;
    let body = response.map_err(|e| Error::network("cut").with_source(e))?.into_body();
    assert_eq!(body.collect().await.unwrap().to_bytes(), object(1000));
    let number = lease.number();
    lease.note_served();
    lease.give_back();
    Ok(number)
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again_for_less_than_five_seconds() {
    for (idle, dialled) in [(0, 1), (4_400, 1), (4_500, 2), (60_000, 2)] {
        let server = usual();
        let pool = pool(&server);
        get(&pool, 0).await.unwrap();
        assert_eq!(server.elapsed(), 2 * LATENCY, "to connect, and to respond");
        sleep(Duration::from_millis(idle)).await;
        get(&pool, 0).await.unwrap();
        assert_eq!(server.dialled(), dialled, "{idle} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_takes_a_new_connection_though_one_is_idle() {
    let server = usual();
    let pool = pool(&server);
    get(&pool, 0).await.unwrap();
    let lease = pool.lease(true, order(0), OPEN_TIMEOUT).await.unwrap();
    assert!(!lease.is_reused());
    assert_eq!(server.dialled(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_connection_that_was_used_last_is_used_next() {
    let server = usual();
    let pool = pool(&server);
    let leases = join_all((0..3).map(|offset| pool.lease(false, order(offset), OPEN_TIMEOUT))).await;
    for lease in leases {
        lease.unwrap().give_back();
    }
    let first = get(&pool, 0).await.unwrap();
    for _ in 0..5 {
        assert_eq!(get(&pool, 0).await.unwrap(), first);
    }
    assert_eq!(server.dialled(), 3);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_lease_closes_its_connection() {
    let server = usual();
    let pool = pool(&server);
    let lease = pool.lease(false, order(0), OPEN_TIMEOUT).await.unwrap();
    sleep(LATENCY).await;
    assert_eq!(server.open().0, 1);
    drop(lease);
    sleep(LATENCY).await;
    assert_eq!(server.open().0, 0);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_refuses_everything_is_an_error_and_no_limit() {
    let server = usual().accept_by(|_| ScriptedDial::Refuse);
    let pool = pool(&server);
    let error = get(&pool, 0).await.unwrap_err();
    assert!(error.to_string().contains("cannot connect to memory-"), "{error}");
    assert_eq!((pool.connection_cap(), server.dialled()), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_ignores_everything_fails_within_twenty_seconds() {
    let server = usual().accept_by(|_| ScriptedDial::Ignore);
    assert!(get(&pool(&server), 0).await.is_err());
    assert!(server.elapsed() <= OPEN_TIMEOUT + Duration::from_millis(1), "{:?}", server.elapsed());
}

#[tokio::test(start_paused = true)]
async fn requests_beyond_what_the_host_allows_wait_for_an_idle_connection() {
    for live in [1, 2, 4] {
        let server = usual().accept_by(move |number| {
            if number <= live { ScriptedDial::Accept(LATENCY) } else { ScriptedDial::Refuse }
        });
        let pool = pool(&server);
        let first = join_all((0..live as u64).map(|offset| get(&pool, offset))).await;
        assert!(first.iter().all(Result::is_ok));
        let all = join_all((0..16).map(|offset| get(&pool, offset))).await;
        assert!(all.iter().all(Result::is_ok), "{live}");
        assert_eq!(pool.connection_cap(), Some(live));
        assert!(server.dialled() <= 16, "{live}: {} attempts", server.dialled());
        assert_eq!(server.open().1, live);
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_recovers_gets_all_connections_again() {
    // One refusal leaves a single connection, as a mass reset does.
    let server =
        InMemoryServer::start(object(1000), |_| ScriptedReply::at_rate(10_000)).accept_by(|number| {
            if number == 2 { ScriptedDial::Refuse } else { ScriptedDial::Accept(LATENCY) }
        });
    let pool = pool(&server);
    get(&pool, 0).await.unwrap();
    let requests = |reader: u64| {
        let pool = &pool;
        async move {
            for number in 0..8 {
                get(pool, 40 * number + reader).await.unwrap();
            }
        }
    };
    join_all((0..39).map(requests)).await;
    // 100 ms each: over one connection 31 s.
    assert!(server.elapsed() < Duration::from_secs(4), "{:?}", server.elapsed());
    assert_eq!(server.open().1, 39);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_answers_lowers_the_cap_only_while_others_get_responses() {
    let ignoring = || {
        usual().accept_by(
            |number| {
                if number == 1 { ScriptedDial::Accept(LATENCY) } else { ScriptedDial::Ignore }
            },
        )
    };
    // The only other connection is silent too: it may be the network that is.
    let server = ignoring();
    let silent_pool = pool(&server);
    let _silent = silent_pool.lease(false, order(0), OPEN_TIMEOUT).await.unwrap();
    assert!(get(&silent_pool, 1).await.is_err());
    assert_eq!(silent_pool.connection_cap(), None);

    // The other one gets on, so it is the new connection that is not wanted.
    let server = ignoring();
    let pool = pool(&server);
    let lease = pool.lease(false, order(0), OPEN_TIMEOUT).await.unwrap();
    let second = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { get(&pool, 1).await }
    });
    sleep(Duration::from_millis(100)).await;
    lease.give_back();
    for _ in 0..40 {
        get(&pool, 0).await.unwrap();
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((second.await.unwrap().unwrap(), pool.connection_cap()), (1, Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_response_is_silent_only_while_others_get_theirs() {
    let server = InMemoryServer::start(object(1000), |request| {
        let latency = if request.connection == 1 { NEVER } else { LATENCY };
        ScriptedReply { latency, ..ScriptedReply::default() }
    });
    let pool = pool(&server);
    let mut lease = pool.lease(false, order(0), OPEN_TIMEOUT).await.unwrap();
    let silence = tokio::spawn(lease.silence(false));
    let sending = tokio::spawn(async move { lease.send(Request::new(Empty::new())).await.is_ok() });
    sleep(Duration::from_secs(30)).await;
    assert!(!silence.is_finished(), "nobody has got a response");
    get(&pool, 1).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(silence.is_finished());
    sending.abort();
}
