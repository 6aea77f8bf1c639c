//! Runs one download of the library by its schedule.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_credential_types::Credentials as Keys;
use futures_util::StreamExt as _;
use s3fcp::config::Credentials;
use s3fcp::{Config, Download, Error, S3Uri, TransferStats};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use super::fault::Drawn;
use super::oracle::{self, Ended};
use super::schedule::Schedule;
use crate::support::fault_server::{FaultServer, Request};
use crate::support::object::object;
use crate::support::run::{ACCESS_KEY, SECRET_KEY, URI};

/// Far beyond what the tries of any schedule take, also on a loaded machine.
const TIME_LIMIT: Duration = Duration::from_mins(2);

/// What happened, in the order in which requests came.
pub(super) type Log = Vec<(Request, Drawn)>;

/// Downloads by `schedule` in a task of `runtime`, and asks the oracle.
pub(super) fn check(runtime: &Runtime, schedule: &Schedule) {
    let bytes = object(schedule.size);
    let log = Arc::new(Mutex::new(Log::new()));
    let script = {
        let (log, schedule) = (Arc::clone(&log), schedule.clone());
        move |request: &Request| {
            let drawn = schedule.fault(request);
            let reply = drawn.reply.clone();
            log.lock().unwrap_or_else(PoisonError::into_inner).push((request.clone(), drawn));
            reply
        }
    };
    let server = FaultServer::start(bytes.clone(), script);
    let place = |at: u64| usize::try_from(at).expect("a place in memory");
    let expected = bytes.slice(place(schedule.wanted.start)..place(schedule.wanted.end));
    let task = {
        let (endpoint, schedule) = (server.endpoint(), schedule.clone());
        async move {
            let mut received = Vec::new();
            let ended = timeout(TIME_LIMIT, download(&schedule, &endpoint, &mut received)).await;
            (ended, received)
        }
    };
    let (ended, received) = runtime.block_on(runtime.spawn(task)).expect("a download that does not panic");
    // First what was sent, then why: requests may still come from a download that was left.
    let sent = server.object_bytes();
    let log = log.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Ok((result, traffic)) = ended else {
        panic!("a hang after {} bytes: {schedule:?}\n{}", received.len(), oracle::told(&log))
    };
    oracle::judge(schedule, &log, &Ended { received, expected, result, traffic, sent });
}

async fn download(
    schedule: &Schedule,
    endpoint: &str,
    received: &mut Vec<u8>,
) -> (Result<(), Error>, Option<TransferStats>) {
    let keys = Keys::new(ACCESS_KEY, SECRET_KEY, None, None, "test");
    let mut config = Config::default();
    config.endpoint = Some(endpoint.parse().expect("a URL"));
    config.credentials = Credentials::from_source(keys);
    let uri: S3Uri = URI.parse().expect("a URI");
    let mut download = match Download::start(&config, &uri, &schedule.options()).await {
        Ok(download) => download,
        Err(error) => return (Err(error), None),
    };
    let mut result = Ok(());
    while schedule.leaves_after.is_none_or(|after| (received.len() as u64) < after) {
        match download.next().await {
            None => break,
            Some(Ok(bytes)) => received.extend_from_slice(&bytes),
            Some(Err(error)) => result = Err(error),
        }
        if schedule.slow {
            sleep(Duration::from_millis(1)).await;
        }
    }
    (result, Some(download.traffic()))
}
