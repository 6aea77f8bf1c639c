//! What is printed beside the bytes: `--info` and `--stats`, as text or JSON.

pub(crate) mod format;
pub(crate) mod info;
pub(crate) mod stats;
