//! Progress as bars on a terminal: one bar, or for several objects one each below a total.
//!
//! When the run ends the bars are removed, so that later output starts on a clean line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};

use crate::cli::progress::snapshot::{ObjectProgress, Snapshot};
use crate::cli::progress::speed::Speed;
use crate::cli::progress::text::{clock, objects, percent, print, retries_and_hedges, summary};
use crate::cli::progress::view::{RunOutcome, View};
use crate::cli::report::format::size;
use crate::cli::stderr;

/// Templates of the rows.
struct Rows {
    /// The bar of a single object, or the total of several.
    alone: &'static str,
    /// One of several objects; the total shows the speed.
    one_of_several: &'static str,
    /// The total while not all objects have begun, so that their size is not known.
    all_unknown: &'static str,
}

/// Rows of at most 58 columns without the bars themselves.
const WIDE: Rows = Rows {
    alone: "{done:>4} [{wide_bar}] {here:>10}/{all} {rate:>12} eta {left}",
    one_of_several: "{prefix:16!} {done:>4} [{wide_bar}] {here:>10}/{all:10}",
    all_unknown: "{prefix} {here:>10} {rate:>12}",
};
/// Rows of at most 30 columns.
const NARROW: Rows = Rows {
    alone: "{done:>4} {here} {rate}",
    one_of_several: "{prefix:16!} {done:>4}",
    all_unknown: "{prefix} {here}",
};
/// Terminals with at least this many columns have wide rows.
const WIDE_COLUMNS_MIN: u16 = 60;
/// The row of retries and hedges, below all bars.
const RETRIES_AND_HEDGES: &str = "{wide_msg}";
/// How often bars are drawn; the default of indicatif.
const DRAWS_PER_SECOND: u8 = 20;
/// Number of complete objects that keep their bars.
const COMPLETE_BARS_MAX: usize = 5;
/// Columns of an object's name.
const NAME_COLUMNS: usize = 16;

pub(super) struct Bars {
    shown: MultiProgress,
    rows: &'static Rows,
    has_several: bool,
    speed: Speed,
    shown_speed: Arc<ShownSpeed>,
    /// The total of several objects.
    all: Option<ProgressBar>,
    /// Bars of the objects that have begun, without those that have been complete for longest.
    each: Vec<ProgressBar>,
    begun: usize,
    retries_and_hedges: Option<ProgressBar>,
}

/// The speed as the templates show it.
#[derive(Debug, Default)]
struct ShownSpeed {
    bytes_per_second: AtomicU64,
    /// `u64::MAX` while unknown.
    seconds_left: AtomicU64,
}

impl Bars {
    pub(super) fn on(screen: impl TermLike + 'static, objects: Option<usize>) -> Self {
        let columns = screen.width();
        Self::new(ProgressDrawTarget::term_like_with_hz(Box::new(screen), DRAWS_PER_SECOND), columns, objects)
    }

    fn new(target: ProgressDrawTarget, columns: u16, objects: Option<usize>) -> Self {
        let shown = MultiProgress::with_draw_target(target);
        stderr::shares_with(Some(&shown));
        let rows = if columns < WIDE_COLUMNS_MIN { &NARROW } else { &WIDE };
        Self {
            shown,
            rows,
            has_several: objects != Some(1),
            speed: Speed::default(),
            shown_speed: Arc::default(),
            all: None,
            each: Vec::new(),
            begun: 0,
            retries_and_hedges: None,
        }
    }

    fn begin(&mut self, item: &ObjectProgress) {
        let mut template = self.rows.alone;
        if self.has_several {
            template = self.rows.one_of_several;
            if self.all.is_none() {
                self.all = Some(self.add(self.rows.all_unknown, String::new(), item.already_written, 0));
            }
        }
        if item.total.is_none() {
            template = self.rows.all_unknown;
        }
        // This row stays the last one.
        if let Some(retries_and_hedges) = self.retries_and_hedges.take() {
            self.shown.remove(&retries_and_hedges);
        }
        self.each.push(self.add(template, short(&item.name), item.already_written, item.total.unwrap_or(0)));
        while self.each.len() > COMPLETE_BARS_MAX + 1 {
            self.shown.remove(&self.each.remove(0));
        }
    }

    fn draw_all(&self, now: &Snapshot) {
        let Some(all) = &self.all else { return };
        all.set_prefix(objects(now));
        if let Some(total) = now.total()
            && all.length() != Some(total)
        {
            all.set_length(total);
            all.set_style(style(self.rows.alone, &self.shown_speed));
        }
        all.set_position(now.done());
    }

    fn draw_retries_and_hedges(&mut self, now: &Snapshot) {
        let text = retries_and_hedges("     ", now);
        if text.is_empty() {
            return;
        }
        if self.retries_and_hedges.is_none() {
            self.retries_and_hedges = Some(self.add(RETRIES_AND_HEDGES, String::new(), 0, 0));
        }
        let Some(bar) = &self.retries_and_hedges else { return };
        if bar.message() != text {
            bar.set_message(text);
        }
    }

    fn add(&self, template: &str, prefix: String, already_written: u64, total: u64) -> ProgressBar {
        let bar = ProgressBar::new(total).with_style(style(template, &self.shown_speed)).with_prefix(prefix);
        self.shown.add(bar.with_position(already_written))
    }

    fn update_speed(&mut self, now: &Snapshot) {
        self.speed.update(now);
        let left = self.speed.time_left(now).map_or(u64::MAX, |left| left.as_secs());
        self.shown_speed.bytes_per_second.store(self.speed.bytes_per_second(), Relaxed);
        self.shown_speed.seconds_left.store(left, Relaxed);
    }
}

impl View for Bars {
    fn draw(&mut self, now: &Snapshot) {
        self.update_speed(now);
        let new = now.begun.saturating_sub(self.begun).min(now.items.len());
        self.begun = now.begun;
        for item in &now.items[now.items.len() - new..] {
            self.begin(item);
        }
        for (bar, item) in self.each.iter().rev().zip(now.items.iter().rev()) {
            bar.set_position(item.done);
        }
        self.draw_all(now);
        self.draw_retries_and_hedges(now);
    }

    fn end(self: Box<Self>, now: &Snapshot, outcome: RunOutcome) {
        stderr::shares_with(None);
        // Finished bars are not drawn again, even those that have not been drawn yet.
        for bar in self.all.iter().chain(&self.each).chain(&self.retries_and_hedges) {
            bar.finish_and_clear();
        }
        let _ = self.shown.clear();
        if outcome == RunOutcome::Complete {
            print(&summary(now));
        }
    }
}

fn style(template: &str, speed: &Arc<ShownSpeed>) -> ProgressStyle {
    let (rate, left) = (Arc::clone(speed), Arc::clone(speed));
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("done", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{}%", percent(state.pos(), state.len().unwrap_or(0)));
        })
        .with_key("here", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{}", size(state.pos()));
        })
        .with_key("all", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{}", size(state.len().unwrap_or(0)));
        })
        .with_key("rate", move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{}/s", size(rate.bytes_per_second.load(Relaxed)));
        })
        .with_key("left", move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let left = left.seconds_left.load(Relaxed);
            let known = left != u64::MAX;
            let _ = out.write_str(&if known { clock(Duration::from_secs(left)) } else { "--:--".to_owned() });
        })
}

/// Returns the end of a name, which distinguishes objects better than its start.
fn short(name: &str) -> String {
    let length = name.chars().count();
    if length <= NAME_COLUMNS {
        name.to_owned()
    } else {
        format!("..{}", name.chars().skip(length - NAME_COLUMNS + 2).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::snapshot::tests::{GIB, item, snapshot};
    use indicatif::InMemoryTerm;

    const WIDTHS: [u16; 5] = [30, 50, 60, 80, 200];

    fn bars(columns: u16, objects: usize) -> (InMemoryTerm, Bars) {
        bars_of(columns, Some(objects))
    }

    fn bars_of(columns: u16, objects: Option<usize>) -> (InMemoryTerm, Bars) {
        let term = InMemoryTerm::new(12, columns);
        let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
        (term, Bars::new(target, columns, objects))
    }

    #[track_caller]
    fn rows(term: &InMemoryTerm, columns: u16) -> Vec<String> {
        let rows: Vec<_> = term.contents().lines().map(str::to_owned).collect();
        assert!(rows.iter().all(|row| row.len() <= usize::from(columns)), "{columns}: {rows:?}");
        rows
    }

    #[test]
    fn a_bar_fills_one_row_of_the_terminal_for_any_numbers() {
        for columns in WIDTHS {
            for (done, total) in [(1, 2), (2 * GIB, 4 * GIB), (1000 * GIB, 1023 * GIB), (4 * GIB, 4 * GIB)] {
                let (term, mut bars) = bars(columns, 1);
                bars.draw(&snapshot(vec![item("s3://b/k", 0, total, done)]));
                let rows = rows(&term, columns);
                assert_eq!(rows.len(), 1, "{columns}: {rows:?}");
                assert!(columns < WIDE_COLUMNS_MIN || rows[0].len() >= usize::from(columns) - 8, "{rows:?}");
                let parts: &[_] = if columns < WIDE_COLUMNS_MIN {
                    &["% ", "B ", "B/s"]
                } else {
                    &["% [", "] ", "B/", "B/s eta "]
                };
                for part in parts {
                    assert!(rows[0].contains(part), "{columns}: no {part:?} in {rows:?}");
                }
            }
        }
    }

    #[test]
    fn retries_and_hedges_get_their_own_row() {
        for columns in WIDTHS {
            let (term, mut bars) = bars(columns, 1);
            let now = |retries, hedges| Snapshot {
                retries,
                hedges,
                ..snapshot(vec![item("s3://b/k", GIB, 4 * GIB, 2 * GIB)])
            };
            bars.draw(&now(0, 0));
            assert_eq!(rows(&term, columns).len(), 1);
            bars.draw(&now(1, 0));
            assert_eq!(rows(&term, columns)[1], "     1 retry");
            bars.draw(&now(12, 3));
            let rows = rows(&term, columns);
            assert!(rows[0].starts_with(" 50% "), "{rows:?}");
            assert_eq!(rows[1..], ["     12 retries, 3 hedges"]);
            Box::new(bars).end(&now(12, 3), RunOutcome::Interrupted);
            assert_eq!(term.contents(), "");
        }
    }

    #[test]
    fn several_objects_have_a_bar_each_below_a_total() {
        for columns in WIDTHS {
            let (term, mut bars) = bars(columns, 3);
            let named = |n: u64, done| item(&format!("s3://bucket/a/long/key/{n}"), 0, GIB, done);
            let first = Snapshot { objects: Some(3), ..snapshot(vec![named(1, GIB / 2)]) };
            bars.draw(&first);
            let rows_then = rows(&term, columns);
            let total: Vec<_> = rows_then[0].split_whitespace().collect();
            assert!(total.join(" ").starts_with("1 of 3 objects 512.0 MiB"), "{rows_then:?}");
            assert!(rows_then[1].starts_with("..t/a/long/key/1  50%"), "{rows_then:?}");
            assert_eq!(rows_then.len(), 2);
            bars.draw(&Snapshot { retries: 1, ..first });
            bars.draw(&Snapshot {
                retries: 1,
                ..snapshot(vec![named(1, GIB), named(2, GIB), named(3, GIB / 4)])
            });
            let rows = rows(&term, columns);
            let begins = [" 75% ", "..t/a/long/key/1 100%", "..t/a/long/key/2 100%", "..t/a/long/key/3  25%"];
            assert_eq!(rows.len(), 5, "{rows:?}");
            assert!(rows.iter().zip(begins).all(|(row, begin)| row.starts_with(begin)), "{rows:?}");
            assert_eq!(rows[4], "     1 retry");
        }
    }

    #[test]
    fn bytes_of_an_earlier_run_do_not_count_as_speed() {
        for objects in [1, 2] {
            let (_term, mut bars) = bars(80, objects);
            for tick in 0..=3 {
                let items = vec![item("k", GIB, 4 * GIB, GIB + tick * 1000)];
                let elapsed = Duration::from_secs(tick);
                bars.draw(&Snapshot { objects: Some(objects), elapsed, ..snapshot(items) });
            }
            assert_eq!(bars.shown_speed.bytes_per_second.load(Relaxed), 1000, "{objects}");
        }
    }

    /// The estimate of indicatif showed a quarter of the speed after two seconds.
    #[test]
    fn speed_and_remaining_time_are_right_after_two_seconds() {
        let (_term, mut bars) = bars(80, 1);
        for tick in 0..=20 {
            let elapsed = Duration::from_millis(500 + tick * 100);
            bars.draw(&Snapshot { elapsed, ..snapshot(vec![item("k", 0, 1 << 30, tick * (4 << 20))]) });
        }
        let shown = &bars.shown_speed;
        let (speed, left) = (shown.bytes_per_second.load(Relaxed), shown.seconds_left.load(Relaxed));
        assert!(speed.abs_diff(40 << 20) < 1 << 20, "{speed}");
        assert!((23..=24).contains(&left), "{left}");
    }

    #[test]
    fn many_objects_do_not_fill_the_terminal() {
        let (term, mut bars) = bars(80, 100);
        let items = (0..100).map(|n| item(&n.to_string(), 0, 10, if n == 99 { 5 } else { 10 }));
        bars.draw(&snapshot(items.collect()));
        let rows = rows(&term, 80);
        assert_eq!(rows.len(), COMPLETE_BARS_MAX + 2, "{rows:?}");
        assert!(rows[6].starts_with("99 ") && rows[6].contains("  50% ["), "{rows:?}");
        Box::new(bars).end(&snapshot(vec![item("k", 0, 1, 0)]), RunOutcome::Failed);
        assert_eq!(term.contents(), "");
    }

    #[test]
    fn a_list_shows_how_many_objects_have_begun() {
        let (term, mut bars) = bars_of(80, None);
        let of_list = |begun| Snapshot { objects: None, begun, ..snapshot(vec![item("k", 0, 10, 5)]) };
        bars.draw(&of_list(1));
        assert!(rows(&term, 80)[0].starts_with("1 objects        5 B"), "{:?}", term.contents());
        bars.draw(&of_list(1_000_000));
        assert!(rows(&term, 80)[0].starts_with("1000000 objects        5 B"), "{:?}", term.contents());
    }

    #[test]
    fn long_names_lose_their_beginning() {
        assert_eq!(
            (short("s3://b/key"), short("1234567890123456")),
            ("s3://b/key".into(), "1234567890123456".into())
        );
        let cut = short("s3://bucket/some/key");
        assert_eq!((cut.as_str(), cut.len()), ("..ucket/some/key", NAME_COLUMNS));
    }
}
