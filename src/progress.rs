//! The progress bar on stderr: percentage, bytes, speed and time left of what was *delivered*.
//!
//! It gets the total once the first response tells it, and the counter that the writer adds to. It
//! stands beside the flow: that counter is one relaxed atomic, and a thread of its own copies it into
//! the bar ten times a second, so that no byte ever waits for a terminal or a lock. It never writes
//! to stdout, and nowhere with `--quiet` or without a terminal.

use std::fmt::Write;
use std::io::{self, IsTerminal, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::console;
use crate::sink::Delivery;

/// How often the counter is copied into the bar.
const TICK: Duration = Duration::from_millis(100);

/// Without the bar itself this takes 50 columns, 58 at most: one line on a terminal of 60.
const TEMPLATE: &str =
    "{done:>4} [{wide_bar}] {binary_bytes:>10}/{binary_total_bytes} {binary_bytes_per_sec:>12} eta {left}";

/// A bar that may be hidden. Dropped unfinished it disappears, so that what is printed next starts
/// on a clean line.
#[derive(Debug)]
pub struct Progress {
    delivery: Arc<Delivery>,
    begun: Instant,
    /// Where to draw, until [`Progress::start`] takes it; `None` where nothing is to be seen.
    target: Option<ProgressDrawTarget>,
    shown: Option<Shown>,
}

impl Progress {
    /// Nothing is drawn before [`start`](Self::start); nor after it if `quiet`, if stderr is no
    /// terminal, or if the object's bytes go to one: they and the bar would mix there.
    #[must_use]
    pub fn new(quiet: bool, to_stdout: bool, delivery: Arc<Delivery>) -> Self {
        let hidden = quiet || (to_stdout && io::stdout().is_terminal());
        Self::on(if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() }, delivery)
    }

    fn on(target: ProgressDrawTarget, delivery: Arc<Delivery>) -> Self {
        let target = Some(target).filter(|target| !target.is_hidden());
        Self { delivery, begun: Instant::now(), target, shown: None }
    }

    /// Shows the bar for an object of `total` bytes, from the next tick on. `name` appears on the
    /// line that [`finish`](Self::finish) leaves; it must be free of control characters.
    pub fn start(&mut self, total: u64, name: &str) {
        if let Some(target) = self.target.take() {
            // The speed counts from here: looking up a host and a round trip are not bandwidth.
            let bar = bar(total, target);
            console::shares_with(Some(&bar));
            // Where the system gives no thread, the download goes on without a bar.
            self.shown = Ticker::spawn(bar.clone(), Arc::clone(&self.delivery)).ok().map(|ticker| Shown {
                name: name.to_owned(),
                bar,
                ticker,
            });
        }
    }

    /// Makes room for another object, of so many bytes, behind those that were begun.
    pub fn extend(&mut self, bytes: u64) {
        if let Some(shown) = &self.shown {
            shown.bar.inc_length(bytes);
        }
    }

    /// Ends a download that succeeded: name, bytes, time and mean speed take the bar's place.
    pub fn finish(mut self) {
        if let Some(shown) = self.shown.take() {
            let line = summary(&shown.name, self.delivery.bytes(), self.begun.elapsed());
            shown.clear();
            // A terminal that went away is no reason to fail a download that succeeded.
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }

    /// Ends a download that did not: the bar disappears, as it does when this is dropped.
    pub fn abandon(self) {
        drop(self);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(shown) = self.shown.take() {
            shown.clear();
        }
    }
}

/// What there is between `start` and the end.
#[derive(Debug)]
struct Shown {
    name: String,
    bar: ProgressBar,
    ticker: Ticker,
}

impl Shown {
    fn clear(self) {
        // The ticker ends first: it must not draw again over what is printed next.
        drop(self.ticker);
        console::shares_with(None);
        self.bar.finish_and_clear();
    }
}

/// The thread that redraws; dropping this ends it and waits for its last draw.
#[derive(Debug)]
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn spawn(bar: ProgressBar, delivery: Arc<Delivery>) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let redraw = move || {
            loop {
                thread::park_timeout(TICK);
                if stopped.load(Relaxed) {
                    return;
                }
                bar.update(|state| state.set_pos(delivery.bytes()));
            }
        };
        let thread = thread::Builder::new().name("progress".into()).spawn(redraw)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A thread that only draws has no result that could matter.
            let _ = thread.join();
        }
    }
}

fn bar(total: u64, target: ProgressDrawTarget) -> ProgressBar {
    let style = ProgressStyle::with_template(TEMPLATE)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("done", |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{}%", percent(state.pos(), state.len().unwrap_or(0)));
        })
        .with_key("left", |state: &ProgressState, out: &mut dyn Write| {
            // Without a speed the library's estimate is zero, which reads as "done".
            let known = state.per_sec() >= 1.0;
            let _ = out.write_str(&if known { clock(state.eta()) } else { "--:--".to_owned() });
        });
    ProgressBar::with_draw_target(Some(total), target).with_style(style)
}

/// Rounded down, so that 100 means every byte.
fn percent(done: u64, total: u64) -> u64 {
    let share = u128::from(done) * 100 / u128::from(total.max(1));
    u64::try_from(share).map_or(100, |share| share.min(100))
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

fn summary(name: &str, bytes: u64, time: Duration) -> String {
    let per_second = u128::from(bytes) * 1000 / time.as_millis().max(1);
    let speed = BinaryBytes(u64::try_from(per_second).unwrap_or(u64::MAX));
    format!("{name}: {} in {:.1} s, {speed}/s\n", BinaryBytes(bytes), time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::InMemoryTerm;

    const GIB: u64 = 1 << 30;

    fn target(columns: u16) -> (InMemoryTerm, ProgressDrawTarget) {
        let term = InMemoryTerm::new(4, columns);
        (term.clone(), ProgressDrawTarget::term_like(Box::new(term)))
    }

    #[test]
    fn one_row_of_the_terminals_width_whatever_the_numbers() {
        for columns in [60, 80, 200] {
            // 1000 GiB in a microsecond also makes the speed as long as it gets.
            for (done, total) in [(1, 2), (2 * GIB, 4 * GIB), (1000 * GIB, 1023 * GIB), (4 * GIB, 4 * GIB)] {
                let (term, target) = target(columns);
                let bar = bar(total, target);
                bar.update(|state| state.set_pos(done));
                let row = term.contents();
                assert_eq!(row.lines().count(), 1, "{columns}: {row}");
                assert!((columns - 8..=columns).contains(&u16::try_from(row.len()).unwrap()), "{row:?}");
                for part in ["% [", "] ", "B/", "B/s eta "] {
                    assert!(row.contains(part), "{columns}: no {part:?} in {row:?}");
                }
            }
        }
    }

    #[test]
    fn the_ticker_shows_the_counter_and_an_abandoned_bar_leaves_nothing() {
        let (term, target) = target(80);
        let delivery = Arc::new(Delivery::since(Instant::now()));
        let mut progress = Progress::on(target, Arc::clone(&delivery));
        assert_eq!(term.contents(), "", "nothing is known before start");
        progress.start(4 * GIB, "s3://b/k");
        delivery.wrote(usize::try_from(GIB).unwrap(), Instant::now());
        let deadline = Instant::now() + Duration::from_mins(1);
        while !term.contents().contains(" 25% [") {
            assert!(Instant::now() < deadline, "the ticker never drew: {:?}", term.contents());
            thread::sleep(Duration::from_millis(5));
        }
        assert!(term.contents().contains("1.00 GiB/4.00 GiB"), "{}", term.contents());
        progress.abandon();
        assert_eq!(term.contents(), "");
    }

    #[test]
    fn a_hidden_bar_draws_nothing() {
        let delivery = Arc::new(Delivery::since(Instant::now()));
        let mut progress = Progress::on(ProgressDrawTarget::hidden(), delivery);
        progress.start(10, "s3://b/k");
        assert!(progress.shown.is_none(), "no thread, no drawing");
        progress.finish();
    }

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
    fn the_summary_names_object_bytes_time_and_speed() {
        for (bytes, millis, expected) in [
            (512 << 20, 2_000, "s3://b/k: 512.00 MiB in 2.0 s, 256.00 MiB/s\n"),
            (0, 0, "s3://b/k: 0 B in 0.0 s, 0 B/s\n"),
            (u64::MAX, 0, "s3://b/k: 16.00 EiB in 0.0 s, 16.00 EiB/s\n"),
        ] {
            assert_eq!(summary("s3://b/k", bytes, Duration::from_millis(millis)), expected);
        }
    }
}
