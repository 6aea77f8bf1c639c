//! Progress on stderr, of what was *delivered*: bars for a person, lines for a log or for a program.
//!
//! It gets each object as it begins, and the counter that the writer adds to. It stands beside the flow: a thread of its
//! own looks at the counters ten times a second, so that no byte ever waits for a terminal or a lock. It never writes
//! to stdout.
//!
//! `account.rs` knows what there is and how far it is; `bars.rs`, by way of `screen.rs`, and `lines.rs` show that.

pub(crate) mod account;
pub(crate) mod bars;
pub(crate) mod lines;
pub(crate) mod screen;

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::BinaryBytes;

use crate::cli::progress::account::{RunProgress, Snapshot};
use crate::cli::progress::bars::Bars;
use crate::cli::progress::lines::Lines;
use crate::cli::progress::screen::Screen;

use crate::cli::report::format::Format;
use crate::download::meter::Meter;
use crate::output::written::WriteProgress;
use crate::s3::address::source::Source;

/// How often the counters are looked at.
const TICK: Duration = Duration::from_millis(100);

/// Who looks at the progress.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ProgressMode {
    /// A person, where stderr is a terminal; nobody elsewhere.
    #[default]
    Auto,
    /// Whoever reads the log: a line every few seconds.
    Plain,
    /// A program: a line of JSON every second.
    Json,
    /// Nobody.
    Off,
}

/// How a download ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunOutcome {
    /// Every byte was delivered.
    Complete,
    /// An error ended it.
    Failed,
    /// A signal ended it.
    Interrupted,
    /// Who read it had enough.
    BrokenPipe,
}

/// What shows the progress. It belongs to the thread that draws.
trait View: Send {
    fn draw(&mut self, now: &Snapshot);
    /// The last time. Where there is an error to be told, it comes on a line of its own behind this.
    fn end(self: Box<Self>, now: &Snapshot, end: RunOutcome);
}

/// The progress of a run. Dropped before its end it leaves no half of anything.
pub(crate) struct Progress {
    account: Arc<RunProgress>,
    /// Until the first object begins.
    view: Option<Box<dyn View>>,
    ticker: Option<Ticker>,
}

impl Progress {
    /// For so many objects, whose bytes `delivery` counts; nothing is shown before the first one [begins](Self::begin).
    /// Where the bytes go `to_stdout` and that is a terminal, there are no bars: they would mix.
    #[must_use]
    pub(crate) fn new(
        show: ProgressMode,
        objects: usize,
        to_stdout: bool,
        delivery: Arc<WriteProgress>,
    ) -> Self {
        let view: Option<Box<dyn View>> = match show {
            ProgressMode::Plain => Some(Box::new(Lines::new(Format::Text))),
            ProgressMode::Json => Some(Box::new(Lines::new(Format::Json))),
            ProgressMode::Auto
                if io::stderr().is_terminal() && !(to_stdout && io::stdout().is_terminal()) =>
            {
                // Where the cursor cannot be moved a bar would be drawn over and over, line after line.
                match std::env::var("TERM").as_deref() {
                    Ok("dumb") => Some(Box::new(Lines::new(Format::Text))),
                    _ => Screen::stderr().map(|screen| Box::new(Bars::on(screen, objects)) as _),
                }
            }
            ProgressMode::Auto | ProgressMode::Off => None,
        };
        Self::on(view, objects, delivery)
    }

    fn on(view: Option<Box<dyn View>>, objects: usize, delivery: Arc<WriteProgress>) -> Self {
        Self { account: Arc::new(RunProgress::new(objects, delivery)), view, ticker: None }
    }

    /// The next object begins, with the `had` bytes before those that `meter` counts there already.
    pub(crate) fn begin(&mut self, source: &Source, had: u64, meter: Meter) {
        self.account.begin(source, had, meter);
        if let Some(view) = self.view.take() {
            // Where the system gives no thread, the download goes on without progress.
            self.ticker = Ticker::spawn(view, Arc::clone(&self.account)).ok();
        }
    }

    /// Bars disappear, as they do when this is dropped. Of a download that succeeded the last line is what was delivered,
    /// how long it took and at what speed.
    pub(crate) fn finish(mut self, end: RunOutcome) {
        self.end(end);
    }

    fn end(&mut self, end: RunOutcome) {
        if let Some(view) = self.ticker.take().and_then(Ticker::stop) {
            view.end(&self.account.now(), end);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end(RunOutcome::Failed);
    }
}

/// The thread that draws.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Box<dyn View>>,
}

impl Ticker {
    fn spawn(mut view: Box<dyn View>, account: Arc<RunProgress>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let draw = move || {
            while !stopped.load(Relaxed) {
                view.draw(&account.now());
                thread::park_timeout(TICK);
            }
            view
        };
        let thread = thread::Builder::new().name("progress".into()).spawn(draw)?;
        Ok(Self { stop, thread })
    }

    /// Waits for the last draw, so that nothing is drawn over what is printed next. `None` where the thread died.
    fn stop(self) -> Option<Box<dyn View>> {
        self.stop.store(true, Relaxed);
        self.thread.thread().unpark();
        self.thread.join().ok()
    }
}

/// The last line for people.
fn summary(now: &Snapshot) -> String {
    let name = match now.items.as_slice() {
        [item] if now.objects == 1 => item.name.to_string(),
        items if items.len() == now.objects => format!("{} objects", now.objects),
        items => format!("{} of {} objects", items.len(), now.objects),
    };
    let speed = BinaryBytes(now.average());
    let (bytes, seconds) = (BinaryBytes(now.delivered), now.elapsed.as_secs_f64());
    let mut line = format!("{name}: {bytes} in {seconds:.1} s, {speed}/s");
    if now.had > 0 {
        // Writing to a string cannot fail.
        let _ = write!(line, ", {} were there", BinaryBytes(now.had));
    }
    line + &retries_and_hedges(", ", now) + "\n"
}

/// Retries and hedges behind `before`, where there are any.
fn retries_and_hedges(before: &str, now: &Snapshot) -> String {
    let count =
        |n: u64, one: &str, more: &str| (n > 0).then(|| format!("{n} {}", if n == 1 { one } else { more }));
    let parts = [count(now.retries, "retry", "retries"), count(now.hedges, "hedge", "hedges")];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!("{before}{}", parts.join(", ")) }
}

/// `12:34`, from an hour on `1:23:45`; beyond 99 hours an estimate is worth no more than that.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes:02}:{seconds:02}"),
        1..100 => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => ">99h".to_owned(),
    }
}

/// Rounded down, so that 100 means every byte.
fn percent(done: u64, total: u64) -> u64 {
    let share = u128::from(done) * 100 / u128::from(total.max(1));
    u64::try_from(share).map_or(100, |share| share.min(100))
}

/// Writes to stderr. A terminal that went away is no reason to fail a download.
fn tell(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::account::tests::{GIB, item, snapshot};

    #[test]
    fn percentages_round_down_and_stay_in_range() {
        for (done, total, expected) in
            [(0, 10, 0), (999, 1000, 99), (10, 10, 100), (11, 10, 100), (0, 0, 0), (u64::MAX, 1, 100)]
        {
            assert_eq!(percent(done, total), expected, "{done}/{total}");
        }
        assert_eq!(percent(u64::MAX - 1, u64::MAX), 99);
    }

    #[test]
    fn clocks() {
        for (seconds, expected) in [
            (0, "00:00"),
            (59, "00:59"),
            (61, "01:01"),
            (3599, "59:59"),
            (3600, "1:00:00"),
            (359_999, "99:59:59"),
            (360_000, ">99h"),
            (u64::MAX, ">99h"),
        ] {
            assert_eq!(clock(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn the_summary_tells_what_was_delivered_and_what_it_took() {
        let one = || snapshot(vec![item("s3://b/k", 0, GIB / 2, GIB / 2)]);
        let two = || Snapshot { objects: 3, ..snapshot(vec![item("a", 0, GIB, GIB), item("b", 0, GIB, 0)]) };
        for (now, expected) in [
            (one(), "s3://b/k: 512.00 MiB in 2.0 s, 256.00 MiB/s\n"),
            (Snapshot { delivered: 0, elapsed: Duration::ZERO, ..one() }, "s3://b/k: 0 B in 0.0 s, 0 B/s\n"),
            (
                Snapshot { had: GIB, retries: 1, hedges: 2, ..one() },
                "s3://b/k: 512.00 MiB in 2.0 s, 256.00 MiB/s, 1.00 GiB were there, 1 retry, 2 hedges\n",
            ),
            (two(), "2 of 3 objects: 1.00 GiB in 2.0 s, 512.00 MiB/s\n"),
            (Snapshot { objects: 2, ..two() }, "2 objects: 1.00 GiB in 2.0 s, 512.00 MiB/s\n"),
        ] {
            assert_eq!(summary(&now), expected);
        }
    }
}
