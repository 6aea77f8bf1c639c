//! The program from outside: the binary against servers in this process, over real sockets.
//!
//! One test binary, so that there is one link step. The tools come first, then the tests, from
//! plain downloads to servers that lie. Nothing here reaches beyond loopback, and nothing depends
//! on how fast the machine is: where order matters, gates decide it.

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
mod discovery;
mod end_to_end;
mod expired;
mod fault_again;
mod fault_itself;
mod fault_lies;
mod fault_resume;
mod fault_stop;
mod faults;
mod hedge;
mod interrupt;
mod keys;
mod memory;
mod memory_beside;
mod no_ranges;
mod no_stderr;
mod nonblocking;
mod order;
mod output;
mod random;
mod ranges;
mod reader_done;
mod real_server;
mod redirects;
mod regions;
mod said_by_server;
mod stats;
mod throttled;
mod tls;
mod usage;
mod versions;
