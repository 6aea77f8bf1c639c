//! The manifests: valid for the API by kubernetes-validate, and their arguments run as the image's entry point gets
//! them.

use std::fs;
use std::process::Command;

use super::{by_pip, job, server};
use crate::support::files::{folder, names};
use crate::support::notes::tell;
use crate::support::object::object;
use crate::support::run::S3fcp;

const SIZE: u64 = 20 << 20;

/// Returns the items of the first list under `args:` that is written one item a line.
fn args(manifest: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| line.trim() != "args:").skip(1);
    let items = lines.map_while(|line| line.trim().strip_prefix("- "));
    items.map(str::to_owned).collect()
}

#[test]
fn the_manifests_are_valid() {
    // Pieces that name an ETag fail again after exit code 6.
    for (name, final_codes) in [
        ("kubernetes.yaml", "values: [1, 2, 3, 4, 6, 7, 8]"),
        ("kubernetes-init.yaml", "values: [1, 2, 3, 4, 7, 8]"),
    ] {
        let text = fs::read_to_string(job(name)).expect("a manifest");
        for part in ["fsGroup: 65532", "runAsNonRoot: true", final_codes] {
            assert!(text.contains(part), "{name} lacks {part:?}");
        }
        match Command::new(by_pip("kubernetes-validate")).arg("--strict").arg(job(name)).output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success(), "{name}: {said}");
                tell(&format!("TESTED job file for Kubernetes: {name} by kubernetes-validate"));
            }
            Err(_) => tell(&format!("SKIPPED job file for Kubernetes: {name}, no kubernetes-validate")),
        }
    }
}

#[test]
fn the_pods_write_their_pieces() {
    let (server, version) = server("key", SIZE);
    let folder = folder();
    let words = args(&fs::read_to_string(job("kubernetes.yaml")).expect("a manifest"));
    let count = words.iter().find_map(|word| word.strip_prefix("$(JOB_COMPLETION_INDEX)/"));
    let count: u32 = count.expect("a shard").parse().expect("a number");
    for index in 0..count {
        let words = words.iter().map(|word| {
            word.replace("$(JOB_COMPLETION_INDEX)", &index.to_string())
                .replace("9bb58f26192e4ba00f01e2e7b136bbd8", version.e_tag.trim_matches('"'))
                .replace("/shared", &folder.path().to_string_lossy())
        });
        let run = S3fcp::new().env("AWS_ENDPOINT_URL_S3", server.endpoint()).args(words).start().wait();
        assert_eq!(run.code(), Some(0), "{}", run.stderr);
    }
    assert!(fs::read(folder.path().join("key.pieces")).expect("the pieces") == object(SIZE));
}

#[test]
fn the_init_container_fills_the_volume_and_may_start_again() {
    let (server, _) = server("weights.safetensors", SIZE);
    let folder = folder();
    let words = args(&fs::read_to_string(job("kubernetes-init.yaml")).expect("a manifest"));
    let run = || {
        let words = words.iter().map(|word| word.replace("/models", &folder.path().to_string_lossy()));
        S3fcp::new().env("AWS_ENDPOINT_URL_S3", server.endpoint()).args(words).start().wait()
    };
    for time in ["first", "second"] {
        let outcome = run();
        assert_eq!(outcome.code(), Some(0), "the {time} time: {}", outcome.stderr);
        assert!(fs::read(folder.path().join("weights.safetensors")).expect("the weights") == object(SIZE));
        assert_eq!(names(folder.path()), ["weights.safetensors"]);
    }
}
