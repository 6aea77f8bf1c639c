//! Responses that echo the request; what must hold is in src/fuzzing/echo.rs.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| s3fcp::fuzzing::echo::echo(data));
