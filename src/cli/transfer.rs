//! The start of a transfer: from the beginning, or where an earlier run stopped.
//!
//! The bytes of an earlier run are used only if the store still has the same object; otherwise the download starts over and
//! says so.

use std::io::Write;

use crate::cli::deliver::facts;
use crate::cli::invocation::Invocation;
use crate::cli::objects::{self, Objects};
use crate::cli::part_tail;
use crate::download::client::Client;
use crate::download::options::Options;
use crate::error::{Error, ErrorKind, Result};
use crate::output::destination::Destination;
use crate::output::part_file::{ExistingPart, PartFile};
use crate::output::resume::{DownloadRequest, ResumePoint};
use crate::output::sink::Sink;
use crate::s3::address::source::Source;
use crate::s3::range_spec::RangeSpec;

/// Starts the first object of `invocation` that is not complete in `sink`, in the returned sequence and in `sink`.
pub(crate) async fn begin(
    invocation: &Invocation,
    client: &Client,
    sink: &mut Sink,
    request: DownloadRequest<'_>,
) -> Result<Objects> {
    let options = &invocation.download;
    match EarlierRun::of(sink, &invocation.target, request)? {
        EarlierRun::Resumable(resume) => {
            match resume_from(invocation, client, sink, request.sources, &resume).await? {
                Ok(sequence) => return Ok(sequence),
                Err(why) => report_restart(sink, why),
            }
        }
        EarlierRun::Useless(why) => report_restart(sink, why),
        EarlierRun::Nothing => {}
    }
    let mut sequence = Objects::new(client, options, objects::requests(invocation, 0, None)?);
    start_first(invocation, &mut sequence).await?;
    // Only after the server has answered: until then, what an earlier run left stays.
    if let Some(part) = sink.part_mut() {
        part.start_over()?;
    }
    if let Some(download) = sequence.current() {
        sink.begin(&facts(download, options.range))?;
    }
    Ok(sequence)
}

async fn start_first(invocation: &Invocation, sequence: &mut Objects) -> Result<()> {
    match sequence.next_object().await {
        Some(started) => started.map_err(|e| objects::explain_failed(invocation, sequence, e)),
        None => Err(objects::none(invocation)),
    }
}

/// Resumes from `resume`, or returns why that is not possible.
async fn resume_from(
    invocation: &Invocation,
    client: &Client,
    sink: &mut Sink,
    sources: &[Source],
    resume: &ResumePoint,
) -> Result<Result<Objects, &'static str>> {
    let options = &invocation.download;
    let Some(first) = pinned(resume, options) else { return Ok(Err(CHANGED)) };
    if let (Some(part), Some(source)) = (sink.part(), sources.get(resume.complete))
        && let Err(why) = check_tail(client, source, options, part, resume).await?
    {
        return Ok(Err(why));
    }
    let already_written = resume.within.as_ref().map_or(0, |(_, bytes)| *bytes);
    let requests = objects::requests(invocation, resume.complete, Some((first, already_written)))?;
    let mut sequence = Objects::new(client, options, requests);
    match start_first(invocation, &mut sequence).await {
        Ok(()) => {}
        Err(e) if is_replaced(&e, resume, options) => return Ok(Err(CHANGED)),
        Err(e) => return Err(e),
    }
    Ok(append_to(invocation, &mut sequence, sink, resume).await?.map(|()| sequence))
}

/// Prepares `sink` for the bytes that the current object continues with, or returns why that is not possible.
async fn append_to(
    invocation: &Invocation,
    sequence: &mut Objects,
    sink: &mut Sink,
    resume: &ResumePoint,
) -> Result<Result<(), &'static str>> {
    let already_written = resume.within.as_ref().map_or(0, |(_, bytes)| *bytes);
    let (Some(part), Some(download)) = (sink.part_mut(), sequence.current_mut()) else { return Ok(Ok(())) };
    part.resume(resume)?;
    match part.begin(&facts(download, invocation.download.range)) {
        Ok(()) if already_written > 0 && download.wants_earlier().await => {
            // The checksum covers all bytes, those of earlier runs included.
            let mut earlier = part.read_back(resume.length - already_written, already_written)?;
            while let Some(bytes) = earlier.next().await? {
                download.earlier(bytes).await;
            }
            Ok(Ok(()))
        }
        Ok(()) => Ok(Ok(())),
        Err(e) if e.kind() == ErrorKind::Changed => Ok(Err(CHANGED)),
        Err(e) => Err(e),
    }
}

/// Makes the next object of `sequence` the current one, and returns its file, which is ready for its bytes; `None`
/// after the last object.
pub(crate) async fn begin_next(invocation: &Invocation, sequence: &mut Objects) -> Result<Option<Sink>> {
    let Some(started) = sequence.next_object().await else { return Ok(None) };
    let Some(file) = sequence.request_mut().and_then(|request| request.note.file.take()) else {
        // The list has failed in the place of an object.
        started?;
        return Err(Error::new(ErrorKind::Other, "an object has no file"));
    };
    let mut sink = file.sink;
    match open_file(invocation, sequence, &mut sink, file.earlier, started).await {
        Ok(()) => Ok(Some(sink)),
        Err(error) => {
            sink.abandon(false);
            Err(error)
        }
    }
}

/// Prepares `sink` for the bytes of the current object, which `started` or not.
async fn open_file(
    invocation: &Invocation,
    sequence: &mut Objects,
    sink: &mut Sink,
    earlier: EarlierRun,
    started: Result<()>,
) -> Result<()> {
    let options = &invocation.download;
    match (earlier, started) {
        (EarlierRun::Resumable(resume), Err(e)) if is_replaced(&e, &resume, options) => {
            report_restart(sink, CHANGED);
            sequence.start_over().await?;
        }
        (_, Err(e)) => return Err(e),
        (EarlierRun::Resumable(resume), Ok(())) => {
            match append_to(invocation, sequence, sink, &resume).await? {
                Ok(()) => return Ok(()),
                Err(why) => report_restart(sink, why),
            }
            sequence.start_over().await?;
        }
        (EarlierRun::Useless(why), Ok(())) => report_restart(sink, why),
        (EarlierRun::Nothing, Ok(())) => {}
    }
    if let Some(part) = sink.part_mut() {
        part.start_over()?;
    }
    let Some(download) = sequence.current() else { return Ok(()) };
    sink.begin(&facts(download, None))
}

/// The reason to start over where the store has another object by that name.
const CHANGED: &str = "the object has changed";

/// The remains of an earlier run, and what becomes of them.
#[derive(Debug)]
pub(crate) enum EarlierRun {
    Nothing,
    Resumable(ResumePoint),
    /// The download starts over, for this reason.
    Useless(&'static str),
}

impl EarlierRun {
    /// The store has another object by that name.
    pub(crate) const CHANGED: Self = Self::Useless(CHANGED);

    /// Returns what is left in `sink` of `request`.
    pub(crate) fn of(sink: &Sink, target: &Destination, request: DownloadRequest<'_>) -> Result<Self> {
        let Some(part) = sink.part() else { return Ok(Self::Nothing) };
        Ok(match part.left(request)? {
            ExistingPart::Some(resume) if target.resumes() => Self::Resumable(resume),
            ExistingPart::Useless(why) if target.resumes() => Self::Useless(why),
            ExistingPart::Some(_) => Self::Useless("--continue would resume it"),
            _ => Self::Nothing,
        })
    }
}

/// Returns why the bytes of `part` do not continue at `resume`, if its last bytes are not those of `source`.
pub(crate) async fn check_tail(
    client: &Client,
    source: &Source,
    options: &Options,
    part: &PartFile,
    resume: &ResumePoint,
) -> Result<Result<(), &'static str>> {
    let Some(pinned) = pinned(resume, options) else { return Ok(Err(CHANGED)) };
    match part_tail::is_of_object(client, source, &pinned, part, resume).await {
        Ok(true) => Ok(Ok(())),
        Ok(false) => Ok(Err("its last bytes are not those of the object")),
        Err(e) if is_replaced(&e, resume, options) => Ok(Err(CHANGED)),
        Err(e) => Err(e),
    }
}

/// Returns `options` for the missing bytes of the object that an earlier run began; `None` if the user names another
/// version.
pub(crate) fn pinned(resume: &ResumePoint, options: &Options) -> Option<Options> {
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

/// Returns whether `error` means that the store no longer has the object that an earlier run began. A version that the
/// user named would be missing from a new start too.
fn is_replaced(error: &Error, resume: &ResumePoint, options: &Options) -> bool {
    if options.if_match.is_some() || options.version_id.is_some() {
        return false;
    }
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
    let text = format!("s3fcp: {}: starting over: {why}\n", sink.shown());
    // A stderr that is gone does not make the download fail.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
