//! What a run was waiting for when its time was over, in the words of its message.

use std::path::Path;

use crate::cli::invocation::Invocation;
use crate::cli::objects::Objects;
use crate::download::client::Client;
use crate::download::stream::Download;
use crate::error::printable::Visible;
use crate::output::destination::Destination;
use crate::output::write_progress::WriteProgress;

/// Before there is a client: files, metadata services, sign-on services and processes are asked.
pub(crate) const SETTINGS: &str = "settings or credentials";

/// Returns what is waited for before the first response.
pub(crate) fn before_response(invocation: &Invocation, client: &Client) -> String {
    let origins = client.origins();
    match (&invocation.list, origins.awaited()) {
        (_, Some(awaited)) => awaited,
        (Some(list), None) if !origins.has_any() => format!("the first line of {}", list.shown()),
        // A server that is busy names a time, and every failed attempt is followed by a pause.
        _ => "the next attempt".to_owned(),
    }
}

/// Returns the name of the pipe `path` that no process reads.
pub(crate) fn reader_of(path: &Path) -> String {
    format!("a reader of {}", Visible(&path.to_string_lossy()))
}

/// Returns what is waited for after the first response; `is_written` unless a write is stuck.
pub(crate) fn during_delivery(
    invocation: &Invocation,
    client: &Client,
    sequence: &Objects,
    delivery: &WriteProgress,
    is_written: bool,
) -> String {
    if !is_written || is_mostly_writing(delivery) {
        let output = match &invocation.target {
            Destination::Stdout { .. } => "stdout".to_owned(),
            Destination::File { path, .. } => Visible(&path.to_string_lossy()).to_string(),
        };
        return format!("{output} to accept bytes");
    }
    if let Some(download) = sequence.current()
        && delivery.bytes() < sequence.bytes()
    {
        return format!("bytes of {}", Download::source(download));
    }
    match (&invocation.list, client.origins().awaited()) {
        (_, Some(awaited)) => awaited,
        (Some(list), None) => format!("the next line of {}", list.shown()),
        (None, None) => "the next attempt".to_owned(),
    }
}

/// Returns whether most of the time since the first byte was spent in writing.
fn is_mostly_writing(delivery: &WriteProgress) -> bool {
    let since_first = delivery.first_byte().map(|first| delivery.elapsed().saturating_sub(first));
    since_first.is_some_and(|since| 2 * delivery.writing() > since)
}
