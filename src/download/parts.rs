//! The sizes of the parts that an object was uploaded in, asked for where a checksum is one of parts.
//!
//! One request lists them (`GetObjectAttributes`) where the store keeps a checksum of each part and lets us; else
//! each part is asked for (HEAD with `partNumber`). What is handed on adds up to the object; nothing is guessed.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::patience::patiently;
use crate::context::Shared;
use crate::error::{Error, Result};
use crate::object::ObjectInfo;
use crate::request::Ask;
use crate::response::{Listed, part_size, parts_listed};
use crate::retry::Try;

/// A page of 1000 parts has some 250 KiB. A server that does not know the request may send the object itself.
const PAGE_MAX: usize = 1 << 20;
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Parts asked for at once: each takes a connection, with its buffers.
const AT_ONCE: usize = 8;

/// The sizes of the `count` parts of the object `info`, in bytes and in order; `None` where the store does not
/// tell them. An error where it might another time.
pub(super) async fn sizes(shared: &Shared, info: &ObjectInfo, count: u32) -> Result<Option<Vec<u64>>> {
    if count == 1 {
        return Ok(Some(vec![info.size]));
    }
    let fits = |sizes: &Vec<u64>| {
        let sum = sizes.iter().try_fold(0_u64, |sum, size| sum.checked_add(*size));
        // No part of several is empty (S3 User Guide, "Amazon S3 multipart upload limits").
        sizes.len() == count as usize && sum == Some(info.size) && !sizes.contains(&0)
    };
    match listed(shared, info, count).await?.filter(fits) {
        Some(sizes) => Ok(Some(sizes)),
        None => Ok(one_by_one(shared, info, count).await?.filter(fits)),
    }
}

/// By pages of one list.
async fn listed(shared: &Shared, info: &ObjectInfo, count: u32) -> Result<Option<Vec<u64>>> {
    let mut sizes = Vec::new();
    // Every page brings a part at least, so this ends.
    while let Ok(after) = u32::try_from(sizes.len())
        && after < count
    {
        let page = patiently(shared, |attempt| page(shared, info, after, attempt)).await;
        let Some(Listed { sizes: next, more }) = told(page)? else { return Ok(None) };
        sizes.extend(next);
        if !more {
            break;
        }
    }
    Ok(Some(sizes))
}

async fn page(shared: &Shared, info: &ObjectInfo, after: u32, attempt: Try) -> Result<Option<Listed>> {
    let answer = shared.client.exchange(Ask::Parts { after }, None, attempt).await?;
    match timeout(PAGE_TIMEOUT, Limited::new(answer.body, PAGE_MAX).collect()).await {
        Ok(Ok(body)) => {
            answer.lease.give_back();
            Ok(parts_listed(&body.to_bytes(), after, info))
        }
        Ok(Err(e)) if e.is::<LengthLimitError>() => Ok(None),
        Ok(Err(e)) => Err(Error::network("the list of parts was cut").with_source(e)),
        Err(_) => Err(Error::network("the list of parts stalled")),
    }
}

/// By a HEAD of each.
async fn one_by_one(shared: &Shared, info: &ObjectInfo, count: u32) -> Result<Option<Vec<u64>>> {
    let mut parts = stream::iter(1..=count)
        .map(|number| patiently(shared, move |attempt| part(shared, info, number, count, attempt)))
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
    shared: &Shared,
    info: &ObjectInfo,
    number: u32,
    count: u32,
    attempt: Try,
) -> Result<Option<(Option<u64>, u64)>> {
    let answer = shared.client.exchange(Ask::HeadPart { number }, None, attempt).await?;
    answer.lease.give_back();
    Ok(part_size(&answer.head, count, info))
}

/// A store that refuses, because it does not know the request or we may not ask, has told nothing.
fn told<T>(answer: Result<Option<T>>) -> Result<Option<T>> {
    match answer {
        Err(e) if e.service().is_some() && !e.is_retryable() => Ok(None),
        answer => answer,
    }
}
