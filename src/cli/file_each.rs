//! A file for each object of a run, in a folder (`-o DIR/`): its name, and what an earlier run left of it.
//!
//! A file is examined when its object is requested, which may be before its turn; nothing is made or changed until
//! then.

use std::fs;
use std::future::ready;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use tokio_util::task::AbortOnDropHandle;

use crate::cli::existing_file::prove_complete;
use crate::cli::invocation::Invocation;
use crate::cli::objects::{self, ObjectNote};
use crate::cli::transfer::{EarlierRun, check_tail, pinned};
use crate::download::client::Client;
use crate::download::object_requests::{ObjectRequest, ObjectRequests};
use crate::download::verdict::Verdict;
use crate::error::{Error, Result};
use crate::output::destination::Destination;
use crate::output::file_names::FileNames;
use crate::output::finished::FinishedFile;
use crate::output::path::{file_name, is_folder};
use crate::output::path_error::unusable;
use crate::output::resume::DownloadRequest;
use crate::output::run_files::RunFiles;
use crate::output::sink::{OpenedSink, Sink};
use crate::s3::address::source::Source;

/// Finished files that are proven at the same time, each by a HEAD.
const PROOFS_AT_ONCE: usize = 8;

/// The file of an object, and what an earlier run left of it.
#[derive(Debug)]
pub(crate) struct ObjectFile {
    pub(crate) sink: Sink,
    pub(crate) earlier: EarlierRun,
}

/// Returns whether `invocation` gives a file to each of several objects.
pub(crate) fn is_wanted(invocation: &Invocation) -> Result<bool> {
    match &invocation.target {
        Destination::File { path, .. } if invocation.has_several() => is_folder(path),
        _ => Ok(false),
    }
}

/// The examination of the files of a run.
#[derive(Clone)]
pub(crate) struct FileExaminer {
    invocation: Arc<Invocation>,
    client: Client,
    /// Identity of the store.
    endpoint: Arc<str>,
    /// The verdict on the files that an earlier run completed.
    complete: Arc<Mutex<Option<Verdict>>>,
    run_files: RunFiles,
}

/// An object whose file was looked at.
enum ExaminedObject {
    Missing(ObjectRequest<ObjectNote>),
    /// An earlier run began it.
    Begun(ObjectRequest<ObjectNote>),
    /// An earlier run may have completed it.
    Existing(ObjectRequest<ObjectNote>, FinishedFile),
}

impl FileExaminer {
    pub(crate) fn new(invocation: &Invocation, client: &Client, endpoint: &str) -> Self {
        let invocation = Arc::new(invocation.clone());
        let (complete, run_files) = (Arc::default(), RunFiles::default());
        Self { invocation, client: client.clone(), endpoint: endpoint.into(), complete, run_files }
    }

    /// Refuses what can be known to fail before anything is requested: names that clash, and files that may not be
    /// replaced.
    pub(crate) fn check_arguments(&self) -> Result<()> {
        let Destination::File { path, .. } = &self.invocation.target else { return Ok(()) };
        let mut names = FileNames::of(path);
        self.invocation.sources.iter().try_for_each(|source| names.add(source))?;
        for source in &self.invocation.sources {
            check_regular(path, source)?;
            Sink::open(&self.invocation.target, self.request(source)).map_err(|e| e.on(source))?;
        }
        Ok(())
    }

    /// Returns `requests` with the file of each in its note, and without those whose files are complete.
    pub(crate) fn add_files(&self, requests: ObjectRequests<ObjectNote>) -> ObjectRequests<ObjectNote> {
        let folder = match &self.invocation.target {
            Destination::File { path, .. } => path,
            Destination::Stdout { .. } => Path::new("."),
        };
        let (examiner, mut names) = (self.clone(), FileNames::of(folder));
        let found = requests.map(move |request| {
            let request = request?;
            names.add(&request.source).map_err(|e| examiner.explain(&request, e))?;
            examiner.examine(request)
        });
        let examiner = self.clone();
        let missing = found.map(move |found| examiner.without_complete(found));
        Box::pin(missing.buffered(PROOFS_AT_ONCE).filter_map(ready))
    }

    /// Resolves to the request of an object, or to `None` if its file is complete.
    fn without_complete(
        &self,
        found: Result<ExaminedObject>,
    ) -> impl Future<Output = Option<Result<ObjectRequest<ObjectNote>>>> + Send + use<> {
        let known = match found {
            Ok(ExaminedObject::Missing(request)) => Ok(Some(Ok(request))),
            // Tasks of their own: nobody polls them while an object before them is delivered.
            Ok(ExaminedObject::Begun(request)) => {
                let examiner = self.clone();
                Err(AbortOnDropHandle::new(tokio::spawn(
                    async move { Some(examiner.compare(request).await) },
                )))
            }
            Ok(ExaminedObject::Existing(request, file)) => {
                let examiner = self.clone();
                Err(AbortOnDropHandle::new(tokio::spawn(async move { examiner.prove(request, file).await })))
            }
            Err(error) => Ok(Some(Err(error))),
        };
        async move {
            match known {
                Ok(request) => request,
                Err(proof) => proof.await.unwrap_or_else(|_| Some(Err(Error::ended_early()))),
            }
        }
    }

    /// Returns the verdict on the files that an earlier run completed, if there are any.
    pub(crate) fn complete(&self) -> Option<Verdict> {
        *self.complete.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn examine(&self, mut request: ObjectRequest<ObjectNote>) -> Result<ExaminedObject> {
        if let Destination::File { path, .. } = &self.invocation.target {
            check_regular(path, &request.source).map_err(|e| self.explain(&request, e))?;
        }
        match Sink::open(&self.invocation.target, self.request(&request.source)) {
            Ok(OpenedSink::Sink(sink)) => {
                self.attach(&mut request, sink).map_err(|e| self.explain(&request, e))?;
                let is_begun = request.already_written > 0;
                Ok(if is_begun { ExaminedObject::Begun(request) } else { ExaminedObject::Missing(request) })
            }
            Ok(OpenedSink::Existing(file)) => Ok(ExaminedObject::Existing(request, file)),
            Err(error) => Err(self.explain(&request, error)),
        }
    }

    /// Returns `request` if `file` must be downloaded again, or `None` if it is complete.
    async fn prove(
        &self,
        mut request: ObjectRequest<ObjectNote>,
        file: FinishedFile,
    ) -> Option<Result<ObjectRequest<ObjectNote>>> {
        let sources = std::slice::from_ref(&request.source);
        let error = match prove_complete(&self.client, sources, &self.invocation.download, &file).await {
            Ok(Ok(verdict)) => {
                let mut complete = self.complete.lock().unwrap_or_else(PoisonError::into_inner);
                *complete = Some(complete.map_or(verdict, |before| before.and(verdict)));
                return None;
            }
            Ok(Err(_)) if self.invocation.target.replaces() => {
                let sink = Sink::open_new(&self.invocation.target, self.request(&request.source));
                match sink.and_then(|sink| self.attach(&mut request, sink)) {
                    Ok(()) => return Some(Ok(request)),
                    Err(error) => error,
                }
            }
            Ok(Err(error)) | Err(error) => error,
        };
        Some(Err(self.explain(&request, error)))
    }

    /// Returns `request`, which starts over if the part that an earlier run left does not end as the object does there.
    async fn compare(&self, mut request: ObjectRequest<ObjectNote>) -> Result<ObjectRequest<ObjectNote>> {
        if let Some(ObjectFile { sink, earlier }) = &mut request.note.file
            && let (Some(part), EarlierRun::Resumable(resume)) = (sink.part(), &*earlier)
        {
            let options = &self.invocation.download;
            let checked = check_tail(&self.client, &request.source, options, part, resume).await;
            match checked {
                Ok(Ok(())) => {}
                Ok(Err(why)) => {
                    *earlier = EarlierRun::Useless(why);
                    (request.options, request.already_written) = (None, 0);
                }
                Err(error) => return Err(self.explain(&request, error)),
            }
        }
        Ok(request)
    }

    /// Puts `sink` into the note of `request`, which asks for the bytes that are missing in it.
    fn attach(&self, request: &mut ObjectRequest<ObjectNote>, sink: Sink) -> Result<()> {
        let mut earlier = EarlierRun::of(&sink, &self.invocation.target, self.request(&request.source))?;
        if let EarlierRun::Resumable(resume) = &earlier {
            match pinned(resume, &self.invocation.download) {
                Some(options) => {
                    request.options = Some(options);
                    request.already_written = resume.length;
                }
                None => earlier = EarlierRun::CHANGED,
            }
        }
        request.note.file = Some(ObjectFile { sink, earlier });
        Ok(())
    }

    fn request<'a>(&'a self, source: &'a Source) -> DownloadRequest<'a> {
        let (sources, run_files) = (std::slice::from_ref(source), Some(&self.run_files));
        DownloadRequest { sources, asked: None, endpoint: &self.endpoint, run_files }
    }

    fn explain(&self, request: &ObjectRequest<ObjectNote>, error: Error) -> Error {
        let error = if error.object().is_some() { error } else { error.on(&request.source) };
        objects::explain(&self.invocation, &request.source, &request.note, error)
    }
}

/// Fails if something else than a file is where the file of `source` is to be. To open a named pipe, a device or a
/// descriptor is an act, and would be done before the object's turn.
fn check_regular(folder: &Path, source: &Source) -> Result<()> {
    let path = folder.join(&*file_name(source)?);
    match fs::metadata(&path) {
        Ok(found) if !found.is_file() && !found.is_dir() => {
            let error =
                unusable(&path, "is not a regular file, which each of several objects has to be written to");
            Err(error.on(source))
        }
        _ => Ok(()),
    }
}
