//! Observes the objects of a run while it lasts: progress, notes on how far their bytes are proven, and the memory that
//! those before them have left.

use crate::cli::freed_memory::FreedMemory;
use crate::cli::integrity_notes::IntegrityNotes;
use crate::cli::objects::Objects;
use crate::cli::progress::Progress;
use crate::cli::progress::snapshot::Snapshot;
use crate::cli::progress::view::RunOutcome;

pub(crate) struct Observers {
    progress: Progress,
    notes: IntegrityNotes,
    freed: FreedMemory,
}

impl Observers {
    pub(crate) fn new(progress: Progress) -> Self {
        Self { progress, notes: IntegrityNotes::default(), freed: FreedMemory::default() }
    }

    /// Shows the current object of `sequence`, which begins.
    pub(crate) fn object_begins(&mut self, sequence: &Objects) {
        self.freed.object_begins();
        self.objects_known(sequence);
        if let (Some(download), Some(request)) = (sequence.current(), sequence.request()) {
            self.notes.object_begins(download);
            self.progress.begin(download.source(), request.already_written, download.meter());
        }
    }

    /// Shows how many objects `sequence` has, once it knows. Those that an earlier run completed are not counted.
    pub(crate) fn objects_known(&mut self, sequence: &Objects) {
        self.progress.set_objects(sequence.objects());
    }

    /// Ends the progress and returns how far the objects are.
    pub(crate) fn finish(self, outcome: RunOutcome) -> Snapshot {
        self.progress.finish(outcome)
    }
}
