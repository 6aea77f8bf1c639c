//! Ordered bytes to where they go: stdout, a file, or a piece of one.
//!
//! One way for all of them: frames go to one blocking thread, which writes them, gathered, straight from where
//! they lie; only where few connections leave the time is a pipe filled by the thread that reads. What a file needs
//! beyond that, from its first byte to its name, is in the files below. It never buffers beyond a few frames and never
//! writes anything else.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use tokio::io::Interest;

use crate::error::{Error, Result};
use crate::output::in_place::InPlace;
use crate::output::part_file::{self, ExistingPart, ObjectFacts, PartFile};
use crate::output::path::{self, OutputPath, failed};
use crate::output::sidecar::ResumePoint;
use crate::output::stream::StreamOutput;
use crate::output::target::{Destination, IfExists};
use crate::s3::address::source::Source;
use crate::s3::range_spec::RangeSpec;

/// Where the bytes of a run go, open.
#[derive(Debug)]
pub(crate) enum Sink {
    /// To a stream, which is written as it comes.
    Stream(StreamOutput),
    /// To a file that is not whole before the end.
    Part(Box<PartFile>),
    /// To a piece of a file.
    InPlace(InPlace),
}

impl Sink {
    /// Opens what `target` means for `range` of the objects `uris`; `None` where an earlier run has brought them all.
    pub(crate) fn open(
        target: &Destination,
        uris: &[Source],
        range: Option<RangeSpec>,
    ) -> Result<Option<Self>> {
        let (path, existing) = match target {
            Destination::Stdout { even_binary } => {
                return Ok(Some(Self::Stream(StreamOutput::stdout(*even_binary)?)));
            }
            Destination::File { path, existing } => (path, *existing),
        };
        let place = OutputPath::of(path, uris)?;
        let (replace, resume) = match existing {
            IfExists::InPlace => return Ok(Some(Self::InPlace(InPlace::open(place)?))),
            IfExists::Fail { resume } => (false, resume),
            IfExists::Replace { resume } => (true, resume),
        };
        match &place.existing {
            Some(found) if !found.is_file() => {
                let stream = named(&place.path, found, replace, resume)?;
                Ok(Some(Self::Stream(stream)))
            }
            Some(_) if resume && part_file::is_done(&place, uris, range) => Ok(None),
            _ => Ok(Some(Self::Part(Box::new(PartFile::open(place, replace)?)))),
        }
    }

    /// What an earlier run left of `range` of the objects `uris`.
    pub(crate) fn left(&self, uris: &[Source], range: Option<RangeSpec>) -> Result<ExistingPart> {
        if let Self::Part(part) = self { part.left(uris, range) } else { Ok(ExistingPart::Nothing) }
    }

    /// Keeps what `resume` found, and throws away what is behind it.
    pub(crate) fn resume(&mut self, resume: &ResumePoint) -> Result<()> {
        if let Self::Part(part) = self { part.resume(resume) } else { Ok(()) }
    }

    /// Reads the `count` bytes from `start` on that are there already, for `each`.
    pub(crate) async fn read_back(&self, start: u64, count: u64, each: impl AsyncFnMut(&[u8])) -> Result<()> {
        if let Self::Part(part) = self { part.read_back(start, count, each).await } else { Ok(()) }
    }

    /// Throws away what an earlier run left.
    pub(crate) fn start_over(&mut self) -> Result<()> {
        if let Self::Part(part) = self { part.start_over() } else { Ok(()) }
    }

    /// The bytes that come next are those of `object`.
    pub(crate) fn begin(&mut self, object: &ObjectFacts<'_>) -> Result<()> {
        match self {
            Self::Stream(_) => Ok(()),
            Self::Part(part) => part.begin(object),
            Self::InPlace(file) => file.begin(object.range.start, object.info.size),
        }
    }

    /// The bytes are all there.
    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::Stream(_) => Ok(()),
            Self::Part(part) => part.finish(),
            Self::InPlace(file) => file.finish(),
        }
    }

    /// The download ended in its middle, and the bytes until there are wrong or not.
    pub(crate) fn abandon(self, is_wrong: bool) {
        if let Self::Part(part) = self {
            part.abandon(is_wrong);
        }
    }

    /// Returns the path of the file that bytes are written to, if the user named one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Stream(_) => None,
            Self::Part(part) => Some(part.path()),
            Self::InPlace(file) => Some(file.path()),
        }
    }

    /// The name of what bytes are written to, for a message.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Stream(_) => "stdout".to_owned(),
            Self::Part(part) => path::shown(part.path()),
            Self::InPlace(file) => path::shown(file.path()),
        }
    }

    /// Whether the bytes are nobody's before the end.
    pub(crate) fn is_part(&self) -> bool {
        matches!(self, Self::Part(_))
    }

    /// Whether bytes are there that a later run can go on with.
    pub(crate) fn can_be_resumed(&self) -> bool {
        matches!(self, Self::Part(part) if !part.is_nothing())
    }

    pub(crate) fn file(&self) -> io::Result<File> {
        match self {
            Self::Stream(stream) => stream.file(),
            Self::Part(part) => part.file(),
            Self::InPlace(file) => file.file(),
        }
    }

    pub(crate) fn check(&self, bytes: &[u8]) -> Result<()> {
        if let Self::Stream(stream) = self { stream.check(bytes) } else { Ok(()) }
    }

    /// Resolves when nobody reads any more what is written.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + use<> {
        let watched = if let Self::Stream(stream) = self { stream.watched() } else { None };
        async {
            match watched {
                Some(stream) if stream.ready(Interest::ERROR).await.is_ok() => {}
                _ => std::future::pending().await,
            }
        }
    }

    pub(crate) fn has_lost_reader(&self) -> bool {
        matches!(self, Self::Stream(stream) if stream.has_lost_reader())
    }
}

/// Opens what is no regular file, such as a pipe with a name: it is written as it is.
fn named(path: &Path, found: &Metadata, replace: bool, resume: bool) -> Result<StreamOutput> {
    if resume {
        return Err(Error::usage(format!("--continue needs a regular file: {}", path::shown(path))));
    }
    if found.file_type().is_block_device() && !replace {
        return Err(part_file::exists(path));
    }
    let file = File::options().write(true).open(path);
    Ok(StreamOutput::named(file.map_err(|e| failed(path, "it could not be opened", e))?))
}
