//! The objects of a run in their order: those of the command line, or those of a list as they are read.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::mpsc;

use crate::cli::file_each::ObjectFile;
use crate::cli::invocation::Invocation;
use crate::cli::source_list::{ListedSource, SourceList};
use crate::download::object_requests::{ObjectRequest, ObjectRequests};
use crate::download::options::Options;
use crate::download::sequence::ObjectSequence;
use crate::error::{Error, Result};
use crate::s3::address::source::Source;

/// The downloads of a run.
pub(crate) type Objects = ObjectSequence<ObjectNote>;

/// Facts of an object that its request carries.
#[derive(Debug)]
pub(crate) struct ObjectNote {
    pub(crate) place: ObjectPlace,
    /// Its own file, if it has one and its turn has not come.
    pub(crate) file: Option<ObjectFile>,
}

impl From<ObjectPlace> for ObjectNote {
    fn from(place: ObjectPlace) -> Self {
        Self { place, file: None }
    }
}

/// The place of an object in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ObjectPlace {
    /// Its number on the command line, from 0.
    Argument(usize),
    /// Its line in the list, from 1.
    Line(u64),
}

/// Returns the objects of `invocation` without the first `skipped` ones, which are complete. The first one that is left
/// uses `first`: its own options, and how many bytes of it an earlier run has written.
pub(crate) fn requests(
    invocation: &Invocation,
    skipped: usize,
    mut first: Option<(Options, u64)>,
) -> Result<ObjectRequests<ObjectNote>> {
    if let Some(list) = &invocation.list {
        return listed(invocation, list);
    }
    let request = move |(number, source)| {
        let (options, already_written) = first.take().map_or((None, 0), |(own, bytes)| (Some(own), bytes));
        Ok(ObjectRequest { source, options, already_written, note: ObjectPlace::Argument(number).into() })
    };
    let arguments: Vec<_> = invocation.sources.iter().cloned().enumerate().skip(skipped).collect();
    Ok(Box::pin(stream::iter(arguments.into_iter().map(request))))
}

fn listed(invocation: &Invocation, list: &SourceList) -> Result<ObjectRequests<ObjectNote>> {
    let (checked, list) = (invocation.clone(), list.clone());
    let request = move |found: Result<ListedSource>| {
        let ListedSource { source, line } = found?;
        checked.fits(&source).map_err(|e| e.on(&source).listed_at(&list.place(line)))?;
        Ok(ObjectRequest { source, options: None, already_written: 0, note: ObjectPlace::Line(line).into() })
    };
    Ok(Box::pin(SourceQueue(list_queue(invocation)?).map(request)))
}

fn list_queue(invocation: &Invocation) -> Result<mpsc::Receiver<Result<ListedSource>>> {
    invocation.list.as_ref().map_or_else(|| Err(Error::usage("an object is missing")), SourceList::read)
}

/// Returns the error of a run without an object.
pub(crate) fn none(invocation: &Invocation) -> Error {
    invocation.list.as_ref().map_or_else(|| Error::usage("an object is missing"), SourceList::empty)
}

/// Adds the place in the list to an error about `source`, of which `note` has the place.
pub(crate) fn explain(invocation: &Invocation, source: &Source, note: &ObjectNote, error: Error) -> Error {
    match (&invocation.list, &note.place) {
        (Some(list), ObjectPlace::Line(line)) if error.object() == Some(source.to_string().as_str()) => {
            list.explain(error, source, *line)
        }
        _ => error,
    }
}

/// Adds the place in the list to an error about the object that could not be started, or the current one.
pub(crate) fn explain_failed(invocation: &Invocation, sequence: &Objects, error: Error) -> Error {
    match sequence.failed().or(sequence.request()) {
        Some(request) => explain(invocation, &request.source, &request.note, error),
        None => error,
    }
}

/// The queue from the thread that reads the list.
struct SourceQueue(mpsc::Receiver<Result<ListedSource>>);

impl Stream for SourceQueue {
    type Item = Result<ListedSource>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}
