//! How a run begins: anew, or where an earlier one was cut.
//!
//! It gets what was asked for and an open sink, and hands on a sequence whose first object has begun in both. What an
//! earlier run left is used only where the store still has the same object; else the download starts over, and says so.

use std::io::Write;

use crate::cli::args::Invocation;
use crate::cli::deliver::facts;
use crate::config::settings::Config;
use crate::download::options::Options;
use crate::download::sequence::ObjectSequence;
use crate::error::{Error, ErrorKind, Result};
use crate::output::part_file::ExistingPart;
use crate::output::sidecar::ResumePoint;
use crate::output::sink::Sink;
use crate::s3::range_spec::RangeSpec;

/// Asks for the first object of `invocation` that is not complete in `sink`.
pub(crate) async fn begin<'a>(
    invocation: &'a Invocation,
    config: &'a Config,
    sink: &mut Sink,
) -> Result<ObjectSequence<'a>> {
    let (uris, options) = (&invocation.uris, &invocation.download);
    match sink.left(uris, options.range)? {
        ExistingPart::Some(resume) if invocation.target.resumes() => {
            match go_on(invocation, config, sink, &resume).await? {
                Ok(sequence) => return Ok(sequence),
                Err(why) => tell(sink, why),
            }
        }
        ExistingPart::Useless(why) if invocation.target.resumes() => tell(sink, why),
        ExistingPart::Some(_) => tell(sink, "--continue would go on with it"),
        _ => {}
    }
    let sequence = ObjectSequence::start(config, uris, options).await?;
    // Only now: while nobody answers, what there is stays.
    sink.start_over()?;
    sink.begin(&facts(sequence.current(), options.range))?;
    Ok(sequence)
}

/// Goes on with what `resume` found, or says why that cannot be.
async fn go_on<'a>(
    invocation: &'a Invocation,
    config: &'a Config,
    sink: &mut Sink,
    resume: &ResumePoint,
) -> Result<Result<ObjectSequence<'a>, &'static str>> {
    const CHANGED: &str = "the object is another one now";
    let options = &invocation.download;
    let Some(first) = pinned(resume, options) else { return Ok(Err(CHANGED)) };
    let uris = &invocation.uris[resume.complete..];
    let had = resume.within.as_ref().map_or(0, |(_, had)| *had);
    let started = ObjectSequence::start_behind(config, uris, options, &first, had).await;
    let mut sequence = match started {
        Ok(sequence) => sequence,
        // What the user named himself will not be there for a new start either.
        Err(e) if is_other(&e, resume) && (&options.if_match, &options.version_id) == (&None, &None) => {
            return Ok(Err(CHANGED));
        }
        Err(e) => return Err(e),
    };
    sink.resume(resume)?;
    match sink.begin(&facts(sequence.current(), options.range)) {
        Ok(()) if had > 0 && sequence.current_mut().wants_earlier().await => {
            // A checksum is of all bytes, those of earlier runs included.
            let download = sequence.current_mut();
            sink.read_back(resume.length - had, had, async |bytes| download.earlier(bytes).await).await?;
            Ok(Ok(sequence))
        }
        Ok(()) => Ok(Ok(sequence)),
        Err(e) if e.kind() == ErrorKind::Changed => Ok(Err(CHANGED)),
        Err(e) => Err(e),
    }
}

/// `options` for the bytes that are missing, of the object that was begun; `None` where the user names another.
fn pinned(resume: &ResumePoint, options: &Options) -> Option<Options> {
    let mut options = options.clone();
    let Some((piece, had)) = &resume.within else { return Some(options) };
    if options.if_match.is_some() && options.if_match != piece.tag() {
        return None;
    }
    options.if_match = piece.tag();
    if options.if_match.is_none() && options.version_id.is_none() {
        options.version_id = piece.version().map(str::to_owned);
    }
    let (first, last) = (piece.start + had, piece.end.saturating_sub(1));
    options.range = Some(RangeSpec::Between { first, last });
    Some(options)
}

/// Whether `error` says that the object that was begun is not the one that is there.
fn is_other(error: &Error, resume: &ResumePoint) -> bool {
    let is_by_version = resume.within.as_ref().is_some_and(|(piece, _)| piece.tag().is_none());
    match error.kind() {
        ErrorKind::Changed => true,
        // Its version was deleted; or it has become shorter, on a server that does not look at ETags.
        ErrorKind::NotFound => is_by_version,
        ErrorKind::Usage => error.service().is_some_and(|service| service.status == 416),
        _ => false,
    }
}

fn tell(sink: &Sink, why: &str) {
    let text = format!("s3fcp: {}: {why}: starting over\n", sink.shown());
    // It is for looking at.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
