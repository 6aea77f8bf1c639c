//! The end of a program that has a bug: a panic in any thread ends the process with exit code 1 and a message that says
//! so, and no core dump keeps the keys that are in memory.

use std::panic::{self, PanicHookInfo};
use std::sync::Arc;

use signal_hook::low_level;

use crate::cli::outcome::RunEnd;
use crate::cli::report::last_lines::LastLines;
use crate::error::printable::printable;
use crate::error::{Error, ErrorKind};
use crate::output::write_progress::WriteProgress;

/// Prepares the process for bugs. It ends in the panic hook itself: a panic in one thread would otherwise leave the
/// others waiting for it, and an abort would look like a crash. `lines` are the last lines that are asked for, and
/// `delivery` counts what the run delivers.
pub(crate) fn prepare(lines: LastLines, delivery: &Arc<WriteProgress>) {
    #[cfg(target_os = "linux")]
    {
        // Also keeps other processes of the same user from reading its memory. An error would change nothing.
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
    let delivery = Arc::clone(delivery);
    panic::set_hook(Box::new(move |info| {
        let bug = bug(info);
        let exit_code = bug.exit_code();
        RunEnd::from(bug).report(lines, &delivery);
        low_level::exit(exit_code.into());
    }));
}

fn bug(info: &PanicHookInfo<'_>) -> Error {
    let place = info.location().map_or_else(String::new, |place| format!(" at {place}"));
    let why = info.payload_as_str().map_or_else(String::new, |why| format!(": {}", printable(why)));
    Error::new(ErrorKind::Other, format!("this is a bug in s3fcp{place}{why}")).with_hint(
        "what was delivered so far is right; please report this message with the output of s3fcp --version",
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Instant;
    use std::{env, thread};

    use super::*;

    const IS_CHILD: &str = "S3FCP_TEST_PANICS";

    /// The test runs itself as another process, which panics in a thread that nobody waits for.
    #[test]
    fn a_panic_in_any_thread_ends_the_process_with_1_and_says_that_it_is_a_bug() {
        if env::var_os(IS_CHILD).is_some() {
            let lines = LastLines::asked_for_by(["--progress=json", "--stats=json"].map(Into::into));
            let delivery = Arc::new(WriteProgress::since(Instant::now()));
            delivery.wrote(7, Instant::now());
            prepare(lines, &delivery);
            #[cfg(target_os = "linux")]
            assert_eq!(
                rustix::process::dumpable_behavior(),
                Ok(rustix::process::DumpableBehavior::NotDumpable),
                "a core dump would hold the keys"
            );
            thread::spawn(|| panic!("a \u{1b}[2J test"));
            loop {
                thread::park();
            }
        }
        let name =
            "cli::crash::tests::a_panic_in_any_thread_ends_the_process_with_1_and_says_that_it_is_a_bug";
        let this = env::current_exe().expect("this test");
        let output = Command::new(this)
            .args([name, "--exact", "--nocapture"])
            .env(IS_CHILD, "1")
            .output()
            .expect("it runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        for part in ["s3fcp: this is a bug in s3fcp at ", "crash.rs", "a \\u{1b}[2J test\n  hint: "] {
            assert!(stderr.contains(part), "no {part:?} in {stderr}");
        }
        let lines: Vec<serde_json::Value> =
            stderr.lines().rev().take(2).map(|line| serde_json::from_str(line).expect("JSON")).collect();
        for line in &lines {
            assert_eq!((&line["exit_code"], &line["error"]["kind"]), (&1.into(), &"other".into()), "{line}");
            assert_eq!((&line["bytes"], &line["resume"]), (&7.into(), &serde_json::Value::Null), "{line}");
        }
        assert_eq!(lines[1]["state"], "failed", "the line of --progress is before that of --stats");
    }
}
