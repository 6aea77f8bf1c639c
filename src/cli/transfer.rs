//! The start of a transfer: from the beginning, or where an earlier run stopped.
//!
//! What an earlier run left is used only if the store still has the same object; otherwise the download starts over and
//! says so.

use std::io::Write;

use crate::cli::deliver::facts;
use crate::cli::invocation::Invocation;
use crate::cli::objects::{self, Objects};
use crate::download::client::Client;
use crate::download::options::Options;
use crate::error::{Error, ErrorKind, Result};
use crate::output::part_file::ExistingPart;
use crate::output::resume::{DownloadRequest, ResumePoint};
use crate::output::sink::Sink;
use crate::s3::range_spec::RangeSpec;

/// Starts the first object of `invocation` that is not complete in `sink`, in the returned sequence and in `sink`.
pub(crate) async fn begin(
    invocation: &Invocation,
    client: &Client,
    sink: &mut Sink,
    request: DownloadRequest<'_>,
) -> Result<Objects> {
    let options = &invocation.download;
    match sink.left(request)? {
        ExistingPart::Some(resume) if invocation.target.resumes() => {
            match resume_from(invocation, client, sink, &resume).await? {
                Ok(sequence) => return Ok(sequence),
                Err(why) => report_restart(sink, why),
            }
        }
        ExistingPart::Useless(why) if invocation.target.resumes() => report_restart(sink, why),
        ExistingPart::Some(_) => report_restart(sink, "--continue would resume it"),
        _ => {}
    }
    let mut sequence = Objects::new(client, options, objects::requests(invocation, 0, None)?);
    start_first(invocation, &mut sequence).await?;
    // Only after the server has answered: until then, what an earlier run left stays.
    sink.start_over()?;
    if let Some(download) = sequence.current() {
        sink.begin(&facts(download, options.range))?;
    }
    Ok(sequence)
}

async fn start_first(invocation: &Invocation, sequence: &mut Objects) -> Result<()> {
    match (sequence.next_object().await, &invocation.list) {
        (Some(started), _) => started.map_err(|e| objects::explain_failed(invocation, sequence, e)),
        (None, Some(list)) => Err(list.empty()),
        (None, None) => Err(Error::usage("an object is missing")),
    }
}

/// Resumes from `resume`, or returns why that is not possible.
async fn resume_from(
    invocation: &Invocation,
    client: &Client,
    sink: &mut Sink,
    resume: &ResumePoint,
) -> Result<Result<Objects, &'static str>> {
    const CHANGED: &str = "the object has changed";
    let options = &invocation.download;
    let Some(first) = pinned(resume, options) else { return Ok(Err(CHANGED)) };
    let already_written = resume.within.as_ref().map_or(0, |(_, bytes)| *bytes);
    let requests = objects::requests(invocation, resume.complete, Some((first, already_written)))?;
    let mut sequence = Objects::new(client, options, requests);
    match start_first(invocation, &mut sequence).await {
        Ok(()) => {}
        // A version that the user named would be missing from a new start too.
        Err(e) if is_replaced(&e, resume) && (&options.if_match, &options.version_id) == (&None, &None) => {
            return Ok(Err(CHANGED));
        }
        Err(e) => return Err(e),
    }
    sink.resume(resume)?;
    let Some(download) = sequence.current_mut() else { return Ok(Ok(sequence)) };
    match sink.begin(&facts(download, options.range)) {
        Ok(()) if already_written > 0 && download.wants_earlier().await => {
            // The checksum covers all bytes, those of earlier runs included.
            sink.read_back(resume.length - already_written, already_written, async |bytes| {
                download.earlier(bytes).await;
            })
            .await?;
            Ok(Ok(sequence))
        }
        Ok(()) => Ok(Ok(sequence)),
        Err(e) if e.kind() == ErrorKind::Changed => Ok(Err(CHANGED)),
        Err(e) => Err(e),
    }
}

/// Returns `options` for the missing bytes of the object that an earlier run began; `None` if the user names another
/// version.
fn pinned(resume: &ResumePoint, options: &Options) -> Option<Options> {
    let mut options = options.clone();
    let Some((piece, already_written)) = &resume.within else { return Some(options) };
    if options.if_match.is_some() && options.if_match != piece.tag() {
        return None;
    }
    options.if_match = piece.tag();
    if options.if_match.is_none() && options.version_id.is_none() {
        options.version_id = piece.version().map(str::to_owned);
    }
    let (first, last) = (piece.start + already_written, piece.end.saturating_sub(1));
    options.range = Some(RangeSpec::Between { first, last });
    Some(options)
}

/// Returns whether `error` means that the store no longer has the object that an earlier run began.
fn is_replaced(error: &Error, resume: &ResumePoint) -> bool {
    let is_by_version = resume.within.as_ref().is_some_and(|(piece, _)| piece.tag().is_none());
    match error.kind() {
        ErrorKind::Changed => true,
        // Its version was deleted; or it became shorter on a server that ignores If-Match.
        ErrorKind::NotFound => is_by_version,
        ErrorKind::Usage => error.service().is_some_and(|service| service.status == 416),
        _ => false,
    }
}

fn report_restart(sink: &Sink, why: &str) {
    let text = format!("s3fcp: {}: {why}: starting over\n", sink.shown());
    // A stderr that is gone does not make the download fail.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
