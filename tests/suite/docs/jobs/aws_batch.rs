//! The script for AWS Batch: its calls are valid by botocore's model, and the command of its jobs is run as the image's
//! entry point gets it.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{by_pip, job, server};
use crate::support::files::folder;
use crate::support::notes::tell;
use crate::support::object::object;
use crate::support::run::S3fcp;

const SIZE: u64 = 20 << 20;

#[test]
fn the_jobs_are_valid_and_write_their_pieces() {
    let python = by_pip("python3");
    let has_botocore = Command::new(&python).args(["-c", "import botocore"]).output();
    if !has_botocore.is_ok_and(|output| output.status.success()) {
        tell("SKIPPED job file for AWS Batch: no botocore");
        return;
    }
    let (server, _) = server("key", SIZE);
    let folder = folder();
    let (record, aws) = (folder.path().join("record"), folder.path().join("aws"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/docs/jobs/aws.py");
    fs::write(&aws, format!("#!/bin/sh\nexec '{}' '{script}' \"$@\"\n", python.display())).expect("a script");
    let out = folder.path().join("out");
    let command = format!(
        "chmod +x '{}' && PATH=\"{}:$PATH:/usr/bin:/bin\" && sh '{}' s3://bucket/key '{}' 3 queue image fs-1",
        aws.display(),
        folder.path().display(),
        job("aws-batch.sh").display(),
        out.display()
    );
    let run = S3fcp::shell(&format!("PATH=$PATH:/usr/bin:/bin; {command}"))
        .env("AWS_ENDPOINT_URL_S3", server.endpoint())
        .env("RECORD", &record)
        .start()
        .wait();
    assert_eq!(run.code(), Some(0), "{}", run.stderr);

    let calls = fs::read_to_string(&record).expect("calls");
    let calls: Vec<Value> = calls.lines().map(|call| serde_json::from_str(call).expect("JSON")).collect();
    assert_eq!(calls.len(), 4, "{calls:?}");
    let container = &calls[0]["containerProperties"];
    assert_eq!(container["user"], "65532:65532");
    let retry = &calls[0]["retryStrategy"]["evaluateOnExit"];
    assert_eq!((&retry[0]["onExitCode"], &retry[0]["action"]), (&"5".into(), &"RETRY".into()));
    assert_eq!(
        retry.as_array().and_then(|rules| rules.last()).map(|rule| &rule["action"]),
        Some(&"EXIT".into())
    );
    for call in &calls[1..] {
        let words = container["command"].as_array().expect("a command").iter().map(|word| {
            let word = word.as_str().expect("text");
            match word.strip_prefix("Ref::") {
                Some(name) => call["parameters"][name].as_str().expect("a parameter").to_owned(),
                None => word.to_owned(),
            }
        });
        let run = S3fcp::new().env("AWS_ENDPOINT_URL_S3", server.endpoint()).args(words).start().wait();
        assert_eq!(run.code(), Some(0), "{}", run.stderr);
    }
    assert!(fs::read(folder.path().join("out.pieces")).expect("the pieces") == object(SIZE));
    tell("TESTED job file for AWS Batch: by botocore's model");
}
