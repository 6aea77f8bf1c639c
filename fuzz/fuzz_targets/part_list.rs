//! The lists of an upload's parts; what must hold is in src/fuzzing/files.rs.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| s3fcp::fuzzing::files::part_list(data));
