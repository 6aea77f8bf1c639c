//! Progress as bars on a terminal: one, or for several objects one each under a total.
//!
//! It gets snapshots and where to draw. At its end the bars are gone, and what is printed next starts on a clean line.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};

use crate::cli::progress::account::{ObjectProgress, Snapshot};
use crate::cli::progress::{RunOutcome, View, clock, percent, retries_and_hedges, summary, tell};
use crate::cli::stderr;

/// What the rows look like.
struct Rows {
    /// The bar of one object, or that of all.
    alone: &'static str,
    /// That of one of several, whose speed is that of all.
    one_of_several: &'static str,
    /// Above several, while not all of them have begun: how large the others are is not known.
    all_unknown: &'static str,
}

/// Without the bars themselves they take 58 columns at most.
const WIDE: Rows = Rows {
    alone: "{done:>4} [{wide_bar}] {binary_bytes:>10}/{binary_total_bytes} {binary_bytes_per_sec:>12} eta {left}",
    one_of_several: "{prefix:16!} {done:>4} [{wide_bar}] {binary_bytes:>10}/{binary_total_bytes:10}",
    all_unknown: "{prefix} {binary_bytes:>10} {binary_bytes_per_sec:>12}",
};
/// They take 30 columns at most.
const NARROW: Rows = Rows {
    alone: "{done:>4} {binary_bytes} {binary_bytes_per_sec}",
    one_of_several: "{prefix:16!} {done:>4}",
    all_unknown: "{prefix} {binary_bytes}",
};
/// Terminals of so many columns have wide rows.
const WIDE_FROM: u16 = 60;
/// Retries and hedges, under it all.
const TROUBLE: &str = "{wide_msg}";
/// The library's own rate.
const DRAWS_PER_SECOND: u8 = 20;
/// Of the objects that are complete, the latest so many keep their bars.
const COMPLETE_MAX: usize = 5;
/// Columns for a name.
const NAME: usize = 16;

pub(super) struct Bars {
    shown: MultiProgress,
    rows: &'static Rows,
    objects: usize,
    /// Of several objects, from the first one on.
    all: Option<ProgressBar>,
    /// Of the objects that have begun, but for old ones that are complete.
    each: Vec<ProgressBar>,
    begun: usize,
    retries_and_hedges: Option<ProgressBar>,
}

impl Bars {
    pub(super) fn on(screen: impl TermLike + 'static, objects: usize) -> Self {
        let columns = screen.width();
        Self::new(ProgressDrawTarget::term_like_with_hz(Box::new(screen), DRAWS_PER_SECOND), columns, objects)
    }

    fn new(target: ProgressDrawTarget, columns: u16, objects: usize) -> Self {
        let shown = MultiProgress::with_draw_target(target);
        stderr::shares_with(Some(&shown));
        let rows = if columns < WIDE_FROM { &NARROW } else { &WIDE };
        Self { shown, rows, objects, all: None, each: Vec::new(), begun: 0, retries_and_hedges: None }
    }

    fn begin(&mut self, item: &ObjectProgress) {
        let mut template = self.rows.alone;
        if self.objects > 1 {
            template = self.rows.one_of_several;
            if self.all.is_none() {
                self.all = Some(add(&self.shown, self.rows.all_unknown, self.count(1), item.had, 0));
            }
        }
        // Trouble stays below.
        if let Some(retries_and_hedges) = self.retries_and_hedges.take() {
            self.shown.remove(&retries_and_hedges);
        }
        self.each.push(add(&self.shown, template, short(&item.name), item.had, item.total));
        self.begun += 1;
        while self.each.len() > COMPLETE_MAX + 1 {
            self.shown.remove(&self.each.remove(0));
        }
    }

    fn count(&self, begun: usize) -> String {
        format!("{begun} of {} objects", self.objects)
    }

    fn draw_all(&self, now: &Snapshot) {
        let Some(all) = &self.all else { return };
        all.set_prefix(self.count(now.items.len()));
        if let Some(total) = now.total()
            && all.length() != Some(total)
        {
            all.set_length(total);
            all.set_style(style(self.rows.alone));
        }
        all.set_position(now.done());
    }

    fn draw_trouble(&mut self, now: &Snapshot) {
        let text = retries_and_hedges("     ", now);
        if text.is_empty() {
            return;
        }
        let bar =
            self.retries_and_hedges.get_or_insert_with(|| add(&self.shown, TROUBLE, String::new(), 0, 0));
        if bar.message() != text {
            bar.set_message(text);
        }
    }
}

impl View for Bars {
    fn draw(&mut self, now: &Snapshot) {
        for item in now.items.iter().skip(self.begun) {
            self.begin(item);
        }
        let first = now.items.len().saturating_sub(self.each.len());
        for (bar, item) in self.each.iter().zip(&now.items[first..]) {
            bar.set_position(item.done);
        }
        self.draw_all(now);
        self.draw_trouble(now);
    }

    fn end(self: Box<Self>, now: &Snapshot, end: RunOutcome) {
        stderr::shares_with(None);
        // Also what was never drawn is at its end: nothing of it appears later.
        for bar in self.all.iter().chain(&self.each).chain(&self.retries_and_hedges) {
            bar.finish_and_clear();
        }
        let _ = self.shown.clear();
        if end == RunOutcome::Complete {
            tell(&summary(now));
        }
    }
}

fn add(bars: &MultiProgress, template: &str, prefix: String, had: u64, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total).with_style(style(template)).with_prefix(prefix).with_position(had);
    let bar = bars.add(bar);
    if had > 0 {
        // What was there already is not speed: it is looked at, and then forgotten.
        bar.tick();
        bar.reset_eta();
    }
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("done", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{}%", percent(state.pos(), state.len().unwrap_or(0)));
        })
        .with_key("left", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            // Without a speed the library's estimate is zero, which reads as "done".
            let known = state.per_sec() >= 1.0;
            let _ = out.write_str(&if known { clock(state.eta()) } else { "--:--".to_owned() });
        })
}

/// The end of a name, which tells objects apart.
fn short(name: &str) -> String {
    let length = name.chars().count();
    if length <= NAME {
        name.to_owned()
    } else {
        format!("..{}", name.chars().skip(length - NAME + 2).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::account::tests::{GIB, item, snapshot};
    use indicatif::InMemoryTerm;

    const WIDTHS: [u16; 5] = [30, 50, 60, 80, 200];

    fn bars(columns: u16, objects: usize) -> (InMemoryTerm, Bars) {
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
    fn one_row_of_the_terminals_width_whatever_the_numbers() {
        for columns in WIDTHS {
            for (done, total) in [(1, 2), (2 * GIB, 4 * GIB), (1000 * GIB, 1023 * GIB), (4 * GIB, 4 * GIB)] {
                let (term, mut bars) = bars(columns, 1);
                bars.draw(&snapshot(vec![item("s3://b/k", 0, total, done)]));
                let rows = rows(&term, columns);
                assert_eq!(rows.len(), 1, "{columns}: {rows:?}");
                assert!(columns < WIDE_FROM || rows[0].len() >= usize::from(columns) - 8, "{rows:?}");
                let parts: &[_] =
                    if columns < WIDE_FROM { &["% ", "B ", "B/s"] } else { &["% [", "] ", "B/", "B/s eta "] };
                for part in parts {
                    assert!(rows[0].contains(part), "{columns}: no {part:?} in {rows:?}");
                }
            }
        }
    }

    #[test]
    fn retries_and_hedges_have_a_row_of_their_own_when_there_are_any() {
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
    fn several_have_a_bar_each_under_a_total() {
        for columns in WIDTHS {
            let (term, mut bars) = bars(columns, 3);
            let named = |n: u64, done| item(&format!("s3://bucket/a/long/key/{n}"), 0, GIB, done);
            let first = Snapshot { objects: 3, ..snapshot(vec![named(1, GIB / 2)]) };
            bars.draw(&first);
            let rows_then = rows(&term, columns);
            assert!(rows_then[0].starts_with("1 of 3 objects 512.00 MiB"), "{rows_then:?}");
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
    fn what_an_earlier_run_brought_is_not_speed() {
        for objects in [1, 2] {
            let (_term, mut bars) = bars(80, objects);
            let now = |done| Snapshot { objects, ..snapshot(vec![item("k", GIB, 4 * GIB, GIB + done)]) };
            for tick in 0..3 {
                bars.draw(&now(tick * 1000));
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            for bar in bars.all.iter().chain(&bars.each) {
                assert!(bar.per_sec() < 1e6, "{objects}: {}", bar.per_sec());
            }
        }
    }

    #[test]
    fn many_do_not_fill_the_terminal() {
        let (term, mut bars) = bars(80, 100);
        let items = (0..100).map(|n| item(&n.to_string(), 0, 10, if n == 99 { 5 } else { 10 }));
        bars.draw(&snapshot(items.collect()));
        let rows = rows(&term, 80);
        assert_eq!(rows.len(), COMPLETE_MAX + 2, "{rows:?}");
        assert!(rows[6].starts_with("99 ") && rows[6].contains("  50% ["), "{rows:?}");
        Box::new(bars).end(&snapshot(vec![item("k", 0, 1, 0)]), RunOutcome::Failed);
        assert_eq!(term.contents(), "");
    }

    #[test]
    fn names_are_cut_at_their_beginning() {
        assert_eq!(
            (short("s3://b/key"), short("1234567890123456")),
            ("s3://b/key".into(), "1234567890123456".into())
        );
        let cut = short("s3://bucket/some/key");
        assert_eq!((cut.as_str(), cut.len()), ("..ucket/some/key", NAME));
    }
}
