//! The output: ordered bytes go to stdout, to a file, or to one piece of a file. It knows nothing of downloads.

pub(crate) mod block_reader;
pub(crate) mod blocking;
pub(crate) mod checkpoint;
pub(crate) mod destination;
pub(crate) mod file_names;
pub(crate) mod finished;
pub(crate) mod folder;
mod helper_names;
pub(crate) mod in_place;
pub(crate) mod part_file;
mod part_identity;
pub(crate) mod path;
pub(crate) mod path_error;
mod permissions;
pub(crate) mod pipe;
pub(crate) mod resume;
pub(crate) mod run_files;
pub(crate) mod sidecar;
pub(crate) mod sink;
pub(crate) mod stdout_path;
pub(crate) mod stream;
mod threadless_writer;
mod unwritten;
pub(crate) mod write_progress;
pub(crate) mod writer;
