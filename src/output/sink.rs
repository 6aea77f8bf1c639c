//! The destination of a run, open: a stream, a part file that becomes FILE, or one piece of a shared file.
//!
//! The writer writes to all three in the same way, through [`Sink::file`]. They differ in what comes before and after
//! the bytes.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::io::Interest;

use crate::error::{Error, Result};
use crate::output::destination::{Destination, IfExists};
use crate::output::finished::FinishedFile;
use crate::output::in_place::InPlace;
use crate::output::part_file::{ObjectFacts, PartFile};
use crate::output::path::OutputPath;
use crate::output::path_error::{self, failed};
use crate::output::resume::DownloadRequest;
use crate::output::stream::StreamOutput;

/// The open destination of a run.
#[derive(Debug)]
pub(crate) enum Sink {
    /// A stream: bytes are delivered as they are written.
    Stream(StreamOutput),
    /// A file that gets its name at the end.
    Part(Box<PartFile>),
    /// One piece of a file.
    InPlace(Box<InPlace>),
}

/// A destination that was looked at.
#[derive(Debug)]
pub(crate) enum OpenedSink {
    Sink(Sink),
    /// A FILE that an earlier run may have finished.
    Existing(FinishedFile),
}

impl Sink {
    /// Opens `target` for `request`.
    pub(crate) fn open(target: &Destination, request: DownloadRequest<'_>) -> Result<OpenedSink> {
        if let Some(existing) = finished(target, request)? {
            return Ok(OpenedSink::Existing(existing));
        }
        let sink = Self::open_new(target, request)?;
        // Another process may have finished FILE while this one waited for its lock.
        Ok(match finished(target, request)? {
            Some(existing) => OpenedSink::Existing(existing),
            None => OpenedSink::Sink(sink),
        })
    }

    /// Opens `target` for `request`, without asking whether an earlier run has finished it.
    pub(crate) fn open_new(target: &Destination, request: DownloadRequest<'_>) -> Result<Self> {
        let (path, existing) = match target {
            Destination::Stdout { even_binary } => {
                return Ok(Self::Stream(StreamOutput::stdout(*even_binary)?));
            }
            Destination::File { path, existing } => (path, *existing),
        };
        let place = OutputPath::of(path, request.sources)?;
        let (replace, resume) = match existing {
            IfExists::InPlace => return Ok(Self::InPlace(Box::new(InPlace::open(place)?))),
            IfExists::Fail { resume } => (false, resume),
            IfExists::Replace { resume } => (true, resume),
        };
        let is_stream =
            place.descriptor.is_some() || place.existing.as_ref().is_some_and(|found| !found.is_file());
        if !is_stream {
            let part = PartFile::open(place, replace, request.endpoint)?.in_run(request.run_files);
            return Ok(Self::Part(Box::new(part)));
        }
        if resume {
            let what =
                format!("--continue needs a regular file, and {} is not one", path_error::shown(&place.path));
            return Err(Error::usage(what));
        }
        match (place.descriptor, &place.existing) {
            (Some(descriptor), _) => StreamOutput::inherited(descriptor, &place.path),
            (None, Some(found)) => named(&place.path, found, replace),
            (None, None) => Err(path_error::unusable(&place.path, "does not exist")),
        }
        .map(Self::Stream)
    }

    /// Returns the part file, if that is what is written: it can be resumed, and nobody reads its bytes before the end.
    pub(crate) fn part(&self) -> Option<&PartFile> {
        if let Self::Part(part) = self { Some(part) } else { None }
    }

    /// Returns the part file, to change it.
    pub(crate) fn part_mut(&mut self) -> Option<&mut PartFile> {
        if let Self::Part(part) = self { Some(part) } else { None }
    }

    /// Returns the stream, if one is written: a reader may leave it, and a terminal takes text only.
    pub(crate) fn stream(&self) -> Option<&StreamOutput> {
        if let Self::Stream(stream) = self { Some(stream) } else { None }
    }

    /// Announces that the bytes which follow are those of `object`.
    pub(crate) fn begin(&mut self, object: &ObjectFacts<'_>) -> Result<()> {
        match self {
            Self::Stream(_) => Ok(()),
            Self::Part(part) => part.begin(object),
            Self::InPlace(file) => file.begin(object.range.start, object.info.size),
        }
    }

    /// Announces that `bytes` are the next ones that are written.
    pub(crate) fn announce(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Stream(stream) => stream.check(bytes),
            Self::Part(part) => part.announce(bytes),
            Self::InPlace(_) => Ok(()),
        }
    }

    /// Completes the output after the last byte; a file gets the time `modified`, if there is one.
    pub(crate) fn finish(self, modified: Option<SystemTime>) -> Result<()> {
        match self {
            Self::Stream(stream) => stream.finish(),
            Self::Part(part) => part.finish(modified),
            Self::InPlace(file) => file.finish(modified),
        }
    }

    /// Ends an incomplete output, whose bytes are wrong or not. Returns whether nothing of it is left.
    pub(crate) fn abandon(self, is_wrong: bool) -> bool {
        match self {
            Self::Part(part) => part.abandon(is_wrong),
            Self::Stream(_) | Self::InPlace(_) => false,
        }
    }

    /// Returns the name of the destination for messages.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Stream(_) => "stdout".to_owned(),
            Self::Part(part) => path_error::shown(part.path()),
            Self::InPlace(file) => path_error::shown(file.path()),
        }
    }

    /// Returns the open file, for the writer.
    pub(crate) fn file(&self) -> io::Result<Arc<File>> {
        match self {
            Self::Stream(stream) => Ok(stream.file()),
            Self::Part(part) => part.file(),
            Self::InPlace(file) => Ok(file.file()),
        }
    }

    /// Resolves when the reader of a pipe has closed it.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + use<> {
        let watched = self.stream().and_then(StreamOutput::watched);
        async {
            match watched {
                Some(stream) if stream.ready(Interest::ERROR).await.is_ok() => {}
                _ => std::future::pending().await,
            }
        }
    }
}

/// Returns the FILE that an earlier run may have finished, if `target` continues one.
fn finished(target: &Destination, request: DownloadRequest<'_>) -> Result<Option<FinishedFile>> {
    let Destination::File { path, .. } = target else { return Ok(None) };
    if !target.resumes() {
        return Ok(None);
    }
    let place = OutputPath::of(path, request.sources)?;
    if !place.existing.as_ref().is_some_and(Metadata::is_file) {
        return Ok(None);
    }
    FinishedFile::find(&place, request)
}

/// Opens what is not a regular file, such as a named pipe: it is written directly.
fn named(path: &Path, found: &Metadata, replace: bool) -> Result<StreamOutput> {
    if found.file_type().is_block_device() && !replace {
        return Err(path_error::exists(path));
    }
    let file = File::options().write(true).open(path);
    Ok(StreamOutput::named(file.map_err(|e| failed(path, "open", e))?))
}
