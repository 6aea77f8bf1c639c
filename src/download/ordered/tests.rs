//! Ranges in order: requested ahead, cancelled from the back, and requested again.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use super::*;
use crate::download::in_process::context;
use crate::download::options::Options;
use crate::transport::in_memory::{InMemoryServer, RecordedRequest, ScriptedReply, object};

const MIB: usize = 1 << 20;
const CONNECTIONS: usize = 4;

/// The ranges of 8 MiB, of which the first is discovered and the others are planned.
async fn ranges(server: &InMemoryServer) -> (Arc<DownloadContext>, OrderedRanges) {
    let options = Options {
        concurrency: NonZeroUsize::new(CONNECTIONS),
        chunk_size: NonZeroU64::new(MIB as u64),
        ..Options::default()
    };
    let context = context(server, &options).await;
    let mut ranges = OrderedRanges::new(&context);
    let found = ranges.discover(ByteRange::new(0, MIB as u64), context.permits.take()).await.unwrap();
    assert_eq!((found.info.size, found.first), (8 * MIB as u64, ByteRange::new(0, MIB as u64)));
    ranges.follow(Plan::new(found.wanted.remainder(MIB as u64), MIB as u64, None));
    ranges.set_front();
    (context, ranges)
}

async fn next(ranges: &mut OrderedRanges) -> Option<Result<Frame>> {
    poll_fn(|cx| ranges.poll_frame(cx)).await
}

async fn rest(ranges: &mut OrderedRanges) -> Bytes {
    let mut bytes = Vec::new();
    while let Some(frame) = next(ranges).await {
        bytes.extend_from_slice(&frame.unwrap());
    }
    bytes.into()
}

fn starts(gets: &[RecordedRequest]) -> Vec<usize> {
    gets.iter().map(|get| usize::try_from(get.range.start).unwrap() / MIB).collect()
}

#[tokio::test(start_paused = true)]
async fn bytes_come_in_order_whichever_range_is_first_to_respond() {
    let server = InMemoryServer::start(object(8 * MIB), |request| {
        let latency = Duration::from_millis(400 - 50 * (request.range.start >> 20));
        ScriptedReply { latency, ..ScriptedReply::default() }
    });
    let (context, mut ranges) = ranges(&server).await;
    assert_eq!(rest(&mut ranges).await, object(8 * MIB));
    assert_eq!(starts(&server.gets()), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert!(server.open().1 <= CONNECTIONS && context.permits.most() <= CONNECTIONS);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_requested_than_there_are_permits_while_the_consumer_rests() {
    let server = InMemoryServer::start(object(8 * MIB), |_| ScriptedReply::default());
    let (_, mut ranges) = ranges(&server).await;
    assert!(next(&mut ranges).await.is_some());
    sleep(Duration::from_mins(1)).await;
    assert_eq!(starts(&server.gets()), [0, 1, 2, 3]);
    rest(&mut ranges).await;
    assert_eq!(server.gets().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_retreat_cancels_from_the_back_and_plans_those_bytes_again() {
    for keep in [1, 2, 3] {
        let server = InMemoryServer::start(object(8 * MIB), |_| ScriptedReply::at_rate(1 << 20));
        let (context, mut ranges) = ranges(&server).await;
        let mut bytes = next(&mut ranges).await.unwrap().unwrap().to_vec();
        sleep(Duration::from_millis(300)).await;
        assert_eq!((starts(&server.gets()), server.open().0), (vec![0, 1, 2, 3], CONNECTIONS));
        context.permits.set_target(keep);
        context.permits.order_retreat(keep);
        bytes.extend_from_slice(&next(&mut ranges).await.unwrap().unwrap());
        sleep(Duration::from_millis(50)).await;
        assert_eq!(server.open().0, keep, "the others are closed");
        bytes.extend_from_slice(&rest(&mut ranges).await);
        assert_eq!(Bytes::from(bytes), object(8 * MIB), "{keep}");
        let mut again: Vec<_> = (0..CONNECTIONS).collect();
        again.extend(keep..8);
        let mut all = starts(&server.gets());
        all.sort_unstable();
        again.sort_unstable();
        assert_eq!(all, again, "those that were kept are not requested again");
        assert!(server.open().1 <= CONNECTIONS);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retreat_keeps_what_would_be_requested_again_immediately() {
    for (just_in_time, kept) in [(0, 1), (MIB, 2), (2 * MIB, 3)] {
        let server = InMemoryServer::start(object(8 * MIB), |_| ScriptedReply::at_rate(1 << 20));
        let (context, mut ranges) = ranges(&server).await;
        assert!(next(&mut ranges).await.is_some());
        // Each has between half and all of its bytes to come.
        sleep(Duration::from_millis(300)).await;
        context.permits.orders.set_steered();
        context.permits.orders.set_sizes(u64::MAX, u64::MAX, just_in_time as u64);
        context.permits.set_target(1);
        context.permits.order_retreat(1);
        assert!(next(&mut ranges).await.is_some());
        sleep(Duration::from_millis(50)).await;
        assert_eq!(server.open().0, kept, "{just_in_time}");
        rest(&mut ranges).await;
        let mut all = starts(&server.gets());
        all.retain(|start| *start < kept);
        assert_eq!(all.len(), kept, "{just_in_time}: those that were kept are not requested again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_range_that_fails_for_good_ends_the_download_after_the_bytes_before_it() {
    let server = InMemoryServer::start(object(8 * MIB), |request| {
        let fails = request.range.start == 2 * MIB as u64;
        if fails { ScriptedReply::error(400, "InvalidRequest") } else { ScriptedReply::at_rate(4 << 20) }
    });
    let (_, mut ranges) = ranges(&server).await;
    let mut bytes = Vec::new();
    let error = loop {
        match next(&mut ranges).await {
            Some(Ok(frame)) => bytes.extend_from_slice(&frame),
            Some(Err(error)) => break error,
            None => panic!("the error is missing"),
        }
    };
    assert_eq!(error.service().unwrap().code(), "InvalidRequest");
    assert_eq!(Bytes::from(bytes), object(2 * MIB));
    assert_eq!(starts(&server.gets()), [0, 1, 2, 3], "nothing begins after it");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_ranges_closes_every_connection() {
    let server = InMemoryServer::start(object(8 * MIB), |_| ScriptedReply::at_rate(1 << 20));
    let (_context, mut ranges) = ranges(&server).await;
    assert!(next(&mut ranges).await.is_some());
    sleep(Duration::from_millis(100)).await;
    assert_eq!(server.open().0, CONNECTIONS);
    drop(ranges);
    sleep(Duration::from_millis(50)).await;
    assert_eq!(server.open().0, 0);
}
