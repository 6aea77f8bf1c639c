//! A whole download; what must hold is in src/fuzzing/exchange.rs.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| s3fcp::fuzzing::exchange::exchange(data));
