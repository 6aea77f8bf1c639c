//! How far a run is: the objects that have begun, and snapshots of all of them for whatever shows progress.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::download::meter::Meter;
use crate::output::write_progress::WriteProgress;
use crate::s3::address::source::Source;

/// Objects that a snapshot shows: a terminal has room for a few, and a run may have a million.
const SHOWN_MAX: usize = 8;

/// The objects of a run, in the order in which they are delivered.
pub(crate) struct RunProgress {
    /// `UNKNOWN` while the list is not read to its end.
    objects: AtomicUsize,
    delivery: Arc<WriteProgress>,
    begun: Mutex<BegunObjects>,
}

const UNKNOWN: usize = usize::MAX;

#[derive(Default)]
struct BegunObjects {
    /// The latest ones.
    shown: VecDeque<BegunObject>,
    /// All others together.
    earlier: EarlierObjects,
}

#[derive(Default)]
struct EarlierObjects {
    count: usize,
    already_written: u64,
    /// Bytes of this run.
    bytes: u64,
    retries: u64,
    hedges: u64,
}

struct BegunObject {
    name: Arc<str>,
    uri: Arc<str>,
    already_written: u64,
    /// Bytes that this run delivered of earlier objects.
    delivered_before: u64,
    meter: Meter,
}

/// The state of all objects at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// Number of objects in the run; `None` while the list is not read to its end.
    pub(super) objects: Option<usize>,
    /// Number of objects that have begun.
    pub(super) begun: usize,
    /// The latest of these; the last one is under way.
    pub(super) items: Vec<ObjectProgress>,
    /// Size of the others together.
    pub(super) earlier_bytes: u64,
    /// Bytes that this run has delivered.
    pub(super) delivered: u64,
    /// Bytes of these objects that an earlier run had delivered.
    pub(super) already_written: u64,
    /// Time since the process began, as in `--stats`.
    pub(super) elapsed: Duration,
    pub(super) retries: u64,
    pub(super) hedges: u64,
}

/// An object that has begun, or the part of it that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct ObjectProgress {
    /// The object's URI with control characters escaped, for terminals and logs.
    pub(super) name: Arc<str>,
    /// The object's URI as it was given, for programs.
    pub(super) uri: Arc<str>,
    /// Bytes that an earlier run had delivered.
    pub(super) already_written: u64,
    /// Bytes that are there now, those of an earlier run included.
    pub(super) done: u64,
    /// `None` while the server has not shown the size.
    pub(super) total: Option<u64>,
}

impl RunProgress {
    pub(crate) fn new(objects: Option<usize>, delivery: Arc<WriteProgress>) -> Self {
        Self { objects: AtomicUsize::new(objects.unwrap_or(UNKNOWN)), delivery, begun: Mutex::default() }
    }

    pub(super) fn set_objects(&self, objects: Option<usize>) {
        self.objects.store(objects.unwrap_or(UNKNOWN), Relaxed);
    }

    pub(super) fn begin(&self, source: &Source, already_written: u64, meter: Meter) {
        let (name, uri) = (source.to_string().into(), source.raw().into());
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let before = begun.shown.back().map(|last| last.delivered_before + last.meter.total().unwrap_or(0));
        let delivered_before = before.unwrap_or(begun.earlier.bytes);
        begun.shown.push_back(BegunObject { name, uri, already_written, delivered_before, meter });
        if begun.shown.len() > SHOWN_MAX
            && let Some(object) = begun.shown.pop_front()
        {
            let earlier = &mut begun.earlier;
            earlier.count += 1;
            earlier.already_written += object.already_written;
            earlier.bytes += object.meter.total().unwrap_or(0);
            earlier.retries += object.meter.retries();
            earlier.hedges += object.meter.hedges();
        }
    }

    pub(crate) fn now(&self) -> Snapshot {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let (shown, earlier) = (&begun.shown, &begun.earlier);
        let delivered = self.delivery.bytes();
        let items = shown.iter().map(|object| {
            let BegunObject { name, uri, already_written, delivered_before, meter } = object;
            let new = delivered.saturating_sub(*delivered_before).min(meter.total().unwrap_or(u64::MAX));
            let (name, uri) = (Arc::clone(name), Arc::clone(uri));
            ObjectProgress {
                name,
                uri,
                already_written: *already_written,
                done: already_written + new,
                total: meter.total().map(|total| already_written + total),
            }
        });
        let sum = |figure: fn(&BegunObject) -> u64| shown.iter().map(figure).sum::<u64>();
        Snapshot {
            objects: Some(self.objects.load(Relaxed)).filter(|objects| *objects != UNKNOWN),
            begun: earlier.count + shown.len(),
            items: items.collect(),
            earlier_bytes: earlier.already_written + earlier.bytes,
            delivered,
            already_written: earlier.already_written + sum(|object| object.already_written),
            elapsed: self.delivery.elapsed(),
            retries: earlier.retries + sum(|object| object.meter.retries()),
            hedges: earlier.hedges + sum(|object| object.meter.hedges()),
        }
    }
}

impl Snapshot {
    /// Returns how many bytes of these objects are there, those of earlier runs included.
    pub(super) fn done(&self) -> u64 {
        self.already_written + self.delivered
    }

    /// Returns the average speed of the whole run, in bytes per second.
    pub(super) fn average(&self) -> u64 {
        let per_second = u128::from(self.delivered) * 1_000_000 / self.elapsed.as_micros().max(1);
        u64::try_from(per_second).unwrap_or(u64::MAX)
    }

    /// Returns the size of all objects together in bytes; `None` until the last one has begun, because the size of an
    /// object is known only then, or at its end.
    pub(super) fn total(&self) -> Option<u64> {
        if self.objects.is_none_or(|objects| self.begun < objects) {
            return None;
        }
        let shown: Option<u64> = self.items.iter().map(|item| item.total).sum();
        Some(self.earlier_bytes + shown?)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Instant;

    use super::*;
    use crate::download::counters::Counters;

    pub(in super::super) const GIB: u64 = 1 << 30;

    pub(in super::super) fn item(name: &str, already_written: u64, total: u64, done: u64) -> ObjectProgress {
        ObjectProgress { name: name.into(), uri: name.into(), already_written, done, total: Some(total) }
    }

    /// A run of one object of 4 GiB after this time, with so many bytes done.
    pub(in super::super) fn at(seconds: u64, done: u64) -> Snapshot {
        Snapshot {
            elapsed: Duration::from_secs(seconds),
            ..snapshot(vec![item("s3://b/k", 0, 4 * GIB, done)])
        }
    }

    /// A run after two seconds, without retries.
    pub(in super::super) fn snapshot(items: Vec<ObjectProgress>) -> Snapshot {
        let already_written = items.iter().map(|item| item.already_written).sum();
        Snapshot {
            objects: Some(items.len()),
            begun: items.len(),
            earlier_bytes: 0,
            delivered: items.iter().map(|item| item.done).sum::<u64>() - already_written,
            already_written,
            items,
            elapsed: Duration::from_secs(2),
            retries: 0,
            hedges: 0,
        }
    }

    #[test]
    fn delivered_bytes_are_attributed_to_the_objects_in_order() {
        let delivery = Arc::new(WriteProgress::since(Instant::now()));
        let progress = RunProgress::new(Some(2), Arc::clone(&delivery));
        let (first, second) = (Arc::new(Counters::default()), Arc::new(Counters::default()));
        let source = |text: &str| text.parse::<Source>().expect("a URI");
        first.set_expected(100);
        second.set_expected(10);
        progress.begin(&source("s3://b/a\tb"), 50, Meter::new(Arc::clone(&first)));
        delivery.wrote(30, Instant::now());
        first.add_retry();
        let now = progress.now();
        assert_eq!((&*now.items[0].name, &*now.items[0].uri), ("s3://b/a\\tb", "s3://b/a\tb"));
        assert_eq!((now.items[0].done, now.items[0].total), (80, Some(150)));
        assert_eq!((now.done(), now.total(), now.retries, now.hedges), (80, None, 1, 0));
        progress.begin(&source("s3://b/b"), 0, Meter::new(Arc::clone(&second)));
        delivery.wrote(75, Instant::now());
        second.add_retry();
        second.add_hedge();
        let now = progress.now();
        assert_eq!(now.items.iter().map(|item| item.done).collect::<Vec<_>>(), [150, 5]);
        assert_eq!((now.done(), now.total(), now.retries, now.hedges), (155, Some(160), 2, 1));
    }

    #[test]
    fn of_many_objects_the_latest_are_kept_and_the_others_counted() {
        let delivery = Arc::new(WriteProgress::since(Instant::now()));
        let progress = RunProgress::new(None, Arc::clone(&delivery));
        for number in 0..1000 {
            let counters = Arc::new(Counters::default());
            counters.set_expected(10);
            counters.add_retry();
            let source: Source = format!("s3://b/{number}").parse().expect("a URI");
            progress.begin(&source, 0, Meter::new(counters));
            delivery.wrote(10, Instant::now());
        }
        let now = progress.now();
        assert_eq!((now.begun, now.objects, now.total(), now.items.len()), (1000, None, None, SHOWN_MAX));
        assert!(now.items.iter().all(|item| item.done == 10));
        progress.set_objects(Some(1000));
        let now = progress.now();
        assert_eq!((now.done(), now.total(), now.retries), (10_000, Some(10_000), 1000));
    }
}
