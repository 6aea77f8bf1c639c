//! Where and when: the lines above the figures, without which they mean nothing.

use std::fs;
use std::thread::available_parallelism;
use std::time::SystemTime;

/// The date, the processor and the system, on one line.
pub(crate) fn describe() -> String {
    let date = httpdate::fmt_http_date(SystemTime::now());
    // `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
    let day = date.get(5..16).unwrap_or(&date);
    let cores = available_parallelism().map_or_else(|_| "?".to_owned(), |n| n.to_string());
    let system = rustix::system::uname();
    format!(
        "{day}; {cores} cores of {}; {} {} {}",
        processor().unwrap_or_else(|| "an unknown processor".to_owned()),
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        system.machine().to_string_lossy(),
    )
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
