//! What happens if the program has a bug: a panic in any thread ends the process with exit code 1 and a message that
//! says so, and no core dump keeps the keys that are in memory.

use std::io::Write;
use std::panic::{self, PanicHookInfo};

use signal_hook::low_level;

use crate::error::printable::printable;

/// The exit code of a bug, that of [`ErrorKind::Other`](crate::ErrorKind).
const EXIT_CODE: i32 = 1;

/// Prepares the process for bugs. It ends in the panic hook itself: a panic in one thread would otherwise leave the
/// others waiting for it, and an abort would look like a crash.
pub(crate) fn prepare() {
    #[cfg(target_os = "linux")]
    {
        // Also keeps other processes of the same user from reading its memory. An error would change nothing.
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
    panic::set_hook(Box::new(|info| {
        let _ = std::io::stderr().write_all(message(info).as_bytes());
        low_level::exit(EXIT_CODE);
    }));
}

fn message(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(String::new, |place| format!(" at {place}"));
    let why = info.payload_as_str().map_or_else(String::new, |why| format!(": {}", printable(why)));
    format!(
        "s3fcp: this is a bug in s3fcp{place}{why}\n  hint: what was delivered so far is right; please report this \
         message with the output of s3fcp --version\n"
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::{env, thread};

    use super::*;

    const IS_CHILD: &str = "S3FCP_TEST_PANICS";

    /// The test runs itself as another process, which panics in a thread that nobody waits for.
    #[test]
    fn a_panic_in_any_thread_ends_the_process_with_1_and_says_that_it_is_a_bug() {
        if env::var_os(IS_CHILD).is_some() {
            prepare();
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
        assert_eq!(output.status.code(), Some(EXIT_CODE), "{stderr}");
        for part in ["s3fcp: this is a bug in s3fcp at ", "crash.rs", "a \\u{1b}[2J test\n  hint: "] {
            assert!(stderr.contains(part), "no {part:?} in {stderr}");
        }
    }
}
