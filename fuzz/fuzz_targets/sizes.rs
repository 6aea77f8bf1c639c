//! Sizes with units; what must hold is in src/fuzzing/mod.rs.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| s3fcp::fuzzing::sizes(data));
