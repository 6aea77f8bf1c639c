//! One run of the program: it describes objects, or downloads them into one output or into a file each.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::StreamExt as _;
use tokio::time::Instant;

use crate::cli::awaited;
use crate::cli::clear_token;
use crate::cli::deliver::{DeliveryOutcome, DeliveryScope, deliver};
use crate::cli::ending::Ending;
use crate::cli::existing_file;
use crate::cli::file_each::{self, FileExaminer};
use crate::cli::interrupt::Interrupt;
use crate::cli::invocation::Invocation;
use crate::cli::log;
use crate::cli::objects::{self, Objects};
use crate::cli::observers::Observers;
use crate::cli::outcome::{EndCause, RunEnd};
use crate::cli::progress::{Progress, ProgressMode};
use crate::cli::report::format::Format;
use crate::cli::report::info;
use crate::cli::resume::stopped_download::ResumableFiles;
use crate::cli::stop::{StopReason, StopRequest, out_of_time};
use crate::cli::transfer;
use crate::config;
use crate::config::settings::Config;
use crate::download::client::Client;
use crate::download::object_requests::ObjectRequest;
use crate::error::{Error, ErrorKind, Result};
use crate::output::blocking::{has_thread, run_blocking};
use crate::output::destination::Destination;
use crate::output::resume::DownloadRequest;
use crate::output::sink::{OpenedSink, Sink};
use crate::output::stream::print;
use crate::output::write_progress::WriteProgress;

/// Runs `invocation`; `delivery` counts what is delivered.
pub(crate) async fn run(
    invocation: &Invocation,
    delivery: &Arc<WriteProgress>,
    interrupt: &Interrupt,
) -> Result<RunEnd, RunEnd> {
    log::start(invocation.verbosity)?;
    let deadline = invocation.max_time.map(|limit| Instant::from_std(delivery.began()) + limit);
    let stop = StopRequest::new(interrupt, deadline);
    if let Some(format) = invocation.info {
        return Ok(describe(invocation, format, &stop).await?.into());
    }
    let mut run = Run::new(invocation, delivery, stop);
    let ending = Box::pin(run.download()).await.unwrap_or_else(Ending::from);
    Ok(ending.report(invocation, run.observers, &run.delivery))
}

/// Describes the objects, unless `stop` ends that.
async fn describe(invocation: &Invocation, format: Format, stop: &StopRequest<'_>) -> Result<EndCause> {
    let stopped = |by, awaited: &str| match by {
        StopReason::Signal(signal) => Ok(EndCause::Interrupted(signal)),
        StopReason::TimeLimit => Err(out_of_time(awaited)),
    };
    let client = tokio::select! {
        // Whoever stops the run while a command gives keys must find the handlers in place, or that would be left.
        biased;
        by = stop.received() => return stopped(by, awaited::SETTINGS),
        config = load(invocation) => Client::new(config?),
    };
    tokio::select! {
        biased;
        described = describe_all(invocation, format, &client) => described.map(|()| EndCause::Complete),
        (by, awaited) = stop.received_while(|| awaited::before_response(invocation, &client)) => {
            stopped(by, &awaited)
        }
    }
}

/// Describes the objects, one after the other.
async fn describe_all(invocation: &Invocation, format: Format, client: &Client) -> Result<()> {
    let mut requests = objects::requests(invocation, 0, None)?;
    let mut is_empty = true;
    while let Some(request) = requests.next().await {
        let ObjectRequest { source, note, .. } = request?;
        let described = client.inspect(&source, &invocation.download).await;
        let object = described.map_err(|e| objects::explain(invocation, &source, &note, e))?;
        let mut text = info::render(&source, &object, format);
        if !is_empty && format == Format::Text {
            text.insert(0, '\n');
        }
        print(text.as_bytes())?;
        is_empty = false;
    }
    match &invocation.list {
        Some(list) if is_empty => Err(list.empty()),
        _ => Ok(()),
    }
}

async fn load(invocation: &Invocation) -> Result<Config> {
    let mut settings = invocation.settings.clone();
    // URLs are either presigned or public: if there are only URLs, skip the credential lookup.
    let has_only_urls = invocation.sources.iter().all(|source| source.url().is_some());
    settings.no_sign_request |= has_only_urls && invocation.list.is_none();
    let config = config::load(&settings).await?;
    clear_token::warn(&config).await;
    Ok(config)
}

/// A run that downloads.
struct Run<'a> {
    invocation: &'a Invocation,
    delivery: Arc<WriteProgress>,
    observers: Observers,
    stop: StopRequest<'a>,
}

impl<'a> Run<'a> {
    fn new(invocation: &'a Invocation, delivery: &Arc<WriteProgress>, stop: StopRequest<'a>) -> Self {
        let mode = if invocation.quiet { ProgressMode::Off } else { invocation.progress };
        let to_stdout = matches!(invocation.target, Destination::Stdout { .. });
        let objects = invocation.list.is_none().then_some(invocation.sources.len());
        let observers = Observers::new(Progress::new(mode, objects, to_stdout, Arc::clone(delivery)));
        Self { invocation, delivery: Arc::clone(delivery), observers, stop }
    }

    /// Downloads all objects. An error is returned as such only if it came before the first response.
    async fn download(&mut self) -> Result<Ending> {
        let invocation = self.invocation;
        let config = tokio::select! {
            // As above.
            biased;
            by = self.stop.received() => return Ok(Ending::stopped_early(by, awaited::SETTINGS)),
            config = load(invocation) => config?,
        };
        let endpoint = existing_file::store_identity(&config);
        let client = Client::new(config);
        if file_each::is_wanted(invocation)? {
            let files = FileExaminer::new(invocation, &client, &endpoint);
            files.check_arguments()?;
            return Box::pin(self.deliver_files(&client, &files)).await;
        }
        let (sources, asked) = (invocation.sources.as_slice(), invocation.download.range);
        let request = DownloadRequest { sources, asked, endpoint: &endpoint, run_files: None };
        let mut sink = match self.open(&client, request).await? {
            Ok(sink) => sink,
            Err(ending) => return Ok(ending),
        };
        let begun = tokio::select! {
            biased;
            begun = transfer::begin(invocation, &client, &mut sink, request) => Ok(begun),
            stopped = self.stop.received_while(|| awaited::before_response(invocation, &client)) => Err(stopped),
        };
        match begun {
            Ok(Ok(sequence)) => Ok(Box::pin(self.deliver(&client, sequence, sink)).await),
            Ok(Err(e)) => {
                sink.abandon(false);
                Err(e)
            }
            Err((by, awaited)) => {
                sink.abandon(false);
                Ok(Ending::stopped_early(by, &awaited))
            }
        }
    }

    /// Opens the destination of all objects; or returns the end of the run, if an earlier one has completed the file.
    async fn open(
        &self,
        client: &Client,
        request: DownloadRequest<'_>,
    ) -> Result<std::result::Result<Sink, Ending>> {
        let (target, options) = (&self.invocation.target, &self.invocation.download);
        if let Some(pipe) = target.named_pipe() {
            return self.open_named_pipe(pipe, request).await;
        }
        if self.invocation.list.is_some() {
            let sink = Sink::open_new(target, request)?;
            return if sink.part().is_none() { Ok(Ok(sink)) } else { Err(one_file_for_a_list()) };
        }
        let file = match Sink::open(target, request)? {
            OpenedSink::Sink(sink) => return Ok(Ok(sink)),
            OpenedSink::Existing(file) => file,
        };
        let proof = tokio::select! {
            biased;
            proof = existing_file::prove_complete(client, request.sources, options, &file) => proof?,
            (by, awaited) = self.stop.received_while(|| awaited::before_response(self.invocation, client)) => {
                return Ok(Err(Ending::stopped_early(by, &awaited)));
            }
        };
        match proof {
            Ok(verdict) => Ok(Err(Ending::new(Ok(DeliveryOutcome::Complete(verdict))))),
            Err(error) if !target.replaces() => Err(error),
            Err(_) => Sink::open_new(target, request).map(Ok),
        }
    }

    /// Opens a named pipe, which waits for its reader.
    async fn open_named_pipe(
        &self,
        pipe: &Path,
        request: DownloadRequest<'_>,
    ) -> Result<std::result::Result<Sink, Ending>> {
        let (target, sources, asked) =
            (self.invocation.target.clone(), request.sources.to_vec(), request.asked);
        let endpoint = request.endpoint.to_owned();
        let opening = run_blocking(has_thread(), move || {
            let (sources, endpoint) = (&sources, &endpoint);
            Sink::open_new(&target, DownloadRequest { sources, asked, endpoint, run_files: None })
        });
        tokio::select! {
            biased;
            opened = opening => opened.map_err(Error::output)?.map(Ok),
            by = self.stop.received() => Ok(Err(Ending::stopped_early(by, &awaited::reader_of(pipe)))),
        }
    }

    /// Delivers all objects into one output.
    async fn deliver(&mut self, client: &Client, mut sequence: Objects, mut sink: Sink) -> Ending {
        self.observers.object_begins(&sequence);
        let scope = DeliveryScope::AllObjects;
        let stop = self.stop.received();
        let result =
            deliver(&mut sequence, scope, &mut sink, &self.delivery, stop, &mut self.observers).await;
        let files = match &sink {
            Sink::Stream(_) => ResumableFiles::None,
            Sink::Part(part) if !part.is_empty() => ResumableFiles::One,
            Sink::Part(_) | Sink::InPlace(_) => ResumableFiles::Unusable,
        };
        let result = close(sink, result, modification_time(self.invocation, &sequence));
        self.ending(client, &sequence, result, files)
    }

    /// Downloads each object into a file of its own, one after the other.
    async fn deliver_files(&mut self, client: &Client, files: &FileExaminer) -> Result<Ending> {
        let invocation = self.invocation;
        let requests = files.add_files(objects::requests(invocation, 0, None)?);
        let mut sequence = Objects::new(client, &invocation.download, requests);
        let result = self.fill_files(&mut sequence, files).await;
        if sequence.current().is_none()
            && let Err(error) = result
        {
            return Err(objects::explain_failed(invocation, &sequence, error));
        }
        Ok(self.ending(client, &sequence, result, ResumableFiles::Each))
    }

    async fn fill_files(&mut self, sequence: &mut Objects, files: &FileExaminer) -> Result<DeliveryOutcome> {
        let stop = self.stop.received();
        tokio::pin!(stop);
        loop {
            let begun = tokio::select! {
                biased;
                begun = transfer::begin_next(self.invocation, sequence) => begun?,
                by = &mut stop => return Ok(DeliveryOutcome::Stopped { by, is_known: true }),
            };
            let Some(mut sink) = begun else { break };
            self.observers.object_begins(sequence);
            let scope = DeliveryScope::OneObject;
            let observers = &mut self.observers;
            let result = deliver(sequence, scope, &mut sink, &self.delivery, &mut stop, observers).await;
            let time = modification_time(self.invocation, sequence);
            // The disk may take its time, in which the next objects arrive.
            let closed = run_blocking(has_thread(), move || close(sink, result, time)).await;
            match closed.map_err(Error::output)?? {
                DeliveryOutcome::Complete(_) => {}
                stopped @ DeliveryOutcome::Stopped { .. } => return Ok(stopped),
            }
        }
        let verdict = match (files.complete(), sequence.verdict()) {
            (Some(before), Some(now)) => Some(before.and(now)),
            (before, now) => before.or(now),
        };
        let missing = || objects::none(self.invocation);
        verdict.map(DeliveryOutcome::Complete).ok_or_else(missing)
    }

    fn ending(
        &self,
        client: &Client,
        sequence: &Objects,
        result: Result<DeliveryOutcome>,
        files: ResumableFiles,
    ) -> Ending {
        Ending::of_delivery(self.invocation, sequence, result, files, client, &self.delivery)
    }
}

fn one_file_for_a_list() -> Error {
    Error::usage("-o names a single file, but --from several objects").with_hint(
        "use -o DIR/ for one file each; to concatenate them, leave -o out and redirect stdout: > FILE",
    )
}

/// Returns the time that the file of the current object gets, if it is to have that of the object. A text that is not
/// an HTTP date changes nothing.
fn modification_time(invocation: &Invocation, sequence: &Objects) -> Option<SystemTime> {
    let info = sequence.current().filter(|_| invocation.remote_time)?.info();
    httpdate::parse_http_date(info.last_modified.as_deref()?).ok()
}

/// Completes the output, whose file gets the time `modified`, or leaves it where a later run finds it.
fn close(
    sink: Sink,
    result: Result<DeliveryOutcome>,
    modified: Option<SystemTime>,
) -> Result<DeliveryOutcome> {
    match result {
        Ok(DeliveryOutcome::Complete(_)) => sink.finish(modified).and(result),
        Err(error) if error.kind() == ErrorKind::Integrity && sink.part().is_some() => {
            let part = sink.shown();
            let hint = if sink.abandon(true) {
                "no file was created and its bytes were discarded: download it again".to_owned()
            } else {
                format!(
                    "no file was created; {part} is another file than the one that was begun, and stays: move it \
                     away, and download it again"
                )
            };
            Err(error.with_better_hint(hint))
        }
        _ => {
            sink.abandon(false);
            result
        }
    }
}
