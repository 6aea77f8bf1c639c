//! Notes on how far the bytes are proven: a line on stderr, once a run.

use std::io::Write as _;

use crate::cli::stderr::Console;
use crate::download::stream::Download;
use crate::s3::address::source::Source;

/// The notes of one run that were printed.
#[derive(Debug, Default)]
pub(crate) struct IntegrityNotes {
    is_one_response_noted: bool,
}

impl IntegrityNotes {
    /// Prints a note before the first bytes of `download` if they come in one response, which is slower.
    pub(crate) fn object_begins(&mut self, download: &Download) {
        if download.is_one_response() && !std::mem::replace(&mut self.is_one_response_noted, true) {
            print(&format!(
                "s3fcp: {}: no strong ETag shows whether ranges are of one version, so it comes in one response, which is \
                 slower; --unsafe-ranges requests ranges all the same\n",
                download.source()
            ));
        }
    }
}

/// Prints a note that `source` was not compared with a checksum although the store may have one.
pub(crate) fn unverified(source: &Source, why: &str) {
    print(&format!(
        "s3fcp: warning: {source}: not compared with the store's checksum: {why}; --checksum require insists on it\n"
    ));
}

fn print(line: &str) {
    // A stderr that is gone does not make a download fail.
    let _ = Console.write_all(line.as_bytes());
}
