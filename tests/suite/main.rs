//! The program from outside: the binary against servers, over real sockets. Nearly all of them run in this process;
//! `servers` adds some of other people's, where they are installed.
//!
//! One test binary, so that there is one link step. The tools come first, then the tests, from
//! plain downloads to servers that lie. Nothing here reaches beyond loopback, and nothing depends
//! on how fast the machine is: where order matters, gates decide it.

#[path = "../../build.rs"]
#[expect(dead_code, clippy::print_stdout, reason = "its main is for cargo, and prints what cargo reads")]
mod build_script;
mod cases;
mod certificate;
mod fault;
mod object;
mod run;

mod access;
mod at_once;
mod checksum;
mod checksum_required;
mod clock;
mod continuation;
mod credential_sources;
mod discovery;
mod end_to_end;
mod examples;
mod expired;
mod fault_again;
mod fault_itself;
mod fault_lies;
mod fault_resume;
mod fault_stop;
mod faults;
mod file;
mod file_kinds;
mod file_resume;
mod file_urls;
mod hedge;
mod interrupt;
mod itself;
mod keys;
mod limit_rate;
mod log;
mod memory;
mod memory_beside;
mod no_ranges;
mod no_stderr;
mod nonblocking;
mod order;
mod output;
mod progress;
mod proxy;
mod random;
mod ranges;
mod reader_done;
mod redirects;
mod regions;
mod request_headers;
mod said_by_server;
mod servers;
mod settings;
mod several;
mod shards;
mod snapshots;
mod stats;
mod terminal;
mod throttled;
mod tls;
mod urls;
mod usage;
mod versions;
