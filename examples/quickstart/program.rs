//! The release binary: built by the cargo that runs this example, since cargo builds no binary for one.
//!
//! Its path is the one that cargo reports.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Result;

/// Builds the binary if it is not up to date; cargo's own progress shows on stderr.
pub(crate) fn build() -> Result<PathBuf> {
    println!("Building   s3fcp, as `cargo build --release` does");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(cargo)
        // Together with this example: alone it would be resolved without the features that the tests'
        // dependencies add to shared crates, and most of them be compiled a second time.
        .args(["build", "--release", "--bin", "s3fcp", "--example", "quickstart"])
        .arg("--message-format=json-render-diagnostics")
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("the binary did not build".into());
    }
    let messages = output.stdout.split(|byte| *byte == b'\n');
    let executable = |line| {
        let message = serde_json::from_slice::<Value>(line).ok()?;
        let is_binary = message["target"]["kind"][0] == "bin";
        message["executable"].as_str().filter(|_| is_binary).map(PathBuf::from)
    };
    messages.filter_map(executable).next_back().ok_or_else(|| "cargo named no executable".into())
}

/// The path as a newcomer would type it.
pub(crate) fn shown(binary: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    binary.strip_prefix(here).unwrap_or(binary).display().to_string()
}

/// A command that sees `variables` and nothing of the user's own AWS configuration, nor a proxy for loopback.
pub(crate) fn command(binary: &Path, variables: &[(&str, String)]) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    let nothing = binary.with_file_name("no-such-file");
    command
        .env("AWS_CONFIG_FILE", &nothing)
        .env("AWS_SHARED_CREDENTIALS_FILE", &nothing)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("NO_PROXY", "127.0.0.1")
        .env_remove("no_proxy")
        .envs(variables.iter().map(|(name, value)| (*name, value)));
    command
}
