//! The program tested from outside: the binary against servers, over real sockets. Nearly all servers run in this
//! process; `servers` adds other people's, if they are installed.
//!
//! It is a single test binary, so that there is a single link step. `support` has what the tests share, and each other
//! folder the tests of one topic. Nothing reaches beyond loopback, and nothing depends on how fast the machine is:
//! where order matters, gates decide it.

#![allow(clippy::type_complexity, reason = "tables of closures are easier to read without an alias for each")]

#[path = "../../build.rs"]
#[expect(dead_code, clippy::print_stdout, reason = "its main is for cargo, and prints what cargo reads")]
mod build_script;
mod support;

mod architecture;
mod checksum;
mod cli;
mod credentials;
mod docs;
mod download;
mod examples;
mod faults;
mod output;
mod prose;
mod public_api;
mod random;
mod request;
mod servers;
