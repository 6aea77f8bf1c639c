//! The image as the Dockerfile describes it, built from nothing by podman and run: as process 1, as any user, with a
//! read-only root and without capabilities.
//!
//! Nothing is pulled: in place of the stage that compiles, the program under test is copied into the image, with the
//! libraries that it was linked to. Where podman is not installed or may not run a container, that is said and the test
//! ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use s3server::Server;
use tempfile::TempDir;

use super::text;
use crate::support::fault_server::{FaultServer, Reply};
use crate::support::files::folder;
use crate::support::notes::tell;
use crate::support::object::{SIZE, object};
use crate::support::run::{ACCESS_KEY, SECRET_KEY, URI};

const IMAGE: &str = "s3fcp-test";
/// The programs that start containers, in the order in which they are tried.
const RUNTIMES: [&str; 2] = ["crun", "runc"];
/// Far more than it takes to start a container, in seconds.
const TIME_LIMIT: &str = "120";

/// Podman, with images and containers in a folder of its own.
struct Podman {
    folder: TempDir,
    runtime: &'static str,
}

impl Podman {
    /// Builds the image, and returns podman with the first runtime that runs it; or the reason why none does.
    fn with_image() -> Result<Self, String> {
        let mut podman = Self { folder: folder(), runtime: RUNTIMES[0] };
        podman.output(&["--version"])?;
        let context = podman.folder.path().join("context");
        fill(&context.join("root"));
        let file = text(Path::new("Dockerfile"));
        let (_, image) = file.split_once("\nFROM scratch\n").expect("an image from scratch");
        let settings: Vec<_> = image.lines().filter(|line| !line.starts_with("COPY ")).collect();
        let file = format!("FROM scratch\nCOPY root/ /\n{}\n", settings.join("\n"));
        fs::write(context.join("Dockerfile"), file).expect("a file");
        let context = context.to_str().expect("a path in UTF-8").to_owned();
        podman.output(&["build", "--layers=false", "--isolation", "chroot", "--tag", IMAGE, &context])?;
        let mut reasons = Vec::new();
        for runtime in RUNTIMES {
            podman.runtime = runtime;
            let output = podman.run(&[], &["--version"]).output().map_err(|e| e.to_string())?;
            if output.status.success() {
                return Ok(podman);
            }
            reasons.push(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        Err(reasons.join("; "))
    }

    fn command(&self) -> Command {
        let path = |name: &str| self.folder.path().join(name);
        let mut command = Command::new("timeout");
        command.args([TIME_LIMIT, "podman", "--root"]).arg(path("storage")).arg("--runroot").arg(path("run"));
        command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
        command.args(["--runtime", self.runtime]);
        command
    }

    fn output(&self, args: &[&str]) -> Result<Output, String> {
        let output = self.command().args(args).output().map_err(|e| e.to_string())?;
        if output.status.success() {
            return Ok(output);
        }
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    /// Returns the command that runs the image, with a read-only root and no capabilities, on the network of this
    /// machine.
    fn run(&self, options: &[&str], args: &[&str]) -> Command {
        let mut command = self.command();
        command.args(["run", "--rm", "--network", "host", "--read-only", "--cap-drop", "ALL"]);
        // More than this process may have cannot be given on.
        command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]);
        command.args(["--env", "AWS_EC2_METADATA_DISABLED=true"]).args(options).arg(IMAGE).args(args);
        command
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // Files of other users inside of it would outlive the folder.
        let _ = self.output(&["rm", "--all", "--force", "--time", "0"]);
        let _ = self.output(&["rmi", "--all", "--force"]);
    }
}

/// Puts the program under test, its libraries and certificates into `root`.
fn fill(root: &Path) {
    let program = root.join("usr/bin/s3fcp");
    fs::create_dir_all(program.parent().expect("a folder")).expect("a folder");
    fs::create_dir_all(root.join("etc/ssl/certs")).expect("a folder");
    fs::copy(env!("CARGO_BIN_EXE_s3fcp"), &program).expect("the program");
    // Without its symbols it is a tenth of the size, if the tool is here.
    let _ = Command::new("strip").arg(&program).stderr(Stdio::null()).status();
    let certificates = Path::new("/etc/ssl/certs/ca-certificates.crt");
    if certificates.is_file() {
        fs::copy(certificates, root.join("etc/ssl/certs/ca-certificates.crt")).expect("certificates");
    }
    let libraries = Command::new("ldd").arg(env!("CARGO_BIN_EXE_s3fcp")).output().map(|output| output.stdout);
    let libraries = String::from_utf8(libraries.unwrap_or_default()).expect("text");
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        let copy = root.join(&library[1..]);
        fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
        fs::copy(library, copy).expect("a library");
    }
}

fn shown(output: &Output) -> String {
    format!("{:?}: {}", output.status, String::from_utf8_lossy(&output.stderr))
}

#[test]
fn it_runs_as_process_1_as_any_user_and_with_a_read_only_root() {
    let podman = match Podman::with_image() {
        Ok(podman) => podman,
        Err(reason) => {
            tell(&format!("SKIPPED image: podman builds or runs none here: {}", reason.replace('\n', " ")));
            return;
        }
    };
    it_downloads_to_its_output(&podman);
    it_downloads_into_a_volume(&podman);
    it_says_whose_file_it_cannot_read(&podman);
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        it_ends_by_a_signal(&podman, signal, code);
    }
    tell(&format!("TESTED image: built from scratch and run by podman and {}", podman.runtime));
}

fn server() -> Server {
    let server = Server::builder().credentials(ACCESS_KEY, SECRET_KEY).start();
    server.put("bucket", "key", s3server::Object::new(object(SIZE)));
    server
}

fn keys() -> [String; 6] {
    let variable = |name: &str, value: &str| format!("{name}={value}");
    let set = [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_REGION", "us-east-1"),
    ];
    let [a, b, c] = set.map(|(name, value)| variable(name, value));
    ["--env".into(), a, "--env".into(), b, "--env".into(), c]
}

fn it_downloads_to_its_output(podman: &Podman) {
    let (server, keys) = (server(), keys());
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    for user in [&[][..], &["--user", "12345:12345"], &["--user", "2000000000"], &["--user", "0"]] {
        let output = podman.run(&[&keys, user].concat(), &["--endpoint", &server.endpoint(), URI]).output();
        let output = output.expect("podman");
        assert!(output.status.success(), "{user:?}: {}", shown(&output));
        assert!(output.stdout == object(SIZE), "{user:?}: {} bytes", output.stdout.len());
    }
}

fn it_downloads_into_a_volume(podman: &Podman) {
    let (server, keys, volume) = (server(), keys(), folder());
    fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o777)).expect("a folder");
    let mount = format!("{}:/data", volume.path().display());
    let options = [&["--volume", &*mount][..], &keys.iter().map(String::as_str).collect::<Vec<_>>()].concat();
    let args = ["--endpoint", &server.endpoint(), "-o", "/data/", "--continue", URI];
    // The second one finds the file complete.
    for _ in 0..2 {
        let output = podman.run(&options, &args).output().expect("podman");
        assert!(output.status.success(), "{}", shown(&output));
    }
    assert!(fs::read(volume.path().join("key")).expect("the file") == object(SIZE));
    // Where the image keeps nothing, nothing is written.
    let output = podman.run(&options, &["--endpoint", &server.endpoint(), "-o", "/file", URI]).output();
    assert_eq!(output.expect("podman").status.code(), Some(8));
}

/// A mounted ~/.aws/credentials has mode 0600, and another owner.
fn it_says_whose_file_it_cannot_read(podman: &Podman) {
    let aws = folder();
    fs::set_permissions(aws.path(), fs::Permissions::from_mode(0o755)).expect("a folder");
    let file = aws.path().join("credentials");
    fs::write(&file, "[default]\naws_access_key_id = A\naws_secret_access_key = B\n").expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a file");
    let mount = format!("{}:/home/nonroot/.aws:ro", aws.path().display());
    let args = ["--region", "us-east-1", "--endpoint", "http://127.0.0.1:1", URI];
    let output = podman.run(&["--volume", &mount], &args).output().expect("podman");
    assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
    let said = shown(&output);
    for part in ["/home/nonroot/.aws/credentials cannot be read", "--user \"$(id -u)\""] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

fn it_ends_by_a_signal(podman: &Podman, signal: &str, code: i32) {
    let silent = FaultServer::start(object(SIZE), |_| Reply::raw("").stall_after(0));
    let name = format!("s3fcp-{signal}");
    let args = ["--no-sign-request", "--region", "r", "--endpoint", &silent.endpoint(), "--stats=json", URI];
    let mut run = podman.run(&["--name", &name], &args);
    let running = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("podman");
    let mut running = Ended(Some(running));
    while silent.requests().is_empty() {
        assert!(!running.has_ended(), "it ended before its first request");
        std::thread::sleep(Duration::from_millis(20));
    }
    podman.output(&["kill", "--signal", signal, &name]).expect("podman kill");
    let output = running.output();
    assert_eq!(output.status.code(), Some(code), "{signal}: {}", shown(&output));
    let last = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
    assert!(last.contains(&format!("\"exit_code\":{code}")), "{signal}: {last}");
}

/// A child that is ended when a test fails.
struct Ended(Option<Child>);

impl Ended {
    fn has_ended(&mut self) -> bool {
        self.0.as_mut().is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some()))
    }

    fn output(&mut self) -> Output {
        self.0.take().expect("a child").wait_with_output().expect("an end")
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
