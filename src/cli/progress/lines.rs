//! Progress as lines: some words every few seconds for who reads a log, or JSON every second for a program.
//!
//! It never moves a cursor and never takes a line back.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::BinaryBytes;
use serde::Serialize;

use crate::cli::progress::account::Snapshot;
use crate::cli::progress::{RunOutcome, View, clock, percent, retries_and_hedges, summary};
use crate::cli::report::format::Format;

/// Between two lines for people.
const PLAIN: Duration = Duration::from_secs(5);
/// Between two lines for programs.
const JSON: Duration = Duration::from_secs(1);
/// What came so long ago counts a third of what comes now in the speed.
const MEMORY: Duration = Duration::from_secs(5);

pub(super) struct Lines<W = io::Stderr> {
    out: W,
    format: Format,
    /// When the next line is due.
    due: Duration,
    speed: Speed,
}

/// A moving average that begins at 0, which [`Speed::per_second`] takes out again.
#[derive(Default)]
struct Speed {
    /// The first look and the latest. What came before the first, a name and a round trip, is not bandwidth.
    looks: Option<(Duration, Duration)>,
    delivered: u64,
    average: f64,
}

/// One line of `--progress=json`. Its keys stay as they are.
#[derive(Serialize)]
struct Line<'a> {
    /// `running`; in the last line `complete`, `failed`, `interrupted` or `broken_pipe`.
    state: &'a str,
    /// The object that is under way, counted from 1, of so many.
    object: usize,
    objects: usize,
    uri: &'a str,
    /// What is there of all objects that have begun, with what earlier runs brought.
    bytes: u64,
    /// Of all objects; `null` until the last one has begun.
    total: Option<u64>,
    seconds: f64,
    bytes_per_second: u64,
    eta_seconds: Option<u64>,
    retries: u64,
    hedges: u64,
}

impl Lines {
    pub(super) fn new(format: Format) -> Self {
        Self::on(io::stderr(), format)
    }
}

impl<W: Write + Send> Lines<W> {
    fn on(out: W, format: Format) -> Self {
        // A program is told at once what it is about.
        let due = if format == Format::Json { Duration::ZERO } else { PLAIN };
        Self { out, format, due, speed: Speed::default() }
    }

    fn write(&mut self, line: &str) {
        // Who does not listen any more is no reason to fail a download.
        let _ = self.out.write_all(line.as_bytes());
    }

    fn json(&self, now: &Snapshot, state: &str, bytes_per_second: u64) -> String {
        let line = Line {
            state,
            object: now.items.len(),
            objects: now.objects,
            uri: now.items.last().map_or("", |item| &item.uri),
            bytes: now.done(),
            total: now.total(),
            seconds: now.elapsed.as_secs_f64(),
            bytes_per_second,
            eta_seconds: self.speed.time_left(now).map(|left| left.as_secs()),
            retries: now.retries,
            hedges: now.hedges,
        };
        serde_json::to_string(&line).unwrap_or_default() + "\n"
    }

    fn plain(&self, now: &Snapshot) -> String {
        let object = if now.objects > 1 {
            format!("object {} of {}, ", now.items.len(), now.objects)
        } else {
            String::new()
        };
        let (done, speed) = (BinaryBytes(now.done()), BinaryBytes(self.speed.whole()));
        let mut line = match now.total() {
            Some(total) => {
                format!(
                    "{object}{}%, {done} of {}, {speed}/s",
                    percent(now.done(), total),
                    BinaryBytes(total)
                )
            }
            None => format!("{object}{done}, {speed}/s"),
        };
        if let Some(left) = self.speed.time_left(now) {
            line = line + ", " + &clock(left) + " left";
        }
        line + &retries_and_hedges(", ", now) + "\n"
    }
}

impl<W: Write + Send> View for Lines<W> {
    fn draw(&mut self, now: &Snapshot) {
        self.speed.update(now);
        if now.elapsed < self.due {
            return;
        }
        let (line, interval) = match self.format {
            Format::Text => (self.plain(now), PLAIN),
            Format::Json => (self.json(now, "running", self.speed.whole()), JSON),
        };
        self.due = now.elapsed + interval;
        self.write(&line);
    }

    fn end(mut self: Box<Self>, now: &Snapshot, end: RunOutcome) {
        self.speed.update(now);
        let line = match (self.format, end) {
            (Format::Text, RunOutcome::Complete) => summary(now),
            (Format::Text, _) => return,
            (Format::Json, _) => self.json(now, state(end), now.average()),
        };
        self.write(&line);
    }
}

fn state(end: RunOutcome) -> &'static str {
    match end {
        RunOutcome::Complete => "complete",
        RunOutcome::Failed => "failed",
        RunOutcome::Interrupted => "interrupted",
        RunOutcome::BrokenPipe => "broken_pipe",
    }
}

impl Speed {
    #[expect(clippy::cast_precision_loss, reason = "for an average")]
    fn update(&mut self, now: &Snapshot) {
        let (first, at) = self.looks.unwrap_or((now.elapsed, now.elapsed));
        let time = now.elapsed.saturating_sub(at).as_secs_f64();
        if time > 0.0 {
            let latest = now.delivered.saturating_sub(self.delivered) as f64 / time;
            self.average = latest + kept(time) * (self.average - latest);
        }
        self.looks = Some((first, now.elapsed));
        self.delivered = now.delivered;
    }

    /// In bytes; `None` before the second look.
    fn per_second(&self) -> Option<f64> {
        let (first, at) = self.looks.filter(|(first, at)| first < at)?;
        // The share of the average that was seen: the rest is the 0 that it began with.
        Some(self.average / (1.0 - kept(at.saturating_sub(first).as_secs_f64())))
    }

    /// In bytes a second.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is finite and not negative"
    )]
    fn whole(&self) -> u64 {
        self.per_second().unwrap_or(0.0).round() as u64
    }

    /// `None` while it is not known.
    #[expect(clippy::cast_precision_loss, reason = "for an estimate")]
    fn time_left(&self, now: &Snapshot) -> Option<Duration> {
        let left = now.total()?.saturating_sub(now.done());
        let per_second = self.per_second().filter(|rate| *rate >= 1.0)?;
        Duration::try_from_secs_f64(left as f64 / per_second).ok()
    }
}

/// The share that what is known keeps, so many seconds later.
fn kept(seconds: f64) -> f64 {
    (-seconds / MEMORY.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::account::tests::{GIB, item, snapshot};

    fn at(seconds: u64, done: u64) -> Snapshot {
        Snapshot {
            elapsed: Duration::from_secs(seconds),
            ..snapshot(vec![item("s3://b/k", 0, 4 * GIB, done)])
        }
    }

    fn written(lines: Lines<Vec<u8>>) -> String {
        String::from_utf8(lines.out).expect("text")
    }

    #[test]
    fn a_line_every_five_seconds_for_people() {
        let mut lines = Lines::on(Vec::new(), Format::Text);
        for tick in 0..=100 {
            let elapsed = Duration::from_millis(tick * 100);
            lines.draw(&Snapshot { elapsed, hedges: tick / 60, ..at(0, tick * (GIB / 40)) });
        }
        assert_eq!(
            written(lines),
            "31%, 1.25 GiB of 4.00 GiB, 256.00 MiB/s, 00:11 left\n\
             62%, 2.50 GiB of 4.00 GiB, 256.00 MiB/s, 00:06 left, 1 hedge\n"
        );
    }

    #[test]
    fn of_several_the_total_is_known_when_the_last_one_has_begun() {
        let lines = Lines::on(Vec::new(), Format::Text);
        let two = || vec![item("a", 0, GIB, GIB), item("b", 0, GIB, GIB / 2)];
        let now = Snapshot { objects: 3, ..snapshot(two()) };
        assert_eq!(lines.plain(&now), "object 2 of 3, 1.50 GiB, 0 B/s\n");
        assert_eq!(lines.plain(&snapshot(two())), "object 2 of 2, 75%, 1.50 GiB of 2.00 GiB, 0 B/s\n");
    }

    #[test]
    fn json_lines_have_every_key_in_a_stable_order() {
        let mut lines = Lines::on(Vec::new(), Format::Json);
        lines.draw(&at(0, 0));
        lines.draw(&Snapshot { retries: 3, ..at(1, GIB) });
        lines.draw(&Snapshot { elapsed: Duration::from_millis(1900), ..at(0, GIB) });
        assert_eq!(
            written(lines),
            "{\"state\":\"running\",\"object\":1,\"objects\":1,\"uri\":\"s3://b/k\",\"bytes\":0,\"total\":4294967296,\
             \"seconds\":0.0,\"bytes_per_second\":0,\"eta_seconds\":null,\"retries\":0,\"hedges\":0}\n\
             {\"state\":\"running\",\"object\":1,\"objects\":1,\"uri\":\"s3://b/k\",\"bytes\":1073741824,\
             \"total\":4294967296,\"seconds\":1.0,\"bytes_per_second\":1073741824,\"eta_seconds\":3,\"retries\":3,\
             \"hedges\":0}\n"
        );
    }

    #[test]
    fn a_first_look_right_at_the_beginning_weighs_no_more_than_its_time() {
        for first in [0, GIB / 1024] {
            let mut speed = Speed::default();
            speed.update(&at(0, 0));
            speed.update(&Snapshot { elapsed: Duration::from_micros(300), ..at(0, first) });
            for tick in 1..=10 {
                speed.update(&Snapshot {
                    elapsed: Duration::from_millis(100 * tick),
                    ..at(0, tick * GIB / 10)
                });
            }
            let error = speed.whole().abs_diff(GIB);
            assert!(error < GIB / 100, "{first}: {error}");
        }
    }

    #[test]
    fn the_last_line_of_json_tells_how_it_ended_and_the_average_of_the_whole_run() {
        for (end, state) in [
            (RunOutcome::Complete, "complete"),
            (RunOutcome::Failed, "failed"),
            (RunOutcome::Interrupted, "interrupted"),
            (RunOutcome::BrokenPipe, "broken_pipe"),
        ] {
            let out = SharedBuffer::default();
            let mut lines = Lines::on(out.clone(), Format::Json);
            lines.due = Duration::MAX;
            lines.draw(&at(7, 0));
            Box::new(lines).end(&at(8, GIB), end);
            let line: serde_json::Value =
                serde_json::from_slice(&out.0.lock().expect("a line")).expect("JSON");
            assert_eq!((&line["state"], &line["bytes_per_second"]), (&state.into(), &(GIB / 8).into()));
        }
    }

    /// What is written stays when who wrote it is gone.
    #[derive(Clone, Default)]
    struct SharedBuffer(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

    impl Write for SharedBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("the bytes").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_speed_follows_and_forgets() {
        let mut speed = Speed::default();
        for second in 1..=60 {
            speed.update(&at(second, second * 1000));
        }
        assert_eq!(speed.whole(), 1000);
        for second in 61..=120 {
            speed.update(&at(second, 60_000));
        }
        assert_eq!((speed.whole(), speed.time_left(&at(120, 60_000))), (0, None));
    }
}
