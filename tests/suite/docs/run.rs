//! Runs the command blocks of a page as they are typed: one after the other, in one shell and a folder that has docs/
//! alone, against a server that has the objects of the examples.
//!
//! Only the address `http://localhost:9000` is replaced by that of the server.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Seek as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use s3server::{Checksum, EXAMPLE_BUCKET, Object, Server};

use super::markdown::{self, Condition};
use super::{pages, root, text};
use crate::support::checksums::value;
use crate::support::files::folder;
use crate::support::notes::tell;
use crate::support::object::object;
use crate::support::run::{ACCESS_KEY, SECRET_KEY};

/// Far more than a page takes on a loaded machine, in seconds.
const TIME_LIMIT: &str = "300";

/// Starts a server with the objects of the examples.
fn server() -> Server {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    for (key, bytes) in s3server::examples(object(6 << 20).to_vec()) {
        let crc = value("x-amz-checksum-crc64nvme", &bytes);
        server.put(EXAMPLE_BUCKET, key, Object::new(bytes).checksum(Checksum::Crc64Nvme, crc));
    }
    server
}

/// Returns whether `program` is installed.
fn is_installed(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$0\"", program]).stdout(Stdio::null()).status();
    // Some version managers put in a program's place one that only says that it is missing.
    found.is_ok_and(|status| status.success())
        && (program != "aws"
            || Command::new("aws").arg("--version").output().is_ok_and(|o| o.status.success()))
}

/// Returns the page's blocks as one script that says which line it is at, and prints what is left out.
fn script(page: &Path) -> Option<String> {
    let mut script = "set -euo pipefail\n".to_owned();
    let mut run = 0;
    for block in markdown::blocks(&text(page)) {
        match &block.condition {
            Condition::NotRun(reason) => {
                assert!(reason.len() > 15, "{}:{}: say why it is not run", page.display(), block.line);
                continue;
            }
            Condition::Needs(programs) => {
                if let Some(missing) = programs.iter().find(|program| !is_installed(program)) {
                    tell(&format!("SKIPPED doc block {}:{}: no {missing}", page.display(), block.line));
                    continue;
                }
            }
            Condition::Always => {}
        }
        run += 1;
        // Writing into a string cannot fail.
        let _ = write!(script, "echo '{}:{}' >&2\n{}", page.display(), block.line, block.commands);
    }
    (run > 0).then_some(script)
}

/// Runs the blocks of `page` and asserts that they end with 0.
fn run(page: &Path, server: &Server) {
    let Some(script) = script(page) else { return };
    let script = script.replace("http://localhost:9000", &server.endpoint());
    let (home, work) = (folder(), folder());
    let aws = home.path().join(".aws");
    fs::create_dir(&aws).expect("a folder");
    let profile = format!(
        "[profile research]\nregion = us-east-1\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    );
    fs::write(aws.join("config"), profile).expect("a file");
    std::os::unix::fs::symlink(root().join("docs"), work.path().join("docs")).expect("a link");
    let program = Path::new(env!("CARGO_BIN_EXE_s3fcp")).parent().expect("a folder").as_os_str().to_owned();
    let mut path = program;
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut stderr = tempfile::tempfile().expect("a file");
    // A page's output is not looked at, but it must not fill a pipe that nobody reads.
    let status = Command::new("timeout")
        .args([TIME_LIMIT, "bash", "-c", &script])
        .env_clear()
        .env("PATH", path)
        .env("HOME", home.path())
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL_S3", server.endpoint())
        .current_dir(work.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr.try_clone().expect("a file"))
        .status()
        .expect("timeout and bash");
    let mut said = String::new();
    stderr.rewind().expect("a file");
    stderr.read_to_string(&mut said).expect("text");
    assert!(
        status.success(),
        "{}: {:?} {:?} after the last line named:\n{said}",
        page.display(),
        status.code(),
        status.signal()
    );
}

#[test]
fn the_commands_of_every_page_do_what_the_page_says() {
    let server = server();
    std::thread::scope(|scope| {
        let pages = pages();
        let runs: Vec<_> = pages
            .iter()
            .map(|page| {
                let (page, server) = (page.clone(), &server);
                scope.spawn(move || run(&page, server))
            })
            .collect();
        // A panic of any of them is the failure of the test, with its message.
        for run in runs {
            if let Err(panic) = run.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}
