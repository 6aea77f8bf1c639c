//! Where the bytes go: stdout, a file, a pipe or a terminal, and what is reported beside them when a run is
//! interrupted, its reader goes away, or its output takes nothing.

mod file;
mod file_crash;
mod file_each;
mod file_kinds;
mod file_owners;
mod file_resume;
mod file_safety;
mod file_time;
mod file_twice;
mod file_urls;
mod foreign_bytes;
mod inherited;
mod interrupt;
mod lost_writes;
mod nonblocking;
mod planted_files;
mod progress;
mod reader_closes;
mod sidecar_fields;
mod stdout;
mod terminal;
mod unwritable_stderr;
