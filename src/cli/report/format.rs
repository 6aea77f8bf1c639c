//! The formats of descriptions and figures, for people or for programs, and the one form of sizes for people.

use bytesize::ByteSize;

/// The format of a description.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines for people; unknown values are left out.
    #[default]
    Text,
    /// One line of JSON; every key is present, with `null` as an unknown value.
    Json,
}

/// Shows a number of bytes in a binary unit, such as `512.0 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}
