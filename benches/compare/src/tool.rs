//! The clients: which there are, and which of them are here.
//!
//! A client's name stands for a program, built or found, and its version. `command` has its arguments.

mod command;

pub(crate) use command::wrap;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;

use crate::{Result, cargo};

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    /// This repository's
    S3fcp,
    /// One connection, read and write, nothing else: the least that copying costs
    Floor,
    /// aws-sdk-s3 as a careful user would write it: 16 ranges of 8 MiB at the same time
    Sdk,
    /// curl --aws-sigv4, one GET
    Curl,
    /// s5cmd cat
    S5cmd,
    /// aws s3 cp to stdout
    Aws,
    /// rclone cat
    Rclone,
    /// s3get to stdout
    S3get,
}

/// A client that is here.
#[derive(Clone)]
pub(crate) struct Installed {
    pub(crate) tool: Tool,
    /// What it says of itself, on one line.
    pub(crate) version: String,
    program: PathBuf,
    /// Words for the command line before the object's name.
    extra: Vec<String>,
    /// Environment variables, beside those that all clients have.
    variables: Vec<(&'static str, String)>,
}

impl Tool {
    /// All of them, in the order of the tables.
    pub(crate) const ALL: [Self; 8] =
        [Self::S3fcp, Self::Floor, Self::Sdk, Self::Curl, Self::S5cmd, Self::Aws, Self::Rclone, Self::S3get];

    /// As the command line and the tables have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::S3fcp => "s3fcp",
            Self::Floor => "floor",
            Self::Sdk => "sdk",
            Self::Curl => "curl",
            Self::S5cmd => "s5cmd",
            Self::Aws => "aws",
            Self::Rclone => "rclone",
            Self::S3get => "s3get",
        }
    }

    /// Builds it, or finds it on the path; an error says why it is not to be had. `tls` is whether it is to speak it.
    pub(crate) fn find(self, tls: bool) -> Result<Installed> {
        let (program, version) = match self {
            Self::S3fcp => {
                let program = cargo::s3fcp()?;
                let version = ask(&program, "--version")?;
                (program, version)
            }
            Self::Floor if tls => return Err("it speaks no TLS".into()),
            Self::Floor => (cargo::floor()?, "one connection, 256 KiB a read".to_owned()),
            Self::Sdk => {
                let program = cargo::sdk_get()?;
                let version = ask(&program, "--version")?;
                (program, version)
            }
            Self::Curl | Self::Aws | Self::S3get => {
                (self.name().into(), ask(Path::new(self.name()), "--version")?)
            }
            Self::S5cmd | Self::Rclone => (self.name().into(), ask(Path::new(self.name()), "version")?),
        };
        Ok(Installed { tool: self, version, program, extra: Vec::new(), variables: Vec::new() })
    }
}

/// s3fcp with line numbers in it, to count its instructions by source file.
pub(crate) fn s3fcp_with_lines() -> Result<Installed> {
    let program = cargo::s3fcp_with_lines()?;
    Ok(Installed {
        tool: Tool::S3fcp,
        version: String::new(),
        program,
        extra: Vec::new(),
        variables: Vec::new(),
    })
}

impl Installed {
    /// Returns it with these environment variables, too.
    pub(crate) fn with_variables(&self, variables: &[(&'static str, String)]) -> Self {
        let mut with = self.clone();
        with.variables.extend_from_slice(variables);
        with
    }

    /// Returns it with these words, too, on its command line.
    pub(crate) fn with(&self, extra: &[String]) -> Self {
        let mut with = self.clone();
        with.extra.extend_from_slice(extra);
        with
    }
}

/// The first line of what a program says when asked for its version.
fn ask(program: &Path, question: &str) -> Result<String> {
    let output = Command::new(program)
        .arg(question)
        .stdin(Stdio::null())
        .output()
        .map_err(|_| "it is not installed")?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next() {
        Some(line) if output.status.success() => {
            Ok(line.split(" (").next().unwrap_or(line).trim().to_owned())
        }
        _ => Err("it is not installed, or does not run".into()),
    }
}
