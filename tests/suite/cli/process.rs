//! The process as the first one of a container, its signals, its stack and its address space.

use std::process::{Command, Stdio};

use s3server::Server;

use crate::support::files::file;
use crate::support::notes::tell;
use crate::support::object::{SIZE, object};
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY, URI};
use crate::support::table;

/// As PID 1 a process has no default actions: a closed pipe and a signal must still end it, as a shell would show.
#[test]
#[cfg(target_os = "linux")]
fn as_pid_1_a_signal_before_the_first_byte_ends_it_as_a_shell_shows() {
    let program = env!("CARGO_BIN_EXE_s3fcp");
    let can_unshare =
        Command::new("unshare").args(["--pid", "--fork", "true"]).stderr(Stdio::null()).status();
    if !can_unshare.is_ok_and(|status| status.success()) {
        tell("SKIPPED PID 1: this user makes no PID namespaces");
        return;
    }
    let ignored = ignored_signals();
    for (signal, number) in [("HUP", 1), ("INT", 2), ("QUIT", 3), ("USR1", 10), ("TERM", 15)] {
        if ignored >> (number - 1) & 1 == 1 {
            tell(&format!(
                "SKIPPED PID 1 and SIG{signal}: it is ignored here, as by nohup or in the background of a script, and a program \
                 keeps ignoring what it found ignored"
            ));
            continue;
        }
        // A listener that never answers; its own for each run, which may leave a second connection open.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        // The test is outside of the namespace: it sends the signal to the only child of unshare, once the connection
        // is there.
        let run = Command::new("unshare")
            .args(["--pid", "--fork", program, "--no-sign-request", "--region", "r", "--endpoint", &endpoint])
            .arg("s3://bucket/key")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut run = run.expect("unshare");
        let connection = listener.accept().expect("a connection");
        let child = child_of(run.id()).expect("the child of unshare");
        let sent = Command::new("kill").args(["-s", signal, &child]).status();
        assert!(sent.expect("kill").success());
        assert_eq!(run.wait().expect("an end").code(), Some(128 + number), "{signal}");
        drop(connection);
    }
}

/// The first thread's stack is what the shell allows; below some 100 KiB it would overflow.
#[test]
#[cfg(target_os = "linux")]
fn a_small_limit_of_the_stack_does_not_matter() {
    let store = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).tls().start();
    store.put("bucket", "key", object(SIZE));
    let bundle = file(store.ca_pem());
    let endpoint = store.endpoint();
    for stack in ["16", "64", "128", "1024", "unlimited"] {
        let command = format!("ulimit -S -s {stack}; exec s3fcp --endpoint {endpoint} {URI}");
        let run = S3fcp::shell(&command).env("AWS_CA_BUNDLE", bundle.path());
        run.start().wait().assert_object(&object(SIZE));
        let refused = S3fcp::shell(&format!("ulimit -S -s {stack}; exec s3fcp --frobnicate")).start().wait();
        assert_eq!(refused.code(), Some(2), "{stack}: {}", refused.stderr);
    }
    let outcome =
        S3fcp::shell(&format!("ulimit -S -s 64; exec s3fcp --endpoint {endpoint} s3://bucket/none"))
            .env("AWS_CA_BUNDLE", bundle.path())
            .start()
            .wait();
    outcome.assert_failed(3, &[]);
}

/// Batch schedulers limit the address space. An allocation that is refused ends the process by SIGABRT.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn a_limit_of_the_address_space_bounds_the_window_whatever_else_is_asked_for() {
    const LARGE: u64 = 96 << 20;
    let store = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    let large = object(LARGE);
    store.put("bucket", "key", large.clone());
    let endpoint = store.endpoint();
    // In KiB, beyond what the program has mapped at its start, which is much more without optimization.
    let table = [
        ("little", (24_000, "", 0)),
        ("some", (44_000, "", 0)),
        ("connections", (44_000, "-c 8", 0)),
        ("more connections", (84_000, "-c 32", 0)),
        ("threads", (84_000, "--threads 8", 0)),
        ("a limit of memory", (44_000, "--max-memory 512MiB", 0)),
        ("too little", (10_000, "", 1)),
    ];
    let waiting = S3fcp::at(&endpoint).stdin(Stdio::piped()).args(["--from", "-"]).start();
    let mapped = std::iter::repeat_with(|| mapped_kib(waiting.id())).find(|kib| *kib > 0).expect("a size");
    table::each(&table, |(beyond, args, code)| {
        let limit = mapped + beyond;
        // The reader is late, so that the window fills.
        let command = format!(
            "{{ (ulimit -v {limit}; s3fcp {args} --endpoint {endpoint} {URI}); echo $? >&2; }} | (sleep 1; cat)"
        );
        let outcome = S3fcp::shell(&command).start().wait();
        assert_eq!(outcome.stderr.lines().last(), Some(&*code.to_string()), "{}", outcome.stderr);
        if *code == 0 {
            assert!(outcome.stdout == large, "{} bytes", outcome.stdout.len());
        } else {
            assert!(outcome.stderr.contains("address space") && outcome.stderr.contains("ulimit -v"));
        }
    });
}

/// Returns the address space of a process that has started a thread, 0 before that.
#[cfg(target_os = "linux")]
fn mapped_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let field = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        value.trim().trim_end_matches(" kB").parse().unwrap_or(0)
    };
    if field("Threads:") > 1 { field("VmSize:") } else { 0 }
}

/// Returns the signals that this process ignores, as do the programs that it starts: bit N - 1 stands for signal N.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t"));
    mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0)
}

/// Returns the process whose parent is `parent`.
fn child_of(parent: u32) -> Option<String> {
    let wanted = format!("PPid:\t{parent}\n");
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let status = std::fs::read_to_string(entry.path().join("status")).ok()?;
        status.contains(&wanted).then(|| entry.file_name().to_string_lossy().into_owned())
    })
}
