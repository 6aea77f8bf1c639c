//! Checksums of whole objects: compared where the store declares one (`auto`), or demanded (`require`).

pub(crate) mod auto;
mod required;
