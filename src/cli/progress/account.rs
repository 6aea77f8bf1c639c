//! What there is to download, and how far it is.
//!
//! It gets each object as it begins, and hands on snapshots of all of them. It shows nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::download::meter::Meter;
use crate::output::written::WriteProgress;
use crate::s3::address::source::Source;

/// The objects of a run.
pub(super) struct RunProgress {
    objects: usize,
    delivery: Arc<WriteProgress>,
    begun: Mutex<Vec<BegunObject>>,
}

struct BegunObject {
    name: Arc<str>,
    uri: Arc<str>,
    had: u64,
    /// What was delivered of the objects before.
    before: u64,
    meter: Meter,
}

/// How far everything is at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// How many objects there are in all.
    pub(super) objects: usize,
    /// Those that have begun; the last one is under way.
    pub(super) items: Vec<ObjectProgress>,
    /// Bytes that this run delivered.
    pub(super) delivered: u64,
    /// Bytes that an earlier one had delivered of these objects.
    pub(super) had: u64,
    /// Since the process began, as in the figures of `--stats`.
    pub(super) elapsed: Duration,
    pub(super) retries: u64,
    pub(super) hedges: u64,
}

/// An object that has begun, or the part of it that is asked for.
#[derive(Debug)]
pub(super) struct ObjectProgress {
    /// For terminals and logs: without control characters.
    pub(super) name: Arc<str>,
    /// For programs: as it is.
    pub(super) uri: Arc<str>,
    /// Its bytes that were there at the beginning.
    pub(super) had: u64,
    /// Its bytes that are there now.
    pub(super) done: u64,
    pub(super) total: u64,
}

impl RunProgress {
    pub(super) fn new(objects: usize, delivery: Arc<WriteProgress>) -> Self {
        Self { objects, delivery, begun: Mutex::default() }
    }

    pub(super) fn begin(&self, source: &Source, had: u64, meter: Meter) {
        let (name, uri) = (source.to_string().into(), source.raw().into());
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let before = begun.iter().map(|object| object.meter.total()).sum();
        begun.push(BegunObject { name, uri, had, before, meter });
    }

    pub(super) fn now(&self) -> Snapshot {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let delivered = self.delivery.bytes();
        let items = begun.iter().map(|object| {
            let BegunObject { name, uri, had, before, meter } = object;
            let new = delivered.saturating_sub(*before).min(meter.total());
            let (name, uri) = (Arc::clone(name), Arc::clone(uri));
            ObjectProgress { name, uri, had: *had, done: had + new, total: had + meter.total() }
        });
        Snapshot {
            objects: self.objects,
            items: items.collect(),
            delivered,
            had: begun.iter().map(|object| object.had).sum(),
            elapsed: self.delivery.elapsed(),
            retries: begun.iter().map(|object| object.meter.retries()).sum(),
            hedges: begun.iter().map(|object| object.meter.hedges()).sum(),
        }
    }
}

impl Snapshot {
    /// The bytes of these objects that are there.
    pub(super) fn done(&self) -> u64 {
        self.had + self.delivered
    }

    /// Bytes a second of the whole run.
    pub(super) fn average(&self) -> u64 {
        let per_second = u128::from(self.delivered) * 1_000_000 / self.elapsed.as_micros().max(1);
        u64::try_from(per_second).unwrap_or(u64::MAX)
    }

    /// The bytes of all objects; `None` until the last one has begun, for what has not is of unknown size.
    pub(super) fn total(&self) -> Option<u64> {
        (self.items.len() >= self.objects).then(|| self.items.iter().map(|item| item.total).sum())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Instant;

    use super::*;
    use crate::download::counters::Counters;

    pub(in super::super) const GIB: u64 = 1 << 30;

    pub(in super::super) fn item(name: &str, had: u64, total: u64, done: u64) -> ObjectProgress {
        ObjectProgress { name: name.into(), uri: name.into(), had, done, total }
    }

    /// After two seconds, with nothing wrong.
    pub(in super::super) fn snapshot(items: Vec<ObjectProgress>) -> Snapshot {
        let had = items.iter().map(|item| item.had).sum();
        Snapshot {
            objects: items.len(),
            delivered: items.iter().map(|item| item.done).sum::<u64>() - had,
            had,
            items,
            elapsed: Duration::from_secs(2),
            retries: 0,
            hedges: 0,
        }
    }

    #[test]
    fn what_is_delivered_belongs_to_one_object_after_the_other() {
        let delivery = Arc::new(WriteProgress::since(Instant::now()));
        let account = RunProgress::new(2, Arc::clone(&delivery));
        let (first, second) = (Arc::new(Counters::default()), Arc::new(Counters::default()));
        let source = |text: &str| text.parse::<Source>().expect("a URI");
        account.begin(&source("s3://b/a\tb"), 50, Meter::new(Arc::clone(&first), 100));
        delivery.wrote(30, Instant::now());
        first.add_retry();
        let now = account.now();
        assert_eq!((&*now.items[0].name, &*now.items[0].uri), ("s3://b/a\\tb", "s3://b/a\tb"));
        assert_eq!((now.items[0].done, now.items[0].total), (80, 150));
        assert_eq!((now.done(), now.total(), now.retries, now.hedges), (80, None, 1, 0));
        account.begin(&source("s3://b/b"), 0, Meter::new(Arc::clone(&second), 10));
        delivery.wrote(75, Instant::now());
        second.add_retry();
        second.add_hedge();
        let now = account.now();
        assert_eq!(now.items.iter().map(|item| item.done).collect::<Vec<_>>(), [150, 5]);
        assert_eq!((now.done(), now.total(), now.retries, now.hedges), (155, Some(160), 2, 1));
    }
}
