//! Checksums of whole objects: compared where the store declares one (`auto`), or demanded (`require`).

mod auto;
mod required;
