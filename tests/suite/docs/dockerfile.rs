//! The Dockerfile passes hadolint, and what it puts into the image is what its page says.

use std::path::Path;
use std::process::Command;

use super::{root, text};
use crate::support::notes::tell;

#[test]
fn the_dockerfile_passes_its_linter() {
    let hadolint =
        Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("servers").join("python/bin/hadolint");
    match Command::new(hadolint).arg(root().join("Dockerfile")).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
            tell("TESTED job file: Dockerfile by hadolint");
        }
        Err(_) => tell("SKIPPED job file: Dockerfile, no hadolint"),
    }
}

#[test]
fn the_image_is_from_scratch_with_a_user_without_rights() {
    let file = text(Path::new("Dockerfile"));
    let (_, image) = file.split_once("\nFROM scratch\n").expect("an image from scratch");
    let lines: Vec<_> = image.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert!(lines.contains(&"USER 65532:65532"), "{lines:?}");
    assert!(lines.contains(&"ENTRYPOINT [\"/usr/bin/s3fcp\"]"), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("COPY ")).count(), 2, "{lines:?}");
}
