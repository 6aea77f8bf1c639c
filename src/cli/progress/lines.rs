//! Progress as lines: a short text every five seconds for the reader of a log, or JSON every second for a program.
//!
//! Lines are only ever appended: no cursor is moved.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use crate::cli::progress::snapshot::Snapshot;
use crate::cli::progress::speed::Speed;
use crate::cli::progress::text::{clock, percent, retries_and_hedges, summary};
use crate::cli::progress::view::{RunOutcome, View};
use crate::cli::report::end::EndReport;
use crate::cli::report::format::{Format, json_line, size};

/// Interval between two lines of text.
const TEXT_INTERVAL: Duration = Duration::from_secs(5);
/// Interval between two lines of JSON.
const JSON_INTERVAL: Duration = Duration::from_secs(1);
pub(super) struct Lines<W = io::Stderr> {
    out: W,
    format: Format,
    /// Time since the start of the process at which the next line is due.
    due: Duration,
    speed: Speed,
}

/// One line of `--progress=json`. Its keys stay as they are.
#[derive(Serialize)]
struct JsonLine<'a> {
    /// `running`; in the last line `complete`, `failed`, `interrupted` or `broken_pipe`.
    state: &'a str,
    /// Number of the object that is under way, from 1; 0 before the first one has begun.
    object: usize,
    /// `null` while the list of sources is not read to its end.
    objects: Option<usize>,
    uri: &'a str,
    /// Bytes of all objects that have begun, those of earlier runs included.
    bytes: u64,
    /// Size of all objects together; `null` until the last one has begun.
    total: Option<u64>,
    seconds: f64,
    bytes_per_second: u64,
    eta_seconds: Option<u64>,
    retries: u64,
    hedges: u64,
    /// In the last line only.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    end: Option<&'a EndReport>,
}

impl Lines {
    pub(super) fn new(format: Format) -> Self {
        Self::on(io::stderr(), format)
    }
}

impl<W: Write + Send> Lines<W> {
    fn on(out: W, format: Format) -> Self {
        // A program gets its first line immediately.
        let due = if format == Format::Json { Duration::ZERO } else { TEXT_INTERVAL };
        Self { out, format, due, speed: Speed::default() }
    }

    fn write(&mut self, line: &str) {
        // A download does not fail because nobody reads its progress.
        let _ = self.out.write_all(line.as_bytes());
    }

    fn json(&self, now: &Snapshot) -> String {
        let speed = self.speed.bytes_per_second();
        JsonLine::new("running", now, speed, self.speed.time_left(now), None).text()
    }

    fn plain(&self, now: &Snapshot) -> String {
        let object = match now.objects {
            None => format!("object {}, ", now.begun),
            Some(objects) if objects > 1 => format!("object {} of {objects}, ", now.begun),
            Some(_) => String::new(),
        };
        let (done, speed) = (size(now.done()), size(self.speed.bytes_per_second()));
        let mut line = match now.total() {
            Some(total) => {
                format!("{object}{}%, {done} of {}, {speed}/s", percent(now.done(), total), size(total))
            }
            None => format!("{object}{done}, {speed}/s"),
        };
        if let Some(left) = self.speed.time_left(now) {
            line = line + ", " + &clock(left) + " left";
        }
        line + &retries_and_hedges(", ", now) + "\n"
    }
}

impl<'a> JsonLine<'a> {
    fn new(
        state: &'a str,
        now: &'a Snapshot,
        bytes_per_second: u64,
        left: Option<Duration>,
        end: Option<&'a EndReport>,
    ) -> Self {
        Self {
            state,
            object: now.begun,
            objects: now.objects,
            uri: now.items.last().map_or("", |item| &item.uri),
            bytes: now.done(),
            total: now.total(),
            seconds: now.elapsed.as_secs_f64(),
            bytes_per_second,
            eta_seconds: left.map(|left| left.as_secs()),
            retries: now.retries,
            hedges: now.hedges,
            end,
        }
    }

    fn text(&self) -> String {
        json_line(self)
    }
}

/// Returns the last line of `--progress=json`, of a run that ended so.
pub(crate) fn last_json_line(now: &Snapshot, outcome: RunOutcome, end: &EndReport) -> String {
    let left = (outcome == RunOutcome::Complete).then_some(Duration::ZERO);
    JsonLine::new(outcome.name(), now, now.average(), left, Some(end)).text()
}

impl<W: Write + Send> View for Lines<W> {
    fn draw(&mut self, now: &Snapshot) {
        self.speed.update(now);
        if now.elapsed < self.due {
            return;
        }
        let (line, interval) = match self.format {
            Format::Text => (self.plain(now), TEXT_INTERVAL),
            Format::Json => (self.json(now), JSON_INTERVAL),
        };
        self.due = now.elapsed + interval;
        self.write(&line);
    }

    fn end(mut self: Box<Self>, now: &Snapshot, outcome: RunOutcome) {
        // The last line of JSON follows the message of an error.
        if (self.format, outcome) == (Format::Text, RunOutcome::Complete) {
            self.write(&summary(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::snapshot::tests::{GIB, at, item, snapshot};

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
            "31%, 1.2 GiB of 4.0 GiB, 256.0 MiB/s, 00:11 left\n\
             62%, 2.5 GiB of 4.0 GiB, 256.0 MiB/s, 00:06 left, 1 hedge\n"
        );
    }

    #[test]
    fn the_total_of_several_objects_appears_when_the_last_one_begins() {
        let lines = Lines::on(Vec::new(), Format::Text);
        let two = || vec![item("a", 0, GIB, GIB), item("b", 0, GIB, GIB / 2)];
        let now = Snapshot { objects: Some(3), ..snapshot(two()) };
        assert_eq!(lines.plain(&now), "object 2 of 3, 1.5 GiB, 0 B/s\n");
        let now = Snapshot { objects: None, ..snapshot(two()) };
        assert_eq!(lines.plain(&now), "object 2, 1.5 GiB, 0 B/s\n");
        assert_eq!(lines.plain(&snapshot(two())), "object 2 of 2, 75%, 1.5 GiB of 2.0 GiB, 0 B/s\n");
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
    fn the_last_line_of_json_has_the_outcome_and_the_average_speed() {
        for (outcome, state, left) in [
            (RunOutcome::Complete, "complete", serde_json::json!(0)),
            (RunOutcome::Failed, "failed", serde_json::Value::Null),
            (RunOutcome::Interrupted, "interrupted", serde_json::Value::Null),
            (RunOutcome::BrokenPipe, "broken_pipe", serde_json::Value::Null),
        ] {
            let line = last_json_line(&at(8, GIB), outcome, &EndReport::default());
            let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            let shown = (&line["state"], &line["bytes_per_second"], &line["eta_seconds"]);
            assert_eq!(shown, (&state.into(), &(GIB / 8).into(), &left));
            for key in ["exit_code", "error", "resume"] {
                assert!(line.get(key).is_some(), "no {key} in {line}");
            }
        }
    }
}
