//! The command line: its arguments, what it prints about objects and about itself, its log, its figures, and the text
//! of every message.

mod info;
mod last_line;
mod log;
mod named_pipes;
mod process;
mod resume_hint;
mod server_messages;
mod snapshots;
mod stats;
mod time_limit;
mod usage;
mod version_and_completions;
