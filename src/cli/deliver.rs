//! The loop that moves bytes from the sequence of downloads to the writer, until the end, a failure, a signal or a time
//! limit.

use std::io;
use std::sync::Arc;

use crate::cli::objects::Objects;
use crate::cli::observers::Observers;
use crate::cli::stop::StopReason;
use crate::download::memory::frame::Frame;
use crate::download::stream::Download;
use crate::download::verdict::Verdict;
use crate::error::{Error, ErrorKind, Result};
use crate::output::part_file::ObjectFacts;
use crate::output::sink::Sink;
use crate::output::stream::StreamOutput;
use crate::output::write_progress::WriteProgress;
use crate::output::writer::Writer;
use crate::s3::range_spec::RangeSpec;

/// Up to this many connections the runtime's thread writes too: it has the time, and the bytes are still in its cache.
/// Measured: with more connections the bytes are cold, and its time is better spent on reading.
const DIRECT_WRITE_MAX_CONNECTIONS: usize = 2;

/// How a delivery ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliveryOutcome {
    /// Every byte was written.
    Complete(Verdict),
    /// Something outside ended it.
    Stopped {
        /// The reason for the end.
        by: StopReason,
        /// Set if [`WriteProgress::bytes`] is exactly what was written, and the reader is still there. It is not if a
        /// write is stuck because a pipe is full: the system says how much went out only when the write returns.
        is_known: bool,
    },
}

/// The objects of a sequence that go into one output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliveryScope {
    /// The current one and all after it.
    AllObjects,
    /// The current one alone.
    OneObject,
}

/// Writes what of `sequence`, whose current object has begun, is in `scope` to `sink`, and counts in `delivery` what is
/// written. Ends early when `stop` resolves.
pub(crate) async fn deliver(
    sequence: &mut Objects,
    scope: DeliveryScope,
    sink: &mut Sink,
    delivery: &Arc<WriteProgress>,
    stop: impl Future<Output = StopReason>,
    observers: &mut Observers,
) -> Result<DeliveryOutcome> {
    let mut writer = Writer::start(sink.file().map_err(Error::output)?, delivery);
    let closed = sink.closed();
    let all = async {
        let ended = tokio::select! {
            biased;
            ended = feed(sequence, scope, sink, &mut writer, observers) => Some(ended),
            () = closed => None,
        };
        // Flush what was queued before reporting the error; a write error takes precedence.
        writer.end().await.and(ended.unwrap_or(Ok(())))?;
        let is_last = scope == DeliveryScope::OneObject || sequence.is_last();
        if delivery.bytes() < sequence.bytes() || !is_last {
            return Err(Error::output(io::ErrorKind::BrokenPipe.into()));
        }
        // A reader that knew the size may leave before the checksum is known.
        sequence.next_frame().await.transpose()?;
        let unproven = || Error::new(ErrorKind::Other, "nothing proves that every object is complete");
        Ok(DeliveryOutcome::Complete(sequence.verdict().ok_or_else(unproven)?))
    };
    let by = tokio::select! {
        biased;
        ended = all => return ended,
        by = stop => by,
    };
    let is_written = writer.stop(delivery).await;
    Ok(DeliveryOutcome::Stopped {
        by,
        is_known: is_written && !sink.stream().is_some_and(StreamOutput::has_lost_reader),
    })
}

/// Passes all frames to the writer, or as many as it takes: if it has stopped, it reports the reason itself.
async fn feed(
    sequence: &mut Objects,
    scope: DeliveryScope,
    sink: &mut Sink,
    writer: &mut Writer<Frame>,
    observers: &mut Observers,
) -> Result<()> {
    loop {
        while let Some(frame) = sequence.next_frame().await {
            let frame = frame?;
            observers.objects_known(sequence);
            sink.announce(&frame)?;
            let connections = sequence.current().map_or(0, Download::connections_allowed);
            let is_direct = connections <= DIRECT_WRITE_MAX_CONNECTIONS;
            let taken = if is_direct { writer.write(frame).await } else { writer.send(frame).await };
            if !taken {
                return Ok(());
            }
        }
        if scope == DeliveryScope::OneObject {
            return Ok(());
        }
        match sequence.next_object().await {
            None => return Ok(()),
            Some(started) => started?,
        }
        if let Some(download) = sequence.current() {
            sink.begin(&facts(download, None))?;
            observers.object_begins(sequence);
        }
    }
}

/// Describes the object of `download`, of which the user `asked` for a range, to the output.
pub(crate) fn facts(download: &Download, asked: Option<RangeSpec>) -> ObjectFacts<'_> {
    ObjectFacts { source: download.source(), asked, info: download.info(), range: download.range() }
}
