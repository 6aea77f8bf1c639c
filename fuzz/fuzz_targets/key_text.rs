//! The value of --sse-c-key; what must hold is in src/fuzzing/config.rs.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| s3fcp::fuzzing::config::key_text(data));
