//! The object as a stream of ranges, in order, several of them under way.
//!
//! Each range comes as the buffers in which it was received. The first GET shows the size and the version, to
//! which the others are pinned: no HEAD goes before it.

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::get_object::builders::GetObjectFluentBuilder;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use tokio::task::JoinHandle;

use crate::{Args, Result};

/// The size of a range, in bytes.
const RANGE: usize = 8 << 20;

/// A range's bytes.
pub(crate) type Part = Vec<Bytes>;

/// Starts the download. An empty object is an error here, as it has no range.
pub(crate) async fn fetch(client: Client, args: &Args) -> Result<impl Stream<Item = Result<Part>> + use<>> {
    let get = client.get_object().bucket(&args.bucket).key(&args.key);
    let first = part(&get, 0).send().await?;
    let size = first.content_range().and_then(|range| range.rsplit('/').next());
    let size: u64 = size.ok_or("no Content-Range")?.parse()?;
    let get = get.if_match(first.e_tag().ok_or("no ETag")?);
    // On tasks of their own they continue while the writer is busy.
    let first: JoinHandle<Result<Part>> = tokio::spawn(collect(first));
    let rest = (0..size).step_by(RANGE).skip(1).map(move |start| {
        let get = part(&get, start);
        tokio::spawn(async { collect(get.send().await?).await })
    });
    let parts = stream::iter(std::iter::once(first).chain(rest));
    Ok(parts.buffered(args.connections.get()).map(|part| part?))
}

fn part(get: &GetObjectFluentBuilder, start: u64) -> GetObjectFluentBuilder {
    get.clone().range(format!("bytes={start}-{}", start + RANGE as u64 - 1))
}

async fn collect(response: GetObjectOutput) -> Result<Part> {
    let mut body = response.body;
    let mut part = Part::new();
    while let Some(bytes) = body.try_next().await? {
        part.push(bytes);
    }
    Ok(part)
}
