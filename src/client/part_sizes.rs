//! The sizes of the parts that an object was uploaded in, which a composite checksum needs.
//!
//! `GetObjectAttributes` lists them where the store keeps a checksum of each part and the caller may ask; otherwise
//! each part gets a HEAD with `partNumber`. Sizes are used only if they add up to the object's.

use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use crate::client::object_client::ObjectClient;
use crate::client::retry::{Attempt, retry};
use crate::error::Result;
use crate::s3::object::ObjectInfo;
use crate::s3::part_list::{PartsPage, part_size, parts_listed};
use crate::s3::request::S3Request;

/// A page of 1000 parts is about 250 KiB. A server that does not know the request may send the object itself.
const PAGE_MAX: usize = 1 << 20;
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Parts requested at the same time: each takes a connection, with its buffers.
const CONCURRENT_PARTS: usize = 8;

/// Returns the sizes of the `count` parts of the object `info`, in bytes and in order, or `None` if the store does not
/// report them. Fails only where another attempt might succeed.
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

/// Reads the sizes from the pages of the part list.
async fn listed(
    client: &ObjectClient,
    max_attempts: Option<NonZeroU32>,
    info: &ObjectInfo,
    count: u32,
) -> Result<Option<Vec<u64>>> {
    let mut sizes = Vec::new();
    // Every page has at least one part, so this ends.
    while let Ok(after) = u32::try_from(sizes.len())
        && after < count
    {
        let page = retry(max_attempts, |attempt| page(client, info, after, attempt)).await;
        let Some(PartsPage { sizes: next, more }) = none_if_unsupported(page)? else { return Ok(None) };
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
    let response = client.exchange(S3Request::ListParts { after }, None, attempt).await?;
    let body = response.body.collect(PAGE_MAX, PAGE_TIMEOUT).await?;
    Ok(body.and_then(|body| parts_listed(&body, after, info)))
}

/// Reads the sizes from a HEAD of each part.
async fn one_by_one(
    client: &ObjectClient,
    max_attempts: Option<NonZeroU32>,
    info: &ObjectInfo,
    count: u32,
) -> Result<Option<Vec<u64>>> {
    let mut parts = stream::iter(1..=count)
        .map(|number| retry(max_attempts, move |attempt| part(client, info, number, count, attempt)))
        .buffered(CONCURRENT_PARTS);
    let (mut sizes, mut end) = (Vec::new(), 0_u64);
    while let Some(part) = parts.next().await {
        let Some((start, size)) = none_if_unsupported(part)? else { return Ok(None) };
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
    let response = client.exchange(S3Request::HeadPart { number }, None, attempt).await?;
    response.body.give_back();
    Ok(part_size(&response.head, count, info))
}

/// Turns the error of a store that does not know the request, or does not permit it, into `None`.
fn none_if_unsupported<T>(response: Result<Option<T>>) -> Result<Option<T>> {
    match response {
        Err(e) if e.service().is_some() && !e.is_retryable() => Ok(None),
        response => response,
    }
}
