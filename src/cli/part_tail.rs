//! The last bytes of a part file that a killed run left, compared with the object.
//!
//! A run that is killed notes nothing of its end: what somebody has appended since, or zeros that a file system shows, look
//! like bytes of its own. They are at the end of the file, so its last bytes show them.

use crate::download::client::Client;
use crate::download::options::{ChecksumMode, Hedge, Options};
use crate::error::Result;
use crate::output::part_file::PartFile;
use crate::output::resume::ResumePoint;
use crate::s3::address::source::Source;
use crate::s3::range_spec::RangeSpec;

/// Bytes that are compared: about what a new connection brings in one round trip (RFC 6928).
const TAIL_BYTES: u64 = 16 << 10;

/// Returns whether the bytes of `part` before `resume` end as the object does there, of which `options` name the
/// version. They do if nobody has written to the file since a run noted its end.
pub(crate) async fn is_of_object(
    client: &Client,
    source: &Source,
    options: &Options,
    part: &PartFile,
    resume: &ResumePoint,
) -> Result<bool> {
    let Some((piece, written)) = resume.within.as_ref().filter(|_| !resume.is_untouched) else {
        return Ok(true);
    };
    let count = TAIL_BYTES.min(*written);
    let (first, end) = (piece.start + written - count, piece.start + written);
    let options = Options {
        range: Some(RangeSpec::Between { first, last: end - 1 }),
        checksum: ChecksumMode::Off,
        hedge: Hedge::Off,
        ..options.clone()
    };
    let mut had = Vec::new();
    let mut reader = part.read_back(resume.length - count, count)?;
    while let Some(bytes) = reader.next().await? {
        had.extend_from_slice(bytes);
    }
    let mut download = client.download(source.clone(), &options).await?;
    let mut at = 0;
    while let Some(frame) = download.next_frame().await {
        let frame = frame?;
        if had.get(at..at + frame.len()) != Some(&*frame) {
            return Ok(false);
        }
        at += frame.len();
    }
    Ok(at == had.len())
}
