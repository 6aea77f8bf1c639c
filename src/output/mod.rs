//! Bytes in order to where they go: stdout, a file, or a place in a file. Knows no download.

pub(crate) mod atomic_file;
pub(crate) mod checkpoint;
pub(crate) mod in_place;
pub(crate) mod part_file;
pub(crate) mod path;
pub(crate) mod pipe;
pub(crate) mod sidecar;
pub(crate) mod sink;
pub(crate) mod stdout_path;
pub(crate) mod stream;
pub(crate) mod target;
pub(crate) mod writer;
pub(crate) mod written;
