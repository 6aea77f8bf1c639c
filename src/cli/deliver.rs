//! The way of the bytes: from a sequence of downloads to the writer, until the end, a failure or a signal.
//!
//! It keeps what a terminal cannot show away from it. It never looks at what the bytes
//! are written to.

use std::io;
use std::sync::Arc;

use crate::download::memory::frame::Frame;
use crate::download::sequence::ObjectSequence;
use crate::download::stream::Download;
use crate::error::{Error, Result};
use crate::output::part_file::ObjectFacts;
use crate::output::sink::Sink;
use crate::output::writer::Writer;
use crate::output::written::WriteProgress;
use crate::s3::range_spec::RangeSpec;

/// With so few connections the thread that reads has the time to write too, and its bytes are warm. Measured: with
/// more they are cold, and it is better for reading than for writing.
const DIRECT: usize = 2;

/// How a download ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliveryOutcome {
    /// Every byte was written.
    Complete,
    /// By this signal.
    Interrupted {
        /// Its number.
        signal: i32,
        /// Whether [`WriteProgress::bytes`] is what was written, and whoever reads it is there still. Not where a write
        /// is stuck, because a pipe is full: the system tells how much of it went out only when it returns.
        is_known: bool,
    },
}

/// Writes all of `sequence` to `sink`, and notes in `delivery` what is written; less, when
/// `interrupt` resolves to the number of a signal before the end. The current object of `sequence` has begun.
pub(crate) async fn deliver(
    sequence: &mut ObjectSequence<'_>,
    sink: &mut Sink,
    delivery: &Arc<WriteProgress>,
    interrupt: impl Future<Output = i32>,
    mut began: impl FnMut(&Download),
) -> Result<DeliveryOutcome> {
    let mut writer = Writer::start(sink.file().map_err(Error::output)?, delivery)?;
    let closed = sink.closed();
    let all = async {
        let ended = tokio::select! {
            biased;
            ended = feed(sequence, sink, &mut writer, &mut began) => Some(ended),
            () = closed => None,
        };
        // Whatever ended it, what came before is still written; the writer knows whether all of it could be.
        writer.end().await.and(ended.unwrap_or(Ok(())))?;
        if delivery.bytes() < sequence.bytes() || !sequence.rest().is_empty() {
            return Err(Error::output(io::ErrorKind::BrokenPipe.into()));
        }
        // A reader that knew the size may be gone before it is known whether what it has is right.
        sequence.next_frame().await.transpose()?;
        Ok(DeliveryOutcome::Complete)
    };
    let signal = tokio::select! {
        biased;
        ended = all => return ended,
        signal = interrupt => signal,
    };
    let is_written = writer.stop(delivery).await;
    Ok(DeliveryOutcome::Interrupted { signal, is_known: is_written && !sink.has_lost_reader() })
}

/// Hands all frames to the writer, or as many as it takes: if it is gone, it says why itself.
async fn feed(
    sequence: &mut ObjectSequence<'_>,
    sink: &mut Sink,
    writer: &mut Writer<Frame>,
    began: &mut impl FnMut(&Download),
) -> Result<()> {
    loop {
        while let Some(frame) = sequence.next_frame().await {
            let frame = frame?;
            sink.check(&frame)?;
            let is_direct = sequence.current().connections() <= DIRECT;
            let taken = if is_direct { writer.write(frame).await } else { writer.send(frame).await };
            if !taken {
                return Ok(());
            }
        }
        match sequence.next_object().await {
            None => return Ok(()),
            Some(download) => {
                let download = download?;
                sink.begin(&facts(download, None))?;
                began(download);
            }
        }
    }
}

/// What the sink is to know of the object that `download` brings, of which the user `asked` for a range.
pub(crate) fn facts(download: &Download, asked: Option<RangeSpec>) -> ObjectFacts<'_> {
    ObjectFacts { source: download.source(), asked, info: download.info(), range: download.range() }
}
