//! Threads that fetch ranges: as many as were asked for, and the bytes stay the same and in order.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use s3server::{Object, Server};

use crate::support::files::folder;
use crate::support::notes::tell;
use crate::support::object::object;
use crate::support::run::{ACCESS_KEY, S3fcp, SECRET_KEY};
use crate::support::table;

#[test]
fn any_number_of_threads_delivers_every_byte_of_every_object_in_order() {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    let bytes = object(12 << 20);
    for (key, object) in [("a", bytes.clone()), ("b", bytes.slice(..1)), ("c", bytes.slice(5 << 20..))] {
        server.put("bucket", key, Object::new(object));
    }
    let want = [bytes.as_ref(), &bytes[..1], &bytes[5 << 20..]].concat();
    for threads in [1_u64, 2, 4, 7] {
        for args in [&[][..], &["-c", "9", "--chunk-size", "256KiB"], &["--max-memory", "34MiB"]] {
            let uris = ["a", "b", "c"].map(|key| format!("s3://bucket/{key}"));
            let run = S3fcp::at(&server.endpoint()).args(&uris).args(args);
            let outcome = run.args(["--stats=json", "--threads", &threads.to_string()]).start().wait();
            outcome.assert_object(&want);
            let stats: serde_json::Value = serde_json::from_str(&outcome.stderr).expect("JSON");
            assert_eq!(stats["threads"], threads, "{args:?}");
        }
    }
}

/// A limit of processes (`ulimit -u`, `pids.max`) leaves the threads that there are. It does not hold for root, who becomes
/// somebody else here.
#[test]
#[cfg(target_os = "linux")]
fn where_no_thread_can_be_made_the_download_uses_those_that_there_are() {
    let nobody = "setpriv --reuid 54321 --regid 54321 --clear-groups ";
    let limited = if rustix::process::geteuid().is_root() { nobody } else { "" }.to_owned()
        + "prlimit --nproc=1:1 s3fcp";
    let run = |args: &str| {
        let run = S3fcp::shell(&format!("exec {limited} {args}"));
        // The home of the test is not readable for others.
        run.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    };
    if run("--version").start().wait().code() != Some(0) {
        tell(
            "SKIPPED no further thread: setpriv or prlimit is not there, or the program is in a folder of this user's alone",
        );
        return;
    }
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    let bytes = object(12 << 20);
    server.put("bucket", "key", Object::new(bytes.clone()));
    for more in ["", "--threads 1", "--threads 4", "-c 9 --chunk-size 256KiB --threads 2"] {
        let endpoint = server.endpoint();
        let outcome = run(&format!("s3://bucket/key --endpoint {endpoint} {more}")).start().wait();
        assert_eq!(outcome.code(), Some(0), "{more}: {}", outcome.stderr);
        assert!(outcome.stdout == bytes, "{more}: {} bytes", outcome.stdout.len());
    }
    // A regular file is read without a thread; whatever may wait for somebody cannot be.
    let folder = folder();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("a folder of this user's");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let config = "[default]\ncredential_process = echo\n";
    for (name, text) in [("list", "s3://bucket/key\n"), ("config", config)] {
        fs::write(at(name), text).expect("a file");
        fs::set_permissions(at(name), Permissions::from_mode(0o644)).expect("a file of this user's");
    }
    let (list, endpoint) = (at("list"), server.endpoint());
    let keys = "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN";
    let own_keys = format!("unset {keys}; AWS_CONFIG_FILE={} ", at("config"));
    let table = [
        ("a list", (format!("{limited} --endpoint {endpoint} --from {list}"), true)),
        ("a list at stdin", (format!("{limited} --endpoint {endpoint} --from - < {list}"), true)),
        ("a pipe", (format!("cat {list} | {limited} --endpoint {endpoint} --from -"), false)),
        (
            "a pipe as the CA bundle",
            (format!("true | {limited} --ca-bundle /dev/fd/0 s3://bucket/key"), false),
        ),
        ("a pipe as the key", (format!("true | {limited} --sse-c-key /dev/fd/0 s3://bucket/key"), false)),
        (
            "credential_process",
            (format!("{own_keys} {limited} --endpoint {endpoint} s3://bucket/key"), false),
        ),
    ];
    table::each(&table, |(command, is_read)| {
        let run = S3fcp::shell(command).env("AWS_CONFIG_FILE", "/dev/null");
        let outcome = run.env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").start().wait();
        if *is_read {
            assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
            assert!(outcome.stdout == bytes, "{} bytes", outcome.stdout.len());
        } else {
            assert_eq!(outcome.code(), Some(1), "{}", outcome.stderr);
            let says = "no further thread or process can be started";
            assert!(
                outcome.stderr.contains(says) && outcome.stderr.contains("ulimit -u"),
                "{}",
                outcome.stderr
            );
        }
    });
}
