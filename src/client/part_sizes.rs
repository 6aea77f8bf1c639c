//! The sizes of the parts that an object was uploaded in, asked for where a checksum is one of parts.
//!
//! One request lists them (`GetObjectAttributes`) where the store keeps a checksum of each part and lets us; else
//! each part is asked for (HEAD with `partNumber`). What is handed on adds up to the object; nothing is guessed.

use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use crate::client::object_client::ObjectClient;
use crate::client::retry::{Attempt, retry};
use crate::error::Result;
use crate::s3::object::ObjectInfo;
use crate::s3::part_list::{PartsPage, part_size, parts_listed};
use crate::s3::request::S3Request;

/// A page of 1000 parts has some 250 KiB. A server that does not know the request may send the object itself.
const PAGE_MAX: usize = 1 << 20;
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Parts asked for at once: each takes a connection, with its buffers.
const AT_ONCE: usize = 8;

/// The sizes of the `count` parts of the object `info`, in bytes and in order; `None` where the store does not
/// tell them. An error where it might another time.
pub(crate) async fn part_sizes(
    client: &ObjectClient,
    max_attempts: Option<NonZeroU32>,
    info: &ObjectInfo,
    count: u32,
) -> Result<Option<Vec<u64>>> {
    if count == 1 {
        return Ok(Some(vec![info.size]));
    }
    let fits = |sizes: &Vec<u64>| {
        let sum = sizes.iter().try_fold(0_u64, |sum, size| sum.checked_add(*size));
        // No part of several is empty (S3 User Guide, "Amazon S3 multipart upload limits").
        sizes.len() == count as usize && sum == Some(info.size) && !sizes.contains(&0)
    };
    match listed(client, max_attempts, info, count).await?.filter(fits) {
        Some(sizes) => Ok(Some(sizes)),
        None => Ok(one_by_one(client, max_attempts, info, count).await?.filter(fits)),
    }
}

/// By pages of one list.
async fn listed(
    client: &ObjectClient,
    max_attempts: Option<NonZeroU32>,
    info: &ObjectInfo,
    count: u32,
) -> Result<Option<Vec<u64>>> {
    let mut sizes = Vec::new();
    // Every page brings a part at least, so this ends.
    while let Ok(after) = u32::try_from(sizes.len())
        && after < count
    {
        let page = retry(max_attempts, |attempt| page(client, info, after, attempt)).await;
        let Some(PartsPage { sizes: next, more }) = told(page)? else { return Ok(None) };
        sizes.extend(next);
        if !more {
            break;
        }
    }
    Ok(Some(sizes))
}

async fn page(
    client: &ObjectClient,
    info: &ObjectInfo,
    after: u32,
    attempt: Attempt,
) -> Result<Option<PartsPage>> {
    let answer = client.exchange(S3Request::Parts { after }, None, attempt).await?;
    let body = answer.body.collect(PAGE_MAX, PAGE_TIMEOUT).await?;
    Ok(body.and_then(|body| parts_listed(&body, after, info)))
}

/// By a HEAD of each.
async fn one_by_one(
    client: &ObjectClient,
    max_attempts: Option<NonZeroU32>,
    info: &ObjectInfo,
    count: u32,
) -> Result<Option<Vec<u64>>> {
    let mut parts = stream::iter(1..=count)
        .map(|number| retry(max_attempts, move |attempt| part(client, info, number, count, attempt)))
        .buffered(AT_ONCE);
    let (mut sizes, mut end) = (Vec::new(), 0_u64);
    while let Some(part) = parts.next().await {
        let Some((start, size)) = told(part)? else { return Ok(None) };
        if start.is_some_and(|start| start != end) {
            return Ok(None);
        }
        end = end.saturating_add(size);
        sizes.push(size);
    }
    Ok(Some(sizes))
}

async fn part(
    client: &ObjectClient,
    info: &ObjectInfo,
    number: u32,
    count: u32,
    attempt: Attempt,
) -> Result<Option<(Option<u64>, u64)>> {
    let answer = client.exchange(S3Request::HeadPart { number }, None, attempt).await?;
    answer.body.give_back();
    Ok(part_size(&answer.head, count, info))
}

/// A store that refuses, because it does not know the request or we may not ask, has told nothing.
fn told<T>(answer: Result<Option<T>>) -> Result<Option<T>> {
    match answer {
        Err(e) if e.service().is_some() && !e.is_retryable() => Ok(None),
        answer => answer,
    }
}
