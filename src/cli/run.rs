//! One run of the program: it describes objects, or downloads them and reports how that ended.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;

use crate::cli::clear_token;
use crate::cli::deliver::{DeliveryOutcome, DeliveryScope, StopReason, deliver};
use crate::cli::existing_file;
use crate::cli::file_each::{self, FileExaminer};
use crate::cli::integrity_notes;
use crate::cli::interrupt::Interrupt;
use crate::cli::invocation::Invocation;
use crate::cli::log;
use crate::cli::objects::{self, ObjectPlace, Objects};
use crate::cli::observers::Observers;
use crate::cli::outcome::{EndCause, RunEnd};
use crate::cli::progress::view::RunOutcome;
use crate::cli::progress::{Progress, ProgressMode};
use crate::cli::report::format::Format;
use crate::cli::report::info;
use crate::cli::report::last_lines::RunFigures;
use crate::cli::report::stats::{EngineStats, Stats};
use crate::cli::resume_hint::{self, ListPosition, ResumableFiles, ResumeCommand, ResumeHint};
use crate::cli::transfer;
use crate::config;
use crate::config::settings::Config;
use crate::download::client::Client;
use crate::download::sequence::ObjectRequest;
use crate::download::stream::TransferStats;
use crate::error::{Error, ErrorKind, Result};
use crate::output::resume::DownloadRequest;
use crate::output::sink::{OpenedSink, Sink};
use crate::output::stdout_path::stdout_file;
use crate::output::stream::print;
use crate::output::target::Destination;
use crate::output::written::WriteProgress;
use crate::s3::address::source::Source;

/// Runs `invocation`; `delivery` counts what is delivered.
pub(crate) async fn run(
    invocation: &Invocation,
    delivery: &Arc<WriteProgress>,
    interrupt: &Interrupt,
) -> Result<RunEnd, RunEnd> {
    log::start(invocation.verbosity)?;
    let mut run = Run::new(invocation, delivery, interrupt);
    if let Some(format) = invocation.info {
        let result = tokio::select! {
            biased;
            result = describe(invocation, format) => result.map(|()| EndCause::Complete),
            by = stopped(interrupt, run.deadline) => stop_cause(by),
        };
        return Ok(result?.into());
    }
    let ending = Box::pin(run.download()).await.unwrap_or_else(Ending::before_start);
    Ok(run.finish(ending))
}

/// Describes the objects, one after the other.
async fn describe(invocation: &Invocation, format: Format) -> Result<()> {
    let client = Client::new(load(invocation).await?);
    let mut requests = objects::requests(invocation, 0, None)?;
    let mut is_empty = true;
    while let Some(request) = requests.next().await {
        let ObjectRequest { source, note, .. } = request?;
        let described = client.inspect(&source, &invocation.download).await;
        let object = described.map_err(|e| objects::explain(invocation, &source, &note, e))?;
        print(info::render(&source, &object, format).as_bytes())?;
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
    interrupt: &'a Interrupt,
    /// When `--max-time` is over.
    deadline: Option<tokio::time::Instant>,
}

/// How a download ended, and what there is to report.
struct Ending {
    result: Result<DeliveryOutcome>,
    /// `None` without a first response.
    transfer: Option<TransferStats>,
    /// The limits that the run found or was given.
    engine: Option<EngineStats>,
    credentials_time: Option<Duration>,
    /// How it can be continued.
    resume: Option<ResumeCommand>,
    /// An object that was not compared with a checksum although there may be one, and why.
    unverified: Option<(Source, &'static str)>,
}

impl Ending {
    fn new(result: Result<DeliveryOutcome>) -> Self {
        Self { result, transfer: None, engine: None, credentials_time: None, resume: None, unverified: None }
    }

    fn before_start(error: Error) -> Self {
        Self::new(Err(error))
    }

    fn stopped_early(by: StopReason) -> Self {
        Self::new(outcome_of(Ok(DeliveryOutcome::Stopped { by, is_known: false })))
    }
}

impl<'a> Run<'a> {
    fn new(invocation: &'a Invocation, delivery: &Arc<WriteProgress>, interrupt: &'a Interrupt) -> Self {
        let mode = if invocation.quiet { ProgressMode::Off } else { invocation.progress };
        let to_stdout = matches!(invocation.target, Destination::Stdout { .. });
        let objects = invocation.list.is_none().then_some(invocation.sources.len());
        let observers = Observers::new(Progress::new(mode, objects, to_stdout, Arc::clone(delivery)));
        let deadline =
            invocation.max_time.map(|limit| tokio::time::Instant::from_std(delivery.began()) + limit);
        Self { invocation, delivery: Arc::clone(delivery), observers, interrupt, deadline }
    }

    /// Downloads all objects. An error is returned as such only if it came before the first response.
    async fn download(&mut self) -> Result<Ending> {
        let invocation = self.invocation;
        let config = tokio::select! {
            biased;
            config = load(invocation) => config?,
            by = stopped(self.interrupt, self.deadline) => return Ok(Ending::stopped_early(by)),
        };
        let endpoint = existing_file::store_identity(&config);
        let (sources, asked) = (invocation.sources.as_slice(), invocation.download.range);
        let request = DownloadRequest { sources, asked, endpoint: &endpoint };
        let client = Client::new(config.clone());
        if file_each::is_wanted(invocation)? {
            let files = FileExaminer::new(invocation, &client, &endpoint);
            files.check_arguments()?;
            return Box::pin(self.deliver_files(&client, &files)).await;
        }
        let mut sink = match open(invocation, request)? {
            OpenedSink::Sink(sink) => sink,
            OpenedSink::Existing(file) => {
                let proof = tokio::select! {
                    biased;
                    proof = existing_file::prove_complete(&client, sources, &invocation.download, &file) => proof?,
                    by = stopped(self.interrupt, self.deadline) => return Ok(Ending::stopped_early(by)),
                };
                match proof {
                    Ok(verdict) => return Ok(Ending::new(Ok(DeliveryOutcome::Complete(verdict)))),
                    Err(error) if !invocation.target.replaces() => return Err(error),
                    Err(_) => Sink::open_anew(&invocation.target, request)?,
                }
            }
        };
        let stop = stopped(self.interrupt, self.deadline);
        let begun = tokio::select! {
            biased;
            begun = transfer::begin(invocation, &client, &mut sink, request) => Ok(begun),
            by = stop => Err(by),
        };
        match begun {
            Ok(Ok(sequence)) => Ok(Box::pin(self.deliver(sequence, sink, &config)).await),
            Ok(Err(e)) => {
                sink.abandon(false);
                Err(e)
            }
            Err(by) => {
                sink.abandon(false);
                Ok(Ending::stopped_early(by))
            }
        }
    }

    async fn deliver(&mut self, mut sequence: Objects, mut sink: Sink, config: &Config) -> Ending {
        self.observers.object_begins(&sequence);
        let stop = stopped(self.interrupt, self.deadline);
        let scope = DeliveryScope::AllObjects;
        let result =
            deliver(&mut sequence, scope, &mut sink, &self.delivery, stop, &mut self.observers).await;
        let files = if sink.part().is_some_and(|part| !part.is_empty()) {
            ResumableFiles::One
        } else {
            ResumableFiles::None
        };
        let result = close(sink, result, self.time_of(&sequence));
        self.ending(&sequence, result, files, config)
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
        Ok(self.ending(&sequence, result, ResumableFiles::Each, &client.origins().config))
    }

    async fn fill_files(&mut self, sequence: &mut Objects, files: &FileExaminer) -> Result<DeliveryOutcome> {
        let stop = stopped(self.interrupt, self.deadline);
        tokio::pin!(stop);
        loop {
            let begun = tokio::select! {
                biased;
                begun = transfer::begin_next(self.invocation, sequence) => begun?,
                by = &mut stop => return Ok(DeliveryOutcome::Stopped { by, is_known: false }),
            };
            let Some(mut sink) = begun else { break };
            self.observers.object_begins(sequence);
            let scope = DeliveryScope::OneObject;
            let observers = &mut self.observers;
            let result = deliver(sequence, scope, &mut sink, &self.delivery, &mut stop, observers).await;
            let time = self.time_of(sequence);
            // The disk may take its time, in which the next objects arrive.
            let closed = tokio::task::spawn_blocking(move || close(sink, result, time)).await;
            match closed.map_err(|_| Error::output(io::Error::other("the closing thread failed")))?? {
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

    /// Returns the time that the file of the current object gets, if it is to have that of the object. A text that is no HTTP
    /// date changes nothing.
    fn time_of(&self, sequence: &Objects) -> Option<SystemTime> {
        let info = sequence.current().filter(|_| self.invocation.remote_time)?.info();
        httpdate::parse_http_date(info.last_modified.as_deref()?).ok()
    }

    fn ending(
        &self,
        sequence: &Objects,
        result: Result<DeliveryOutcome>,
        files: ResumableFiles,
        config: &Config,
    ) -> Ending {
        let unverified = sequence.unverified().filter(|_| result.is_ok());
        let resume = self.resume(sequence, &result, files);
        let explained = result.map_err(|e| objects::explain_failed(self.invocation, sequence, e));
        Ending {
            result: outcome_of(explained),
            transfer: Some(sequence.traffic()),
            engine: Some(EngineStats { threads: sequence.threads(), window: sequence.window() }),
            credentials_time: config.credentials.first_load_time(),
            resume,
            unverified,
        }
    }

    /// Returns how the run can be continued, if it can.
    fn resume(
        &self,
        sequence: &Objects,
        result: &Result<DeliveryOutcome>,
        files: ResumableFiles,
    ) -> Option<ResumeCommand> {
        let (download, request) = (sequence.current()?, sequence.request()?);
        let delivered = self.delivery.bytes().saturating_sub(sequence.before());
        let range = download.range();
        let list = self.invocation.list.as_ref();
        let can_be_resumed = files != ResumableFiles::None;
        let can_continue = match result {
            Ok(DeliveryOutcome::Complete(_)) => false,
            Ok(DeliveryOutcome::Stopped { is_known, .. }) => *is_known || can_be_resumed,
            // Where a list names something that is missing, the objects before it are whole, and so are the files before it.
            Err(error)
                if (list.is_some() || files == ResumableFiles::Each) && sequence.failed().is_some() =>
            {
                error.kind() != ErrorKind::Output
            }
            Err(error) => {
                let source = sequence.failed().map_or(download.source(), |failed| &failed.source);
                let keeps_bytes =
                    can_be_resumed || (stdout_file().is_some() && self.invocation.target.is_stdout());
                resume_hint::is_resumable(error, source, keeps_bytes)
            }
        };
        if !can_continue {
            return None;
        }
        let file = stdout_file();
        let (rest, listed) = match (list, &request.note.place) {
            (Some(list), ObjectPlace::Line(line)) => {
                let position = ListPosition {
                    list,
                    source: &request.source,
                    line: *line,
                    is_last: sequence.is_last(),
                    is_rereadable: list.is_rereadable(),
                    written: self.delivery.bytes(),
                };
                (&[][..], Some(position))
            }
            (_, ObjectPlace::Argument(number)) => (&self.invocation.sources[number + 1..], None),
            (None, ObjectPlace::Line(_)) => (&[][..], None),
        };
        let hint = ResumeHint {
            invocation: self.invocation,
            info: download.info(),
            range,
            delivered,
            rest,
            listed,
            files,
            is_by_version: download.is_by_version(),
            is_interrupted: matches!(result, Ok(DeliveryOutcome::Stopped { .. })),
            file: file.as_deref(),
        };
        hint.command()
    }

    /// Ends the progress, prints the statistics for people, and returns what is left to report.
    fn finish(self, ending: Ending) -> RunEnd {
        if let Some((source, why)) = &ending.unverified {
            integrity_notes::unverified(source, why);
        }
        let outcome = match &ending.result {
            Ok(DeliveryOutcome::Complete(_)) => RunOutcome::Complete,
            // The views show nothing else at the end.
            _ => RunOutcome::Failed,
        };
        let progress = self.observers.finish(outcome);
        let has_begun = ending.transfer.is_some() || ending.result.is_ok();
        let verdict = match &ending.result {
            Ok(DeliveryOutcome::Complete(verdict)) => Some(*verdict),
            _ => None,
        };
        let (traffic, time) = (ending.transfer, ending.credentials_time);
        let stats = Stats::collect(time, traffic, ending.engine, verdict, &self.delivery);
        if self.invocation.stats == Some(Format::Text) && has_begun {
            // A stderr that is gone does not make a download fail.
            let _ = std::io::stderr().write_all(stats.text().as_bytes());
        }
        let cause = match ending.result {
            Ok(DeliveryOutcome::Stopped { by: StopReason::Signal(signal), .. }) => {
                EndCause::Interrupted(signal)
            }
            Ok(_) => EndCause::Complete,
            Err(error) => EndCause::Failed(error),
        };
        RunEnd::new(cause, ending.resume, RunFigures { progress, stats })
    }
}

/// Opens the destination of all objects.
fn open(invocation: &Invocation, request: DownloadRequest<'_>) -> Result<OpenedSink> {
    if invocation.list.is_none() {
        return Sink::open(&invocation.target, request);
    }
    let sink = Sink::open_anew(&invocation.target, request)?;
    if sink.part().is_some() {
        return Err(Error::usage("-o names a single file, but --from several objects").with_hint(
            "use -o DIR/ for one file each; to concatenate them, leave -o out and redirect stdout: > FILE",
        ));
    }
    Ok(OpenedSink::Sink(sink))
}

/// Resolves when something outside ends the run.
async fn stopped(interrupt: &Interrupt, deadline: Option<tokio::time::Instant>) -> StopReason {
    let time_limit = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        signal = interrupt.received() => StopReason::Signal(signal),
        () = time_limit => StopReason::TimeLimit,
    }
}

/// Converts what stopped a run into the cause of its end: a signal is an interrupt, the end of the time limit an error.
fn stop_cause(by: StopReason) -> Result<EndCause> {
    match by {
        StopReason::Signal(signal) => Ok(EndCause::Interrupted(signal)),
        StopReason::TimeLimit => Err(out_of_time()),
    }
}

/// Turns the end of the time limit into an error.
fn outcome_of(result: Result<DeliveryOutcome>) -> Result<DeliveryOutcome> {
    match result {
        Ok(DeliveryOutcome::Stopped { by: StopReason::TimeLimit, .. }) => Err(out_of_time()),
        result => result,
    }
}

fn out_of_time() -> Error {
    Error::network("the download did not finish within --max-time")
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
            sink.abandon(true);
            Err(error.with_better_hint("no file was created and its bytes were discarded: download it again"))
        }
        _ => {
            sink.abandon(false);
            result
        }
    }
}
