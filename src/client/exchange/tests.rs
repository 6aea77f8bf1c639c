//! Response bodies: collected, cut, silent, and how their connections are used again.

use tokio::time::sleep;

use super::*;
use crate::client::object_client::ObjectClient;
use crate::client::origins::Origins;
use crate::client::request_sender::ClientOptions;
use crate::client::retry::Attempt;
use crate::config::settings::Config;
use crate::error::ErrorKind;
use crate::s3::range::ByteRange;
use crate::s3::request::S3Request;
use crate::transport::in_memory::{BodyFate, InMemoryServer, LATENCY, ScriptedReply, object};

const LEN: usize = 300_000;
const LIMIT: Duration = Duration::from_secs(2);

fn client(server: &InMemoryServer) -> ObjectClient {
    let config = Config { endpoint: Some(server.url().parse().unwrap()), ..Config::default() };
    let options = ClientOptions {
        version_id: None,
        first_byte_timeout: None,
        document_timeout: Duration::from_secs(10),
        read_buffer: 64 << 10,
        max_redirects: 5,
    };
    ObjectClient::new(Origins::new(config), "s3://bucket/key".parse().unwrap(), options).unwrap()
}

/// A server whose first GET ends as `fate` says.
fn server(fate: BodyFate) -> InMemoryServer {
    InMemoryServer::start(object(LEN), move |request| {
        ScriptedReply::ending(if request.number == 0 { fate } else { BodyFate::Complete })
    })
}

async fn get(client: &ObjectClient) -> Exchange {
    let range = ByteRange::new(0, LEN as u64);
    client
        .exchange(S3Request::Get { range, if_match: None, checksums: false }, None, Attempt::FIRST)
        .await
        .unwrap()
}

/// Reads to the end of the body; returns how many bytes came, and the error that ended it.
async fn read(body: &mut ResponseBody) -> (usize, Option<Error>) {
    let mut bytes = 0;
    loop {
        match poll_fn(|cx| body.poll_data(cx)).await {
            Some(Ok(data)) => bytes += data.len(),
            Some(Err(error)) => return (bytes, Some(error)),
            None => return (bytes, None),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_latency_is_that_of_the_response_without_the_connection() {
    let server = InMemoryServer::start(object(LEN), |_| ScriptedReply {
        latency: Duration::from_millis(70),
        ..ScriptedReply::default()
    });
    let client = client(&server);
    for _ in 0..2 {
        let exchange = get(&client).await;
        assert_eq!(exchange.latency, Duration::from_millis(70));
        assert_eq!(exchange.head.status.as_u16(), 206);
        exchange.body.collect(LEN, LIMIT).await.unwrap().unwrap();
    }
    assert_eq!((server.dialled(), client.requests(), client.connections_opened()), (1, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_cut_is_an_error_after_the_bytes_that_came() {
    for cut in [0, 1, 100_000, LEN - 1] {
        let server = server(BodyFate::CutAt(cut));
        let mut exchange = get(&client(&server)).await;
        let (bytes, error) = read(&mut exchange.body).await;
        let error = error.unwrap();
        assert_eq!((bytes, error.kind(), error.is_retryable()), (cut, ErrorKind::Network, true));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again_only_after_the_last_byte_of_a_body() {
    type End = fn(ResponseBody) -> std::pin::Pin<Box<dyn Future<Output = ()>>>;
    let whole = |end: End| (true, end);
    let begun = |end: End| (false, end);
    let table: [(&str, (bool, End), usize); 5] = [
        ("read and finished", whole(|body| Box::pin(body.finish(LIMIT))), 1),
        ("read and dropped", whole(|body| Box::pin(async move { drop(body) })), 2),
        ("dropped in the middle", begun(|body| Box::pin(async move { drop(body) })), 2),
        ("finished in the middle", begun(|body| Box::pin(body.finish(LIMIT))), 2),
        ("collected", begun(|body| Box::pin(async move { drop(body.collect(LEN, LIMIT).await) })), 1),
    ];
    for (case, (is_read, end), dialled) in table {
        let server = server(BodyFate::Complete);
        let client = client(&server);
        let mut exchange = get(&client).await;
        if is_read {
            assert_eq!(read(&mut exchange.body).await.0, LEN, "{case}");
        }
        end(exchange.body).await;
        sleep(LATENCY).await;
        assert_eq!(server.open().0, 2 - dialled, "{case}: what is not used again is closed");
        assert_eq!(
            get(&client).await.body.collect(LEN, LIMIT).await.unwrap().unwrap(),
            object(LEN),
            "{case}"
        );
        assert_eq!(server.dialled(), dialled, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_collected_within_its_limits() {
    enum Collected {
        All,
        TooLong,
        Failed(&'static str, Duration),
    }
    let body_begins = 2 * LATENCY;
    for (case, fate, max, want) in [
        ("as long as allowed", BodyFate::Complete, LEN, Collected::All),
        ("longer", BodyFate::Complete, LEN - 1, Collected::TooLong),
        (
            "silent",
            BodyFate::SilentAt(100_000),
            LEN,
            Collected::Failed("the body stalled", body_begins + LIMIT),
        ),
        ("cut", BodyFate::CutAt(100_000), LEN, Collected::Failed("the body was cut", body_begins)),
    ] {
        let server = server(fate);
        let client = client(&server);
        let collected = get(&client).await.body.collect(max, LIMIT).await;
        match want {
            Collected::All => assert_eq!(collected.unwrap().unwrap(), object(LEN), "{case}"),
            Collected::TooLong => assert_eq!(collected.unwrap(), None, "{case}"),
            Collected::Failed(message, at) => {
                let error = collected.unwrap_err();
                assert!(error.to_string().starts_with(message), "{case}: {error}");
                assert!(error.is_retryable() && server.elapsed() == at, "{case}: {:?}", server.elapsed());
            }
        }
        sleep(LATENCY).await;
        assert_eq!(server.open().0, usize::from(case == "as long as allowed"), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_body_that_explains_whatever_came_is_read() {
    let body_begins = 2 * LATENCY;
    for (case, fate, max, bytes, at) in [
        ("complete", BodyFate::Complete, LEN, LEN, body_begins),
        ("longer", BodyFate::Complete, 1000, 1000, body_begins),
        ("silent", BodyFate::SilentAt(100_000), LEN, 100_000, body_begins + LIMIT),
        ("silent from the beginning", BodyFate::SilentAt(0), LEN, 0, body_begins + LIMIT),
        ("cut", BodyFate::CutAt(100_000), LEN, 100_000, body_begins),
    ] {
        let server = server(fate);
        let client = client(&server);
        let beginning = get(&client).await.body.beginning(max, LIMIT).await;
        assert_eq!(beginning, object(LEN).slice(..bytes), "{case}");
        assert_eq!(server.elapsed(), at, "{case}");
        sleep(LATENCY).await;
        assert_eq!(server.open().0, usize::from(case == "complete"), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn finishing_waits_for_the_end_of_a_body_no_longer_than_its_limit() {
    let server = server(BodyFate::SilentAt(LEN - 1));
    let client = client(&server);
    let exchange = get(&client).await;
    let began = server.elapsed();
    // Data where only the end may come: the connection is not used again, and nothing is waited for.
    exchange.body.finish(LIMIT).await;
    assert_eq!(server.elapsed(), began);
    let mut exchange = get(&client).await;
    while poll_fn(|cx| exchange.body.poll_data(cx)).await.is_some() {}
    exchange.body.finish(LIMIT).await;
    assert_eq!((server.dialled(), server.open().0), (2, 1));
}
