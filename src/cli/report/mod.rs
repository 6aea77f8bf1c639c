//! What is printed beside the object's bytes: `--info`, `--stats`, and how a run ended, as text or JSON.

pub(crate) mod end;
pub(crate) mod format;
pub(crate) mod info;
pub(crate) mod last_lines;
pub(crate) mod stats;
