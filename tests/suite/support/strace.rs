//! Runs of the program under strace, which makes its system calls fail or kills it at one of them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use tempfile::NamedTempFile;

use super::fault_server::FaultServer;
use super::object::CHUNK;
use super::run::S3fcp;

const STRACE: &str = "/usr/bin/strace";

/// Returns whether the program can be traced here; says so if it cannot.
pub(crate) fn can_trace() -> bool {
    let traced = S3fcp::shell(&format!("exec {STRACE} -f -qq -o /dev/null s3fcp --version")).start().wait();
    let can = traced.code() == Some(0);
    if !can {
        eprintln!("SKIPPED: strace is not there or may not trace: {}", traced.stderr);
    }
    can
}

/// Runs the program with `args` in `folder`; strace does `what` to some of its calls of `call`, counted in each thread.
pub(crate) fn injected(
    server: &FaultServer,
    folder: &Path,
    call: &str,
    what: &str,
    args: &str,
) -> Option<i32> {
    traced(server, folder, &format!("-o /dev/null -e trace={call} -e inject={call}:{what}"), args)
}

fn traced(server: &FaultServer, folder: &Path, options: &str, args: &str) -> Option<i32> {
    let line = format!(
        "exec {STRACE} -f -qq {options} s3fcp --endpoint {} -c 4 --chunk-size {CHUNK} --hedge off {args}",
        server.endpoint()
    );
    S3fcp::shell(&format!("cd '{}' && {line}", folder.display())).start().wait().code()
}

/// A run of which some calls failed.
pub(crate) struct FailedCalls {
    pub(crate) exit_code: Option<i32>,
    /// Whether any call failed.
    pub(crate) any: bool,
    /// The calls that failed by their names in strace's log, and what they were about: files that were written before,
    /// folders that were synced, and new names.
    pub(crate) of_outputs: Vec<String>,
}

/// Runs the program with `args` in `folder`, where the `nth` call of `call` in each thread fails with `error`: of those
/// that concern the folder or its `files`.
pub(crate) fn failing(
    server: &FaultServer,
    folder: &Path,
    files: &[&str],
    (call, error, nth): (&str, &str, usize),
    args: &str,
) -> FailedCalls {
    let log = NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a file");
    let at = folder.display();
    let paths: Vec<_> = files.iter().map(|name| format!("-P {at}/{name} -P {at}/{name}.part")).collect();
    let paths = paths.join(" ");
    let options = format!(
        "-y -o {} -P {at} {paths} -e trace=write,writev,{call} -e inject={call}:error={error}:when={nth}",
        log.path().display()
    );
    let exit_code = traced(server, folder, &options, args);
    let log = fs::read_to_string(&log).expect("a log");
    let (mut any, mut of_outputs) = (false, Vec::new());
    let (mut begun, mut written) = (HashMap::new(), HashSet::new());
    for line in log.lines() {
        let Some((thread, text)) = line.split_once(' ') else { continue };
        let text = text.trim_start();
        // A call that another one interrupts in the log has two lines.
        if let Some(first) = text.strip_suffix("<unfinished ...>") {
            begun.insert(thread.to_owned(), first.to_owned());
            continue;
        }
        let whole = match text.strip_prefix("<... ") {
            Some(rest) => begun.remove(thread).unwrap_or_default() + rest,
            None => text.to_owned(),
        };
        let is_write = whole.starts_with("write");
        // FILE or FILE.part, or the folder: 7</path/FILE.part>.
        let about = whole.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let about = about.map_or(String::new(), |(path, _)| path.replace(".part", ""));
        if whole.ends_with("(INJECTED)") {
            any = true;
            if written.contains(&about) || whole.starts_with("rename") || whole.starts_with("fsync") {
                of_outputs.push(whole);
            }
        } else if is_write && Path::new(&about).starts_with(folder) {
            written.insert(about);
        }
    }
    FailedCalls { exit_code, any, of_outputs }
}
