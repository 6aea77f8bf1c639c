//! Progress on stderr, of what was *delivered*: bars for a person, lines for a log or for a program.
//!
//! A thread of its own reads the counters ten times a second, so that no byte ever waits for a terminal or a lock.
//! `snapshot.rs` knows the objects and how far they are; `bars.rs` (on the terminal of `screen.rs`) and `lines.rs` show
//! that.

pub(crate) mod bars;
pub(crate) mod lines;
pub(crate) mod screen;
pub(crate) mod snapshot;
pub(crate) mod speed;
pub(crate) mod text;
pub(crate) mod view;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::cli::progress::bars::Bars;
use crate::cli::progress::lines::Lines;
use crate::cli::progress::screen::Screen;
use crate::cli::progress::snapshot::{RunProgress, Snapshot};
use crate::cli::progress::view::{RunOutcome, View};
use crate::cli::report::format::Format;
use crate::download::meter::Meter;
use crate::output::write_progress::WriteProgress;
use crate::s3::address::source::Source;

/// Interval between two reads of the counters.
const TICK: Duration = Duration::from_millis(100);

/// The form in which progress is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ProgressMode {
    /// Bars where stderr is a terminal, nothing elsewhere.
    #[default]
    Auto,
    /// A line of text every few seconds.
    Plain,
    /// A line of JSON every second.
    Json,
    /// Nothing.
    Off,
}

/// Progress of a run. If it is dropped before [`finish`](Self::finish), bars are removed all the same.
pub(crate) struct Progress {
    run: Arc<RunProgress>,
    /// Until the first object begins.
    view: Option<Box<dyn View>>,
    ticker: Option<Ticker>,
}

impl Progress {
    /// Prepares the progress of `objects` objects (`None` if their number is not known yet), whose bytes `delivery`
    /// counts; nothing is shown before the first one [begins](Self::begin). If the bytes go `to_stdout` and that is a
    /// terminal, no bars are drawn: they would mix.
    #[must_use]
    pub(crate) fn new(
        mode: ProgressMode,
        objects: Option<usize>,
        to_stdout: bool,
        delivery: Arc<WriteProgress>,
    ) -> Self {
        let view: Option<Box<dyn View>> = match mode {
            ProgressMode::Plain => Some(Box::new(Lines::new(Format::Text))),
            ProgressMode::Json => Some(Box::new(Lines::new(Format::Json))),
            ProgressMode::Auto
                if io::stderr().is_terminal() && !(to_stdout && io::stdout().is_terminal()) =>
            {
                // Without cursor movement each draw of a bar would append a line.
                match std::env::var("TERM").as_deref() {
                    Ok("dumb") => Some(Box::new(Lines::new(Format::Text))),
                    _ => Screen::stderr().map(|screen| Box::new(Bars::on(screen, objects)) as _),
                }
            }
            ProgressMode::Auto | ProgressMode::Off => None,
        };
        Self { run: Arc::new(RunProgress::new(objects, delivery)), view, ticker: None }
    }

    /// Shows the next object from now on: `meter` counts its bytes, and `already_written` bytes before those are there
    /// from an earlier run.
    pub(crate) fn begin(&mut self, source: &Source, already_written: u64, meter: Meter) {
        self.run.begin(source, already_written, meter);
        if let Some(mut view) = self.view.take() {
            // The first draw shows the first object, however late the thread starts.
            view.draw(&self.run.now());
            // If the system has no thread to give, the download continues without progress.
            self.ticker = Ticker::spawn(view, Arc::clone(&self.run)).ok();
        }
    }

    /// Sets how many objects there are, without those that an earlier run completed; `None` while that is not known.
    pub(crate) fn set_objects(&mut self, objects: Option<usize>) {
        self.run.set_objects(objects);
    }

    /// Removes bars, shows the summary of a complete run, and returns how far the objects are.
    pub(crate) fn finish(mut self, outcome: RunOutcome) -> Snapshot {
        let view = self.ticker.take().map_or_else(|| self.view.take(), Ticker::stop);
        let now = self.run.now();
        if let Some(view) = view {
            view.end(&now, outcome);
        }
        now
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(view) = self.ticker.take().and_then(Ticker::stop) {
            view.end(&self.run.now(), RunOutcome::Failed);
        }
    }
}

/// The thread that draws.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Box<dyn View>>,
}

impl Ticker {
    fn spawn(mut view: Box<dyn View>, run: Arc<RunProgress>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let draw = move || {
            while !stopped.load(Relaxed) {
                view.draw(&run.now());
                thread::park_timeout(TICK);
            }
            view
        };
        let thread = thread::Builder::new().name("progress".into()).spawn(draw)?;
        Ok(Self { stop, thread })
    }

    /// Waits for the last draw, so that nothing is drawn over later output. Returns `None` if the thread panicked.
    fn stop(self) -> Option<Box<dyn View>> {
        self.stop.store(true, Relaxed);
        self.thread.thread().unpark();
        self.thread.join().ok()
    }
}
