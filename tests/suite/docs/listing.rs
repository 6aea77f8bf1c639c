//! `quickstart --serve` beside the tools that people list with: aws, s5cmd and rclone see its tree, and read from it
//! what s3fcp reads. A tool that is not there is named and left out.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::files::folder;
use crate::support::notes::tell;

const KEYS: &str = "QUICKSTARTEXAMPLE:of-this-test-alone";
const HELLO: &str = "Hello from the quickstart.\n";
/// The example, as a process.
struct Quickstart {
    process: Child,
    /// The variables that it asks its user to export.
    variables: Vec<(String, String)>,
    home: TempDir,
}

impl Quickstart {
    /// Starts the example; `None` if it is not there, because this test alone was compiled.
    fn serve() -> Option<Self> {
        let program = Path::new(env!("CARGO_BIN_EXE_s3fcp"));
        let example = program.with_file_name("examples").join("quickstart");
        if !example.is_file() {
            return None;
        }
        let home = folder();
        // It builds the release binary first; here the program under test stands for that.
        let cargo = home.path().join("cargo");
        let built = serde_json::json!({"target": {"kind": ["bin"]}, "executable": program});
        fs::write(&cargo, format!("#!/bin/sh\ncat <<'END'\n{built}\nEND\n")).expect("a script");
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("a script");
        let mut process = Command::new(example)
            .args(["--serve", "--keys", KEYS])
            .env("CARGO", &cargo)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let mut variables = Vec::new();
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        for line in lines.map(|line| line.expect("text")) {
            if let Some((name, value)) =
                line.trim().strip_prefix("export ").and_then(|pair| pair.split_once('='))
            {
                variables.push((name.to_owned(), value.trim_matches('\'').to_owned()));
            }
            if line.starts_with("Ctrl-C") {
                break;
            }
        }
        assert_eq!(variables.len(), 5, "{variables:?}");
        Some(Self { process, variables, home })
    }

    /// Runs `program` as its user would after these exports, and returns its output.
    fn output(&self, program: &Path, args: &[&str]) -> String {
        let output = Command::new("timeout")
            .arg("120")
            .arg(program)
            .args(args)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .output()
            .expect("a program");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{args:?}: {}{text}", String::from_utf8_lossy(&output.stderr));
        text
    }
}

impl Drop for Quickstart {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns a tool that tests/servers.sh has installed, or the system.
fn tool(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&folders).map(|folder| folder.join(name));
    let found = std::iter::once(super::by_pip(name)).chain(installed).find(|path| path.is_file())?;
    let version = if name == "aws" { "--version" } else { "version" };
    // Some version managers put in a program's place one that only says that it is missing.
    let runs = Command::new(&found).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
    runs.is_ok_and(|status| status.success()).then_some(found)
}

#[test]
fn its_tree_is_listed_and_read_by_other_tools() {
    let Some(quickstart) = Quickstart::serve() else {
        tell("SKIPPED listing: the quickstart is not built, as cargo test does without --test");
        return;
    };
    let keys: Vec<_> = s3server::examples(Vec::new()).into_iter().map(|(key, _)| key).collect();
    let s3fcp = Path::new(env!("CARGO_BIN_EXE_s3fcp"));
    let checked = ["--checksum", "require", "s3://bucket/hello.txt"];
    assert_eq!(quickstart.output(s3fcp, &checked), HELLO);
    let rclone = |path: &str| {
        format!(
            ":s3,provider=Other,env_auth=true,list_version=2,endpoint='{}':{path}",
            quickstart.variables[3].1
        )
    };
    let (bucket, hello) = (rclone("bucket"), rclone("bucket/hello.txt"));
    let commands: [(&str, &[&str], &[&str]); 3] = [
        ("aws", &["s3", "ls", "--recursive", "s3://bucket"], &["s3", "cp", "s3://bucket/hello.txt", "-"]),
        ("s5cmd", &["ls", "s3://bucket/*"], &["cat", "s3://bucket/hello.txt"]),
        ("rclone", &["lsf", "--recursive", "--files-only", &bucket], &["cat", &hello]),
    ];
    for (name, list, read) in commands {
        let Some(tool) = tool(name) else {
            tell(&format!("SKIPPED listing by {name}: not installed"));
            continue;
        };
        let listed = quickstart.output(&tool, list);
        let lines: Vec<_> = listed.lines().collect();
        assert_eq!(lines.len(), keys.len(), "{name}: {listed}");
        for key in &keys {
            assert!(lines.iter().any(|line| line.ends_with(key)), "{name}: no {key:?} in {listed}");
        }
        assert_eq!(quickstart.output(&tool, read), HELLO, "{name}");
        tell(&format!("TESTED listing by {name}"));
    }
}
