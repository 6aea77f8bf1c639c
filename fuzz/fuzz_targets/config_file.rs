//! The configuration file; what must hold is in src/fuzzing/config.rs.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| s3fcp::fuzzing::config::config_file(data));
