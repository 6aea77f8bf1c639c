//! The programs of this repository, built by the cargo that runs this one.
//!
//! Their paths are those that cargo reports. The SDK client is built into a folder of its own: it is no
//! member of the workspace, so that nothing else ever compiles the SDK.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Result;

/// The repository's root.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// `s3fcp` as a user builds it.
pub(crate) fn s3fcp() -> Result<PathBuf> {
    build(&["--release", "--package", "s3fcp", "--bin", "s3fcp"], Path::new(ROOT))
}

/// The same code with line numbers, so that instructions can be counted by source file.
pub(crate) fn s3fcp_with_lines() -> Result<PathBuf> {
    build(&["--profile", "callgrind", "--package", "s3fcp", "--bin", "s3fcp"], Path::new(ROOT))
}

/// The least that a copying client can be.
pub(crate) fn floor() -> Result<PathBuf> {
    build(&["--release", "--package", "compare", "--bin", "floor"], Path::new(ROOT))
}

/// The client over aws-sdk-s3: some minutes when it is built for the first time.
pub(crate) fn sdk_get() -> Result<PathBuf> {
    let target = env::current_exe()?.parent().and_then(Path::parent).map(|target| target.join("sdk-get"));
    let target = target.ok_or("this program is in no target folder")?;
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk-get");
    build(&["--release", "--locked", "--target-dir", &target.to_string_lossy()], Path::new(package))
}

/// Builds what `arguments` name if it is not up to date; cargo's own progress shows on stderr.
fn build(arguments: &[&str], package: &Path) -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let output = Command::new(cargo)
        .arg("build")
        .args(arguments)
        .arg("--message-format=json-render-diagnostics")
        .arg("--manifest-path")
        .arg(package.join("Cargo.toml"))
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo build {} failed", arguments.join(" ")).into());
    }
    let messages = output.stdout.split(|byte| *byte == b'\n');
    let executable =
        |line| serde_json::from_slice::<Value>(line).ok()?["executable"].as_str().map(PathBuf::from);
    messages.filter_map(executable).next_back().ok_or_else(|| "cargo named no executable".into())
}
